//! What one archive may cost.

use std::fmt;

use serde::{Deserialize, Serialize};

const GIB: u64 = 1024 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;

/// Upper bounds for one archive, most often a layer. The defaults fit every image that we know of
/// with room to spare; a profile may set others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of one path or link target.
    pub path_length: u64,
    /// Bytes of the uncompressed archive; also the bytes of all its files with
    /// the holes of sparse files counted.
    pub layer_bytes: u64,
    /// Uncompressed bytes for each compressed byte.
    pub inflation_ratio: u64,
    /// Uncompressed bytes below which the ratio is not looked at: short inputs
    /// may be arbitrarily redundant.
    pub inflation_floor_bytes: u64,
    /// Bytes of names and values of one entry's extended attributes.
    pub xattr_bytes: u64,
    /// Bytes of one extended header (PAX records, GNU long name).
    pub extended_header_bytes: u64,
    /// Bytes of all paths, link targets and extended attributes together: what
    /// the layer takes in memory.
    pub metadata_bytes: u64,
    /// Segments of one sparse file.
    pub sparse_segments: u64,
}

impl Limits {
    /// Used where the profile sets nothing else.
    pub const DEFAULT: Self = Self {
        entries: 2_000_000,
        path_length: 4096,
        layer_bytes: 64 * GIB,
        inflation_ratio: 200,
        inflation_floor_bytes: 64 * MIB,
        xattr_bytes: 256 * 1024,
        extended_header_bytes: MIB,
        metadata_bytes: 512 * MIB,
        sparse_segments: 1_000_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Names a field of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::entries`]
    Entries,
    /// [`Limits::path_length`]
    PathLength,
    /// [`Limits::layer_bytes`]
    LayerBytes,
    /// [`Limits::inflation_ratio`]
    InflationRatio,
    /// [`Limits::xattr_bytes`]
    XattrBytes,
    /// [`Limits::extended_header_bytes`]
    ExtendedHeaderBytes,
    /// [`Limits::metadata_bytes`]
    MetadataBytes,
    /// [`Limits::sparse_segments`]
    SparseSegments,
}

impl Limit {
    /// The name of the field, as settings write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::PathLength => "path_length",
            Self::LayerBytes => "layer_bytes",
            Self::InflationRatio => "ratio",
            Self::XattrBytes => "xattr_bytes",
            Self::ExtendedHeaderBytes => "extended_header_bytes",
            Self::MetadataBytes => "metadata_bytes",
            Self::SparseSegments => "sparse_segments",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entries => "entries",
            Self::PathLength => "bytes in a path",
            Self::LayerBytes => "uncompressed bytes",
            Self::InflationRatio => "uncompressed bytes for each compressed one",
            Self::XattrBytes => "bytes of extended attributes on one entry",
            Self::ExtendedHeaderBytes => "bytes in an extended header",
            Self::MetadataBytes => "bytes of metadata",
            Self::SparseSegments => "segments in a sparse file",
        })
    }
}
