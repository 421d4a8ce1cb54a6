//! Brings a disk to the states that a power cut could have left.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;

use super::log::{Action, Log};
use crate::sh;

/// A disk on its way through a log.
pub(crate) struct Replay {
    disk: PathBuf,
    file: File,
    data: File,
    actions: Vec<Action>,
    next: usize,
    /// What was changed since [`Self::take_changes`].
    changes: Vec<Range<u64>>,
}

impl Replay {
    /// `disk` must have the content that the log began with.
    pub(crate) fn new(log: Log, disk: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).open(disk);
        Ok(Self {
            disk: disk.to_owned(),
            file: file.with_context(|| disk.display().to_string())?,
            data: File::open(&log.path)?,
            actions: log.actions,
            next: 0,
            changes: Vec::new(),
        })
    }

    /// How many states there are.
    pub(crate) fn states(&self) -> usize {
        let mut written = false;
        let mut states = 1;
        for action in &self.actions {
            match action {
                Action::Flush if written => {
                    states += 1;
                    written = false;
                }
                Action::Flush | Action::Mark => {}
                Action::Write { .. } | Action::Discard { .. } => written = true,
            }
        }
        states
    }

    /// Goes to the next flush that something was written before, or to the
    /// log's end; false where it is there already.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        let mut written = false;
        while let Some(&action) = self.actions.get(self.next) {
            self.next += 1;
            match action {
                Action::Flush if written => return Ok(true),
                Action::Flush | Action::Mark => {}
                Action::Write {
                    offset,
                    length,
                    data,
                } => {
                    written = true;
                    self.write(offset, length, data)?;
                }
                Action::Discard { offset, length } => {
                    written = true;
                    self.discard(offset, length)?;
                }
            }
        }
        Ok(written)
    }

    /// The disk, and what was changed on it since this was last asked.
    pub(crate) fn take_changes(&mut self) -> (&Path, Vec<Range<u64>>) {
        (&self.disk, std::mem::take(&mut self.changes))
    }

    fn write(&mut self, offset: u64, length: u64, data: u64) -> Result<()> {
        self.changes.push(offset..offset + length);
        self.data.seek(SeekFrom::Start(data))?;
        self.file.seek(SeekFrom::Start(offset))?;
        copy(&mut self.data, &mut self.file, length)
    }

    /// What was discarded may be read as anything; zeros are the most that can
    /// be lost.
    fn discard(&mut self, offset: u64, length: u64) -> Result<()> {
        self.changes.push(offset..offset + length);
        let mut punch = sh::command(["fallocate", "--punch-hole", "--offset"]);
        punch.arg(offset.to_string()).arg("--length");
        sh::output(punch.arg(length.to_string()).arg(&self.disk))?;
        Ok(())
    }
}

fn copy(from: &mut File, to: &mut File, length: u64) -> Result<()> {
    let copied = std::io::copy(&mut from.take(length), to)?;
    ensure!(copied == length, "the file ends within its data");
    Ok(())
}

/// Copies part of a file; its holes stay holes, and are not read: of a disk of
/// gigabytes little is written.
pub(crate) fn copy_range(from: &Path, range: Range<u64>, to: &Path) -> Result<()> {
    let mut source = File::open(from).with_context(|| from.display().to_string())?;
    let mut out = File::create(to).with_context(|| to.display().to_string())?;
    let end = range.end.min(source.metadata()?.len());
    let mut at = range.start;
    while at < end {
        let data = match rustix::fs::seek(&source, rustix::fs::SeekFrom::Data(at)) {
            Ok(data) if data < end => data,
            // Only a hole follows.
            Ok(_) | Err(Errno::NXIO) => break,
            Err(error) => return Err(error).with_context(|| from.display().to_string()),
        };
        let hole = rustix::fs::seek(&source, rustix::fs::SeekFrom::Hole(data))?.min(end);
        source.seek(SeekFrom::Start(data))?;
        out.seek(SeekFrom::Start(data - range.start))?;
        copy(&mut source, &mut out, hole - data)?;
        at = hole;
    }
    Ok(out.set_len(range.end - range.start)?)
}

