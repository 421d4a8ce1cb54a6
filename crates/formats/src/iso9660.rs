//! ISO 9660 images: a writer with known positions, and a reader of its own.
//!
//! Specifications: ECMA-119 2nd edition (ISO 9660:1988) at interchange level 3;
//! System Use Sharing Protocol (IEEE P1281) 1.12; Rock Ridge Interchange
//! Protocol (IEEE P1282) 1.12; Joliet Specification 1.0 (Microsoft, 1995); El
//! Torito Bootable CD-ROM Format Specification 1.0 with the UEFI use of it
//! (UEFI 2.10, section 13.3.2.1).
//!
//! Scope: one session, 2,048-byte blocks, both a Rock Ridge and a Joliet tree
//! over the same file data, files of any size as several extents, symbolic
//! links, boot entries without emulation.
//!
//! Non-goals: multi-session, interleaving, extended attribute records, devices,
//! Zisofs, Apple extensions, UDF.
//!
//! Two limits of ECMA-119 6.8.2.1 are passed on purpose, as `xorriso` does by
//! default: a hierarchy may be deeper than eight levels (no relocated
//! directories, so no CL, PL or RE entries) and a path longer than 255 bytes.
//! Linux, GRUB and `xorriso` read such trees; the depth is limited by
//! [`MAX_DEPTH`] instead.
//!
//! Invariants:
//! - [`Layout`](layout::Layout) is a pure function of names, kinds, sizes and
//!   options. File contents don't move anything, so a large file can be written
//!   to its final place before the content of the small ones is known.
//! - File data lies in the order in which files were added to the
//!   [`IsoTree`](tree::IsoTree).
//! - Every directory record of a file in several extents carries the complete
//!   system use area: Linux takes the attributes of whichever it meets.
//! - Nothing depends on a clock, a locale or the machine: one epoch is the time
//!   of everything.

pub mod dump;
pub mod layout;
mod names;
mod plan;
pub mod read;
mod records;
pub mod tree;
pub mod write;

use isoforge_base::error::Class;
use isoforge_base::tree as base_tree;

use crate::Error;
use tree::FileId;

/// Bytes in a logical block (and sector) of the image.
pub const BLOCK_BYTES: u64 = 2048;

/// Number of a logical block, counted from the image's beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block(pub u32);

impl Block {
    /// Its first byte, counted from the image's beginning.
    #[must_use]
    pub fn offset(self) -> u64 {
        u64::from(self.0) * BLOCK_BYTES
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Blocks before the first volume descriptor; boot code and partition tables
/// live there.
pub const SYSTEM_AREA_BLOCKS: u32 = 16;

/// Directory levels that the writer accepts, the root being level 1.
pub const MAX_DEPTH: usize = 64;

/// Bytes in one name. Rock Ridge has no limit, but Linux cuts off, without a
/// word, names that are longer than this.
pub const MAX_NAME_BYTES: usize = 253;

/// Bytes in a symbolic link's target, as Linux limits it.
pub const MAX_TARGET_BYTES: usize = 4095;

/// Directories in one tree: the path table numbers parents with 16 bits.
pub const MAX_DIRECTORIES: usize = 65_535;

/// A path that no tree can hold, as `source` says.
fn unusable_path(path: &str, source: base_tree::Error) -> Error {
    Error::unfit(format!("cannot put '{path}' on the ISO")).because(source)
}

/// Something is at the path already.
fn exists(path: &str) -> Error {
    Error::unfit(format!("'{path}' is on the ISO already"))
        .with_hint("two inputs give the same path; leave it out of one of them")
}

/// A name, link target or tree that the format can't express: `what` counts in
/// plural, `path` is empty for the whole image.
fn too_large(path: &str, what: &str, value: u64, limit: u64) -> Error {
    Error::unfit(format!(
        "'{path}' on the ISO: {what} of {value} is over the limit of {limit}"
    ))
    .with_hint("leave it out of the overlay or shorten it")
}

/// A file was given more or fewer bytes than were announced or kept for it.
fn wrong_length(path: &str, expected: u64, actual: u64) -> Error {
    Error::damaged(format!(
        "'{path}' on the ISO: {expected} bytes were announced, but its data has {actual}"
    ))
}

/// A file of the tree does not exist; ids come from another tree.
fn unknown_file(file: FileId) -> Error {
    let number = file.0;
    Error::new(
        Class::Bug,
        format!("file number {number} is not part of this ISO"),
    )
}

#[cfg(test)]
mod tests;
