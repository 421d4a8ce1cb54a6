//! The boot catalog (El Torito 1.0) and what GRUB expects in its images.

use super::super::layout::Layout;
use super::super::{BLOCK_BYTES, Block, SYSTEM_AREA_BLOCKS, too_large, wrong_length};
use crate::Error;

/// Platform ids: PC BIOS, and EFI (UEFI 2.10, 13.3.2.1).
const PLATFORM_BIOS: u8 = 0;
const PLATFORM_EFI: u8 = 0xEF;

const BOOTABLE: u8 = 0x88;
const LAST_SECTION_HEADER: u8 = 0x91;

/// Bytes of an entry of the catalog.
const ENTRY_BYTES: usize = 32;

/// 512-byte sectors that the BIOS loads of a core image: the first block, which
/// loads the rest.
const CORE_IMAGE_LOAD_SECTORS: u16 = 4;

/// Where the boot information table begins and where its checksum begins; it
/// covers the rest of the file.
const INFO_TABLE_OFFSET: usize = 8;
const INFO_TABLE_END: usize = 64;

/// Where a GRUB core image has the 64-bit number of the 512-byte sector after
/// its first block, plus one, which it needs when it was started from a disk.
const GRUB_DISK_SECTOR_OFFSET: usize = 2548;

/// 512-byte sectors in a block.
const SECTORS_PER_BLOCK: u64 = 4;

/// The boot catalog, one block.
pub(super) fn catalog(layout: &Layout) -> Result<Vec<u8>, Error> {
    let boot = layout.boot;
    let platform = if boot.bios.is_some() {
        PLATFORM_BIOS
    } else {
        PLATFORM_EFI
    };
    let mut out = validation_entry(platform);
    if let Some(core) = boot.bios {
        let block = layout.extent(core)?.block;
        out.extend(boot_entry(CORE_IMAGE_LOAD_SECTORS, block));
    }
    if let Some(esp) = boot.uefi {
        let extent = layout.extent(esp)?;
        if boot.bios.is_some() {
            let mut header = vec![LAST_SECTION_HEADER, PLATFORM_EFI];
            header.extend(1_u16.to_le_bytes());
            header.resize(ENTRY_BYTES, 0);
            out.extend(header);
        }
        out.extend(boot_entry(efi_sectors(extent.room), extent.block));
    }
    out.resize(BLOCK_BYTES as usize, 0);
    Ok(out)
}

/// The sector count is 16 bits wide. For a larger image it is 0, by which
/// firmware takes all up to the end of the medium (UEFI 2.10, 13.3.2.1); the
/// file system within says how large it really is.
fn efi_sectors(bytes: u64) -> u16 {
    u16::try_from(bytes / 512).unwrap_or(0)
}

fn validation_entry(platform: u8) -> Vec<u8> {
    let mut out = vec![1, platform];
    out.resize(ENTRY_BYTES - 2, 0);
    out.extend([0x55, 0xAA]);
    let sum = out.chunks_exact(2).fold(0_u16, |sum, word| match word {
        &[low, high] => sum.wrapping_add(u16::from_le_bytes([low, high])),
        _ => sum,
    });
    let checksum = 0_u16.wrapping_sub(sum).to_le_bytes();
    for (to, from) in out.iter_mut().skip(28).zip(checksum) {
        *to = from;
    }
    out
}

fn boot_entry(sectors: u16, block: Block) -> Vec<u8> {
    const NO_EMULATION: u8 = 0;
    let mut out = vec![BOOTABLE, NO_EMULATION, 0, 0, 0, 0];
    out.extend(sectors.to_le_bytes());
    out.extend(block.0.to_le_bytes());
    out.resize(ENTRY_BYTES, 0);
    out
}

/// Writes into a GRUB core image for El Torito where it lies: the disk sector
/// and the boot information table.
///
/// # Errors
/// Where the image is too small to have these fields, or larger than its 32-bit
/// length.
pub fn patch_core_image(image: &mut [u8], block: Block, path: &str) -> Result<(), Error> {
    const LIMIT: u64 = u32::MAX as u64;
    let bytes = image.len() as u64;
    let length =
        u32::try_from(bytes).map_err(|_| too_large(path, "a size in bytes", bytes, LIMIT))?;
    let too_small = || wrong_length(path, (GRUB_DISK_SECTOR_OFFSET + 8) as u64, bytes);
    image
        .get_mut(GRUB_DISK_SECTOR_OFFSET..GRUB_DISK_SECTOR_OFFSET + 8)
        .ok_or_else(too_small)?
        .copy_from_slice(&(u64::from(block.0) * SECTORS_PER_BLOCK + 5).to_le_bytes());
    let checksum = image
        .get(INFO_TABLE_END..)
        .unwrap_or_default()
        .chunks(4)
        .fold(0_u32, |sum, word| {
            let mut bytes = [0_u8; 4];
            for (to, from) in bytes.iter_mut().zip(word) {
                *to = *from;
            }
            sum.wrapping_add(u32::from_le_bytes(bytes))
        });
    let mut table = Vec::with_capacity(INFO_TABLE_END - INFO_TABLE_OFFSET);
    for value in [SYSTEM_AREA_BLOCKS, block.0, length, checksum] {
        table.extend(value.to_le_bytes());
    }
    table.resize(INFO_TABLE_END - INFO_TABLE_OFFSET, 0);
    image
        .get_mut(INFO_TABLE_OFFSET..INFO_TABLE_END)
        .ok_or_else(too_small)?
        .copy_from_slice(&table);
    Ok(())
}
