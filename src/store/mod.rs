//! Blobs, slabs and facts on disk, shared by all builds of a user.
//!
//! ```text
//! <root>/
//!   store.json                       the store's version
//!   v1/
//!     lock                           held while a process opens the store
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
//! - Several processes may use a store at once. Two that write the same blob
//!   rename the same bytes over each other.
//! - What a dead process left in `tmp` is removed by the next that opens the
//!   store; its lock file, no longer held, shows that it is dead.
//! - Files have mode 0644 and folders 0755 whatever the umask; the root folder
//!   takes the umask, so privacy is decided there.

mod blob;
mod error;
mod facts;
mod layout;
mod partial;
mod session;
mod slab;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use blob::BlobWriter;
pub use error::Error;
pub use partial::Incoming;
pub use slab::SlabWriter;

use session::Session;

/// Version of the layout below the root; a store of another version lies in
/// another folder.
pub const VERSION: u32 = 1;

const VERSION_FILE: &str = "store.json";
const FILE_MODE: u32 = 0o644;
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
    /// [`Error::Version`] where the store was written by a newer isoforge,
    /// [`Error::Io`] where it can't be read or written.
    pub fn open(root: &Path) -> Result<Self> {
        fs_err::create_dir_all(root)?;
        check_version(root)?;
        let base = root.join(format!("v{VERSION}"));
        for folder in [
            "",
            "blobs",
            "blobs/sha256",
            "slabs",
            "facts",
            "partial",
            "tmp",
        ] {
            make_folder(&base.join(folder))?;
        }
        let session = Session::begin(&base)?;
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
        .map_err(|_| Error::NoStore { path: path.clone() })?
        .version;
    if found > VERSION {
        return Err(Error::Version { path, found });
    }
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
