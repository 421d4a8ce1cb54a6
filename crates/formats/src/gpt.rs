//! Partition tables: GPT through `gptman`, and the MBR before it.
//!
//! Specification: UEFI 2.10, chapter 5 (GPT, protective MBR). Sectors have 512
//! bytes.
//!
//! Scope: new tables with given GUIDs; the primary copy at the beginning, the
//! backup in the last sectors, where every tool looks for it; boot code that
//! starts a GRUB core image inside an ISO. Non-goals: reading or changing
//! tables.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;

use gptman::{GPT, GPTPartitionEntry};

use super::iso9660::Block;
use crate::Error;
use isoforge_base::error::Class;

/// Bytes of a sector.
pub const SECTOR_BYTES: u64 = 512;

/// Number of a sector, counted from the disk's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sector(pub u64);

impl Sector {
    /// The first sector of a block of an ISO.
    #[must_use]
    pub fn of_block(block: Block) -> Self {
        Self(block.offset() / SECTOR_BYTES)
    }

    /// The one that many sectors behind it.
    #[must_use]
    pub fn plus(self, sectors: u64) -> Self {
        Self(self.0.saturating_add(sectors))
    }

    /// The one before it.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// Sectors before the first one that a partition may use: MBR, header and 128
/// entries of 128 bytes.
pub const HEAD_SECTORS: u64 = 34;

/// Sectors after the last one that a partition may use: entries and header.
pub const TAIL_SECTORS: u64 = 33;

/// Entries in a table.
const ENTRIES: usize = 128;

/// Bytes of an MBR and of the boot code in it.
const MBR_BYTES: usize = 512;
const BOOT_CODE_BYTES: usize = 440;

/// Where GRUB's boot code has the 64-bit number of the core image's first
/// sector plus 4 (that is, of its second block of 2,048 bytes, which El Torito
/// firmware does not load).
pub const CODE_SECTOR_OFFSET: usize = 0x1B0;

/// EFI system partition (UEFI 2.10, table 5.7).
pub const TYPE_ESP: Guid = Guid::new(0xC12A_7328_F81F_11D2_BA4B_00A0_C93E_C93B);

/// Where GRUB keeps its core image on a disk that BIOS starts (GRUB manual, "BIOS
/// installation").
pub const TYPE_BIOS_BOOT: Guid = Guid::new(0x2168_6148_6449_6E6F_744E_6565_6445_4649);

/// A file system of Linux.
pub const TYPE_LINUX: Guid = Guid::new(0x0FC6_3DAF_8483_4772_8E79_3D69_D847_7DE4);

/// "Linux reserved": data that no system shall format or mount.
pub const TYPE_LINUX_RESERVED: Guid = Guid::new(0x8DA6_3339_0007_60C0_C436_083A_C823_0908);

/// Attribute bit 60: read-only.
pub const ATTRIBUTE_READ_ONLY: u64 = 1 << 60;

const WRITING: &str = "writing the partition table";

/// A GUID in the order of its text form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guid([u8; 16]);

impl Guid {
    /// The GUID whose text has these hexadecimal digits.
    #[must_use]
    pub const fn new(digits: u128) -> Self {
        Self(digits.to_be_bytes())
    }

    /// A GUID of RFC 9562 version 8 (custom) from sixteen bytes that already
    /// are unlikely to meet others, such as the beginning of a digest.
    #[must_use]
    pub const fn version_8(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0F | 0x80;
        bytes[8] = bytes[8] & 0x3F | 0x80;
        Self(bytes)
    }

