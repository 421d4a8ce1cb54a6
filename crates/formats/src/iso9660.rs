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

use isoforge_base::error::{Class, Diagnose};

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

/// Why an image can't be laid out or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path that no tree can hold.
    #[error("cannot put '{path}' on the ISO")]
    Path {
        /// The path, lossily decoded.
        path: String,
        /// What is wrong with it.
        source: isoforge_base::tree::Error,
    },
    /// Something is there already.
    #[error("'{path}' is on the ISO already")]
    Exists {
        /// The path, lossily decoded.
        path: String,
    },
    /// A name, link target or tree that the format can't express.
    #[error("'{path}' on the ISO: {what} of {value} is over the limit of {limit}")]
    TooLarge {
        /// The path, lossily decoded; empty for the whole image.
        path: String,
        /// What is counted, in plural.
        what: &'static str,
        /// How many there are.
        value: u64,
        /// How many there may be.
        limit: u64,
    },
    /// A volume id that ECMA-119 does not allow.
    #[error("'{id}' is no volume id: at most 32 of A-Z, 0-9 and '_'")]
    VolumeId {
        /// The id.
        id: String,
    },
    /// A file was given more or fewer bytes than were announced.
    #[error("'{path}' on the ISO: {expected} bytes were announced, but its data has {actual}")]
    Length {
        /// The path, lossily decoded.
        path: String,
        /// Announced size, or the reserved room, in bytes.
        expected: u64,
        /// Bytes that came.
        actual: u64,
    },
    /// A file of the tree does not exist; ids come from another tree.
    #[error("file number {file} is not part of this ISO")]
    UnknownFile {
        /// The number.
        file: u32,
    },
    /// The time is outside what the format's dates can hold.
    #[error("the time {epoch} can't be written into the ISO")]
    Time {
        /// Seconds since 1970-01-01 UTC.
        epoch: u32,
        /// What the calendar says.
        source: jiff::Error,
    },
    /// Reading content or writing the image failed.
    #[error("writing '{path}' of the ISO")]
    Io {
        /// The path on the ISO, lossily decoded, or the part of it.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Path { .. }
            | Self::Exists { .. }
            | Self::TooLarge { .. }
            | Self::VolumeId { .. }
            | Self::Time { .. } => Class::Profile,
            Self::Length { .. } => Class::Verification,
            Self::UnknownFile { .. } => Class::Bug,
            Self::Io { .. } => Class::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { .. } => {
                Some("two inputs give the same path; leave it out of one of them".to_owned())
            }
            Self::TooLarge { .. } => Some("leave it out of the overlay or shorten it".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
