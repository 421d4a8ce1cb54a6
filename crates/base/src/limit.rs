//! What input may cost that a stranger made: memory, time, places on a disk. The limits
//! that hold for more than one kind of input are here, each with its name; what one
//! format alone limits is beside its reader. And reading no more than one is ready to
//! hold.

use std::io::{self, Read};
use std::time::Duration;

/// Entries of one listing: of an archive, an image, a file system.
pub const LISTING_ENTRIES: u64 = 500_000;
/// Bytes of all names and link targets of one listing, which is what it takes in memory.
pub const LISTING_NAME_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of all headers and directory records that a listing is read from.
pub const LISTING_RECORD_BYTES: u64 = 512 * 1024 * 1024;
/// Components that are looked at until one path is resolved, those of symbolic links'
/// targets included.
pub const RESOLVE_STEPS: usize = 10_000;
/// The same of all paths of one layer.
pub const LAYER_RESOLVE_STEPS: u64 = 100_000_000;
/// Inodes of a merged tree; directories that are only on the way to something are some
/// that no archive has an entry for.
pub const TREE_INODES: u32 = 16_000_000;
/// Manifests, indexes and configurations that are read of one layout, in bytes.
pub const DOCUMENT_BYTES: u64 = 256 * 1024 * 1024;
/// What one report keeps of what such documents say, in bytes of memory.
pub const REPORT_BYTES: u64 = 64 * 1024 * 1024;

/// What gzip gives at most for each byte, and some more: DEFLATE can't do more than 1,032
/// (RFC 1951).
pub const GZIP_RATIO: u64 = 1_100;
/// What Zstandard may give for each byte; runs of one byte reach it.
pub const ZSTD_RATIO: u64 = 10_000;
/// What xz may give for each byte; LZMA can't do more than some 7,000.
pub const XZ_RATIO: u64 = 10_000;
/// Bytes below which no ratio is looked at: short inputs may be arbitrarily redundant.
pub const RATIO_FLOOR_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes a second that a transfer must bring at least, over all of [`RATE_WINDOW`].
pub const RATE_BYTES: u64 = 1024;
/// How long a transfer may be slower than [`RATE_BYTES`].
pub const RATE_WINDOW: Duration = Duration::from_secs(60);

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    limit: u64,
    left: u64,
}

impl Budget {
    /// All of it.
    #[must_use]
    pub const fn new(limit: u64) -> Self {
        Self { limit, left: limit }
    }

    /// Takes so much of it.
    ///
    /// # Errors
    /// The limit, where there is not so much left.
    pub fn take(&mut self, amount: u64) -> Result<(), u64> {
        self.left = self.left.checked_sub(amount).ok_or(self.limit)?;
        Ok(())
    }
}

/// All bytes of `reader`; `None` where there are more than `limit`.
///
/// # Errors
/// What reading gave.
pub fn read_within(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_to_its_last_and_no_further() {
        let mut budget = Budget::new(3);
        assert_eq!(budget.take(2), Ok(()));
        assert_eq!(budget.take(2), Err(3));
        assert_eq!(budget.take(1), Ok(()));
        assert_eq!(budget.take(1), Err(3));
    }

    #[test]
    fn one_byte_more_is_too_many() {
        assert_eq!(read_within(&b"abc"[..], 3).unwrap().unwrap(), b"abc");
        assert_eq!(read_within(&b"abcd"[..], 3).unwrap(), None);
        assert_eq!(read_within(io::repeat(0), 9).unwrap(), None);
    }
}
