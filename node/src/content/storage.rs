//! The storage of Zot (project-zot, v2.1): below its root a folder for each
//! repository, which is an OCI image layout (OCI Image Specification v1.1, "Image
//! Layout") with an empty `.uploads` beside it.
//!
//! How Zot reads it, which the rest of `content` relies on:
//! - A tag is an entry of `index.json` with the annotation
//!   `org.opencontainers.image.ref.name`. A manifest is served by digest only if
//!   `index.json` lists it, so the images of an index and what refers to an image
//!   are listed too, without a tag.
//! - Garbage collection removes, where a policy asks for it, manifests that have no
//!   tag, are in no index and refer to nothing; then blobs that nothing listed names,
//!   once they are older than a delay. Of an index's images it sees only those that
//!   are listed.
//! - A file below `blobs` that is called otherwise than a digest ends it with an
//!   error. What is not finished lies in [`WORK`].
//! - With deduplication, equal blobs of several repositories are hard links.
//!
//! All of it belongs to the account that the registry runs as, which may put links in
//! the way of root. So it is changed with that account's rights (`Acting`), and
//! read without following links.
//!
//! Non-goals: the storage drivers for object stores, and Zot's databases: it makes
//! them itself.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use isoforge_base::digest::Digest;
use isoforge_oci::layout::{INDEX_FILE, LAYOUT_FILE};
use rustix::fs::{Gid, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid};
use serde_json::json;

use super::BadRecord;
use super::error::at;
use super::files::{names_in, read, repositories};
use super::images::Images;
use super::index::{Entry, Index};
use crate::files;
use crate::rooted::Acting;

/// Below the root: what is not finished, and what the program notes. Zot takes it
/// for no repository, as repositories begin with a letter or digit.
pub const WORK: &str = ".import";

/// Ends the name of a blob that is not finished.
const PARTIAL: &str = ".partial";

/// Beside a repository's layout: Zot's unfinished uploads.
const UPLOADS: &str = ".uploads";

/// Folder of a layout's blobs.
const BLOBS: &str = "blobs/sha256";

/// Largest `index.json` that is read.
const INDEX_MAX_BYTES: u64 = 256 << 20;

/// Modes as Zot has them.
const FOLDER_MODE: u32 = 0o700;
pub(super) const FILE_MODE: u32 = 0o600;

#[derive(Debug)]
pub struct Storage {
    root: PathBuf,
    owner: (Uid, Gid),
    /// Kept as long as this is there.
    lock: Option<fs::File>,
}

/// Where blobs lie: by digest, the repositories that have it, and its size in
/// bytes in each.
pub type Blobs = BTreeMap<Digest, BTreeMap<String, u64>>;

impl Drop for Storage {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            // Closing is not enough: a program that is being started has the file
            // too, until it runs. Where unlocking fails, closing comes right behind.
            let _ = lock.file().unlock();
        }
    }
}

