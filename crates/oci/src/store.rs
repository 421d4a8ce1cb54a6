//! Blobs, slabs and facts on disk, shared by all builds of a user.
//!
//! ```text
//! <root>/
//!   store.json                       the store's version
//!   v1/
//!     lock                           held while a process opens the store
//!     in-use                         held while a process has it open
//!     blobs/sha256/<2 hex>/<hex>     blobs by digest
//!     slabs/<key>                    layers, compressed for SquashFS
//!     facts/<kind>/<key>.json        small things found out once
//!     partial/<hex>                  blobs under way, kept across runs
//!     tmp/<n>-<n>/                   files being written, one folder per process
//!       lock                         held while the process lives
//! ```
//!
//! Invariants:
//! - A file outside `tmp` and `partial` is complete: it was written there, synced
//!   and renamed. A blob's digest held when it was renamed.
//! - That a digest held says nothing of now. What makes something of a blob's bytes
//!   hashes them once more: [`Store::read_blob`], [`Store::open_checked`], and
//!   [`Checking`](crate::pull::diff_id::Checking) for layers.
//! - Such a file never changes, so its modification time is free to say when it
//!   was last used; that is exact to a day and part of no output.
//! - Nothing is removed but by a [`Collector`], which has the store alone: every
//!   open store shares the lock `in-use`, a collector takes it for itself. So
//!   what a process has found in the store stays there until it closes it.
//! - Everything can be had again: a blob from where it came from, a slab from
//!   its layer, a fact by finding out. So losing a file costs time, never a
//!   result; only what its origin no longer offers is lost, which is why
//!   collecting spares what locks name.
//! - A fact is believed because this store's own processes found it out. Neither
//!   facts nor slabs come from outside, only blobs do, which are checked. So a store
//!   that another account can write is refused.
//! - Several processes may use a store at once. Two that write the same blob
//!   rename the same bytes over each other.
//! - What a dead process left in `tmp` is removed by the next that opens the
//!   store; its lock file, no longer held, shows that it is dead.
//! - Files have mode 0644 and folders 0755 whatever the umask; the root folder
//!   takes the umask, so privacy is decided there; nobody else may write it.

mod blob;
mod checked;
mod collector;
mod contents;
mod facts;
mod in_use;
mod last_use;
mod layout;
mod owner;
mod partial;
mod session;
mod slab;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;
use isoforge_base::error::Class;

pub use blob::BlobWriter;
pub use checked::CheckedBlob;
pub use collector::Collector;
pub use contents::{Entry, EntryKind};
pub use facts::ORIGIN_FACT;
pub use layout::tar_header;
pub use partial::Incoming;
pub use slab::SlabWriter;

use in_use::Access;
use session::Session;

/// Version of the layout below the root; a store of another version lies in
/// another folder.
pub const VERSION: u32 = 1;

/// Below the version's folder, which is the first of them.
const FOLDERS: [&str; 7] = [
    "",
    "blobs",
    "blobs/sha256",
    "slabs",
    "facts",
    "partial",
    "tmp",
];

const VERSION_FILE: &str = "store.json";
const FILE_MODE: u32 = 0o644;
/// Of what holds secrets: for the store's owner alone.
const PRIVATE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o755;

/// Result of this module's functions.
pub type Result<T> = std::result::Result<T, Error>;

#[derive(Serialize, Deserialize)]
struct VersionDocument {
    version: u32,
}

/// An open store; cheap to clone. Its temporary folder goes with the last
/// clone.
#[derive(Debug, Clone)]
pub struct Store {
    session: Arc<Session>,
    base: PathBuf,
}

impl Store {
    /// Opens the store at `root`, which is made where it is missing, and removes
    /// what dead processes left.
    ///
    /// # Errors
    /// An error where the store was written by a newer isoforge,
    /// [`Error::Store`] where it can't be read or written.
    pub fn open(root: &Path) -> Result<Self> {
        Self::open_noting(root, || {})
    }

    /// Like [`open`](Self::open); `waiting` is called where another process is
    /// removing from the store, which has to end first.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_noting(root: &Path, waiting: impl FnOnce()) -> Result<Self> {
        Self::open_as(root, Access::Shared, waiting)
    }

    fn open_as(root: &Path, access: Access, waiting: impl FnOnce()) -> Result<Self> {
        make_root(root)?;
        check_version(root)?;
        let base = root.join(format!("v{VERSION}"));
        for folder in FOLDERS {
            make_folder(&base.join(folder))?;
        }
        owner::check(root, &base)?;
        // Before the lock under which stores are opened, so that a collector
        // that waits keeps nobody else from opening.
        let in_use = in_use::lock(&base, access, waiting)?;
        let session = Session::begin(&base, in_use)?;
        let store = Self {
            session: Arc::new(session),
            base,
        };
        store.write_version(root)?;
        Ok(store)
    }

    /// A folder of this process in the store's file system, for intermediate
    /// files; it is removed with the store's last handle.
    #[must_use]
    pub fn temp_dir(&self) -> &Path {
        self.session.folder()
    }

    fn write_version(&self, root: &Path) -> Result<()> {
        let path = root.join(VERSION_FILE);
        if path.try_exists().map_err(Error::from)? {
            return Ok(());
        }
        let document = serde_json::to_vec(&VersionDocument { version: VERSION });
        let bytes = document.map_err(std::io::Error::from)?;
        self.session.write_file(&path, &bytes)
    }
}

fn check_version(root: &Path) -> Result<()> {
    let path = root.join(VERSION_FILE);
    let text = match fs_err::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let found = serde_json::from_slice::<VersionDocument>(&text)
        .map_err(|_| {
            let problem = format!("{} does not give the version of a store", path.display());
            Error::new(Class::Environment, problem)
                .with_hint("choose an empty or new folder for the store")
        })?
        .version;
    if found > VERSION {
        let problem = format!(
            "{} is of version {found}, this isoforge knows versions up to {VERSION}",
            path.display()
        );
        return Err(Error::new(Class::Environment, problem)
            .with_hint("use the newer isoforge, or a store in another place"));
    }
    Ok(())
}

/// Makes the store's own folder where it is missing, with the umask's mode, but never so
/// that others can write it.
fn make_root(root: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if root.try_exists()? {
        return Ok(());
    }
    fs_err::create_dir_all(root)?;
    let mode = fs_err::metadata(root)?.permissions().mode() & FOLDER_MODE;
    fs_err::set_permissions(root, std::fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Makes a folder, its parent being there, with [`FOLDER_MODE`]; one that is
/// there keeps its mode.
fn make_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match fs_err::create_dir(path) {
        Ok(()) => {
            let mode = std::fs::Permissions::from_mode(FOLDER_MODE);
            fs_err::set_permissions(path, mode)?;
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
