//! File data, cut in blocks and compressed once, so that any number of images
//! can copy it.
//!
//! A [`Packer`] takes files one after the other. Of each it cuts full blocks;
//! blocks of zeros become holes, and what remains (or a whole small file) goes
//! into a fragment block together with other files' remains. A file whose
//! content was there before is stored once.
//!
//! The stored bytes are one stretch: each content's blocks lie together, and a
//! fragment block never parts them. Positions count from the stretch's start;
//! [`Packed`] is the index to it.

mod builder;
mod pipeline;
mod reader;

use std::io;

use serde::{Deserialize, Serialize};

pub use builder::{Packer, pack};
pub use reader::ContentReader;

use super::layout::{BLOCK_HOLE, BLOCK_LENGTH_MASK, BLOCK_STORED};
use super::settings::Settings;
use isoforge_base::tree::LayerId;

/// What is being done when packed data can't be kept.
pub(super) const WRITING: &str = "writing packed file data failed";

/// A BLAKE3 hash.
pub type Hash = [u8; blake3::OUT_LEN];

/// One stored block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Size word as in the image: stored length, and whether it is compressed.
    pub word: u32,
    /// Hash of the stored bytes.
    pub hash: Hash,
}

impl Block {
    /// Length of the stored bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> u32 {
        self.word & BLOCK_LENGTH_MASK
    }

    /// Whether the stored bytes are compressed.
    #[must_use]
    pub(crate) fn is_compressed(&self) -> bool {
        self.word & BLOCK_STORED == 0
    }
}

/// A block that holds the remains of several files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragment {
    /// Where it is stored.
    pub start: u64,
    /// Its size and hash.
    pub block: Block,
}

/// The part of a content that is in a fragment block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// Number of the fragment block.
    pub fragment: u32,
    /// Offset in the uncompressed fragment block.
    pub offset: u32,
}

/// Consecutive blocks of zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// Number of the first one within the file.
    pub block: u32,
    /// How many.
    pub count: u32,
}

/// What one or more equal files hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Identifies the content among all data packed with one block size: the
    /// hash over the hashes of its blocks.
    pub id: Hash,
    /// Size in bytes.
    pub size: u64,
    /// Where the first stored block is.
    pub start: u64,
    /// Number of the first stored block in [`Packed::blocks`].
    pub first_block: u32,
    /// How many blocks are stored.
    pub stored_blocks: u32,
    /// The blocks that are not stored, in order.
    pub holes: Vec<Hole>,
    /// What follows the blocks.
    pub tail: Option<Tail>,
}

impl Content {
    /// Bytes in holes.
    #[must_use]
    pub fn hole_bytes(&self, block_size: u32) -> u64 {
        let block_size = u64::from(block_size);
        let blocks: u64 = self.holes.iter().map(|hole| u64::from(hole.count)).sum();
        let ends_in_hole = self.tail.is_none()
            && self.holes.last().is_some_and(|hole| {
                u64::from(hole.block) + u64::from(hole.count) == self.size.div_ceil(block_size)
            });
        let missing = if ends_in_hole {
            (block_size - self.size % block_size) % block_size
        } else {
            0
        };
        (blocks * block_size).saturating_sub(missing)
    }

    /// The blocks of the file in order: `None` for a hole.
    pub fn blocks<'a>(&'a self, packed: &'a Packed) -> impl Iterator<Item = Option<&'a Block>> {
        let first = self.first_block as usize;
        let mut stored = packed
            .blocks
            .get(first..first.saturating_add(self.stored_blocks as usize))
            .unwrap_or_default()
            .iter();
        let mut holes = self.holes.iter().copied().peekable();
        let mut number = 0_u32;
        std::iter::from_fn(move || {
            // Holes never touch, so at most one ends before this block.
            holes.next_if(|hole| number >= hole.block.saturating_add(hole.count));
            let in_hole = holes.peek().is_some_and(|hole| number >= hole.block);
            number = number.saturating_add(1);
            if in_hole {
                Some(None)
            } else {
                stored.next().map(Some)
            }
        })
    }

    /// The size words of the blocks, as an inode lists them.
    pub fn words<'a>(&'a self, packed: &'a Packed) -> impl Iterator<Item = u32> + 'a {
        self.blocks(packed)
            .map(|block| block.map_or(BLOCK_HOLE, |block| block.word))
    }
}

/// The index to a stretch of packed data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// For each file in the order given: the number of its content.
    pub files: Vec<u32>,
    /// The different contents, in the order of their stored blocks.
    pub contents: Vec<Content>,
    /// The stored blocks of all contents, in order.
    pub blocks: Vec<Block>,
    /// The fragment blocks, in order.
    pub fragments: Vec<Fragment>,
    /// Bytes stored.
    pub stored_bytes: u64,
}

impl Packed {
    /// The content of file number `file`.
    #[must_use]
    pub fn content(&self, file: u32) -> Option<&Content> {
        let content = *self.files.get(file as usize)?;
        self.contents.get(content as usize)
    }
}

/// A stretch of packed data and its index.
pub trait PackedData: Sync {
    /// What it was packed with.
    fn settings(&self) -> &Settings;
    /// The index.
    fn packed(&self) -> &Packed;
    /// Fills `buf` with the stored bytes from `offset` on.
    ///
    /// # Errors
    /// Where they can't be read, or there are not as many.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
    /// Makes the same stored bytes anew, where that can be done, since there is this
    /// `problem` with those that are there. Whether reading once more is worth it.
    ///
    /// # Errors
    /// Where making them fails.
    fn mend(&self, problem: &str) -> io::Result<bool> {
        let _ = problem;
        Ok(false)
    }
    /// What it is, for a message: `'/path/to/it'`, for example.
    fn name(&self) -> String;
}

/// Fills `buf` with consecutive stored blocks, the first at `start`, each held to its
/// hash. Where one does not hold or can't be read the data is mended, if it can be, and
/// read once more. Gives the offset of the first damaged block.
pub(super) fn read_blocks(
    data: &dyn PackedData,
    start: u64,
    blocks: &[Block],
    buf: &mut [u8],
) -> io::Result<Option<u64>> {
    let first = read_and_hash(data, start, blocks, buf);
    let problem = match &first {
        Ok(None) => return first,
        Ok(Some(offset)) => format!("is damaged at offset {offset} of its data"),
        Err(error) => format!("can't be read at offset {start} of its data ({error})"),
    };
    match data.mend(&format!("{} {problem}", data.name()))? {
        true => read_and_hash(data, start, blocks, buf),
        false => first,
    }
}

fn read_and_hash(
    data: &dyn PackedData,
    start: u64,
    blocks: &[Block],
    buf: &mut [u8],
) -> io::Result<Option<u64>> {
    data.read_at(start, buf)?;
    let (mut offset, mut rest) = (start, &*buf);
    for block in blocks {
        let (stored, after) = rest.split_at(rest.len().min(block.stored_bytes() as usize));
        if *blake3::hash(stored).as_bytes() != block.hash {
            return Ok(Some(offset));
        }
        offset = offset.saturating_add(stored.len() as u64);
        rest = after;
    }
    Ok(None)
}

/// Packed data by layer.
pub trait PackedLayers: Sync {
    /// The data of a layer; `None` where there is no such layer.
    fn layer(&self, layer: LayerId) -> Option<&dyn PackedData>;
}
