//! Places for slabs. What is in them is the business of who writes them.

use std::path::{Path, PathBuf};

use fs_err::File;

use super::facts::file_name;
use super::session::TempFile;
use super::{Result, Store, last_use};

impl Store {
    /// Where the slab of this key is, or would be.
    #[must_use]
    pub fn slab_path(&self, key: &str) -> PathBuf {
        self.base.join("slabs").join(file_name(key))
    }

    /// The slab of this key, where it is there; asking counts as a use.
    #[must_use]
    pub fn slab(&self, key: &str) -> Option<PathBuf> {
        let path = self.slab_path(key);
        let metadata = fs_err::metadata(&path).ok()?;
        last_use::record(&path, &metadata);
        Some(path)
    }

    /// Starts a slab.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub fn slab_writer(&self, key: &str) -> Result<SlabWriter> {
        Ok(SlabWriter {
            path: self.slab_path(key),
            _store: self.clone(),
            temp: self.session.temp_file()?,
        })
    }
}

/// A slab being written. Dropped without [`commit`](Self::commit) it leaves
/// nothing.
#[derive(Debug)]
pub struct SlabWriter {
    path: PathBuf,
    /// Keeps the temporary folder.
    _store: Store,
    temp: TempFile,
}

impl SlabWriter {
    /// Says whether nobody but the store's owner may read it.
    pub fn set_private(&mut self, is_private: bool) {
        self.temp.is_private = is_private;
    }

    /// The file, open for reading and writing, empty at first.
    pub fn file(&mut self) -> &mut File {
        &mut self.temp.file
    }

    /// Where the file is until then.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.temp.file.path()
    }

    /// Puts the slab in its place and gives its path.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub fn commit(self) -> Result<PathBuf> {
        self.temp.keep(&self.path)?;
        Ok(self.path)
    }
}
