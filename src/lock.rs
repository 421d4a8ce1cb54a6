//! The lock file: every input of a profile by digest.
//!
//! Format: TOML 1.0, documented in `docs/lock.md`. [`VERSION`] counts
//! incompatible changes, [`REVISION`] compatible additions to a version. The
//! text is made to be read in a review: sorted, one entry for each input, the
//! same bytes for the same inputs, with a line feed at its end.
//!
//! This module is the model, its text, the comparison of two locks and the place
//! of the file. What a profile's inputs are is found out by `build`.
//!
//! Invariants:
//! - A reference to an image stands here as the profile writes it, never with
//!   the digest that was found for it: names in outputs are the same with a lock
//!   and without.
//! - [`Lock::inputs`] is the digest of all [`Input`]s and [`Flags`]; a lock
//!   whose own value differs was edited by hand.

mod blobs;
mod compare;
mod locate;
mod model;
mod read;

pub use blobs::{BlobKind, LockedBlob};
pub use compare::{Change, Drift, compare, compare_project, refuse};
pub use locate::{FILE_NAME, locate};
pub use model::{
    Archive, Bootstrap, Chart, Component, CoreImage, CoreTarget, File, Flags, Image, Input,
    InputKind, Lock, Package, Release, Time,
};
pub use read::{missing, parse, read, read_if_there};

/// Incompatible versions of the format: what this program reads and writes.
pub const VERSION: u32 = 1;

/// Compatible additions to [`VERSION`] that this program knows.
pub const REVISION: u32 = 0;

/// Largest lock file that is read, in bytes; one with a thousand images and
/// packages has a tenth of it.
pub const MAX_LOCK_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests;
