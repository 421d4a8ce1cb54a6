//! Reads SquashFS images of any origin, without trust in any byte of them.
//!
//! An [`Image`] lies at an offset in something that can be read and sought (a
//! file, or a file within an ISO). Tables are read entry by entry when they are
//! asked for, so what is held does not grow with what a superblock claims;
//! [`Limits`] bound the rest.

mod directory;
mod file;
mod inode;
mod metadata;
mod xattrs;

use std::io::{self, Read, Seek};

pub use directory::Entry;
pub use file::FileReader;
pub use inode::{Inode, InodeKind};

use metadata::Blocks;

use super::compress::Decoder;
use super::layout::{
    BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, FLAG_COMPRESSOR_OPTIONS, FragmentEntry, MAGIC,
    METADATA_BYTES, NO_TABLE, Superblock, VERSION_MAJOR, VERSION_MINOR,
};
use crate::Error;
use isoforge_base::{limit, tree};

/// What a reader holds and follows at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one directory's listing.
    pub directory_bytes: u64,
    /// Entries that [`Image::walk`] gives, and those of one directory.
    pub walk_entries: u64,
    /// Bytes of all paths that [`Image::walk`] gives.
    pub walk_path_bytes: u64,
    /// Extended attributes of one inode.
    pub xattrs: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            directory_bytes: 64 << 20,
            walk_entries: limit::LISTING_ENTRIES,
            walk_path_bytes: limit::LISTING_NAME_BYTES,
            xattrs: 4096,
        }
    }
}

/// An image that can be read.
#[derive(Debug)]
pub struct Image<R> {
    blocks: Blocks<R>,
    superblock: Superblock,
    limits: Limits,
}

impl<R: Read + Seek> Image<R> {
    /// Reads the superblock of the image that begins `offset` bytes into
    /// `source`, with the default limits.
    ///
    /// # Errors
    /// Where there is no image of a kind that this module reads.
    pub fn open(source: R, offset: u64) -> Result<Self, Error> {
        Self::with_limits(source, offset, Limits::default())
    }