impl Storage {
    /// The storage below `root`, for reading.
    ///
    /// # Errors
    /// Where there is none.
    pub fn open(root: &Path) -> Result<Self> {
        let metadata = fs::metadata(root).map_err(at(root, "read"))?;
        Ok(Self {
            root: root.to_owned(),
            owner: (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid())),
            lock: None,
        })
    }

    /// The storage below `root`, which is made where it is missing, for this
    /// program alone to change.
    ///
    /// # Errors
    /// Where another program has it, or it can't be made.
    pub fn open_to_write(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).map_err(at(root, "made"))?;
        let mut storage = Self::open(root)?;
        let work = storage.work();
        storage.make_folder(&work)?;
        let path = work.join("lock");
        let lock = storage.open_lock(&path).map_err(at(&path, "opened"))?;
        match lock.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another program changes the storage '{}'", root.display())
            }
            Err(TryLockError::Error(source)) => return Err(at(&path, "locked")(source)),
        }
        storage.lock = Some(lock);
        Ok(storage)
    }

    fn open_lock(&self, path: &Path) -> io::Result<fs::File> {
        let _owner = Acting::of(self.owner.0, self.owner.1)?;
        let is_others = files::if_there(fs::symlink_metadata(path))?
            .is_some_and(|there| !there.is_file() || there.uid() != self.owner.0.as_raw());
        if is_others {
            // Versions before this one made it as root, who could open it alone.
            fs::remove_file(path)?;
        }
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(path)
    }

    /// Gives this thread the rights of the storage's owner, as long as what comes
    /// back is there: for all that works on paths within it.
    pub(super) fn as_owner(&self) -> Result<Acting> {
        let (uid, gid) = self.owner;
        Acting::of(uid, gid).map_err(at(&self.root, "worked on as its owner"))
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of what is not finished.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.root.join(WORK)
    }

    /// Where a blob is written before it has its name.
    pub(super) fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.work().join(format!("{}{PARTIAL}", digest.hex()))
    }

    /// Removes what imports left that never ended.
    pub(super) fn remove_partials(&self) -> Result<()> {
        let _owner = self.as_owner()?;
        let work = self.work();
        for name in names_in(&work)? {
            if name.ends_with(PARTIAL) {
                let path = work.join(name);
                fs::remove_file(&path).map_err(at(&path, "removed"))?;
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn folder(&self, repository: &str) -> PathBuf {
        self.root.join(repository)
    }

    /// Where all blobs are. Repositories without an index are looked through too:
    /// an import that was cut off left them.
    ///
    /// # Errors
    /// Where the storage can't be read.
    pub fn blobs(&self) -> Result<Blobs> {
        let mut found = Blobs::new();
        for repository in self.repositories()? {
            for (digest, size) in self.blobs_of(&repository)? {
                let places = found.entry(digest).or_default();
                places.insert(repository.clone(), size);
            }
        }
        Ok(found)
    }

    /// A repository's index; an empty one where there is none yet.
    ///
    /// # Errors
    /// Where it can\'t be read; [`BadRecord`].
    pub fn index(&self, repository: &str) -> Result<Index> {
        let _owner = self.as_owner()?;
        let path = self.folder(repository).join(INDEX_FILE);
        match read(&path, INDEX_MAX_BYTES)? {
            Some(bytes) => Index::parse(&bytes).map_err(|problem| BadRecord::of(&path, problem)),
            None => Ok(Index::default()),
        }
    }

    /// Makes a repository's folders and its layout's mark, but no index.
    pub(super) fn prepare(&self, repository: &str) -> Result<()> {
        let _owner = self.as_owner()?;
        let folder = self.folder(repository);
        self.make_folder(&folder.join(BLOBS))?;
        self.make_folder(&folder.join(UPLOADS))?;
        let mark = folder.join(LAYOUT_FILE);
        if !fs_err::exists(&mark)? {
            let text = json!({ "imageLayoutVersion": isoforge_oci::layout::LAYOUT_VERSION });
            self.write(&mark, text.to_string().as_bytes())?;
        }
        Ok(())
    }

    /// Makes a folder and those above it, below the root.
    pub(super) fn make_folder(&self, path: &Path) -> Result<()> {
        let _owner = self.as_owner()?;
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path
            .parent()
            .filter(|parent| parent.starts_with(&self.root))
        {
            self.make_folder(parent)?;
        }
        let made = DirBuilder::new().mode(FOLDER_MODE).create(path);
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(at(path, "made")(error)),
            Ok(()) => Ok(()),
        }
    }

    /// Writes a file beside its place and gives it its name. It is on the disk
    /// with the next [`sync`](Self::sync), as its old or its new self.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let _owner = self.as_owner()?;
        files::write(path, bytes, FILE_MODE).map_err(at(path, "written"))
    }

    /// Has all of the storage's file system on the disk.
    pub(super) fn sync(&self) -> Result<()> {
        let root = fs::File::open(&self.root).map_err(at(&self.root, "opened"))?;
        rustix::fs::syncfs(&root).map_err(|errno| at(&self.root, "written out")(errno.into()))
    }

    /// Starts Zot's delay for a blob anew, so that it stays until an index names
    /// it. All its hard links get younger with it.
    pub(super) fn rejuvenate(&self, path: &Path) -> Result<()> {
        let _owner = self.as_owner()?;
        let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times = Timestamps {
            last_access: time(UTIME_OMIT),
            last_modification: time(UTIME_NOW),
        };
        rustix::fs::utimensat(
            rustix::fs::CWD,
            path,
            &times,
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(|errno| at(path, "touched")(errno.into()))
    }
}

impl Images for Storage {
    fn repositories(&self) -> Result<Vec<String>> {
        let _owner = self.as_owner()?;
        let is_repository = |folder: &Path| folder.join(LAYOUT_FILE).is_file();
        let is_part = |below: &str, of_repository: bool| {
            below.starts_with('.') || (of_repository && below == "blobs")
        };
        repositories(&self.root, is_repository, is_part)
    }

    fn entries(&self, repository: &str) -> Result<Vec<Entry>> {
        Ok(self.index(repository)?.entries)
    }

    fn blobs_of(&self, repository: &str) -> Result<BTreeMap<Digest, u64>> {
        let _owner = self.as_owner()?;
        let folder = self.folder(repository).join(BLOBS);
        let mut found = BTreeMap::new();
        for name in names_in(&folder)? {
            let Ok(digest) = format!("sha256:{name}").parse() else {
                continue;
            };
            let path = folder.join(&name);
            let metadata = fs::symlink_metadata(&path).map_err(at(&path, "read"))?;
            if metadata.is_file() {
                found.insert(digest, metadata.len());
            }
        }
        Ok(found)
    }

    fn blob_path(&self, repository: &str, digest: &Digest) -> PathBuf {
        self.folder(repository).join(BLOBS).join(digest.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_lie_in_each_other_and_blobs_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open_to_write(dir.path()).unwrap();
        for name in ["r.example/a", "r.example/a/blobs", "r.example/a/b/c"] {
            storage.prepare(name).unwrap();
        }
        fs::create_dir_all(dir.path().join("r.example/none")).unwrap();
        assert_eq!(
            storage.repositories().unwrap(),
            ["r.example/a", "r.example/a/b/c"]
        );
        let error = Storage::open_to_write(dir.path()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("another program changes the storage"),
            "{text}"
        );
        drop(storage);
        Storage::open_to_write(dir.path()).unwrap();
    }
}
