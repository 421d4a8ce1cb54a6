//! A disk as a file on this machine, looked at with foreign tools: sfdisk for
//! the partitions, debugfs and e2fsck for ext4, mtools for FAT. Nothing is
//! mounted, so nothing replays a journal unless it is asked to.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::qemu::scratch;
use crate::sh;

/// Bytes of a sector. sfdisk takes no other size for a file.
const SECTOR: u64 = 512;

/// Where the superblock of ext4 has its magic, and the feature that says that
/// its journal must be replayed.
const EXT_MAGIC: (u64, [u8; 2]) = (1024 + 0x38, [0x53, 0xef]);
const EXT_INCOMPAT: u64 = 1024 + 0x60;
const EXT_NEEDS_RECOVERY: u32 = 4;

/// A disk image.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
}

/// A partition of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) name: String,
    /// Its type, a GUID in capitals.
    pub(crate) kind: String,
    pub(crate) bytes: Range<u64>,
}

/// A disk that is all zeros, and takes no room yet.
pub(crate) fn blank(path: &Path, bytes: u64) -> Result<()> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    Ok(file.set_len(bytes)?)
}

/// A copy that takes as little room as it can.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut copy = sh::command(["cp", "--sparse=always", "--reflink=auto", "--"]);
    sh::output(copy.arg(from).arg(to))?;
    Ok(())
}

impl Image {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    fn sfdisk(&self, option: &str) -> Command {
        let mut command = sh::command(["sfdisk", option]);
        command.arg(&self.path);
        command
    }

    /// The partitions of the GPT, none where there is none.
    pub(crate) fn partitions(&self) -> Vec<Partition> {
        let json = sh::output(&mut self.sfdisk("--json")).unwrap_or_default();
        let table: Value = serde_json::from_str(&json).unwrap_or_default();
        if table
            .pointer("/partitiontable/label")
            .and_then(Value::as_str)
            != Some("gpt")
        {
            return Vec::new();
        }
        let entries = table.pointer("/partitiontable/partitions");
        let entries = entries.and_then(Value::as_array).into_iter().flatten();
        entries.filter_map(partition).collect()
    }

    /// The partition with this name.
    pub(crate) fn named(&self, name: &str) -> Result<Partition> {
        let all = self.partitions();
        let names: Vec<_> = all.iter().map(|part| part.name.clone()).collect();
        all.into_iter()
            .find(|part| part.name == name)
            .with_context(|| format!("{}: no partition {name} in {names:?}", self.path.display()))
    }

    /// Fails where the partition table is not as the standard has it, its copy
    /// at the disk's end included.
    pub(crate) fn verify_table(&self) -> Result<()> {
        let done = self.sfdisk("--verify").output()?;
        let [said, warned] = [done.stdout, done.stderr].map(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            text.trim().to_owned()
        });
        // Where one copy is broken it takes the other, and only says so.
        ensure!(
            said.contains("No errors detected") && !warned.contains("corrupt"),
            "sfdisk: {said} {warned}"
        );
        Ok(())
    }

    /// Bytes of the disk.
    pub(crate) fn read(&self, bytes: Range<u64>) -> Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(bytes.start))?;
        let mut read = Vec::new();
        file.take(bytes.end - bytes.start).read_to_end(&mut read)?;
        Ok(read)
    }

    /// Bytes of all files of the FAT file system in a partition.
    pub(crate) fn fat_bytes(&self, part: &Partition) -> Result<u64> {
        let folder = scratch("fat-files")?;
        sh::empty_folder(&folder)?;
        let place = format!("{}@@{}", self.path.display(), part.bytes.start);
        let mut copy = sh::command(["mcopy", "-s", "-n", "-Q", "-i", &place, "::/*"]);
        sh::output(copy.arg(&folder).env("MTOOLS_SKIP_CHECK", "1"))?;
        let mut find = sh::command(["find"]);
        let sizes = sh::output(find.arg(&folder).args(["-type", "f", "-printf", "%s\\n"]))?;
        let sizes = sizes.lines().map(str::parse::<u64>);
        Ok(sizes.collect::<Result<Vec<_>, _>>()?.into_iter().sum())
    }

    /// The ext4 file system in a partition; nothing where there is none.
    pub(crate) fn ext4(&self, part: &Partition) -> Result<Option<Ext4>> {
        let at = part.bytes.start + EXT_MAGIC.0;
        if self.read(at..at + 2)? != EXT_MAGIC.1 {
            return Ok(None);
        }
        Ok(Some(Ext4 {
            image: self.path.clone(),
            start: part.bytes.start,
            recovery: self.needs_recovery(part)?,
        }))
    }

    fn needs_recovery(&self, part: &Partition) -> Result<bool> {
        let at = part.bytes.start + EXT_INCOMPAT;
        let bytes = self.read(at..at + 4)?;
        let features = bytes.try_into().map_or(0, u32::from_le_bytes);
        Ok(features & EXT_NEEDS_RECOVERY != 0)
    }

    /// A file of the FAT file system in a partition; nothing where there is no
    /// such file, or no such file system.
    pub(crate) fn fat_file(&self, part: &Partition, path: &str) -> Result<Option<Vec<u8>>> {
        let place = format!("{}@@{}", self.path.display(), part.bytes.start);
        let output = sh::command(["mtype", "-i", &place, &format!("::{path}")])
            .env("MTOOLS_SKIP_CHECK", "1")
            .output()
            .context("can't start mtype (Debian package mtools)")?;
        Ok(output.status.success().then_some(output.stdout))
    }
}

