//! What a layer's archive says, parsed and checked once: the bridge between
//! reading a tar stream, keeping it beside its slab in the store, and merging
//! it into a [`Tree`](isoforge_base::tree::Tree).

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use isoforge_base::tree::{Device, Meta};

/// One entry of a layer, in the archive's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Normalized path ([`isoforge_base::tree::normalize`]); empty for the root. For a
    /// [whiteout](EntryKind::Whiteout) the path that it removes, for an
    /// [opaque mark](EntryKind::Opaque) the directory that it empties.
    pub path: Vec<u8>,
    /// Owner, mode, time, extended attributes.
    pub meta: Meta,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a layer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Number of the file's data within the layer: the first file handed
        /// to the [`FileSink`] is 0.
        file: u32,
        /// Size in bytes, holes of sparse files included.
        size: u64,
    },
    /// A symbolic link with its target, byte for byte.
    Symlink(Vec<u8>),
    /// A hard link to another path of the tree (normalized).
    Hardlink(Vec<u8>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// Removes what lower layers have at this path (`.wh.NAME`).
    Whiteout,
    /// Removes what lower layers have below this directory (`.wh..wh..opq`).
    Opaque,
}

/// Receives the data of a layer's regular files, in the archive's order.
pub trait FileSink {
    /// Takes the data of the next file: exactly `size` bytes come from `data`.
    /// The n-th call (from 0) gets the data of file number n.
    ///
    /// # Errors
    /// What reading `data` or keeping it gave.
    fn file(&mut self, size: u64, data: &mut dyn Read) -> io::Result<()>;
}
