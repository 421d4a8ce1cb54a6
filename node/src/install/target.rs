//! The disk that is written: opened, locked, its old content destroyed, its new
//! partition table written and known to the kernel.
//!
//! udev looks at a disk whenever somebody closes it after writing, and rereads
//! its partition table, by which partitions vanish and come back. It leaves a
//! disk alone that is locked (systemd's "Locking Block Device Access"), so the
//! disk is locked from the first write to the last. Device nodes come from the
//! kernel itself (devtmpfs), and need no udev.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use gptman::{GPT, GPTPartitionEntry};
use isoforge_base::process::Program;
use isoforge_contract::machine::ExtraFilesystem;
use isoforge_formats::gpt::{Guid, TYPE_BIOS_BOOT, TYPE_ESP, TYPE_LINUX};
use rustix::fs::FlockOperation;
use uuid::Uuid;

use crate::disks::holders;
use crate::disks::{SYSFS_SECTOR_BYTES, Sysfs, attribute, table, unfinished};
use crate::{mount, run};
use isoforge_system::disk_plan::{MIB, Partition, Plan, Role};

/// How long the kernel, or another program, is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// What is cleared at both ends of the disk, at the beginning of each partition
/// and at its end: every known signature of file systems, arrays and volumes
/// lies within.
const ENDS_BYTES: u64 = MIB;
const HEAD_BYTES: u64 = 256 << 10;
const TAIL_BYTES: u64 = 64 << 10;

/// Pieces in which is looked for something to clear.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

const MBR_BYTES: u64 = 512;

/// Most output of a program.
const OUTPUT_MAX_BYTES: u64 = 4096;

/// The disk, locked.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) sys: &'a Sysfs,
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) bytes: u64,
    pub(super) signature: [u8; 4],
}

