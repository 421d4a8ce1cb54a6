//! What starts the disk: the ESP for UEFI; MBR and GRUB's core image for BIOS.
//!
//! The ESP is made in memory and written without its boot sector, which alone
//! makes it a file system, and which is written when everything else is on the
//! disk. So no power cut leaves half a file system that starts, and the running
//! kernel needs no driver for FAT.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result};
use isoforge_formats::gpt::CODE_SECTOR_OFFSET;

use super::target::{CHUNK_BYTES, Target};
use crate::disks::unfinished::NEXT_DEVICE;
use isoforge_system::disk_plan::{Partition, Plan, Role};

/// Layout of an MBR (UEFI 2.10, table 5.1).
const MBR_BYTES: usize = 512;
const BOOT_CODE_BYTES: usize = 440;
const RECORDS_OFFSET: usize = 446;

/// Bytes of the boot sector of a FAT file system.
const BOOT_SECTOR_BYTES: usize = 512;

/// Where GRUB's boot code has the 64-bit number of the core image's second
/// 2,048-byte block, and where the core image has that of the sector after that
/// block's first one; both in sectors of 512 bytes.
const CORE_SECTOR_OFFSET: usize = 2548;
const CODE_SECTOR: u64 = 4;
const CORE_SECTOR: u64 = 5;

impl Target<'_> {
    /// Writes GRUB's core image into the partition for it.
    pub(super) fn write_core(&self, partition: &Partition, mut core: Vec<u8>) -> Result<()> {
        let size = core.len();
        let bad = || unusable("core image", size);
        let sector = (partition.offset / 512)
            .checked_add(CORE_SECTOR)
            .with_context(bad)?;
        core.get_mut(CORE_SECTOR_OFFSET..)
            .and_then(|rest| rest.first_chunk_mut::<8>())
            .filter(|_| size as u64 <= partition.bytes)
            .with_context(bad)?
            .copy_from_slice(&sector.to_le_bytes());
        let write = || -> io::Result<()> {
            let device = self.open_partition(partition)?;
            device.write_all_at(&core, 0)?;
            device.sync_all()
        };
        write().context("writing GRUB's core image failed")
    }

    /// Puts boot code into the MBR, by which BIOS starts the disk.
    pub(super) fn write_boot_code(&self, plan: &Plan, code: &[u8]) -> Result<()> {
        self.write_mbr(plan, Some(code))?;
        self.flush()
    }

    /// Writes an ESP but for its boot sector.
    pub(super) fn write_esp(&self, partition: &Partition, image: &[u8]) -> Result<()> {
        let write = || -> io::Result<()> {
            let device = self.open_partition(partition)?;
            let mut found = vec![0_u8; CHUNK_BYTES];
            let mut offset = 0_u64;
            for piece in image.chunks(CHUNK_BYTES) {
                let start = if offset == 0 { BOOT_SECTOR_BYTES } else { 0 };
                let piece = piece.get(start..).unwrap_or_default();
                let at = offset + start as u64;
                // Most of it is zeros, which mostly are there already.
                let found = found.get_mut(..piece.len()).unwrap_or_default();
                if device.read_exact_at(found, at).is_err() || found != piece {
                    device.write_all_at(piece, at)?;
                }
                offset += CHUNK_BYTES as u64;
            }
            device.sync_all()
        };
        write().context("writing the EFI system partition failed")
    }

    /// Makes an ESP that is written a file system, by which UEFI starts it.
    pub(super) fn start_esp(&self, partition: &Partition, image: &[u8]) -> Result<()> {
        let write = || -> io::Result<()> {
            let device = self.open_partition(partition)?;
            device.write_all_at(image.get(..BOOT_SECTOR_BYTES).unwrap_or_default(), 0)?;
            device.sync_all()
        };
        write().context("writing the boot sector of the EFI system partition failed")
    }

    /// The protective MBR; with boot code, a second record of type 0 is active:
    /// some BIOSes start a disk only where one is, and since its type says
    /// "unused" the MBR stays a protective one.
    pub(super) fn write_mbr(&self, plan: &Plan, code: Option<&[u8]>) -> Result<()> {
        let mut mbr = [0_u8; MBR_BYTES];
        put(&mut mbr, 0, &NEXT_DEVICE);
        let sectors = self.bytes / u64::from(plan.sector_bytes);
        let protected = u32::try_from(sectors.saturating_sub(1)).unwrap_or(u32::MAX);
        let mut records = vec![0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0];
        records.extend(protected.to_le_bytes());
        if let (Some(code), Some(boot)) = (code, plan.find(Role::BiosBoot)) {
            let bad = || unusable("boot code", code.len());
            let code = code.first_chunk::<BOOT_CODE_BYTES>().with_context(bad)?;
            put(&mut mbr, 0, code);
            let sector = (boot.offset / 512)
                .checked_add(CODE_SECTOR)
                .with_context(bad)?;
            put(&mut mbr, CODE_SECTOR_OFFSET, &sector.to_le_bytes());
            records.extend([0x80, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        }
        put(&mut mbr, BOOT_CODE_BYTES, &self.signature);
        put(&mut mbr, RECORDS_OFFSET, &records);
        put(&mut mbr, MBR_BYTES - 2, &[0x55, 0xAA]);
        self.file
            .write_all_at(&mbr, 0)
            .context("writing the MBR failed")
    }

    /// A partition's own device: its pages are not those of the disk.
    fn open_partition(&self, partition: &Partition) -> io::Result<File> {
        File::options()
            .read(true)
            .write(true)
            .open(self.device(partition.number))
    }
}

fn unusable(what: &str, bytes: usize) -> String {
    format!("GRUB's {what} for BIOS has {bytes} bytes, which can't be")
}

/// Puts `bytes` into the MBR.
fn put(mbr: &mut [u8; MBR_BYTES], offset: usize, bytes: &[u8]) {
    for (to, from) in mbr.iter_mut().skip(offset).zip(bytes) {
        *to = *from;
    }
}
