//! What can be wrong with an image.

use std::io;

use isoforge_base::error::{Class, Diagnose};

/// Why an image can't be read. Offsets count from the image's start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no superblock.
    #[error("this is no SquashFS image")]
    NotSquashfs,
    /// A version other than 4.0.
    #[error("SquashFS version {major}.{minor} is not supported, only 4.0 is")]
    Version {
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// A block size that the format does not have.
    #[error("the SquashFS image has an invalid block size of {bytes} bytes")]
    BlockSize {
        /// The size.
        bytes: u32,
    },
    /// A compressor that this program does not have.
    #[error("SquashFS compressor {number} is not supported; zlib, xz and zstd are")]
    Compressor {
        /// Its number.
        number: u16,
    },
    /// The source could not be read.
    #[error("reading the SquashFS image at offset {offset} failed")]
    Read {
        /// Where.
        offset: u64,
        /// What reading gave.
        source: io::Error,
    },
    /// Something lies beyond the image's end.
    #[error("the SquashFS image ends before offset {offset}, where more is expected")]
    Truncated {
        /// Where.
        offset: u64,
    },
    /// A block can't be decompressed.
    #[error("the block at offset {offset} of the SquashFS image can't be decompressed")]
    Decompress {
        /// Where.
        offset: u64,
        /// What the decompressor said.
        source: io::Error,
    },
    /// A block has an impossible size.
    #[error("the block at offset {offset} of the SquashFS image has an invalid size")]
    BlockLength {
        /// Where.
        offset: u64,
    },
    /// An inode makes no sense.
    #[error("the inode at {reference:#x} of the SquashFS image is invalid: {reason}")]
    Inode {
        /// Its reference.
        reference: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A directory makes no sense.
    #[error("directory inode {number} of the SquashFS image is invalid: {reason}")]
    Directory {
        /// Inode number.
        number: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// A directory contains itself, or has two parents.
    #[error("directory '{path}' of the SquashFS image is met twice")]
    DirectoryLoop {
        /// Where it is met again.
        path: String,
    },
    /// More than the limits allow.
    #[error("the SquashFS image has more than {count} entries, or paths that are too long")]
    TooManyEntries {
        /// How many were met.
        count: u64,
    },
    /// A table has no such entry.
    #[error("the {table} of the SquashFS image has no entry {number}")]
    NoEntry {
        /// Which table.
        table: &'static str,
        /// The entry.
        number: u32,
    },
    /// Extended attributes make no sense.
    #[error("set {number} of extended attributes in the SquashFS image is invalid: {reason}")]
    Xattrs {
        /// Number of the set.
        number: u32,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Read { .. } => Class::Io,
            _ => Class::Verification,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Read { source, .. } => source,
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}
