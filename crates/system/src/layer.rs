//! OCI image layers: decompress, parse, merge.
//!
//! Specification: OCI Image Specification v1.1, "Image Layer Filesystem
//! Changeset".
//!
//! [`decompress`] turns a blob into its tar stream, [`read_tar`] a tar stream
//! into [`Entry`] values while the files' data goes to a [`FileSink`], [`apply`]
//! merges entries into a [`Tree`](isoforge_base::tree::Tree). What an archive may
//! be is decided in [`isoforge_formats::tar`].
//!
//! Invariant: nothing is unpacked, so nothing can be written outside the root.

mod apply;
mod decompress;
mod read;
mod stored;

pub use apply::apply;
pub use decompress::{bounds, decompress};
pub use read::read_tar;
pub use stored::read_layer;

pub use super::entry::{Entry, EntryKind, FileSink};

/// Prefix of a whiteout's file name.
pub(super) const WHITEOUT_PREFIX: &[u8] = b".wh.";

#[cfg(test)]
pub(super) mod tests;