    /// The order on disk: the first three fields are little-endian (UEFI 2.10,
    /// appendix A).
    #[must_use]
    pub fn on_disk(self) -> [u8; 16] {
        let mut bytes = self.0;
        bytes[0..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    }
}

/// A partition.
#[derive(Debug, Clone)]
pub struct Partition {
    /// What it is for.
    pub type_guid: Guid,
    /// Its own.
    pub guid: Guid,
    /// First sector.
    pub first: Sector,
    /// Last sector, which belongs to it.
    pub last: Sector,
    /// Attribute bits.
    pub attributes: u64,
    /// Name, at most 36 characters.
    pub name: &'static str,
}

/// What names a disk.
#[derive(Debug, Clone, Copy)]
pub struct DiskIds {
    /// GUID of the table.
    pub guid: Guid,
    /// Signature in the MBR.
    pub mbr_signature: [u8; 4],
}

/// Boot code and where its core image lies.
#[derive(Debug, Clone, Copy)]
pub struct BiosBoot<'a> {
    /// GRUB's `boot_hybrid.img`: the first 440 bytes are used.
    pub code: &'a [u8],
    /// First block of the core image.
    pub core_block: Block,
}

/// Writes MBR, primary and backup table into `disk`, which has its final size,
/// a multiple of the sector size.
///
/// No sector before the first partition is left to others: it is the first
/// that the table calls usable.
///
/// # Errors
/// Where `disk` can't be written, partitions are none that a table can hold, or the
/// boot code is too short to be one.
pub fn write<const N: usize>(
    disk: &File,
    ids: DiskIds,
    partitions: &[Partition; N],
    boot: Option<BiosBoot<'_>>,
) -> Result<(), Error> {
    const { assert!(N <= ENTRIES) };

    let io = Error::io(WRITING);
    let bytes = disk.metadata().map_err(&io)?.len();
    let mut out = Disk {
        file: disk,
        failed: None,
    };
    let table = GPT::new_from(&mut out, SECTOR_BYTES, ids.guid.on_disk());
    let mut table = table.map_err(|source| out.error(source))?;
    if let Some(first) = partitions.iter().map(|partition| partition.first).min() {
        table.header.first_usable_lba = first.0.max(HEAD_SECTORS);
    }
    for (number, partition) in (1_u32..).zip(partitions) {
        table[number] = GPTPartitionEntry {
            partition_type_guid: partition.type_guid.on_disk(),
            unique_partition_guid: partition.guid.on_disk(),
            starting_lba: partition.first.0,
            ending_lba: partition.last.0,
            attribute_bits: partition.attributes,
            partition_name: partition.name.into(),
        };
    }
    let written = table.write_into(&mut out);
    written.map_err(|source| out.error(source))?;
    let mbr = mbr(bytes / SECTOR_BYTES, ids.mbr_signature, boot)?;
    disk.write_all_at(&mbr, 0).map_err(io)
}

/// A disk that keeps what the system said: the library hides it in errors of its own.
struct Disk<'a> {
    file: &'a File,
    failed: Option<io::Error>,
}

impl Disk<'_> {
    fn keep<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            kind.into()
        })
    }

    /// What the library's error is: the system's, or that of a table that can't be, which
    /// only we can have asked for.
    fn error(&mut self, source: gptman::Error) -> Error {
        match self.failed.take() {
            Some(failed) => Error::io(WRITING)(failed),
            None => Error::new(Class::Bug, "writing the GUID partition table").because(source),
        }
    }
}

impl Read for Disk<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buf);
        self.keep(read)
    }
}

impl Write for Disk<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buf);
        self.keep(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.file.flush();
        self.keep(flushed)
    }
}

impl Seek for Disk<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let sought = self.file.seek(to);
        self.keep(sought)
    }
}

/// The protective MBR. With boot code, a second entry of type 0 is active: some
/// BIOSes start a disk only where one is, and since its type says "unused", the
/// MBR stays a protective one.
fn mbr(sectors: u64, signature: [u8; 4], boot: Option<BiosBoot<'_>>) -> Result<Vec<u8>, Error> {
    const PROTECTIVE: u8 = 0xEE;
    const ACTIVE: u8 = 0x80;
    let mut out = match boot {
        Some(boot) => boot_code(boot)?,
        None => vec![0; BOOT_CODE_BYTES],
    };
    out.extend(signature);
    out.extend([0, 0]);
    let protected = u32::try_from(sectors.saturating_sub(1)).unwrap_or(u32::MAX);
    let first = [0, 0, 2, 0, PROTECTIVE, 0xFF, 0xFF, 0xFF];
    out.extend(first);
    out.extend(1_u32.to_le_bytes());
    out.extend(protected.to_le_bytes());
    if boot.is_some() {
        out.extend([ACTIVE, 0, 1, 0, 0, 0, 1, 0]);
        out.extend(0_u32.to_le_bytes());
        out.extend(1_u32.to_le_bytes());
    }
    out.resize(MBR_BYTES - 2, 0);
    out.extend([0x55, 0xAA]);
    Ok(out)
}