    /// As [`open`](Self::open), with other limits.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn with_limits(mut source: R, offset: u64, limits: Limits) -> Result<Self, Error> {
        let mut bytes = [0; Superblock::SIZE];
        metadata::read_at(&mut source, offset, &mut bytes).map_err(|error| match error {
            Error::Io { .. } => error,
            _ => not_squashfs(),
        })?;
        let superblock = Superblock::parse(&bytes).ok_or_else(not_squashfs)?;
        check(&superblock)?;
        let decoder = Decoder::new(superblock.compressor)
            .map_err(reading(offset))?
            .ok_or_else(|| {
                let number = superblock.compressor;
                Error::damaged(format!(
                    "SquashFS compressor {number} is not supported; zlib, xz and zstd are"
                ))
            })?;
        Ok(Self {
            blocks: Blocks::new(source, offset, superblock.bytes_used, decoder),
            superblock,
            limits,
        })
    }

    /// The superblock.
    #[must_use]
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// The compressor options, where the image has any.
    ///
    /// # Errors
    /// Where they can't be read.
    pub(crate) fn compressor_options(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.superblock.flags & FLAG_COMPRESSOR_OPTIONS == 0 {
            return Ok(None);
        }
        let start = Superblock::SIZE as u64;
        Ok(Some(self.blocks.metadata(start)?.0.to_vec()))
    }

    /// The root directory.
    ///
    /// # Errors
    /// Where its inode is damaged or no directory.
    pub fn root(&mut self) -> Result<Inode, Error> {
        self.inode(self.superblock.root_inode)
    }

    /// What is at `path` (components parted by slashes, the root empty),
    /// symbolic links not followed; `None` where nothing is.
    ///
    /// # Errors
    /// Where something on the way is damaged.
    pub fn lookup(&mut self, path: &[u8]) -> Result<Option<Inode>, Error> {
        let mut at = self.root()?;
        for name in path
            .split(|&byte| byte == b'/')
            .filter(|name| !name.is_empty())
        {
            if !matches!(at.kind, InodeKind::Directory { .. }) {
                return Ok(None);
            }
            let entries = self.entries(&at)?;
            let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
                return Ok(None);
            };
            at = self.inode(entry.inode)?;
        }
        Ok(Some(at))
    }

    /// Everything in the image with its path, parents before children, in the
    /// order of the directories; the root comes first. A file with several hard
    /// links comes once for each.
    ///
    /// # Errors
    /// Where something is damaged, a directory is met a second time, or there
    /// is more than the limits allow.
    pub fn walk(&mut self) -> Result<Vec<(Vec<u8>, Inode)>, Error> {
        let mut found = Vec::new();
        let mut path_bytes = 0;
        let mut seen = std::collections::BTreeSet::new();
        let mut pending = vec![(Vec::new(), self.superblock.root_inode)];
        while let Some((path, reference)) = pending.pop() {
            let inode = self.inode(reference)?;
            if matches!(inode.kind, InodeKind::Directory { .. }) {
                if !seen.insert(reference) {
                    let path = tree::display(&path);
                    return Err(Error::damaged(format!(
                        "directory '{path}' of the SquashFS image is met twice"
                    )));
                }
                let entries = self.entries(&inode)?;
                for entry in entries.into_iter().rev() {
                    let path = tree::join(&path, &entry.name);
                    path_bytes += path.len() as u64;
                    pending.push((path, entry.inode));
                    let count = (pending.len() + found.len()) as u64;
                    if count >= self.limits.walk_entries || path_bytes > self.limits.walk_path_bytes
                    {
                        return Err(Error::damaged(format!(
                            "the SquashFS image has more than {count} entries, or paths that are too long"
                        )));
                    }
                }
            }
            found.push((path, inode));
        }
        Ok(found)
    }

    /// Entry number `number` of a table whose entries have `entry_bytes` and
    /// whose index starts at `index_start`.
    fn table_entry(
        &mut self,
        table: &'static str,
        index_start: u64,
        number: u32,
        entry_bytes: usize,
    ) -> Result<Vec<u8>, Error> {
        if index_start == NO_TABLE {
            return Err(no_entry(table, number));
        }
        let per_block = METADATA_BYTES / entry_bytes;
        let number_in_index = number as usize / per_block;
        let pointer_at = index_start
            .checked_add(number_in_index as u64 * size_of::<u64>() as u64)
            .ok_or_else(|| no_entry(table, number))?;
        let pointer = self.blocks.u64_at(pointer_at)?;
        let (block, _) = self.blocks.metadata(pointer)?;
        let at = number as usize % per_block * entry_bytes;
        block
            .get(at..at + entry_bytes)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| no_entry(table, number))
    }

    /// Where fragment block `number` is.
    ///
    /// # Errors
    /// Where there is no such fragment or the table is damaged.
    pub fn fragment(&mut self, number: u32) -> Result<FragmentEntry, Error> {
        const TABLE: &str = "fragment table";
        if number >= self.superblock.fragment_count {
            return Err(no_entry(TABLE, number));
        }
        let start = self.superblock.fragment_table;
        let bytes = self.table_entry(TABLE, start, number, FragmentEntry::SIZE)?;
        FragmentEntry::parse(&bytes).ok_or_else(|| no_entry(TABLE, number))
    }

    /// Owner or group number `number`.
    ///
    /// # Errors
    /// Where there is no such id or the table is damaged.
    pub fn id(&mut self, number: u16) -> Result<u32, Error> {
        let no_entry = || no_entry("id table", u32::from(number));
        if number >= self.superblock.id_count {
            return Err(no_entry());
        }
        let start = self.superblock.id_table;
        let bytes = self.table_entry("id table", start, u32::from(number), size_of::<u32>())?;
        Ok(u32::from_le_bytes(
            bytes.try_into().map_err(|_| no_entry())?,
        ))
    }

    /// Reference to the inode with this number, from the export table; `None`
    /// where the image has no such table.
    ///
    /// # Errors
    /// Where there is no such inode or the table is damaged.
    pub fn exported(&mut self, number: u32) -> Result<Option<u64>, Error> {
        let start = self.superblock.export_table;
        if start == NO_TABLE {
            return Ok(None);
        }
        let no_entry = || no_entry("export table", number);
        let index = number
            .checked_sub(1)
            .filter(|&index| index < self.superblock.inode_count)
            .ok_or_else(no_entry)?;
        let bytes = self.table_entry("export table", start, index, size_of::<u64>())?;
        Ok(Some(u64::from_le_bytes(
            bytes.try_into().map_err(|_| no_entry())?,
        )))
    }
}

fn check(superblock: &Superblock) -> Result<(), Error> {
    if superblock.magic != MAGIC {
        return Err(not_squashfs());
    }
    let (major, minor) = (superblock.version_major, superblock.version_minor);
    if (major, minor) != (VERSION_MAJOR, VERSION_MINOR) {
        return Err(Error::damaged(format!(
            "SquashFS version {major}.{minor} is not supported, only 4.0 is"
        )));
    }
    let size = superblock.block_size;
    if !(BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&size)
        || !size.is_power_of_two()
        || size.trailing_zeros() != u32::from(superblock.block_log)
    {
        return Err(Error::damaged(format!(
            "the SquashFS image has an invalid block size of {size} bytes"
        )));
    }
    Ok(())
}

fn not_squashfs() -> Error {
    Error::damaged("this is no SquashFS image")
}

fn reading(offset: u64) -> impl Fn(io::Error) -> Error {
    Error::io(format!(
        "reading the SquashFS image at offset {offset} failed"
    ))
}

/// Something lies beyond the image's end.
fn truncated(offset: u64) -> Error {
    Error::damaged(format!(
        "the SquashFS image ends before offset {offset}, where more is expected"
    ))
}

fn block_length(offset: u64) -> Error {
    Error::damaged(format!(
        "the block at offset {offset} of the SquashFS image has an invalid size"
    ))
}

fn no_entry(table: &str, number: u32) -> Error {
    Error::damaged(format!(
        "the {table} of the SquashFS image has no entry {number}"
    ))
}