#[cfg(test)]
mod tests {
    use super::super::log::tests::Maker;
    use super::*;
    use crate::qemu::scratch;

    fn disk(name: &str) -> PathBuf {
        sh::to_workspace_root().unwrap();
        let path = scratch(name).unwrap();
        std::fs::write(&path, vec![0xee; 64 * 1024]).unwrap();
        path
    }

    fn bytes(path: &Path, range: Range<usize>) -> Vec<u8> {
        let mut found = std::fs::read(path).unwrap()[range].to_vec();
        found.dedup();
        found
    }

    #[test]
    fn each_flush_is_a_state() {
        let log = Maker::new()
            .entry(0, 0, 1, &[])
            .entry(0, 1, 0, &[1; 512])
            .entry(1, 1, 0, &[2; 512])
            .entry(0, 0, 1, &[])
            .entry(0, 0, 1, &[])
            .entry(0, 1, 1, &[3; 512])
            .entry(8, 8, 4, &[])
            .write("test-replay.log");
        let disk = disk("test-replay.raw");
        let mut replay = Replay::new(Log::read(&log).unwrap(), &disk).unwrap();
        // As it was, at the flush, at the end.
        assert_eq!(replay.states(), 2);
        assert!(replay.advance().unwrap());
        assert_eq!(bytes(&disk, 0..512), [1]);
        assert_eq!(bytes(&disk, 512..1024), [2]);
        assert_eq!(bytes(&disk, 1024..65_536), [0xee]);
        assert_eq!(replay.take_changes().1, [0..512, 512..1024]);
        assert!(replay.advance().unwrap());
        assert_eq!(bytes(&disk, 0..512), [3]);
        assert_eq!(bytes(&disk, 4096..8192), [0]);
        assert_eq!(replay.take_changes().1, [0..512, 4096..8192]);
        assert!(!replay.advance().unwrap());
    }

    #[test]
    fn what_qemu_logs_is_replayed() {
        let disk = disk("test-qemu.raw");
        let start = scratch("test-qemu.start").unwrap();
        std::fs::copy(&disk, &start).unwrap();
        let log = scratch("test-qemu.log").unwrap();
        std::fs::write(&log, []).unwrap();
        let image = format!(
            "driver=blklogwrites,discard=unmap,file.driver=file,file.filename={},file.discard=unmap,\
             log.driver=file,log.filename={}",
            disk.display(),
            log.display()
        );
        let mut qemu = sh::command(["qemu-io", "--image-opts", &image]);
        for command in [
            "write -P 0x11 0 4096",
            "flush",
            "write -P 0x22 4096 8192",
            "write -z 0 512",
            "write -f -P 0x44 32768 512",
            "flush",
            "discard 4096 4096",
            "write -P 0x33 65024 512",
            "flush",
        ] {
            qemu.args(["-c", command]);
        }
        sh::output(&mut qemu).unwrap();
        let mut replay = Replay::new(Log::read(&log).unwrap(), &start).unwrap();
        assert!(replay.advance().unwrap());
        assert_eq!(bytes(&start, 0..4096), [0x11]);
        assert_eq!(bytes(&start, 4096..65_536), [0xee]);
        assert!(replay.advance().unwrap());
        assert_eq!(bytes(&start, 0..512), [0]);
        assert_eq!(bytes(&start, 512..4096), [0x11]);
        assert_eq!(bytes(&start, 4096..12_288), [0x22]);
        // QEMU may flush around a write that is to be on the disk at once.
        let mut states = 2;
        while replay.advance().unwrap() {
            states += 1;
        }
        assert!((3..=4).contains(&states), "{states}");
        assert_eq!(
            std::fs::read(&disk).unwrap(),
            std::fs::read(&start).unwrap()
        );
    }

    #[test]
    fn a_part_of_a_file_is_copied() {
        let disk = disk("test-range.raw");
        let part = scratch("test-range.part").unwrap();
        copy_range(&disk, 1000..65_536 + 5000, &part).unwrap();
        let copied = std::fs::read(&part).unwrap();
        assert_eq!(copied.len(), 69_536);
        assert_eq!(bytes(&part, 0..64_536), [0xee]);
        assert_eq!(bytes(&part, 64_536..69_536), [0]);
    }
}
