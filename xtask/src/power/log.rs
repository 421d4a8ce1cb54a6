//! The log of QEMU's driver `blklogwrites`, which has the form of Linux's
//! dm-log-writes (drivers/md/dm-log-writes.c): a superblock, then entries of one
//! sector, each followed by the data that it is about. Numbers are
//! little-endian.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;

/// Bytes of the superblock and of an entry that mean something.
const SUPER_BYTES: usize = 28;
const ENTRY_BYTES: usize = 32;

const FLUSH: u64 = 1;
const FUA: u64 = 1 << 1;
const DISCARD: u64 = 1 << 2;
const MARK: u64 = 1 << 3;
const METADATA: u64 = 1 << 4;
const KNOWN: u64 = FLUSH | FUA | DISCARD | MARK | METADATA;

/// Sectors of other sizes than these no disk has.
const SECTORS: [u32; 4] = [512, 1024, 2048, 4096];

/// What the guest did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Bytes of the disk from `offset` on; the log has them at `data`.
    Write { offset: u64, length: u64, data: u64 },
    /// These bytes are not needed any more.
    Discard { offset: u64, length: u64 },
    /// All that was done before is to survive a power cut.
    Flush,
    /// A name that somebody gave to this moment.
    Mark,
}

/// A log, its entries read.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    pub(crate) actions: Vec<Action>,
}

impl Log {
    /// Reads everything but the data.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut file = File::open(path).with_context(|| path.display().to_string())?;
        let actions = read(&mut file).with_context(|| format!("log {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            actions,
        })
    }
}

fn read(file: &mut File) -> Result<Vec<Action>> {
    let end = file.metadata()?.len();
    let mut head = [0; SUPER_BYTES];
    file.read_exact(&mut head).context("no superblock")?;
    let magic = number(&head, 0)?;
    ensure!(magic == MAGIC, "its magic is {magic:#x}, not {MAGIC:#x}");
    let version = number(&head, 8)?;
    ensure!(
        version == VERSION,
        "its version is {version}, not {VERSION}"
    );
    let count = number(&head, 16)?;
    let sector = u32::from_le_bytes(head.get(24..28).context("short")?.try_into()?);
    ensure!(SECTORS.contains(&sector), "its sectors have {sector} bytes");
    let sector = u64::from(sector);

    let mut actions = Vec::new();
    let mut at = sector;
    for index in 0..count {
        let begin = at;
        let place = || format!("entry {index} at byte {begin}");
        file.seek(SeekFrom::Start(at))?;
        let mut entry = [0; ENTRY_BYTES];
        file.read_exact(&mut entry).with_context(place)?;
        let bytes = |index: usize| -> Result<u64> {
            let sectors = number(&entry, index)?;
            let bytes = sectors.checked_mul(sector);
            bytes.with_context(|| format!("{}: {sectors} sectors", place()))
        };
        let (offset, length, flags) = (bytes(0)?, bytes(8)?, number(&entry, 16)?);
        ensure!(flags & !KNOWN == 0, "{}: flags {flags:#x}", place());
        let data = at + sector;
        at = data;
        if flags & MARK != 0 {
            // Its name is in the entry's own sector.
            actions.push(Action::Mark);
        } else if flags & DISCARD != 0 {
            actions.push(Action::Discard { offset, length });
        } else {
            // A write that carries a flush is preceded by it.
            if flags & FLUSH != 0 {
                actions.push(Action::Flush);
            }
            if length > 0 {
                actions.push(Action::Write {
                    offset,
                    length,
                    data,
                });
            }
            at = at.checked_add(length).with_context(place)?;
            ensure!(
                at <= end,
                "{}: its data ends at {at}, the log at {end}",
                place()
            );
        }
    }
    Ok(actions)
}

fn number(bytes: &[u8], at: usize) -> Result<u64> {
    match bytes.get(at..at + 8) {
        Some(bytes) => Ok(u64::from_le_bytes(bytes.try_into()?)),
        None => bail!("no number at {at}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::qemu::scratch;
    use crate::sh;

    /// A log of sectors of 512 bytes.
    pub(crate) struct Maker {
        bytes: Vec<u8>,
        count: u64,
    }

    impl Maker {
        pub(crate) fn new() -> Self {
            Self {
                bytes: vec![0; 512],
                count: 0,
            }
        }

        pub(crate) fn entry(mut self, sector: u64, sectors: u64, flags: u64, data: &[u8]) -> Self {
            for number in [sector, sectors, flags, data.len() as u64] {
                self.bytes.extend(number.to_le_bytes());
            }
            self.bytes.resize(self.bytes.len() + 512 - ENTRY_BYTES, 0);
            self.bytes.extend(data);
            self.count += 1;
            self
        }

        pub(crate) fn write(mut self, name: &str) -> PathBuf {
            let head = [MAGIC, VERSION, self.count];
            for (at, number) in head.into_iter().enumerate() {
                self.bytes[at * 8..at * 8 + 8].copy_from_slice(&number.to_le_bytes());
            }
            self.bytes[24..28].copy_from_slice(&512u32.to_le_bytes());
            sh::to_workspace_root().unwrap();
            let path = scratch(name).unwrap();
            std::fs::write(&path, &self.bytes).unwrap();
            path
        }
    }

    #[test]
    fn entries_are_read_with_the_places_of_their_data() {
        let path = Maker::new()
            .entry(2, 1, 0, &[7; 512])
            .entry(0, 0, FLUSH, &[])
            .entry(8, 100, DISCARD, &[])
            .entry(4, 2, FLUSH | FUA, &[8; 1024])
            .entry(0, 0, MARK, &[])
            .write("test-log.bin");
        let log = Log::read(&path).unwrap();
        assert_eq!(
            log.actions,
            [
                Action::Write {
                    offset: 1024,
                    length: 512,
                    data: 1024
                },
                Action::Flush,
                Action::Discard {
                    offset: 4096,
                    length: 51_200
                },
                Action::Flush,
                Action::Write {
                    offset: 2048,
                    length: 1024,
                    data: 3072
                },
                Action::Mark,
            ]
        );
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let whole = Maker::new().entry(2, 1, 0, &[7; 512]).write("test-bad.bin");
        let bytes = std::fs::read(&whole).unwrap();
        let refused = |bytes: &[u8]| {
            std::fs::write(&whole, bytes).unwrap();
            format!("{:#}", Log::read(&whole).unwrap_err())
        };
        assert!(refused(&[]).contains("no superblock"));
        assert!(refused(&[1; 1024]).contains("its magic is"));
        let cut = refused(&bytes[..1400]);
        assert!(
            cut.ends_with("its data ends at 1536, the log at 1400"),
            "{cut}"
        );
        for (at, value, says) in [
            (8, 2, "its version is 2"),
            (24, 7, "sectors have 519 bytes"),
            (512 + 16, 32, "flags 0x20"),
            (512 + 15, 255, "sectors"),
        ] {
            let mut changed = bytes.clone();
            changed[at] = value;
            let said = refused(&changed);
            assert!(said.contains(says), "{at}: {said}");
        }
    }
}