impl<'a> Target<'a> {
    /// Opens and locks the disk `name`, and unmounts what an earlier run left
    /// mounted.
    pub(super) fn open(sys: &'a Sysfs, name: &str, bytes: u64) -> Result<Self> {
        let path = sys.dev.join(name.replace('!', "/"));
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| {
                format!("the disk '{}' can't be opened for writing", path.display())
            })?;
        lock(&file, &path)?;
        // The last one mounted goes first.
        for mount in holders::mounts_of(sys, name).into_iter().rev() {
            if mount.target.starts_with(&sys.work) {
                mount::unmount(&mount.target).with_context(|| {
                    let target = mount.target.display();
                    format!("'{target}', which lies on the disk, can't be unmounted")
                })?;
            }
        }
        forget_pages(&path);
        let unique = Uuid::new_v4();
        let signature = *unique.as_bytes().first_chunk().unwrap_or(&[0; 4]);
        Ok(Self {
            sys,
            name: name.to_owned(),
            path,
            file,
            bytes,
            signature,
        })
    }

    /// Destroys what was on the disk. What would start an old system goes first
    /// and is on the disk before anything else changes: cut off here, either
    /// the old system is whole or nothing starts.
    pub(super) fn wipe(&self, plan: &Plan) -> Result<()> {
        let old = table::read_all(&self.file, self.bytes);
        let zero = |offset, bytes| self.zero(offset, bytes, "zeros over the old content");
        let esp = old
            .iter()
            .filter(|entry| entry.type_guid == TYPE_ESP.on_disk());
        for entry in esp {
            zero(entry.offset, HEAD_BYTES)?;
        }
        zero(0, MBR_BYTES)?;
        self.flush()?;
        zero(0, ENDS_BYTES)?;
        zero(self.bytes.saturating_sub(ENDS_BYTES), ENDS_BYTES)?;
        self.flush()?;
        let olds = old.iter().map(|entry| (entry.offset, entry.bytes));
        let news = plan.partitions.iter().map(|new| (new.offset, new.bytes));
        for (offset, bytes) in olds.chain(news) {
            zero(offset, HEAD_BYTES.min(bytes))?;
            let end = offset.saturating_add(bytes);
            zero(end.saturating_sub(TAIL_BYTES), TAIL_BYTES.min(bytes))?;
        }
        self.flush()
    }

    /// Writes the new table, with an MBR that starts nothing, and waits until
    /// the kernel has the partitions. From before the table is there until
    /// [`Self::finish`] the disk is marked as unfinished.
    pub(super) fn partition(&mut self, plan: &Plan) -> Result<()> {
        let sector = u64::from(plan.sector_bytes);
        self.mark(true)?;
        let guid = Uuid::new_v4().to_bytes_le();
        let table = "writing the partition table failed";
        let mut gpt = GPT::new_from(&mut self.file, sector, guid).context(table)?;
        for partition in &plan.partitions {
            let end = partition.offset.saturating_add(partition.bytes);
            gpt[partition.number] = GPTPartitionEntry {
                partition_type_guid: type_of(partition.role).on_disk(),
                unique_partition_guid: Uuid::new_v4().to_bytes_le(),
                starting_lba: partition.offset / sector,
                ending_lba: (end / sector).saturating_sub(1),
                attribute_bits: 0,
                partition_name: partition.label.as_str().into(),
            };
        }
        gpt.write_into(&mut self.file).context(table)?;
        self.write_mbr(plan, None)?;
        self.flush()?;
        self.reread()?;
        if !plan.partitions.iter().all(|new| self.has(new)) {
            // Kernels are built that can't read this kind of table; they take
            // partitions one by one. Whether it helped is seen below.
            let _ = Program::new("partx", "util-linux")
                .arg("--update")
                .arg(&self.path)
                .output(OUTPUT_MAX_BYTES);
        }
        for partition in &plan.partitions {
            self.wait_for(partition)?;
        }
        Ok(())
    }

    /// Says that the installation is whole; everything must be on the disk.
    pub(super) fn finish(&self) -> Result<()> {
        self.mark(false)
    }

    fn mark(&self, unfinished: bool) -> Result<()> {
        unfinished::mark(&self.file, unfinished)
            .context("writing the mark of an unfinished installation failed")?;
        self.flush()
    }

    /// Device of a partition.
    pub(super) fn device(&self, number: u32) -> PathBuf {
        self.sys
            .dev
            .join(self.partition_name(number).replace('!', "/"))
    }

    /// Takes away whatever a firmware could start, after a failure.
    pub(super) fn disable(&mut self, plan: &Plan) {
        // There is an error to tell already; the disk that caused it may refuse
        // this too.
        if let Some(esp) = plan.find(Role::Esp) {
            if let Ok(device) = File::options().write(true).open(self.device(esp.number)) {
                let zeros = vec![0; CHUNK_BYTES];
                let _ = device.write_all_at(&zeros, 0);
                let _ = device.sync_all();
            }
            forget_pages(&self.path);
            let _ = self.zero(esp.offset, HEAD_BYTES, "zeros");
        }
        let _ = self.zero(0, ENDS_BYTES, "zeros");
        let _ = self.zero(self.bytes.saturating_sub(ENDS_BYTES), ENDS_BYTES, "zeros");
        let _ = self.flush();
        let _ = self.reread();
    }

    /// Has everything on the disk itself.
    pub(super) fn flush(&self) -> Result<()> {
        self.file
            .sync_all()
            .context("writing the last bytes to the disk failed")
    }

    /// Writes zeros where there is something else.
    pub(super) fn zero(&self, offset: u64, bytes: u64, what: &'static str) -> Result<()> {
        let zeros = vec![0_u8; CHUNK_BYTES];
        let mut found = vec![0_u8; CHUNK_BYTES];
        let end = offset.saturating_add(bytes).min(self.bytes);
        let mut at = offset;
        while at < end {
            let length = (end - at).min(CHUNK_BYTES as u64) as usize;
            let (found, zeros) = (found.get_mut(..length), zeros.get(..length));
            let (Some(found), Some(zeros)) = (found, zeros) else {
                break;
            };
            // What can't be read may still be written.
            let read = self.file.read_exact_at(found, at);
            if read.is_err() || found.iter().any(|byte| *byte != 0) {
                self.file
                    .write_all_at(zeros, at)
                    .with_context(|| format!("writing {what} failed"))?;
            }
            at += length as u64;
        }
        Ok(())
    }

    /// Has the kernel read the table; a program that looks at a partition for a
    /// moment is waited for.
    fn reread(&mut self) -> Result<()> {
        let mut reread = || gptman::linux::reread_partition_table(&mut self.file);
        run::retried(PATIENCE, PAUSE, &mut reread).with_context(|| {
            let path = self.path.display();
            format!("the kernel does not read the new partition table of '{path}'")
        })
    }

    fn wait_for(&self, partition: &Partition) -> Result<()> {
        if !run::holds_within(PATIENCE, PAUSE, || self.has(partition)) {
            bail!(
                "the partition {} of '{}' did not appear within {} s",
                partition.number,
                self.path.display(),
                PATIENCE.as_secs()
            );
        }
        Ok(())
    }

    /// Whether the kernel has the partition where it shall be, with its device.
    fn has(&self, partition: &Partition) -> bool {
        let folder = self
            .sys
            .block(&self.name)
            .join(self.partition_name(partition.number));
        let is = |name: &str, bytes: u64| {
            attribute(&folder.join(name)) == (bytes / SYSFS_SECTOR_BYTES).to_string()
        };
        let node = fs::metadata(self.device(partition.number));
        node.is_ok_and(|node| node.file_type().is_block_device())
            && is("start", partition.offset)
            && is("size", partition.bytes)
    }

    /// `sda1`, `nvme0n1p1`.
    fn partition_name(&self, number: u32) -> String {
        let between = if self.name.ends_with(|c: char| c.is_ascii_digit()) {
            "p"
        } else {
            ""
        };
        format!("{}{between}{number}", self.name)
    }
}

/// Has the kernel forget what it remembers of the disk: it keeps the pages of a
/// disk and of its partitions apart, and what is read to see whether it needs
/// clearing has to come from the disk.
fn forget_pages(path: &Path) {
    // Without it pages are forgotten when nobody has the disk open.
    let _ = Program::new("blockdev", "util-linux")
        .arg("--flushbufs")
        .arg(path)
        .output(OUTPUT_MAX_BYTES);
}

fn lock(file: &File, path: &Path) -> Result<()> {
    let locked = || rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
    if !run::holds_within(PATIENCE, PAUSE, locked) {
        bail!("another program works on the disk '{}'", path.display());
    }
    Ok(())
}

fn type_of(role: Role) -> Guid {
    match role {
        Role::BiosBoot => TYPE_BIOS_BOOT,
        Role::Esp => TYPE_ESP,
        Role::Oem
        | Role::State
        | Role::Persistent
        | Role::Extra(ExtraFilesystem::Ext4 | ExtraFilesystem::None) => TYPE_LINUX,
    }
}
