//! FAT16 file systems for EFI system partitions, made in memory.
//!
//! Specification: Microsoft FAT32 File System Specification 1.03 (which covers
//! FAT16), as UEFI 2.10, section 13.3, requires it. A thin use of the `fatfs`
//! library: serial number, label and all times are given, so equal input gives
//! equal bytes.
//!
//! Scope: a new file system with a few files, between [`MIN_BYTES`] and
//! [`MAX_BYTES`], where FAT16 is what UEFI and every tool expects. Non-goals:
//! reading, changing what exists, FAT32 (`fatfs` 0.3 writes a wrong `..` entry
//! and no free cluster count there, which `fsck.fat` reports).

use std::cell::Cell;
use std::io::{self, Cursor, Write};

use fatfs::{Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time};
use jiff::tz::TimeZone;

use crate::Error;
use isoforge_base::error::Class;

/// Smallest file system that is made; some firmware refuses smaller ones.
pub const MIN_BYTES: u64 = 8 << 20;

/// Smallest file system for sectors of 4,096 bytes: with fewer clusters than
/// that, it would be FAT12.
pub const MIN_BYTES_OF_4096: u64 = 32 << 20;

/// Sizes are multiples of this.
pub const GRANULE_BYTES: u64 = 1 << 20;

/// Largest file system that is made: the upper end of what FAT16 is used for,
/// and the file system is made in memory.
pub const MAX_BYTES: u64 = 511 << 20;

/// 1980-01-01, the first day of FAT's calendar.
const FAT_EPOCH: u32 = 315_532_800;

/// Bytes of a volume label.
const LABEL_BYTES: usize = 11;

/// A file of the new file system.
#[derive(Debug, Clone, Copy)]
pub struct FatFile<'a> {
    /// Path with slashes, without a leading one; parents are made.
    pub path: &'a str,
    /// Content.
    pub data: &'a [u8],
}

/// What the file system as a whole is.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Volume label, at most 11 of `A-Z`, `0-9` and `_`.
    pub label: &'a str,
    /// Volume serial number.
    pub serial: u32,
    /// The time of everything, in seconds since 1970-01-01 UTC; what is before
    /// 1980 becomes 1980.
    pub epoch: u32,
    /// Size in bytes; see [`size_for`].
    pub bytes: u64,
}

/// Sizes of a medium's sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectorSize {
    /// 512 bytes, nearly everywhere.
    Bytes512,
    /// 4,096 bytes. FAT16 then has at least [`MIN_BYTES_OF_4096`].
    Bytes4096,
}

impl SectorSize {
    fn bytes(self) -> u16 {
        match self {
            Self::Bytes512 => 512,
            Self::Bytes4096 => 4096,
        }
    }
}

/// A size with room for files of the given sizes: each rounded up to the
/// largest cluster, and a sixteenth for tables and directories.
///
/// # Errors
/// For more than [`MAX_BYTES`].
pub fn size_for(file_sizes: impl IntoIterator<Item = u64>) -> Result<u64, Error> {
    const CLUSTER_BYTES: u64 = 32 << 10;
    let content = file_sizes.into_iter().fold(0_u64, |sum, size| {
        sum.saturating_add(size.min(MAX_BYTES + 1).next_multiple_of(CLUSTER_BYTES))
    });
    let bytes = content
        .saturating_add(content / 16)
        .saturating_add(GRANULE_BYTES)
        .max(MIN_BYTES);
    if bytes > MAX_BYTES {
        return Err(too_large(bytes));
    }
    Ok(bytes.next_multiple_of(GRANULE_BYTES))
}

/// Makes the file system, for a medium with sectors of 512 bytes.
///
/// # Errors
/// For a label or size that FAT does not allow, and what does not fit.
pub fn build(options: &Options<'_>, files: &[FatFile<'_>]) -> Result<Vec<u8>, Error> {
    build_for(SectorSize::Bytes512, options, files)
}

