//! Content whose size is known before it is read.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use isoforge_base::digest::Digest;
use isoforge_base::error::Failure;
use isoforge_base::tree::{FileData, ReadFile};
use isoforge_oci::store::CheckedBlob;

/// Bytes for a file on the ISO, wherever they are.
#[derive(Clone)]
pub enum Payload<'a> {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// A file of the root file system's tree.
    Tree {
        /// Which.
        data: FileData,
        /// Gives its bytes.
        files: &'a dyn ReadFile,
    },
    /// A local file, such as a blob of the store.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its size in bytes; other sizes are an error when it is read.
        size: u64,
        /// Its digest, held to when it is read.
        digest: Digest,
    },
}

impl std::fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Bytes(_) => "Bytes",
            Self::Tree { .. } => "Tree",
            Self::File { .. } => "File",
        };
        f.debug_struct(kind)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl Payload<'_> {
    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Tree { data, .. } => data.size(),
            Self::File { size, .. } => *size,
        }
    }

    /// A reader over all bytes.
    ///
    /// # Errors
    /// Where the bytes can't be had.
    pub fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Bytes(bytes) => Ok(Box::new(bytes.as_ref())),
            Self::Tree { data, files } => files.open(data),
            Self::File { path, size, digest } => {
                let file = CheckedBlob::open(path, digest, *size).map_err(Failure::from)?;
                Ok(Box::new(file))
            }
        }
    }
}
