//! Reads ISO 9660 images that anybody made: volume descriptors, either tree,
//! file data, the El Torito boot catalog.
//!
//! It shares no code with the writer, so each can judge the other. Input is not
//! trusted: everything has a limit ([`Limits`]), positions are checked against
//! the image's size, and nothing panics.
//!
//! Non-goals: interleaved files, extended attribute records (skipped),
//! relocated directories (shown where they were put).

mod file;
mod image;
mod record;
mod rock;

use std::io;

pub use file::FileReader;
pub use image::Image;
pub use record::{BootEntry, Entry, EntryKind, Section};

use super::Block;
use crate::Error;
use isoforge_base::limit;

/// Bytes of a block, as [`BLOCK_BYTES`](super::BLOCK_BYTES).
const BLOCK: usize = 2048;
const DESCRIPTOR_START: u64 = 16;

/// How much of an image is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Volume descriptors.
    pub descriptors: u64,
    /// Entries of a tree.
    pub entries: usize,
    /// Bytes of the paths and link targets of a tree.
    pub name_bytes: u64,
    /// Bytes of all directories of a tree, continuation areas included.
    pub directory_bytes: u64,
    /// Directory levels.
    pub depth: usize,
    /// Extents of one file.
    pub sections: usize,
    /// Continuation areas of one directory record.
    pub continuations: usize,
    /// Entries of the boot catalog.
    pub boot_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            descriptors: 64,
            entries: 200_000,
            name_bytes: limit::LISTING_NAME_BYTES,
            directory_bytes: 64 << 20,
            depth: 256,
            sections: 4096,
            continuations: 64,
            boot_entries: 64,
        }
    }
}

/// A structure contradicts the specification or the image's size.
fn damaged(offset: u64, what: &str) -> Error {
    Error::damaged(format!("the ISO image is damaged at byte {offset}: {what}"))
}

/// More of something than [`Limits`] allow.
fn over(limit: u64, what: &str) -> Error {
    Error::damaged(format!("the ISO image has more than {limit} {what}"))
}

fn reading(source: io::Error) -> Error {
    const DOING: &str = "reading the ISO image";
    match source.kind() {
        io::ErrorKind::UnexpectedEof => Error::damaged(DOING).because(source),
        _ => Error::io(DOING)(source),
    }
}

/// Which of an image's trees to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// The primary tree with Rock Ridge names and attributes where they are.
    Primary,
    /// The Joliet tree.
    Joliet,
}

/// What the volume descriptors say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Volume id, without trailing spaces.
    pub id: String,
    /// Application id, without trailing spaces.
    pub application: String,
    /// Size of the volume in blocks.
    pub blocks: u32,
    /// Creation time as 16 digits, `YYYYMMDDHHMMSScc`.
    pub created: String,
    /// Whether there is a Joliet tree.
    pub joliet: bool,
    /// Whether the primary tree has Rock Ridge entries.
    pub rock_ridge: bool,
    /// Block of the El Torito boot catalog.
    pub catalog_block: Option<Block>,
}
