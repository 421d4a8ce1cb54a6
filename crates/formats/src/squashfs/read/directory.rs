//! Directory listings.

use std::io::{Read, Seek};

use super::metadata::Cursor;
use super::{Image, Inode, InodeKind};
use crate::Error;
use crate::squashfs::layout::{
    DIRECTORY_RUN_MAX, DirectoryEntry, DirectoryHeader, NAME_BYTES_MAX, inode_ref,
};

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Vec<u8>,
    /// Reference to its inode.
    pub inode: u64,
    /// Its inode number.
    pub number: u32,
    /// The basic type of its inode, as the directory says.
    pub inode_type: u16,
}

/// Reads a listing part by part within its bounds.
struct Listing<'i, R> {
    image: &'i mut Image<R>,
    cursor: Cursor,
    rest: u32,
    number: u32,
}

impl<R: Read + Seek> Image<R> {
    /// The entries of a directory, in the order in which they are stored; none
    /// for anything else.
    ///
    /// # Errors
    /// Where the listing is damaged or larger than the limits allow.
    pub fn entries(&mut self, directory: &Inode) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for (_, run) in self.runs(directory)? {
            entries.extend(run);
        }
        Ok(entries)
    }

    /// The entries of a directory below each header.
    pub(in crate::squashfs) fn runs(
        &mut self,
        directory: &Inode,
    ) -> Result<Vec<(DirectoryHeader, Vec<Entry>)>, Error> {
        let InodeKind::Directory { listing, bytes, .. } = directory.kind else {
            return Ok(Vec::new());
        };
        let invalid = |reason| invalid(directory.number, reason);
        if u64::from(bytes) > self.limits.directory_bytes {
            return Err(invalid("its listing is larger than the limit"));
        }
        let mut listing = Listing {
            cursor: self.cursor(self.superblock.directory_table, listing)?,
            image: self,
            rest: bytes,
            number: directory.number,
        };
        let mut runs = Vec::new();
        let mut count = 0;
        while listing.rest > 0 {
            let header = listing.take(DirectoryHeader::SIZE)?;
            let header =
                DirectoryHeader::parse(&header).ok_or_else(|| invalid("a header is cut off"))?;
            if header.count as usize >= DIRECTORY_RUN_MAX {
                return Err(invalid("a header counts too many entries"));
            }
            count += u64::from(header.count) + 1;
            if count > listing.image.limits.walk_entries {
                return Err(invalid("it has more entries than the limit"));
            }
            let mut run = Vec::new();
            for _ in 0..=header.count {
                run.push(listing.entry(&header)?);
            }
            runs.push((header, run));
        }
        Ok(runs)
    }
}

impl<R: Read + Seek> Listing<'_, R> {
    fn invalid(&self, reason: &'static str) -> Error {
        invalid(self.number, reason)
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        self.rest = u32::try_from(length)
            .ok()
            .and_then(|length| self.rest.checked_sub(length))
            .ok_or_else(|| self.invalid("an entry is cut off"))?;
        self.image.blocks.read(&mut self.cursor, length)
    }

    fn entry(&mut self, header: &DirectoryHeader) -> Result<Entry, Error> {
        let part = self.take(DirectoryEntry::SIZE)?;
        let part =
            DirectoryEntry::parse(&part).ok_or_else(|| self.invalid("an entry is cut off"))?;
        let length = usize::from(part.name_length) + 1;
        if length > NAME_BYTES_MAX {
            return Err(self.invalid("a name is too long"));
        }
        let name = self.take(length)?;
        if name.iter().any(|&byte| byte == b'/' || byte == 0) || name == b"." || name == b".." {
            return Err(self.invalid("a name is not one that a file can have"));
        }
        Ok(Entry {
            name,
            inode: inode_ref(u64::from(header.block), part.offset),
            number: header
                .number
                .wrapping_add_signed(i32::from(part.number_delta)),
            inode_type: part.inode_type,
        })
    }
}

fn invalid(number: u32, reason: &str) -> Error {
    Error::damaged(format!(
        "directory inode {number} of the SquashFS image is invalid: {reason}"
    ))
}
