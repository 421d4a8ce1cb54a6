//! Labels and annotations of a provider image.
//!
//! `org.opencontainers.image.*` as OCI Image Specification v1.1, "Annotations",
//! "Pre-Defined Annotation Keys" defines them; `io.isoforge.*` are our own: an
//! installed machine that upgrades to the image makes the SquashFS of its tree
//! anew and compares it with what the build recorded.

/// Digest of the SquashFS that the image's tree gives.
pub const SQUASHFS_DIGEST: &str = "io.isoforge.squashfs.digest";
/// Its size in bytes.
pub const SQUASHFS_SIZE: &str = "io.isoforge.squashfs.size";
/// Its compression, as `output.compression` has it.
pub const SQUASHFS_COMPRESSION: &str = "io.isoforge.squashfs.compression";
/// Its block size in bytes.
pub const SQUASHFS_BLOCK_SIZE: &str = "io.isoforge.squashfs.block-size";
/// Its creation time in seconds since 1970-01-01 UTC.
pub const SQUASHFS_EPOCH: &str = "io.isoforge.squashfs.epoch";
