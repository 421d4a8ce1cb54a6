//! SquashFS 4.0: a compressed, read-only file system.
//!
//! **Specification.** Linux `fs/squashfs/squashfs_fs.h` and
//! `Documentation/filesystems/squashfs.rst`; where these are silent, what the
//! kernel's driver checks when it mounts.
//!
//! **Scope.** Writing and reading version 4.0 with zlib, xz and Zstandard,
//! block sizes from 4 KiB to 1 MiB, fragments, holes, duplicate files stored
//! once, hard links, all inode types in basic and extended form, extended
//! attributes of the namespaces `user`, `trusted` and `security`, directory
//! indexes, the export table.
//!
//! **Non-goals.** Versions before 4.0; lzma, lzo and lz4; xz's branch filters;
//! appending to an image. Extended attributes of other namespaces (POSIX ACLs
//! among them) have no place in the format: they are left out and counted in
//! the [`Report`](write::Report).
//!
//! **The parts.** [`pack`] cuts file data in blocks and compresses it once, so
//! that the result can be kept; [`mod@write`] plans an image over packed data, of
//! which it copies only what the tree still uses, and streams it; [`read`]
//! reads images of any origin and shares with the writer nothing but [`layout`]
//! and the [decompressors](compress); [`dump`] shows every field.
//!
//! **Invariants.**
//! - The bytes of an image depend on the tree, the packed data, the settings
//!   and the time that is given, never on threads, host or clock.
//! - An image's size is known before its first byte is written, and it is
//!   written in order, without seeking.
//! - Directories are sorted by name in byte order; the tables lie in the order
//!   inodes, directories, fragments, export, ids, extended attributes, each
//!   directly after the one before, as the kernel checks.
//! - The reader never panics and never holds more than its limits say, whatever
//!   the bytes.

pub mod compress;
pub mod dump;
pub mod layout;
pub mod pack;
pub mod read;
mod settings;
pub mod write;

pub use settings::{Compressor, Settings};

use crate::Error;
use isoforge_base::error::Class;

fn compressing(source: std::io::Error) -> Error {
    Error::new(Class::Bug, "compressing failed").because(source)
}

#[cfg(test)]
mod tests;
