//! OCI image layers: decompress, parse, merge.
//!
//! Specification: OCI Image Specification v1.1, "Image Layer Filesystem
//! Changeset"; POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax
//! Interchange Format"; the GNU tar manual, "Basic Tar Format" and "Storing
//! Sparse Files".
//!
//! Scope: [`decompress`] turns a blob into its tar stream, [`read_tar`] a tar
//! stream into [`Entry`] values while the files' data goes to a
//! [`FileSink`], [`apply`] merges entries into a [`Tree`](isoforge_base::tree::Tree).
//!
//! Non-goals: multi-volume archives and incremental dumps (refused), POSIX ACLs
//! in text form (`SCHILY.acl.*`, ignored: SquashFS cannot hold them), access and
//! change times (ignored).
//!
//! Invariants:
//! - Nothing is unpacked, so nothing can be written outside the root. Paths
//!   with `..` are refused all the same: no honest writer makes them.
//! - Where two tar readers could see different archives in the same bytes, the
//!   archive is refused: a PAX size that disagrees with the header's, a hard
//!   link that claims data, a lone zero block followed by more, a global
//!   header that changes entries.
//! - What follows the two zero blocks at the end is read to its end (it counts
//!   for the diffID and the limits) and otherwise ignored, as container
//!   runtimes do. An archive that ends without them, but between two entries,
//!   is accepted, as they do.
//! - Every amount that the archive states is held to a [`Limits`] field before
//!   memory is set aside for it.

mod apply;
mod decompress;
mod error;
pub(super) mod header;
mod limits;
pub(super) mod pax;
mod read;
mod source;
mod sparse;

pub use apply::apply;
pub use decompress::decompress;
pub use error::{Error, InLayer};
pub use limits::{Limit, Limits};
pub use read::read_tar;

pub use super::entry::{Entry, EntryKind, FileSink};

/// Prefix of a whiteout's file name.
pub(super) const WHITEOUT_PREFIX: &[u8] = b".wh.";

#[cfg(test)]
pub(super) mod tests;
