//! The blobs of a plan into the storage, each copied and verified once.
//!
//! A blob is written beside the repositories and hashed on the way. It gets its
//! name once it is on the disk; several that are small are brought there together.
//! What other repositories need of it are hard links.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use isoforge_base::digest::Digest;
use isoforge_base::error::is_full;
use isoforge_base::output::space::FileSystems;
use isoforge_base::progress::{Progress, Task};
use isoforge_base::regular;
use serde::Serialize;

use super::error::{BadSource, at};
use super::files::remove;
use super::images::Images as _;
use super::plan::{NeededBlob, Plan};
use super::pump::{Broken, pump};
use super::source::Source;
use super::storage::{Blobs, FILE_MODE, Storage};

/// How much is brought to the disk together at most: what a power cut may undo.
const BATCH_BYTES: u64 = 64 << 20;
const BATCH_BLOBS: usize = 512;

/// Room for folders, indexes and the file system's own use, beside the blobs.
const SLACK_BYTES: u64 = 8 << 20;
/// The same for each blob that is made.
const SLACK_PER_BLOB_BYTES: u64 = 4096;

/// What came into the storage.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Filled {
    /// Blobs that were copied.
    pub copied: u64,
    /// Their size in bytes.
    pub copied_bytes: u64,
    /// Blobs that were there.
    pub there: u64,
    /// Their size in bytes.
    pub there_bytes: u64,
}

/// How blobs are treated that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Their size is looked at: they got their names when they had been verified.
    Trust,
    /// They are hashed, and replaced where they are damaged.
    Check,
}

/// Brings the blobs in.
///
/// # Errors
/// Too little room is told before anything is written; after another error what is
/// whole stays.
pub(super) fn fill(
    storage: &Storage,
    source: &dyn Source,
    plan: &Plan,
    there: &Blobs,
    existing: Existing,
    room: &dyn FileSystems,
    progress: &Progress,
) -> Result<Filled> {
    for repository in plan.repositories.keys() {
        storage.prepare(repository)?;
    }
    let mut work = Vec::new();
    let owner = storage.as_owner()?;
    for (digest, wanted) in &plan.blobs {
        work.push((
            digest,
            wanted,
            sound(storage, digest, wanted, there, existing)?,
        ));
    }
    drop(owner);
    check_room(storage, &work, room)?;
    let bytes = work
        .iter()
        .fold(0_u64, |sum, (_, wanted, has)| match has.first() {
            Some(_) => sum,
            None => sum.saturating_add(wanted.size),
        });
    let task = progress.task("copying and verifying", Some(bytes));
    let mut filler = Filler {
        storage,
        source,
        task: &task,
        batch: Vec::new(),
        batch_bytes: 0,
        filled: Filled::default(),
    };
    for (digest, wanted, has) in &work {
        filler.blob(digest, wanted, has)?;
    }
    filler.settle()?;
    storage.remove_partials()?;
    storage.sync()?;
    Ok(filler.filled)
}

/// The repositories that have the blob whole; one that it belongs to first.
fn sound(
    storage: &Storage,
    digest: &Digest,
    wanted: &NeededBlob,
    there: &Blobs,
    existing: Existing,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (repository, size) in there.get(digest).into_iter().flatten() {
        let path = storage.blob_path(repository, digest);
        if *size == wanted.size && (existing == Existing::Trust || hash(&path)? == *digest) {
            found.push(repository.clone());
        }
    }
    found.sort_by_key(|repository| !wanted.repositories.contains(repository));
    Ok(found)
}

fn hash(path: &Path) -> Result<Digest> {
    let hashed = regular::open_unlinked(path).and_then(Digest::of_reader);
    Ok(hashed.map_err(at(path, "read"))?.0)
}

fn check_room(
    storage: &Storage,
    work: &[(&Digest, &NeededBlob, Vec<String>)],
    room: &dyn FileSystems,
) -> Result<()> {
    let missing = work.iter().filter(|(_, _, has)| has.is_empty());
    let needed = missing.fold(SLACK_BYTES, |sum, (_, wanted, _)| {
        sum.saturating_add(wanted.size)
            .saturating_add(SLACK_PER_BLOB_BYTES)
    });
    let available = room
        .available_bytes(storage.root())
        .map_err(at(storage.root(), "asked for its room"))?;
    if available < needed && needed > SLACK_BYTES {
        bail!(
            "the content needs {needed} bytes in '{}', {available} are available; nothing was imported",
            storage.root().display()
        );
    }
    Ok(())
}

/// A blob that is written, and waits until it is on the disk.
struct Written {
    path: PathBuf,
    targets: Vec<PathBuf>,
}

struct Filler<'a> {
    storage: &'a Storage,
    source: &'a dyn Source,
    task: &'a Task,
    batch: Vec<Written>,
    batch_bytes: u64,
    filled: Filled,
}