/// A partition as sfdisk tells it.
fn partition(entry: &Value) -> Option<Partition> {
    let text = |key| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key| Some(entry.get(key)?.as_u64()? * SECTOR);
    let start = number("start")?;
    Some(Partition {
        name: text("name").unwrap_or_default(),
        kind: text("type")?,
        bytes: start..start + number("size")?,
    })
}

/// An ext4 file system in an image, read as GRUB reads it: what is only in the
/// journal is not there.
#[derive(Debug, Clone)]
pub(crate) struct Ext4 {
    image: PathBuf,
    start: u64,
    /// Whether its journal has to be replayed before it is written to.
    pub(crate) recovery: bool,
}

/// Where a file lies in its file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilePlace {
    /// All that debugfs says of its inode.
    inode: String,
    /// Its parts, from the beginning of the file system.
    pub(crate) bytes: Vec<Range<u64>>,
}

impl Ext4 {
    fn device(&self) -> String {
        format!("{}?offset={}", self.image.display(), self.start)
    }

    fn debugfs(&self, option: &str, request: &str) -> Result<String> {
        let mut debugfs = sh::command(["debugfs", option, "-R", request]);
        sh::output(debugfs.arg(self.device()))
    }

    /// Names in a folder; none where it is not there.
    pub(crate) fn names(&self, folder: &str) -> Result<Vec<String>> {
        let text = self.debugfs("-c", &format!("ls -p {folder}"))?;
        // /inode/mode/uid/gid/name/size/
        let names = text.lines().filter_map(|line| {
            let name = line.strip_prefix('/')?.split('/').nth(4)?;
            (!matches!(name, "." | ".." | "")).then(|| name.to_owned())
        });
        Ok(names.collect())
    }

    /// Bytes of all files below a folder.
    pub(crate) fn bytes_below(&self, folder: &str) -> Result<u64> {
        let text = self.debugfs("-c", &format!("ls -p {folder}/"))?;
        let mut bytes = 0;
        for line in text.lines() {
            // /inode/mode/uid/gid/name/size/
            let fields: Vec<_> = line.split('/').collect();
            let [_, _, mode, _, _, name, size, _] = fields.as_slice() else {
                continue;
            };
            if matches!(*name, "." | ".." | "" | "lost+found") {
                continue;
            }
            bytes += match mode.starts_with("04") {
                true => self.bytes_below(&format!("{folder}/{name}"))?,
                false => size.parse()?,
            };
        }
        Ok(bytes)
    }

    /// Copies a file out; false where it can't be read whole.
    pub(crate) fn dump(&self, file: &str, to: &Path) -> Result<bool> {
        if to.exists() {
            std::fs::remove_file(to)?;
        }
        let mut debugfs = sh::command(["debugfs", "-c", "-R"]);
        let request = format!("dump {file} {}", to.display());
        let done = debugfs.arg(request).arg(self.device()).output()?;
        // debugfs ends well whatever happened, and says what did.
        let errors = String::from_utf8_lossy(&done.stderr);
        let failed = errors.lines().any(|line| !line.starts_with("debugfs "));
        Ok(done.status.success() && !failed && to.exists())
    }