/// Makes the file system for a medium with sectors of this size; a system
/// refuses one whose sectors are smaller than the medium's.
///
/// # Errors
/// For a label or size that FAT does not allow, and what does not fit.
pub fn build_for(
    sector: SectorSize,
    options: &Options<'_>,
    files: &[FatFile<'_>],
) -> Result<Vec<u8>, Error> {
    let label = label_bytes(options.label)?;
    if options.bytes > MAX_BYTES {
        return Err(too_large(options.bytes));
    }
    let whole = |source| refused("", source);
    let format = FormatVolumeOptions::new()
        .fat_type(FatType::Fat16)
        .bytes_per_sector(sector.bytes())
        .volume_id(options.serial)
        .volume_label(label);
    let mut image = vec![0_u8; options.bytes as usize];
    fatfs::format_volume(Cursor::new(&mut image), format).map_err(whole)?;
    EPOCH.set(options.epoch.max(FAT_EPOCH));
    let settings = FsOptions::new().time_provider(&CLOCK);
    let volume = FileSystem::new(Cursor::new(&mut image), settings).map_err(whole)?;
    for file in files {
        add(&volume, file).map_err(|source| refused(file.path, source))?;
    }
    volume.unmount().map_err(whole)?;
    Ok(image)
}

fn too_large(bytes: u64) -> Error {
    Error::unfit(format!(
        "a FAT file system of {bytes} bytes is over the limit of {MAX_BYTES}"
    ))
}

/// The library refused a file, or with no path the whole, which for content of the
/// announced size means that a name is invalid.
fn refused(path: &str, source: io::Error) -> Error {
    let problem = format!("putting '{path}' into the FAT file system");
    Error::new(Class::Bug, problem).because(source)
}

type Volume<'a> = FileSystem<Cursor<&'a mut Vec<u8>>>;

fn add(volume: &Volume<'_>, file: &FatFile<'_>) -> io::Result<()> {
    let mut dir = volume.root_dir();
    let mut names = file.path.split('/').peekable();
    while let Some(name) = names.next() {
        if names.peek().is_some() {
            dir = dir.create_dir(name)?;
            continue;
        }
        let mut out = dir.create_file(name)?;
        out.truncate()?;
        out.write_all(file.data)?;
        out.flush()?;
    }
    Ok(())
}

fn label_bytes(label: &str) -> Result<[u8; LABEL_BYTES], Error> {
    let allowed = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    if label.is_empty() || label.len() > LABEL_BYTES || !label.bytes().all(allowed) {
        return Err(Error::unfit(format!(
            "'{label}' is no FAT volume label: at most 11 of A-Z, 0-9 and '_'"
        )));
    }
    let mut out = [b' '; LABEL_BYTES];
    for (to, from) in out.iter_mut().zip(label.bytes()) {
        *to = from;
    }
    Ok(out)
}

thread_local! {
    /// The time of the file system that this thread makes: the library takes
    /// its clock by `'static` reference, which a local value can't be.
    static EPOCH: Cell<u32> = const { Cell::new(FAT_EPOCH) };
}

/// Tells the library the time in [`EPOCH`].
#[derive(Debug)]
struct Clock;

static CLOCK: Clock = Clock;

impl fatfs::TimeProvider for Clock {
    fn get_current_date(&self) -> Date {
        self.get_current_date_time().date
    }

    fn get_current_date_time(&self) -> DateTime {
        let seconds = i64::from(EPOCH.get());
        let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        let civil = TimeZone::UTC.to_datetime(time);
        DateTime {
            date: Date {
                year: civil.year().clamp(1980, 2107) as u16,
                month: civil.month() as u16,
                day: civil.day() as u16,
            },
            time: Time {
                hour: civil.hour() as u16,
                min: civil.minute() as u16,
                sec: civil.second() as u16,
                millis: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_judges::{run, scratch};

    const EPOCH_2026: u32 = 1_780_000_000;

    fn esp(bytes: u64, files: &[FatFile<'_>]) -> Vec<u8> {
        let options = Options {
            label: "EFI_LIVE",
            serial: 0x1234_ABCD,
            epoch: EPOCH_2026,
            bytes,
        };
        build(&options, files).unwrap()
    }

    #[test]
    fn fsck_finds_nothing_and_mtools_reads_the_files_back() {
        let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let files = [
            FatFile {
                path: "EFI/BOOT/bootx64.efi",
                data: &big,
            },
            FatFile {
                path: "EFI/BOOT/grub.cfg",
                data: b"configfile x\n",
            },
            FatFile {
                path: "EFI/a rather long name.txt",
                data: b"",
            },
        ];
        for bytes in [MIN_BYTES, MAX_BYTES] {
            let dir = scratch();
            let path = dir.path().join("esp.img");
            fs_err::write(&path, esp(bytes, &files)).unwrap();
            let image = path.to_str().unwrap();
            let report = run("fsck.fat", &["-n", "-v", image]);
            assert!(!report.contains("differ"), "{report}");
            assert!(report.contains("6 files"), "{report}");
            let copy = dir.path().join("copy");
            let to = copy.to_str().unwrap();
            run("mcopy", &["-n", "-i", image, "::EFI/BOOT/bootx64.efi", to]);
            assert!(fs_err::read(&copy).unwrap() == big);
            let listing = run("mdir", &["-i", image, "::EFI/BOOT"]);
            assert!(
                listing.contains("Volume Serial Number is 1234-ABCD"),
                "{listing}"
            );
            assert!(listing.contains("2026-05-28  20:26"), "{listing}");
        }
    }

    #[test]
    fn sectors_of_4096_bytes() {
        let data = vec![5_u8; 100_000];
        let file = FatFile {
            path: "EFI/BOOT/bootx64.efi",
            data: &data,
        };
        for bytes in [MIN_BYTES_OF_4096, MAX_BYTES] {
            let options = Options {
                label: "ESP",
                serial: 7,
                epoch: EPOCH_2026,
                bytes,
            };
            let image = build_for(SectorSize::Bytes4096, &options, &[file]).unwrap();
            assert_eq!(image[11..13], 4096_u16.to_le_bytes());
            let dir = scratch();
            let path = dir.path().join("esp.img");
            fs_err::write(&path, image).unwrap();
            let image = path.to_str().unwrap();
            let report = run("fsck.fat", &["-n", "-v", image]);
            assert!(report.contains("4 files, "), "{report}");
            assert!(report.contains("16 bit entries"), "{report}");
        }
    }

    #[test]
    fn equal_input_gives_equal_bytes_whatever_was_made_before() {
        let files = [FatFile {
            path: "A/B/c.txt",
            data: b"hello",
        }];
        let first = esp(MIN_BYTES, &files);
        build(
            &Options {
                label: "OTHER",
                serial: 1,
                epoch: 0,
                bytes: MIN_BYTES,
            },
            &files,
        )
        .unwrap();
        assert!(first == esp(MIN_BYTES, &files));
    }

    #[test]
    fn content_of_the_computed_size_fits() {
        let data = vec![7_u8; 40_000_000];
        let small = [1_u8];
        let names: Vec<String> = (0..200).map(|n| format!("EFI/d{n}/f")).collect();
        let mut files: Vec<FatFile<'_>> = names
            .iter()
            .map(|path| FatFile { path, data: &small })
            .collect();
        files.push(FatFile {
            path: "EFI/big",
            data: &data,
        });
        let bytes = size_for(files.iter().map(|file| file.data.len() as u64)).unwrap();
        assert_eq!(esp(bytes, &files).len() as u64, bytes);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let error = size_for([MAX_BYTES, u64::MAX]).unwrap_err().to_string();
        assert!(error.contains("over the limit"), "{error}");
        let data = vec![0_u8; MIN_BYTES as usize];
        let options = Options {
            label: "X",
            serial: 0,
            epoch: 0,
            bytes: MIN_BYTES,
        };
        let file = FatFile {
            path: "f",
            data: &data,
        };
        let error = build(&options, &[file]).unwrap_err().to_string();
        assert_eq!(error, "putting 'f' into the FAT file system");
        let bad = Options {
            label: "lower",
            ..options
        };
        let error = build(&bad, &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("'lower' is no FAT volume label"),
            "{error}"
        );
    }
}
