//! The temporary folder of one process, and the removal of dead ones.
//!
//! The kernel drops a process's file locks when it dies, however it dies. So a
//! folder whose lock can be taken belongs to nobody. Making a folder and locking
//! it happens under the store's own lock; otherwise another process could see
//! the folder between the two.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use fs_err::{File, OpenOptions};

use super::in_use::InUse;
use super::{FILE_MODE, PRIVATE_MODE, Result, make_folder};
use crate::Error;
use isoforge_base::interrupt;

const LOCK_FILE: &str = "lock";

/// The temporary folder of this process in one store.
#[derive(Debug)]
pub(super) struct Session {
    folder: PathBuf,
    next: AtomicU64,
    /// Says that the store is open.
    _in_use: InUse,
    /// Holds the folder's lock.
    _lock: File,
    _interrupt: interrupt::Registration,
}

impl Session {
    /// Makes and locks a folder in `base/tmp` after removing those of the dead.
    pub(super) fn begin(base: &Path, in_use: InUse) -> Result<Self> {
        let tmp = base.join("tmp");
        let store_lock = lock_file(&base.join(LOCK_FILE))?;
        store_lock.file().lock()?;
        for entry in fs_err::read_dir(&tmp)? {
            remove_if_dead(&entry?.path())?;
        }
        let folder = unused_name(&tmp)?;
        make_folder(&folder)?;
        let lock = lock_file(&folder.join(LOCK_FILE))?;
        lock.file().lock()?;
        let interrupted = folder.clone();
        Ok(Self {
            folder,
            next: AtomicU64::new(0),
            _in_use: in_use,
            _lock: lock,
            // What can't be removed then is removed by the next process.
            _interrupt: interrupt::on_interrupt(move || {
                let _ = fs_err::remove_dir_all(interrupted);
            }),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new file for reading and writing, removed when it is dropped without
    /// being kept.
    pub(super) fn temp_file(&self) -> Result<TempFile> {
        let path = self
            .folder
            .join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        // So that none appears while an interrupt removes the folder.
        let _whole = interrupt::hold();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(PRIVATE_MODE)
            .open(&path)?;
        Ok(TempFile {
            file,
            path: Some(path),
            is_private: false,
        })
    }

    /// Writes a whole file by way of a temporary one.
    pub(super) fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut temp = self.temp_file()?;
        temp.file.write_all(bytes)?;
        temp.keep(path)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What can't be removed now is removed by the next process.
        let _ = fs_err::remove_dir_all(&self.folder);
    }
}

/// The process id only helps people who look; the counter makes the name new,
/// since ids of other name spaces may be the same.
fn unused_name(tmp: &Path) -> Result<PathBuf> {
    let pid = std::process::id();
    for n in 0_u32.. {
        let name = tmp.join(format!("{pid}-{n}"));
        if !name.try_exists().map_err(Error::from)? {
            return Ok(name);
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists).into())
}

pub(super) fn lock_file(path: &Path) -> Result<File> {
    Ok(OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?)
}

fn remove_if_dead(folder: &Path) -> Result<()> {
    let lock = match File::open(folder.join(LOCK_FILE)) {
        Ok(lock) => Some(lock),
        // Without a lock file its process died between making the two.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let alive = match lock.as_ref().map(|lock| lock.file().try_lock()) {
        None | Some(Ok(())) => false,
        Some(Err(std::fs::TryLockError::WouldBlock)) => true,
        Some(Err(std::fs::TryLockError::Error(error))) => return Err(error.into()),
    };
    if alive {
        return Ok(());
    }
    match fs_err::remove_dir_all(folder) {
        // A living process may be removing its own folder at the same time.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// A file in the temporary folder.
#[derive(Debug)]
pub(super) struct TempFile {
    pub(super) file: File,
    /// `None` once it is kept.
    path: Option<PathBuf>,
    /// For the store's owner alone.
    pub(super) is_private: bool,
}

impl TempFile {
    /// Syncs the file and gives it its final name, replacing what is there.
    pub(super) fn keep(mut self, to: &Path) -> Result<()> {
        if let Some(path) = &self.path {
            let mode = match self.is_private || is_private(to) {
                true => PRIVATE_MODE,
                false => FILE_MODE,
            };
            publish_as(mode, &self.file, path, to)?;
            self.path = None;
        }
        Ok(())
    }
}

/// Syncs a complete file and gives it its final name, replacing what is there.
pub(super) fn publish(file: &File, from: &Path, to: &Path) -> Result<()> {
    publish_as(FILE_MODE, file, from, to)
}

/// Whether a file is there and nobody but its owner may read it.
pub(super) fn is_private(path: &Path) -> bool {
    fs_err::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 == 0)
}

fn publish_as(mode: u32, file: &File, from: &Path, to: &Path) -> Result<()> {
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs_err::rename(from, to)?;
    // The new name is on the disk only when its folder is.
    if let Some(parent) = to.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // The session's end removes it otherwise.
            let _ = fs_err::remove_file(path);
        }
    }
}