    /// A small file.
    pub(crate) fn file(&self, file: &str) -> Result<Option<Vec<u8>>> {
        self.with_copy(file, |copy| Ok(std::fs::read(copy)?))
    }

    /// A file's digest.
    pub(crate) fn digest(&self, file: &str) -> Result<Option<String>> {
        self.with_copy(file, sh::sha256)
    }

    fn with_copy<T>(&self, file: &str, look: impl FnOnce(&Path) -> Result<T>) -> Result<Option<T>> {
        static COPIES: AtomicU32 = AtomicU32::new(0);
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let copy = scratch(&format!("copy-{}-{number}", std::process::id()))?;
        let found = match self.dump(file, &copy)? {
            true => Some(look(&copy)?),
            false => None,
        };
        if copy.exists() {
            std::fs::remove_file(&copy)?;
        }
        Ok(found)
    }

    fn block_bytes(&self) -> Result<u64> {
        let stats = self.debugfs("-c", "stats -h")?;
        let size = stats
            .lines()
            .find_map(|line| line.strip_prefix("Block size:"));
        Ok(size.context("no block size")?.trim().parse()?)
    }

    /// First sector (of 512 bytes) of a file on the disk.
    pub(crate) fn first_sector(&self, file: &str) -> Result<u64> {
        let blocks = self.debugfs("-c", &format!("blocks {file}"))?;
        let first = blocks.split_whitespace().next();
        let first = first.with_context(|| format!("{file} has no block"))?;
        let block: u64 = first.parse()?;
        Ok((self.start + block * self.block_bytes()?) / SECTOR)
    }

    /// Where a file lies; nothing where there is none.
    pub(crate) fn place(&self, file: &str) -> Result<Option<FilePlace>> {
        let inode = self.debugfs("-c", &format!("stat {file}"))?;
        if !inode.starts_with("Inode:") {
            return Ok(None);
        }
        let block = self.block_bytes()?;
        let extents = inode.split("EXTENTS:").nth(1).unwrap_or_default();
        let extents = extents.split([',', '\n']).filter_map(|extent| {
            let (_, blocks) = extent.trim().split_once("):")?;
            let (first, last) = blocks.split_once('-').unwrap_or((blocks, blocks));
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            Some(first * block..(last + 1) * block)
        });
        let bytes = extents.collect();
        Ok(Some(FilePlace { inode, bytes }))
    }

    /// Puts a file in the place of another one, or only takes the other one
    /// away. The file system must be clean.
    pub(crate) fn replace(&self, file: &str, with: Option<&Path>) -> Result<()> {
        ensure!(!self.recovery, "{}: its journal is full", self.device());
        // New names have no folders: it goes into theirs.
        let (folder, name) = file.rsplit_once('/').context("an absolute path")?;
        let mut script = format!("cd {folder}/\nrm {name}\n");
        if let Some(with) = with {
            script.push_str(&format!("write {} {name}\n", with.display()));
        }
        let commands = scratch(&format!("debugfs-{}-{name}", std::process::id()))?;
        std::fs::write(&commands, script)?;
        let mut debugfs = sh::command(["debugfs", "-w", "-f"]);
        sh::output(debugfs.arg(&commands).arg(self.device()))?;
        std::fs::remove_file(&commands)?;
        let Some(with) = with else {
            return Ok(());
        };
        if self.digest(file)?.as_deref() != Some(&sh::sha256(with)?) {
            bail!("{file} could not be written to {}", self.device());
        }
        Ok(())
    }

    /// Replays the journal, as a kernel does that mounts it.
    pub(crate) fn replay(&mut self) -> Result<()> {
        let mut fsck = sh::command(["e2fsck", "-E", "journal_only", "-y"]);
        let done = fsck.arg(self.device()).output()?;
        // 1: something was corrected.
        let code = done.status.code().unwrap_or(-1);
        ensure!(code <= 1, "e2fsck -E journal_only ended with {code}");
        self.recovery = false;
        Ok(())
    }

