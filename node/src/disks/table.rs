//! Reading the GUID partition table of a disk of unknown past.
//!
//! Specification: UEFI 2.10, 5.3. This reader exists beside `gptman` because
//! that one trusts the header's numbers; here they come from whatever the disk
//! held before. Checksums are not looked at: a damaged table names partitions
//! that have to be wiped as much as a good one does.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Bytes of the part of a header that is read, and of an entry.
const HEADER_BYTES: usize = 92;
const ENTRY_BYTES: usize = 128;

/// Most entries that are read; tables have 128.
const ENTRIES_MAX: u32 = 256;

const SIGNATURE: &[u8] = b"EFI PART";

/// A partition of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// From 1.
    pub number: u32,
    /// In the order on disk.
    pub type_guid: [u8; 16],
    /// Offset of its first byte.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its name, which may be empty.
    pub name: String,
}

/// The partitions of the table at the disk's beginning; none where there is no
/// table.
pub(crate) fn read(disk: &File, sector_bytes: u32) -> Option<Vec<Entry>> {
    read_at(disk, u64::from(sector_bytes), u64::from(sector_bytes))
}

/// The partitions of every table that is there: at the beginning and at the
/// end, and for both sizes of sectors, since a disk may have been written
/// through another adapter.
pub(crate) fn read_all(disk: &File, disk_bytes: u64) -> Vec<Entry> {
    let mut entries = Vec::new();
    for sector in [512, 4096] {
        let last = (disk_bytes / sector).saturating_sub(1) * sector;
        for offset in [sector, last] {
            entries.extend(read_at(disk, sector, offset).unwrap_or_default());
        }
    }
    entries
}

fn read_at(disk: &File, sector: u64, offset: u64) -> Option<Vec<Entry>> {
    let mut header = [0; HEADER_BYTES];
    disk.read_exact_at(&mut header, offset).ok()?;
    if !header.starts_with(SIGNATURE) {
        return None;
    }
    let first = u64_at(&header, 72)?.checked_mul(sector)?;
    let count = u32_at(&header, 80)?.min(ENTRIES_MAX);
    if u32_at(&header, 84)? as usize != ENTRY_BYTES {
        return None;
    }
    let mut entries = Vec::new();
    for index in 0..count {
        let at = first.checked_add(u64::from(index) * ENTRY_BYTES as u64)?;
        let mut entry = [0; ENTRY_BYTES];
        if disk.read_exact_at(&mut entry, at).is_err() {
            break;
        }
        entries.extend(parse(&entry, index.saturating_add(1), sector));
    }
    Some(entries)
}

fn parse(bytes: &[u8], number: u32, sector: u64) -> Option<Entry> {
    const UNUSED: [u8; 16] = [0; 16];
    let type_guid = *bytes.first_chunk()?;
    if type_guid == UNUSED {
        return None;
    }
    let (first, last) = (u64_at(bytes, 32)?, u64_at(bytes, 40)?);
    let name: Vec<u16> = bytes
        .get(56..ENTRY_BYTES)?
        .as_chunks()
        .0
        .iter()
        .map(|unit| u16::from_le_bytes(*unit))
        .take_while(|unit| *unit != 0)
        .collect();
    Some(Entry {
        number,
        type_guid,
        offset: first.checked_mul(sector)?,
        bytes: last
            .checked_sub(first)?
            .checked_add(1)?
            .checked_mul(sector)?,
        name: super::printable(&String::from_utf16_lossy(&name)),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*field))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*field))
}
