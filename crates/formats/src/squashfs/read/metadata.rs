//! Reads blocks: of data, and of metadata with a small cache.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

use super::{block_length, reading, truncated};
use crate::Error;
use crate::squashfs::compress::Decoder;
use crate::squashfs::layout::{
    BLOCK_HOLE, BLOCK_LENGTH_MASK, BLOCK_STORED, METADATA_BYTES, METADATA_HEADER_BYTES,
    METADATA_STORED,
};

/// Metadata blocks that are kept; listing a directory goes back and forth
/// between a few.
const CACHED_BLOCKS: usize = 64;

/// Access to the blocks of an image.
#[derive(Debug)]
pub(super) struct Blocks<R> {
    source: R,
    offset: u64,
    bytes_used: u64,
    decoder: Decoder,
    stored: Vec<u8>,
    /// By start: the block's bytes, and where the next block begins.
    cache: BTreeMap<u64, (Vec<u8>, u64)>,
}

/// A place in the metadata, to read on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::squashfs) struct Cursor {
    /// Start of the metadata block in the image.
    pub(in crate::squashfs) block: u64,
    /// Offset in the uncompressed block.
    pub(in crate::squashfs) offset: usize,
}

fn undecompressed(offset: u64, source: io::Error) -> Error {
    Error::damaged(format!(
        "the block at offset {offset} of the SquashFS image can't be decompressed"
    ))
    .because(source)
}

/// Fills `bytes` from `offset` of `source` on.
pub(super) fn read_at(
    source: &mut (impl Read + Seek),
    offset: u64,
    bytes: &mut [u8],
) -> Result<(), Error> {
    let read = source
        .seek(SeekFrom::Start(offset))
        .and_then(|_| source.read_exact(bytes));
    read.map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => truncated(offset),
        _ => reading(offset)(source),
    })
}

impl<R: Read + Seek> Blocks<R> {
    pub(super) fn new(source: R, offset: u64, bytes_used: u64, decoder: Decoder) -> Self {
        Self {
            source,
            offset,
            bytes_used,
            decoder,
            stored: Vec::new(),
            cache: BTreeMap::new(),
        }
    }

    /// Reads `length` bytes from `start` of the image to `self.stored`.
    fn fetch(&mut self, start: u64, length: usize) -> Result<(), Error> {
        let truncated = || truncated(start);
        let end = start.checked_add(length as u64).ok_or_else(truncated)?;
        if end > self.bytes_used {
            return Err(truncated());
        }
        let at = self.offset.checked_add(start).ok_or_else(truncated)?;
        self.stored.resize(length, 0);
        read_at(&mut self.source, at, &mut self.stored)
    }

    pub(super) fn u64_at(&mut self, start: u64) -> Result<u64, Error> {
        self.fetch(start, size_of::<u64>())?;
        let bytes = self.stored.first_chunk().copied();
        bytes
            .map(u64::from_le_bytes)
            .ok_or_else(|| truncated(start))
    }

    /// The metadata block at `start`, and where the next one begins.
    pub(super) fn metadata(&mut self, start: u64) -> Result<(&[u8], u64), Error> {
        if !self.cache.contains_key(&start) {
            let block = self.load_metadata(start)?;
            if self.cache.len() >= CACHED_BLOCKS {
                self.cache.clear();
            }
            self.cache.insert(start, block);
        }
        self.cache
            .get(&start)
            .map(|(block, next)| (block.as_slice(), *next))
            .ok_or_else(|| truncated(start))
    }

    fn load_metadata(&mut self, start: u64) -> Result<(Vec<u8>, u64), Error> {
        self.fetch(start, METADATA_HEADER_BYTES)?;
        let header = self.stored.first_chunk().copied().map(u16::from_le_bytes);
        let header = header.ok_or_else(|| truncated(start))?;
        let length = usize::from(header & !METADATA_STORED);
        if length == 0 || length > METADATA_BYTES {
            return Err(block_length(start));
        }
        let body = start + METADATA_HEADER_BYTES as u64;
        self.fetch(body, length)?;
        let block = if header & METADATA_STORED == 0 {
            let mut block = Vec::new();
            self.decoder
                .decompress(&self.stored, METADATA_BYTES, &mut block)
                .map_err(|source| undecompressed(start, source))?;
            block
        } else {
            self.stored.clone()
        };
        Ok((block, body + length as u64))
    }

    /// Reads `length` bytes of metadata across blocks and moves the cursor
    /// behind them.
    pub(super) fn read(&mut self, cursor: &mut Cursor, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let start = cursor.block;
            let (block, next) = self.metadata(start)?;
            let rest = block.get(cursor.offset..).ok_or_else(|| truncated(start))?;
            if rest.is_empty() && block.len() < METADATA_BYTES {
                // Only the last block of a table is not full.
                return Err(truncated(start));
            }
            let count = rest.len().min(length - bytes.len());
            bytes.extend_from_slice(rest.get(..count).unwrap_or_default());
            cursor.offset += count;
            if cursor.offset == METADATA_BYTES {
                *cursor = Cursor {
                    block: next,
                    offset: 0,
                };
            }
        }
        Ok(bytes)
    }

    /// Reads the data block with this size word at `start` to `out`: at most
    /// `max_bytes`.
    pub(super) fn data(
        &mut self,
        start: u64,
        word: u32,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let length = (word & BLOCK_LENGTH_MASK) as usize;
        if word == BLOCK_HOLE || word > BLOCK_STORED | BLOCK_LENGTH_MASK || length > max_bytes {
            return Err(block_length(start));
        }
        self.fetch(start, length)?;
        if word & BLOCK_STORED == 0 {
            return self
                .decoder
                .decompress(&self.stored, max_bytes, out)
                .map_err(|source| undecompressed(start, source));
        }
        out.clear();
        out.extend_from_slice(&self.stored);
        Ok(())
    }
}