    /// Fails where the file system is not consistent; writes nothing.
    pub(crate) fn check(&self) -> Result<()> {
        let mut fsck = sh::command(["e2fsck", "-f", "-n"]);
        sh::output(fsck.arg(self.device()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with the partitions ESP (FAT) and STATE (ext4).
    fn disk(name: &str) -> Image {
        sh::to_workspace_root().unwrap();
        let folder = scratch(name).unwrap();
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("state/slots/a")).unwrap();
        std::fs::write(folder.join("state/slots/a/kernel"), vec![7; 300_000]).unwrap();
        std::fs::write(folder.join("state/grubenv"), "good=a\n").unwrap();
        let path = folder.join("disk.raw");
        blank(&path, 64 << 20).unwrap();
        let script = "printf 'label: gpt\nsize=16MiB, type=U, name=ESP\ntype=L, name=STATE\n' \
             | sfdisk --quiet \"$1\" && mkfs.fat --offset 2048 \"$1\" 16384 >/dev/null && \
             mcopy -i \"$1@@1M\" \"$2/state/grubenv\" ::/loader && \
             mke2fs -q -t ext4 -b 1024 -d \"$2/state\" -E offset=$((17 << 20)) \"$1\" 40M";
        let mut make = sh::command(["sh", "-c", script, "sh"]);
        sh::output(make.arg(&path).arg(&folder)).unwrap();
        Image::new(&path)
    }

    #[test]
    fn partitions_and_files_are_found() {
        let image = disk("test-image");
        image.verify_table().unwrap();
        let parts = image.partitions();
        let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["ESP", "STATE"]);
        assert_eq!(parts[0].bytes, 1 << 20..17 << 20);
        assert!(image.ext4(&parts[0]).unwrap().is_none());
        let loader = image.fat_file(&parts[0], "/loader").unwrap();
        assert_eq!(loader.as_deref(), Some(&b"good=a\n"[..]));
        assert!(image.fat_file(&parts[0], "/none").unwrap().is_none());
        assert!(image.fat_file(&parts[1], "/loader").unwrap().is_none());

        let ext4 = image.ext4(&parts[1]).unwrap().unwrap();
        assert!(!ext4.recovery);
        ext4.check().unwrap();
        assert_eq!(ext4.names("/slots").unwrap(), ["a"]);
        assert_eq!(ext4.names("/none").unwrap(), [""; 0]);
        assert_eq!(ext4.bytes_below("/slots").unwrap(), 300_000);
        assert_eq!(ext4.bytes_below("").unwrap(), 300_007);
        assert_eq!(image.fat_bytes(&parts[0]).unwrap(), 7);
        assert_eq!(ext4.file("/grubenv").unwrap().unwrap(), b"good=a\n");
        assert_eq!(ext4.file("/slots/b/kernel").unwrap(), None);
        let place = ext4.place("/slots/a/kernel").unwrap().unwrap();
        let lengths = place.bytes.iter().map(|part| part.end - part.start);
        assert_eq!(lengths.sum::<u64>(), 300_032);
        assert!(ext4.place("/slots/b/kernel").unwrap().is_none());
        let sector = ext4.first_sector("/grubenv").unwrap();
        let bytes = image.read(sector * 512..sector * 512 + 6).unwrap();
        assert_eq!(bytes, b"good=a");
    }

    #[test]
    fn a_file_is_replaced_and_taken_away_and_damage_is_seen() {
        let image = disk("test-tamper");
        let part = image.named("STATE").unwrap();
        let ext4 = image.ext4(&part).unwrap().unwrap();
        let shorter = scratch("test-tamper/kernel").unwrap();
        std::fs::write(&shorter, "short").unwrap();
        ext4.replace("/slots/a/kernel", Some(&shorter)).unwrap();
        assert_eq!(ext4.file("/slots/a/kernel").unwrap().unwrap(), b"short");
        ext4.replace("/slots/a/kernel", None).unwrap();
        assert_eq!(ext4.digest("/slots/a/kernel").unwrap(), None);
        ext4.check().unwrap();
        assert!(image.named("OEM").is_err());

        // The first table is broken, then the file system's bitmaps.
        let script = "printf x | dd of=\"$1\" bs=1 seek=600 conv=notrunc status=none; \
             dd if=/dev/urandom of=\"$1\" bs=1024 seek=$((17 * 1024 + 259)) count=8 \
             conv=notrunc status=none";
        sh::output(sh::command(["sh", "-c", script, "sh"]).arg(&image.path)).unwrap();
        assert!(image.verify_table().is_err());
        assert!(ext4.check().is_err());
    }
}
