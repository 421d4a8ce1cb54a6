//! Writing STATE. Every change of it goes through here, so that the order of
//! writes can be read, and tested, in one place.
//!
//! GRUB reads STATE without its journal: [`State::settle`] brings everything to
//! its place before the environment block names it.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use isoforge_base::process::Program;
use rustix::mount::{MountFlags, mount_remount};

use crate::files;
use isoforge_system::slots::grubenv::Environment;
use isoforge_system::slots::{Record, Slot, file};

use super::machine::small;

/// Ignores signals while the file system is frozen, so that it is thawed.
const FREEZE: &str = "trap '' HUP INT TERM; fsfreeze --freeze \"$1\" && fsfreeze --unfreeze \"$1\"";

/// A change of STATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// The file system becomes writable.
    Writable,
    /// A folder and all in it go.
    Remove(PathBuf),
    /// A folder is made, and filled by somebody.
    Make(PathBuf),
    /// A file is written.
    Write(PathBuf),
    /// All files of a folder are synced.
    Sync(PathBuf),
    /// A name changes.
    Rename(PathBuf, PathBuf),
    /// All that was written reaches its place.
    Settle,
    /// The environment block is overwritten.
    Environment(Environment),
    /// The file system is read-only again.
    ReadOnly,
}

/// What only a mounted file system can do.
pub trait Volume {
    /// Called before each change; an error ends the work there.
    fn before(&mut self, _operation: &Operation) -> io::Result<()> {
        Ok(())
    }

    /// Mounts the file system anew, writable or not.
    fn remount(&mut self, writable: bool) -> Result<()>;

    /// Brings everything to its place on the disk, the journal being empty then.
    fn settle(&mut self) -> Result<()>;
}

/// A mounted ext4.
#[derive(Debug)]
pub struct Mounted(pub PathBuf);

impl Volume for Mounted {
    fn remount(&mut self, writable: bool) -> Result<()> {
        let flags = if writable {
            MountFlags::empty()
        } else {
            MountFlags::RDONLY
        };
        mount_remount(&self.0, flags, c"")
            .with_context(|| format!("{} can't be mounted anew", self.0.display()))
    }

    fn settle(&mut self) -> Result<()> {
        let root = fs_err::File::open(&self.0)?;
        rustix::fs::syncfs(root.file())?;
        Program::new("sh", "dash")
            .args(["-c", FREEZE, "sh"])
            .arg(&self.0)
            .output(4096)?;
        Ok(())
    }
}

/// STATE, as far as it is written by a running system.
#[expect(missing_debug_implementations, reason = "a volume has none")]
pub struct State<'a> {
    root: PathBuf,
    volume: &'a mut dyn Volume,
    writable: bool,
}

/// The environment block of the STATE at `root`.
pub fn environment(root: &Path) -> Result<Environment> {
    let path = root.join(isoforge_contract::disk::GRUBENV);
    let bytes = small(&path)?;
    Environment::parse(&bytes).map_err(|error| {
        let path = path.display();
        anyhow!("{path} is no environment block of GRUB's: {error}")
    })
}

/// What is in a slot; none where it is empty, or its record is not readable.
#[must_use]
pub fn record(root: &Path, slot: Slot) -> Option<Record> {
    let bytes = small(&root.join(slot.folder()).join(file::RECORD)).ok()?;
    Record::parse(&bytes).ok()
}

impl<'a> State<'a> {
    /// The STATE at `root`.
    pub fn new(root: &Path, volume: &'a mut dyn Volume) -> Self {
        Self {
            root: root.to_owned(),
            volume,
            writable: false,
        }
    }

    /// A path within it.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    fn before(&mut self, operation: &Operation) -> Result<()> {
        Ok(self.volume.before(operation)?)
    }

    /// Makes it writable; dropping makes it read-only again.
    pub fn begin(&mut self) -> Result<()> {
        self.before(&Operation::Writable)?;
        self.volume.remount(true)?;
        self.writable = true;
        Ok(())
    }

    /// Removes a folder, where it is there.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        let path = self.path(name);
        if fs_err::symlink_metadata(&path).is_ok() {
            self.before(&Operation::Remove(name.into()))?;
            fs_err::remove_dir_all(&path)?;
            sync_folder(path.parent())?;
        }
        Ok(())
    }

    /// Makes an empty folder.
    pub fn make(&mut self, name: &str) -> Result<PathBuf> {
        self.before(&Operation::Make(name.into()))?;
        let path = self.path(name);
        fs_err::create_dir_all(&path)?;
        fs_err::set_permissions(&path, Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// Writes a file of root's alone whole, under a name of its own first.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.before(&Operation::Write(name.into()))?;
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap_or(&self.root))?;
        Ok(files::write(&path, bytes, 0o600)?)
    }

    /// Syncs the files of a folder, and the folder.
    pub fn sync(&mut self, name: &str) -> Result<()> {
        self.before(&Operation::Sync(name.into()))?;
        let path = self.path(name);
        for entry in fs_err::read_dir(&path)? {
            fs_err::File::open(entry?.path())?.sync_all()?;
        }
        sync_folder(Some(&path))
    }

    /// Renames; nothing may be at `to`.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        self.before(&Operation::Rename(from.into(), to.into()))?;
        let to = self.path(to);
        fs_err::rename(self.path(from), &to)?;
        sync_folder(to.parent())
    }

    /// Brings all that was written to its place.
    pub fn settle(&mut self) -> Result<()> {
        self.before(&Operation::Settle)?;
        self.volume.settle()
    }

    /// Overwrites the environment block where it lies. What it names has to be
    /// settled before.
    pub fn set_environment(&mut self, environment: &Environment) -> Result<()> {
        self.before(&Operation::Environment(environment.clone()))?;
        let file = OpenOptions::new()
            .write(true)
            .open(self.path(isoforge_contract::disk::GRUBENV))?;
        file.write_all_at(&environment.to_bytes(), 0)?;
        file.sync_all()?;
        self.settle()
    }

    /// Makes it read-only again.
    pub fn end(&mut self) -> Result<()> {
        self.before(&Operation::ReadOnly)?;
        self.writable = false;
        self.volume.remount(false)
    }
}

impl Drop for State<'_> {
    fn drop(&mut self) {
        if self.writable {
            // Something failed before, which is told.
            let _ = self.volume.remount(false);
        }
    }
}

fn sync_folder(folder: Option<&Path>) -> Result<()> {
    Ok(folder.map_or(Ok(()), files::sync_directory)?)
}

/// Changes the environment block alone.
///
/// # Errors
/// As [`State::set_environment`].
pub fn set_environment(
    root: &Path,
    volume: &mut dyn Volume,
    environment: &Environment,
) -> Result<()> {
    let mut state = State::new(root, volume);
    state.begin()?;
    state.set_environment(environment)?;
    state.end()
}
