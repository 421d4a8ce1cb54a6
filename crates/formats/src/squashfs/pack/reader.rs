//! Reads a file back out of packed data.

use std::io::{self, Read};

use super::{Content, PackedData, read_blocks};
use crate::squashfs::compress::Decoder;
use crate::squashfs::pack::Block;

/// Gives a content's bytes, one block in memory at a time, each checked
/// against its hash.
#[derive(Debug)]
pub struct ContentReader<'a> {
    data: DataRef<'a>,
    content: &'a Content,
    decoder: Decoder,
    /// Number of the next block within the file.
    next: u64,
    next_stored: u32,
    next_hole: usize,
    position: u64,
    stored: Vec<u8>,
    block: Vec<u8>,
    used: usize,
}

struct DataRef<'a>(&'a dyn PackedData);

impl std::fmt::Debug for DataRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.name())
    }
}

impl<'a> ContentReader<'a> {
    /// A reader over `content`, which is one of `data`'s.
    ///
    /// # Errors
    /// Where the decompressor can't be set up.
    pub fn new(data: &'a dyn PackedData, content: &'a Content) -> io::Result<Self> {
        let number = data.settings().compressor.number();
        let decoder = Decoder::new(number)?
            .ok_or_else(|| io::Error::other(format!("there is no compressor {number}")))?;
        Ok(Self {
            data: DataRef(data),
            content,
            decoder,
            next: 0,
            next_stored: content.first_block,
            next_hole: 0,
            position: content.start,
            stored: Vec::new(),
            block: Vec::new(),
            used: 0,
        })
    }

    /// Puts the next block's bytes in `block`; none at the end.
    fn advance(&mut self) -> io::Result<()> {
        self.block.clear();
        self.used = 0;
        let block_size = u64::from(self.data.0.settings().block_size);
        let done = self.next.saturating_mul(block_size);
        if done >= self.content.size {
            return Ok(());
        }
        let expected = usize::try_from((self.content.size - done).min(block_size))
            .map_err(io::Error::other)?;
        if self.in_hole() {
            self.block.resize(expected, 0);
        } else if let (Some(tail), true) = (self.content.tail, (expected as u64) < block_size) {
            self.read_tail(tail.fragment, tail.offset as usize, expected)?;
        } else {
            let block = self
                .data
                .0
                .packed()
                .blocks
                .get(self.next_stored as usize)
                .copied();
            self.read_block(block, self.position)?;
            self.position += block.map_or(0, |block| u64::from(block.stored_bytes()));
            self.next_stored += 1;
        }
        if self.block.len() != expected {
            return Err(self.damaged(self.position));
        }
        self.next += 1;
        Ok(())
    }

    fn in_hole(&mut self) -> bool {
        let Some(hole) = self.content.holes.get(self.next_hole) else {
            return false;
        };
        let end = u64::from(hole.block) + u64::from(hole.count);
        if self.next + 1 == end {
            self.next_hole += 1;
        }
        self.next >= u64::from(hole.block)
    }

    fn read_tail(&mut self, fragment: u32, offset: usize, bytes: usize) -> io::Result<()> {
        let fragment = self
            .data
            .0
            .packed()
            .fragments
            .get(fragment as usize)
            .copied();
        let start = fragment.map_or(0, |fragment| fragment.start);
        self.read_block(fragment.map(|fragment| fragment.block), start)?;
        let end = offset.saturating_add(bytes).min(self.block.len());
        self.block.truncate(end);
        self.block.drain(..offset.min(end));
        Ok(())
    }

    fn read_block(&mut self, block: Option<Block>, start: u64) -> io::Result<()> {
        let block = block.ok_or_else(|| self.damaged(start))?;
        self.stored.resize(block.stored_bytes() as usize, 0);
        let stored = &mut self.stored;
        if let Some(offset) = read_blocks(self.data.0, start, &[block], stored)? {
            return Err(self.damaged(offset));
        }
        if block.is_compressed() {
            let max = self.data.0.settings().block_size as usize;
            self.decoder.decompress(&self.stored, max, &mut self.block)
        } else {
            std::mem::swap(&mut self.stored, &mut self.block);
            Ok(())
        }
    }

    fn damaged(&self, offset: u64) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{} is damaged at offset {offset} of its data",
                self.data.0.name()
            ),
        )
    }
}

impl Read for ContentReader<'_> {
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
