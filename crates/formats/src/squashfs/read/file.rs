//! File contents.

use std::io::{self, Read, Seek};

use super::metadata::Cursor;
use super::{Image, Inode, InodeKind, block_length};
use crate::Error;
use crate::squashfs::layout::{BLOCK_HOLE, BLOCK_LENGTH_MASK};

/// Gives a file's bytes, one block in memory at a time. As many bytes come as
/// the inode says, which an image can make very many: limit what is read.
#[derive(Debug)]
pub struct FileReader<'i, R> {
    image: &'i mut Image<R>,
    words: Cursor,
    next_start: u64,
    fragment: Option<(u32, u32)>,
    rest: u64,
    block: Vec<u8>,
    used: usize,
}

impl<R: Read + Seek> Image<R> {
    /// A reader over the data of a regular file; empty for anything else.
    ///
    /// # Errors
    /// Where the inode points outside the image.
    pub fn file(&mut self, inode: &Inode) -> Result<FileReader<'_, R>, Error> {
        let (words, start, fragment, size) = match inode.kind {
            InodeKind::File {
                size,
                start,
                fragment,
                words,
                ..
            } => (words, start, fragment, size),
            _ => (0, 0, None, 0),
        };
        Ok(FileReader {
            words: self.cursor(self.superblock.inode_table, words)?,
            image: self,
            next_start: start,
            fragment,
            rest: size,
            block: Vec::new(),
            used: 0,
        })
    }
}

impl<R: Read + Seek> Image<R> {
    /// The first `limit` block size words of a regular file, fewer where it has
    /// fewer blocks.
    ///
    /// # Errors
    /// Where the list is cut off.
    pub(crate) fn block_words(&mut self, inode: &Inode, limit: u64) -> Result<Vec<u32>, Error> {
        let InodeKind::File {
            size,
            fragment,
            words,
            ..
        } = inode.kind
        else {
            return Ok(Vec::new());
        };
        let block_size = u64::from(self.superblock.block_size);
        let blocks = match fragment {
            Some(_) => size / block_size,
            None => size.div_ceil(block_size),
        };
        let mut cursor = self.cursor(self.superblock.inode_table, words)?;
        (0..blocks.min(limit))
            .map(|_| self.word(&mut cursor))
            .collect()
    }

    fn word(&mut self, cursor: &mut Cursor) -> Result<u32, Error> {
        let bytes = self.blocks.read(cursor, size_of::<u32>())?;
        Ok(bytes.first_chunk().copied().map_or(0, u32::from_le_bytes))
    }
}

impl<R: Read + Seek> FileReader<'_, R> {
    /// Puts the next block's bytes in `block`; none at the end.
    fn advance(&mut self) -> Result<(), Error> {
        self.block.clear();
        self.used = 0;
        let block_size = self.image.superblock.block_size as usize;
        let expected = usize::try_from(self.rest).map_or(block_size, |rest| rest.min(block_size));
        if expected == 0 {
            return Ok(());
        }
        let start = self.next_start;
        match self.fragment {
            Some((number, offset)) if expected < block_size => {
                self.tail(number, offset as usize, expected)?;
            }
            _ => self.data_block(expected, block_size)?,
        }
        if self.block.len() != expected {
            return Err(block_length(start));
        }
        self.rest -= expected as u64;
        Ok(())
    }

    fn data_block(&mut self, expected: usize, block_size: usize) -> Result<(), Error> {
        let word = self.image.word(&mut self.words)?;
        if word == BLOCK_HOLE {
            self.block.resize(expected, 0);
            return Ok(());
        }
        let start = self.next_start;
        self.image
            .blocks
            .data(start, word, block_size, &mut self.block)?;
        self.next_start = start.saturating_add(u64::from(word & BLOCK_LENGTH_MASK));
        Ok(())
    }

    fn tail(&mut self, number: u32, offset: usize, bytes: usize) -> Result<(), Error> {
        let block_size = self.image.superblock.block_size as usize;
        let entry = self.image.fragment(number)?;
        self.image
            .blocks
            .data(entry.start, entry.size, block_size, &mut self.block)?;
        let end = offset.saturating_add(bytes).min(self.block.len());
        self.block.truncate(end);
        self.block.drain(..offset.min(end));
        Ok(())
    }
}

impl<R: Read + Seek> Read for FileReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.used == self.block.len() && !buf.is_empty() {
            self.advance()?;
        }
        let rest = self.block.get(self.used..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.used += count;
        Ok(count)
    }
}
