//! Removing what nothing names: what an import that never ended left, and what
//! a tag that moved led to.
//!
//! It keeps to Zot's rules (see [`super::storage`]), but asks for no delay where
//! the registry stands still: what its clients have just begun to push is told by
//! its age.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;
use isoforge_base::digest::Digest;
use isoforge_base::human;
use isoforge_oci::layout::{INDEX_FILE, LAYOUT_FILE};
use isoforge_oci::manifest::Document;
use isoforge_oci::referrer;
use serde::Serialize;

use super::commit::{Service, while_stopped};
use super::error::at;
use super::files::remove;
use super::images::Images as _;
use super::index::Index;
use super::inspect::ImageBlobs;
use super::storage::Storage;
use crate::files;

/// Blobs that are younger stay where nothing names them: a client may be about to
/// push the manifest that does. It is Zot's own delay.
pub const AGE_SECONDS: i64 = 3600;

/// What was removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Manifests that were listed without a tag, and belonged to nothing.
    pub manifests: u64,
    /// Blobs, in each repository.
    pub blobs: u64,
    /// Bytes that became free.
    pub bytes: u64,
    /// Repositories that had nothing left.
    pub repositories: u64,
}

/// Removes what nothing names, in a storage that this program has alone.
///
/// # Errors
/// Damage ends it before anything of the repository is removed.
pub fn collect(storage: &Storage, service: &dyn Service, all: bool) -> Result<Collected> {
    while_stopped(service, || {
        let _owner = storage.as_owner()?;
        let now = now(storage)?;
        let mut collected = Collected::default();
        for repository in storage.repositories()? {
            let collector = Collector {
                storage,
                repository: &repository,
                before: if all {
                    now
                } else {
                    now.saturating_sub(AGE_SECONDS)
                },
            };
            collector.run(&mut collected)?;
        }
        storage.remove_partials()?;
        storage.sync()?;
        Ok(collected)
    })
}

/// The file system's own time, in seconds.
fn now(storage: &Storage) -> Result<i64> {
    let path = storage.work().join("lock");
    storage.rejuvenate(&path)?;
    Ok(fs::metadata(&path).map_err(at(&path, "read"))?.mtime())
}

struct Collector<'a> {
    storage: &'a Storage,
    repository: &'a str,
    /// What changed later stays.
    before: i64,
}

impl Collector<'_> {
    fn run(&self, collected: &mut Collected) -> Result<()> {
        let mut index = self.storage.index(self.repository)?;
        let before = index.entries.len();
        while self.drop_entries(&mut index)? {}
        let dropped = before.saturating_sub(index.entries.len());
        collected.manifests = collected.manifests.saturating_add(dropped as u64);
        let mut parts = ImageBlobs::default();
        for entry in &index.entries {
            parts.add(self.storage, self.repository, entry)?;
        }
        if dropped > 0 {
            let path = self.storage.folder(self.repository).join(INDEX_FILE);
            self.storage.write(&path, &index.to_json())?;
        }
        let mut left = 0_u64;
        for (digest, size) in self.storage.blobs_of(self.repository)? {
            let path = self.storage.blob_path(self.repository, &digest);
            if parts.blobs.contains_key(&digest) || !self.is_old(&path)? {
                left = left.saturating_add(1);
                continue;
            }
            let metadata = fs::metadata(&path).map_err(at(&path, "read"))?;
            fs::remove_file(&path).map_err(at(&path, "removed"))?;
            collected.blobs = collected.blobs.saturating_add(1);
            if metadata.nlink() == 1 {
                collected.bytes = collected.bytes.saturating_add(size);
            }
        }
        if left == 0 && index.entries.is_empty() {
            self.remove_repository()?;
            collected.repositories = collected.repositories.saturating_add(1);
        }
        Ok(())
    }

    /// Drops entries that have no tag and belong to nothing that is listed.
    fn drop_entries(&self, index: &mut Index) -> Result<bool> {
        let mut kept: BTreeSet<Digest> = BTreeSet::new();
        for entry in &index.entries {
            if entry.tag.is_some() {
                kept.insert(entry.digest);
            }
            let Some(manifest) = self.storage.manifest(self.repository, entry)? else {
                continue;
            };
            if let Document::Index(children) = &manifest.document {
                kept.extend(children.iter().map(|child| child.digest));
            }
            if referrer::subject(&manifest.raw).is_some_and(|subject| index.lists(&subject)) {
                kept.insert(entry.digest);
            }
        }
        let mut young = Ok(());
        let before = index.entries.len();
        index.entries.retain(|entry| {
            let path = self.storage.blob_path(self.repository, &entry.digest);
            kept.contains(&entry.digest)
                || !self.is_old(&path).unwrap_or_else(|error| {
                    young = Err(error);
                    false
                })
        });
        young?;
        Ok(index.entries.len() != before)
    }

    /// Whether a file has its age; what is not there has.
    fn is_old(&self, path: &Path) -> Result<bool> {
        let metadata = files::if_there(fs::metadata(path)).map_err(at(path, "read"))?;
        Ok(metadata.is_none_or(|metadata| metadata.mtime() <= self.before))
    }

    /// Removes the repository's layout; others may lie in its folder.
    fn remove_repository(&self) -> Result<()> {
        let folder = self.storage.folder(self.repository);
        for name in [INDEX_FILE, LAYOUT_FILE] {
            remove(&folder.join(name), |path| fs::remove_file(path), "removed")?;
        }
        for name in ["blobs", ".uploads"] {
            remove(
                &folder.join(name),
                |path| fs::remove_dir_all(path),
                "removed",
            )?;
        }
        let mut empty: PathBuf = folder;
        // Folders that have something in them stay.
        while empty != self.storage.root() && std::fs::remove_dir(&empty).is_ok() {
            let Some(parent) = empty.parent() else { break };
            empty = parent.to_owned();
        }
        Ok(())
    }
}

impl Collected {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{} and {} removed, {} free\n",
            human::count(self.blobs, "blob"),
            human::count(self.repositories, "repository"),
            human::size(self.bytes)
        )
    }
}
