//! A layer as it lies in the store.

use serde::{Deserialize, Serialize};

use isoforge_base::digest::Digest;

use crate::Error;
use crate::store::{BlobWriter, Store};

/// How a layer's tar stream is compressed in its blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerCompression {
    /// Not at all.
    Plain,
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
}

/// A layer whose blob is in the store. The diffID of one that was pulled is what
/// its image claims, and is checked before the first use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest of the blob as stored and transferred.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// How the blob is compressed.
    pub compression: LayerCompression,
    /// Digest of the uncompressed tar stream (OCI image configuration,
    /// `rootfs.diff_ids`).
    pub diff_id: Digest,
}

impl Layer {
    /// A layer whose blob is its tar stream.
    #[must_use]
    pub fn plain(digest: Digest, size: u64) -> Self {
        Self {
            digest,
            size,
            compression: LayerCompression::Plain,
            diff_id: digest,
        }
    }

    /// The plain layer whose tar stream `write` writes, put into the store.
    ///
    /// # Errors
    /// What `write` gives, and the store.
    pub fn write<E: From<Error>>(
        store: &Store,
        write: impl FnOnce(&mut BlobWriter) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut blob = store.blob_writer()?;
        write(&mut blob)?;
        let (digest, size) = blob.commit(None)?;
        Ok(Self::plain(digest, size))
    }
}
