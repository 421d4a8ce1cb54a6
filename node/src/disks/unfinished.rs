//! The mark of an installation that did not come to its end.
//!
//! An installation writes it before the partition table and takes it away when
//! everything is on the disk. A disk that has it and that the machine's firmware does
//! not start holds nothing that anybody has used: a second run starts over without
//! being forced. Where the power went after the boot loaders were there, and before
//! the mark was gone, the disk starts, and counts as installed.
//!
//! It lies in the last 4,096 bytes before the first partition, which no partition
//! table and no boot loader uses.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use isoforge_contract::machine::Firmware;

use super::table::Entry;
use isoforge_formats::gpt::TYPE_ESP;

/// Boot code of a disk that BIOS shall not start: `int 0x18` has it go on to the
/// next device, where zeros would be run.
pub(crate) const NEXT_DEVICE: [u8; 2] = [0xCD, 0x18];

/// What a sector ends with that firmware takes for code (UEFI 2.10, table 5.1) or for
/// the beginning of a FAT file system.
const SIGNATURE: [u8; 2] = [0x55, 0xAA];
const SIGNATURE_OFFSET: u64 = 510;

/// The whole block is written, of whatever size sectors are.
const BLOCK_BYTES: usize = 4096;
const OFFSET: u64 = (1 << 20) - BLOCK_BYTES as u64;
const TEXT: &[u8] = b"appliance: this installation did not come to its end\n";

/// Sets the mark or takes it away.
pub(crate) fn mark(disk: &File, unfinished: bool) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    if unfinished && let Some(begin) = block.get_mut(..TEXT.len()) {
        begin.copy_from_slice(TEXT);
    }
    disk.write_all_at(&block, OFFSET)
}

/// Whether an installation was cut off that left nothing which the firmware starts.
/// What can't be read counts as finished.
pub(crate) fn is(disk: &File, entries: &[Entry], firmware: Firmware) -> bool {
    let mut text = [0; TEXT.len()];
    let marked = disk.read_exact_at(&mut text, OFFSET).is_ok() && text == *TEXT;
    marked && matches!(starts(disk, entries, firmware), Ok(false))
}

fn starts(disk: &File, entries: &[Entry], firmware: Firmware) -> io::Result<bool> {
    let ends_with_signature = |sector: u64| {
        let mut end = [0; SIGNATURE.len()];
        disk.read_exact_at(&mut end, sector.saturating_add(SIGNATURE_OFFSET))?;
        Ok(end == SIGNATURE)
    };
    match firmware {
        Firmware::Bios => {
            let mut code = [0; NEXT_DEVICE.len()];
            disk.read_exact_at(&mut code, 0)?;
            Ok(ends_with_signature(0)? && code != NEXT_DEVICE)
        }
        Firmware::Uefi => {
            let esp = entries
                .iter()
                .find(|entry| entry.type_guid == TYPE_ESP.on_disk());
            esp.map_or(Ok(false), |esp| ends_with_signature(esp.offset))
        }
    }
}