impl Filler<'_> {
    fn blob(&mut self, digest: &Digest, wanted: &NeededBlob, has: &[String]) -> Result<()> {
        let has_it: BTreeSet<&String> = has.iter().collect();
        let lacking = wanted.repositories.iter().filter(|it| !has_it.contains(it));
        let targets: Vec<PathBuf> = lacking
            .map(|repository| self.storage.blob_path(repository, digest))
            .collect();
        let Some(first) = has.first() else {
            return self.copy(digest, wanted.size, targets);
        };
        let path = self.storage.blob_path(first, digest);
        // Until an index names it, nothing but its age keeps it from Zot's garbage
        // collection.
        let _owner = self.storage.as_owner()?;
        self.storage.rejuvenate(&path)?;
        self.filled.there = self.filled.there.saturating_add(1);
        self.filled.there_bytes = self.filled.there_bytes.saturating_add(wanted.size);
        link(&path, &targets)
    }

    fn copy(&mut self, digest: &Digest, size: u64, targets: Vec<PathBuf>) -> Result<()> {
        let path = self.storage.partial_path(digest);
        if self.is_whole(&path, digest, size)? {
            self.task.advance(size);
            self.filled.there = self.filled.there.saturating_add(1);
            self.filled.there_bytes = self.filled.there_bytes.saturating_add(size);
        } else {
            if let Err(error) = self.write(&path, digest, size) {
                // It is nobody's, and takes room.
                let removed = self.storage.as_owner();
                let _ = removed.map(|_owner| std::fs::remove_file(&path));
                // What was written before it is whole, and shall stay.
                let _ = self.settle();
                return Err(error);
            }
            self.filled.copied = self.filled.copied.saturating_add(1);
            self.filled.copied_bytes = self.filled.copied_bytes.saturating_add(size);
        }
        self.batch.push(Written { path, targets });
        self.batch_bytes = self.batch_bytes.saturating_add(size);
        if self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_BLOBS {
            self.settle()?;
        }
        Ok(())
    }

    /// Copies a blob and hashes it on the way.
    fn write(&self, path: &Path, digest: &Digest, size: u64) -> Result<()> {
        let name = self.source.name();
        let Some((found, mut from)) = self.source.open(digest)? else {
            return Err(BadSource::missing(&name, digest, &digest.to_string()));
        };
        let length = |found| BadSource::length(&name, digest, size, found);
        if found != size {
            return Err(length(found));
        }
        let failed = |source: io::Error| match is_full(&source) {
            true => anyhow!(
                "the storage '{}' is full: writing {digest} ({size} bytes) failed; what was imported before stays, and the next import goes on from there",
                self.storage.root().display()
            ),
            false => at(path, "written")(source),
        };
        let owner = self.storage.as_owner()?;
        remove(path, |path| fs::remove_file(path), "replaced")?;
        let mut to = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)
            .map_err(failed)?;
        // The source is read as who runs this.
        drop(owner);
        let mut told = |bytes| self.task.advance(bytes);
        let pumped = pump(&mut from, &mut to, size, &mut told);
        let (total, found) = pumped.map_err(|broken| match broken {
            Broken::Longer(total) => length(total),
            Broken::Write(source) => failed(source),
            Broken::Read(bytes, error) => {
                anyhow::Error::new(error).context(BadSource::read(&name, digest, bytes))
            }
        })?;
        if total != size {
            return Err(length(total));
        }
        if found != *digest {
            return Err(BadSource::damaged(&name, digest, found, total));
        }
        Ok(())
    }

    /// Brings what was written to the disk, and gives it its names.
    fn settle(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let _owner = self.storage.as_owner()?;
        match batch.as_slice() {
            [] => return Ok(()),
            [one] => regular::open_unlinked(&one.path)
                .and_then(|file| file.sync_all())
                .map_err(at(&one.path, "written out"))?,
            _ => self.storage.sync()?,
        }
        for Written { path, targets } in batch {
            let Some((first, others)) = targets.split_first() else {
                continue;
            };
            fs::rename(&path, first).map_err(at(first, "written"))?;
            link(first, others)?;
        }
        Ok(())
    }

    /// Whether an import that was cut off had written all of a blob. It may not have
    /// reached the disk, so it is hashed. What can't be read is written anew.
    fn is_whole(&self, path: &Path, digest: &Digest, size: u64) -> Result<bool> {
        let _owner = self.storage.as_owner()?;
        let is_size = fs::symlink_metadata(path).is_ok_and(|there| there.len() == size);
        Ok(is_size && hash(path).is_ok_and(|found| found == *digest))
    }
}

/// Makes hard links; what is in their place, which is damaged, goes.
fn link(path: &Path, targets: &[PathBuf]) -> Result<()> {
    for target in targets {
        remove(target, |path| fs::remove_file(path), "replaced")?;
        fs::hard_link(path, target).map_err(at(target, "linked"))?;
    }
    Ok(())
}
