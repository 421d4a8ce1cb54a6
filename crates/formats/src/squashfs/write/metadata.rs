//! Metadata blocks and the tables made of them.

use crate::Error;
use crate::squashfs::compress::Encoder;
use crate::squashfs::compressing;
use crate::squashfs::layout::{METADATA_BYTES, METADATA_STORED};
use crate::squashfs::settings::Compressor;

/// Cuts a stream of metadata in blocks and compresses them.
#[derive(Debug)]
pub(super) struct MetadataWriter {
    encoder: Encoder,
    pending: Vec<u8>,
    compressed: Vec<u8>,
    out: Vec<u8>,
}

/// A place in a stream of metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// Where the block begins in the compressed stream.
    pub(super) block: u64,
    /// Offset in the uncompressed block.
    pub(super) offset: u16,
}

impl MetadataWriter {
    pub(super) fn new(compressor: Compressor) -> Result<Self, Error> {
        Ok(Self {
            encoder: Encoder::new(compressor).map_err(compressing)?,
            pending: Vec::with_capacity(METADATA_BYTES),
            compressed: Vec::new(),
            out: Vec::new(),
        })
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> Position {
        Position {
            block: self.out.len() as u64,
            // Less than METADATA_BYTES: full blocks leave at once.
            offset: self.pending.len() as u16,
        }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let room = METADATA_BYTES - self.pending.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == METADATA_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Gives all blocks.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, Error> {
        self.flush()?;
        Ok(self.out)
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let smaller = self
            .encoder
            .compress(&self.pending, &mut self.compressed)
            .map_err(compressing)?;
        let (stored, flag) = if smaller {
            (&self.compressed, 0)
        } else {
            (&self.pending, METADATA_STORED)
        };
        // At most METADATA_BYTES, so the length fits beside the flag.
        let header = stored.len() as u16 | flag;
        self.out.extend_from_slice(&header.to_le_bytes());
        self.out.extend_from_slice(stored);
        self.pending.clear();
        Ok(())
    }
}

/// Appends `entries` in metadata blocks to `out`, which begins at `base` in the
/// image, and after them the index of their positions. Gives the position of
/// the index, by which such tables are found.
pub(super) fn write_table(
    entries: &[u8],
    base: u64,
    compressor: Compressor,
    out: &mut Vec<u8>,
) -> Result<u64, Error> {
    let mut writer = MetadataWriter::new(compressor)?;
    let start = base + out.len() as u64;
    let mut index = Vec::new();
    for block in entries.chunks(METADATA_BYTES) {
        index.extend_from_slice(&(start + writer.position().block).to_le_bytes());
        writer.write(block)?;
    }
    out.extend_from_slice(&writer.finish()?);
    let index_start = base + out.len() as u64;
    out.extend_from_slice(&index);
    Ok(index_start)
}
