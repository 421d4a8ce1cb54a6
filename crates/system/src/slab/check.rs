//! Checking a slab without reading its files out of it.

use std::io;

use super::Slab;
use isoforge_base::digest::{Digest, SHA256_BYTES};
use isoforge_formats::squashfs::pack::{Block, PackedData};

/// The diffID of the layer whose slab is called `key`.
#[must_use]
pub fn diff_id(key: &str) -> Option<Digest> {
    let hex = key.get(..2 * SHA256_BYTES)?;
    format!("sha256:{hex}").parse().ok()
}

impl Slab {
    /// Reads all stored blocks and holds them to their hashes; the rest of the
    /// slab was checked when it was opened. `done` is told how many bytes were
    /// read each time.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] with the offset of the first damaged
    /// block, or what reading gives.
    pub fn check(&self, done: &mut dyn FnMut(u64)) -> io::Result<()> {
        let packed = self.packed();
        let mut buffer = Vec::new();
        for content in &packed.contents {
            let first = content.first_block as usize;
            let blocks = first
                .checked_add(content.stored_blocks as usize)
                .and_then(|end| packed.blocks.get(first..end))
                .ok_or_else(|| Self::wrong(content.start))?;
            let mut at = content.start;
            for block in blocks {
                self.check_block(block, at, &mut buffer)?;
                done(u64::from(block.stored_bytes()));
                at = at
                    .checked_add(u64::from(block.stored_bytes()))
                    .ok_or_else(|| Self::wrong(at))?;
            }
        }
        for fragment in &packed.fragments {
            self.check_block(&fragment.block, fragment.start, &mut buffer)?;
            done(u64::from(fragment.block.stored_bytes()));
        }
        Ok(())
    }

    fn check_block(&self, block: &Block, at: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        // At most 16 MiB: the length has 24 bits.
        buffer.resize(block.stored_bytes() as usize, 0);
        self.read_at(at, buffer)?;
        if *blake3::hash(buffer).as_bytes() != block.hash {
            return Err(Self::wrong(at));
        }
        Ok(())
    }

    fn wrong(at: u64) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the block at offset {at} of its data does not have its hash"),
        )
    }
}
