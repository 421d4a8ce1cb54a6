//! Removing: the only way in which something leaves the store.

use std::io;
use std::path::Path;

use super::contents::{Entry, EntryKind};
use super::in_use::Access;
use super::{Result, Store};

/// The store, open to this process alone. While it lives nobody else has the
/// store open, so what it removes is nobody's input.
#[derive(Debug)]
pub struct Collector {
    store: Store,
}

impl Collector {
    /// Opens the store at `root` once all other processes have closed it;
    /// `waiting` is called where there are any. What dead processes left is
    /// removed by opening.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(root: &Path, waiting: impl FnOnce()) -> Result<Self> {
        Ok(Self {
            store: Store::open_as(root, Access::Alone, waiting)?,
        })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Removes a file of the store; one that is gone already is no error.
    /// Strangers stay, since nobody knows whose they are.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub fn remove(&self, entry: &Entry) -> Result<()> {
        if entry.kind == EntryKind::Stranger {
            return Ok(());
        }
        match fs_err::remove_file(&entry.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}