fn boot_code(boot: BiosBoot<'_>) -> Result<Vec<u8>, Error> {
    let short = || {
        let bytes = boot.code.len();
        Error::unfit(format!(
            "the MBR boot code has {bytes} bytes, not at least {BOOT_CODE_BYTES}"
        ))
        .with_hint("GRUB's boot_hybrid.img (Debian: grub-pc-bin) has 512 bytes")
    };
    let mut code = boot.code.get(..BOOT_CODE_BYTES).ok_or_else(short)?.to_vec();
    let sector = Sector::of_block(boot.core_block).plus(4).0;
    code.get_mut(CODE_SECTOR_OFFSET..CODE_SECTOR_OFFSET + 8)
        .ok_or_else(short)?
        .copy_from_slice(&sector.to_le_bytes());
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_base::error::Diagnose as _;
    use isoforge_judges::{run, scratch};

    const IDS: DiskIds = DiskIds {
        guid: Guid::version_8([3; 16]),
        mbr_signature: *b"sign",
    };

    #[test]
    fn a_disk_that_can_not_be_written_is_no_defect() {
        let file = scratch();
        let path = file.path().join("disk.img");
        File::create_new(&path).unwrap().set_len(16 << 20).unwrap();
        let read_only = File::open(&path).unwrap();
        let error = write(&read_only, IDS, &[], None).unwrap_err();
        assert_eq!(error.class(), Class::Io, "{error}");
        let source = std::error::Error::source(&error).unwrap();
        let source = source.downcast_ref::<io::Error>().unwrap();
        assert!(source.raw_os_error().is_some(), "{source}");
    }

    fn table(boot: Option<BiosBoot<'_>>) -> (tempfile::TempDir, String) {
        let dir = scratch();
        let path = dir.path().join("disk.img");
        let file = File::create_new(&path).unwrap();
        file.set_len(16 << 20).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let last = (16 << 20) / SECTOR_BYTES - 1 - TAIL_SECTORS;
        let esp = Partition {
            type_guid: TYPE_ESP,
            guid: Guid::version_8([1; 16]),
            first: Sector(2048),
            last: Sector(4095),
            attributes: 0,
            name: "ESP",
        };
        let rest = Partition {
            type_guid: TYPE_LINUX_RESERVED,
            guid: Guid::version_8([2; 16]),
            first: Sector(4096),
            last: Sector(last),
            attributes: ATTRIBUTE_READ_ONLY,
            name: "ISO9660",
        };
        write(&file, IDS, &[esp, rest], boot).unwrap();
        let name = path.to_str().unwrap().to_owned();
        (dir, name)
    }

    #[test]
    fn sfdisk_finds_nothing_wrong() {
        let (_dir, plain) = table(None);
        let code: Vec<u8> = (0..512).map(|n| n as u8).collect();
        let (_other, bootable) = table(Some(BiosBoot {
            code: &code,
            core_block: Block(1000),
        }));
        for disk in [plain, bootable] {
            let report = run("sfdisk", &["--verify", &disk]);
            assert!(report.contains("No errors detected"), "{report}");
            let json = run("sfdisk", &["--json", &disk]).replace(&disk, "DISK");
            insta::allow_duplicates! {
                insta::assert_snapshot!(json, @r#"
                {
                   "partitiontable": {
                      "label": "gpt",
                      "id": "03030303-0303-8303-8303-030303030303",
                      "device": "DISK",
                      "unit": "sectors",
                      "firstlba": 2048,
                      "lastlba": 32734,
                      "sectorsize": 512,
                      "partitions": [
                         {
                            "node": "DISK1",
                            "start": 2048,
                            "size": 2048,
                            "type": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
                            "uuid": "01010101-0101-8101-8101-010101010101",
                            "name": "ESP"
                         },{
                            "node": "DISK2",
                            "start": 4096,
                            "size": 28639,
                            "type": "8DA63339-0007-60C0-C436-083AC8230908",
                            "uuid": "02020202-0202-8202-8202-020202020202",
                            "name": "ISO9660",
                            "attrs": "GUID:60"
                         }
                      ]
                   }
                }
                "#);
            }
        }
    }

    #[test]
    fn boot_code_is_told_where_the_core_image_lies() {
        let code: Vec<u8> = (0..512).map(|n| n as u8 | 1).collect();
        let boot = BiosBoot {
            code: &code,
            core_block: Block(0x1234_5678),
        };
        let mbr = mbr(1 << 40, [1, 2, 3, 4], Some(boot)).unwrap();
        assert_eq!(mbr[..0x1B0], code[..0x1B0]);
        assert_eq!(mbr[0x1B0..0x1B8], (0x1234_5678_u64 * 4 + 4).to_le_bytes());
        assert_eq!(
            mbr[446..462],
            [
                0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF
            ]
        );
        assert_eq!(
            mbr[462..478],
            [0x80, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0]
        );
        assert_eq!(mbr[440..446], [1, 2, 3, 4, 0, 0]);
        assert_eq!(mbr[510..], [0x55, 0xAA]);
        let short = BiosBoot {
            code: &code[..100],
            core_block: Block(0),
        };
        let error = super::mbr(9, [0; 4], Some(short)).unwrap_err().to_string();
        assert!(error.contains("has 100 bytes"), "{error}");
    }
}
