//! Where the blobs of a bundle that is written come from.

use std::fmt;
use std::io::{self, Read};

use super::Bundle;
use crate::error::{Error, read_bundle, writing};
use isoforge_base::digest::{Digest, HashingReader};
use isoforge_oci::layout::LayoutFile;
use isoforge_oci::store::Store;

/// Bytes of a file that are read at once.
pub(super) const CHUNK_BYTES: usize = 1024 * 1024;

/// Where the blobs of a bundle to be written are.
pub trait Blobs: Sync + fmt::Debug {
    /// Opens a blob of `size` bytes.
    ///
    /// # Errors
    /// Where it is not there.
    fn open(&self, digest: &Digest, size: u64) -> Result<Box<dyn Read + Send>, Error>;
}

impl Blobs for Store {
    fn open(&self, digest: &Digest, size: u64) -> Result<Box<dyn Read + Send>, Error> {
        // It is hashed by who writes it.
        Ok(Box::new(self.open_sized_blob(digest, size)?.into_file()))
    }
}

impl Blobs for Bundle {
    fn open(&self, digest: &Digest, _size: u64) -> Result<Box<dyn Read + Send>, Error> {
        let opened = self.open_blob(digest)?;
        let reader = opened.map(|(_, reader)| reader);
        reader.ok_or_else(|| self.missing(*digest, "the bundle to be written"))
    }
}

/// Several, the first that has a blob gives it.
#[derive(Debug)]
pub struct Combined<'a> {
    /// Asked first.
    pub store: &'a Store,
    /// Asked then.
    pub bundles: &'a [Bundle],
}

impl Blobs for Combined<'_> {
    fn open(&self, digest: &Digest, size: u64) -> Result<Box<dyn Read + Send>, Error> {
        if !self.store.has_blob(digest) {
            for bundle in self.bundles {
                if let Some((_, reader)) = bundle.open_blob(digest)? {
                    return Ok(reader);
                }
            }
        }
        Blobs::open(self.store, digest, size)
    }
}

/// Gives a file's bytes in pieces of [`CHUNK_BYTES`], the last one shorter, and checks
/// afterwards that they were the right ones. The pieces may be changed.
pub(super) fn each_chunk(
    blobs: &dyn Blobs,
    file: &LayoutFile,
    chunk: &mut Vec<u8>,
    mut take: impl FnMut(&mut Vec<u8>) -> io::Result<()>,
) -> Result<(), Error> {
    let (reader, expected): (Box<dyn Read + Send>, _) = match file {
        LayoutFile::Bytes(bytes) => (Box::new(io::Cursor::new(bytes.clone())), None),
        LayoutFile::Blob(digest, size) => (blobs.open(digest, *size)?, Some(digest)),
        LayoutFile::File(path, digest, _) => {
            let file = fs_err::File::open(path).map_err(read_bundle(path))?;
            (Box::new(file.into_file()), Some(digest))
        }
    };
    let size = file.size();
    // Never more than the archive's header has said.
    let mut reader = HashingReader::new(reader.take(size));
    loop {
        chunk.clear();
        let mut piece = reader.by_ref().take(CHUNK_BYTES as u64);
        let read = piece.read_to_end(chunk);
        read.map_err(|source| match expected {
            Some(digest) => Error::ReadBlob {
                digest: *digest,
                source,
            },
            None => writing(source),
        })?;
        if chunk.is_empty() {
            break;
        }
        take(chunk).map_err(writing)?;
    }
    let (found, bytes) = reader.finish();
    match expected {
        Some(digest) if found != *digest || bytes != size => Err(Error::DamagedBlob {
            digest: *digest,
            found,
        }),
        _ => Ok(()),
    }
}
