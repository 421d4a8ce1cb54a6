//! A layer as it lies in the store.

use serde::{Deserialize, Serialize};

use isoforge_base::digest::Digest;

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
