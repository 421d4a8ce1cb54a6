//! Blobs by digest.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use fs_err::File;

use super::checked::other_size;
use super::session::{self, TempFile};
use super::{Result, Store, last_use, make_folder};
use crate::Error;
use isoforge_base::digest::{Digest, Sha256};
use isoforge_base::limit::read_within;

/// Bytes collected before they are hashed and written.
const BUFFER_BYTES: usize = 256 * 1024;

impl Store {
    /// Where a blob is, or would be.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let prefix = hex.get(..2).unwrap_or_default();
        self.base.join("blobs/sha256").join(prefix).join(&hex)
    }

    /// Whether a blob is there. Its content was right when it was written; see
    /// [`blob_size`](Self::blob_size) and [`verify`](Self::verify).
    #[must_use]
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_size(digest).is_ok_and(|size| size.is_some())
    }

    /// A blob's size in bytes; `None` where it is not there. Who asks spares
    /// himself fetching it, so this counts as a use.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let path = self.blob_path(digest);
        match fs_err::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                last_use::record(&path, &metadata);
                Ok(Some(metadata.len()))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a blob for reading. Who makes something of it takes
    /// [`open_checked`](Self::open_checked).
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Store`].
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.blob_path(digest);
        match File::open(&path) {
            Ok(file) => {
                last_use::record(&path, &file.metadata()?);
                Ok(file)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Missing {
                digest: *digest,
                path,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a blob whose size is known.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file has another size, and what
    /// [`open_blob`](Self::open_blob) gives.
    pub fn open_sized_blob(&self, digest: &Digest, size: u64) -> Result<File> {
        let file = self.open_blob(digest)?;
        let found = file.metadata()?.len();
        if found != size {
            return Err(other_size(self.blob_path(digest), size, found));
        }
        Ok(file)
    }

    /// All bytes of a small blob, checked against its digest.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the digest does not hold or the file has more
    /// than `limit` bytes, and what [`open_blob`](Self::open_blob) gives.
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let read = read_within(self.open_blob(digest)?, limit)?;
        let damaged = |problem: String| Error::Damaged {
            path: self.blob_path(digest),
            problem,
        };
        let bytes = read.ok_or_else(|| damaged(format!("it has more than {limit} bytes")))?;
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(damaged(format!("its digest is {found}")));
        }
        Ok(bytes)
    }

    /// Reads a whole blob and checks its digest.
    ///
    /// # Errors
    /// [`Error::Damaged`] where it does not hold, and what
    /// [`open_blob`](Self::open_blob) gives.
    pub fn verify(&self, digest: &Digest) -> Result<()> {
        let (found, _) = Digest::of_reader(self.open_blob(digest)?)?;
        if found != *digest {
            return Err(Error::Damaged {
                path: self.blob_path(digest),
                problem: format!("its digest is {found}"),
            });
        }
        Ok(())
    }

    /// Whether a blob is for the store's owner alone, since it holds secrets: what is made
    /// of it is so too.
    #[must_use]
    pub fn is_private(&self, digest: &Digest) -> bool {
        session::is_private(&self.blob_path(digest))
    }

    /// Starts a new blob.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn blob_writer(&self) -> Result<BlobWriter> {
        Ok(BlobWriter {
            store: self.clone(),
            out: BufWriter::with_capacity(BUFFER_BYTES, Hashed::new(self.session.temp_file()?)),
        })
    }

    /// Stores a blob that is in memory.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest> {
        let mut writer = self.blob_writer()?;
        writer.write_all(bytes)?;
        Ok(writer.commit(None)?.0)
    }
}

/// A blob being written; it hashes what it writes. Dropped without
/// [`commit`](Self::commit) it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    store: Store,
    out: BufWriter<Hashed>,
}

impl BlobWriter {
    /// Says whether nobody but the store's owner may read it.
    pub fn set_private(&mut self, is_private: bool) {
        self.out.get_mut().temp.is_private = is_private;
    }

    /// Puts the blob in its place and gives its digest and size. With `expected`
    /// it must have this digest and size.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] and [`Error::DigestMismatch`], which leave
    /// nothing behind; [`Error::Store`].
    pub fn commit(self, expected: Option<(&Digest, u64)>) -> Result<(Digest, u64)> {
        let hashed = self
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        let (digest, size) = (hashed.hasher.finish(), hashed.bytes);
        if let Some((&wanted, wanted_size)) = expected {
            if size != wanted_size {
                return Err(Error::SizeMismatch {
                    digest: wanted,
                    expected: wanted_size,
                    found: size,
                });
            }
            if digest != wanted {
                return Err(Error::DigestMismatch {
                    expected: wanted,
                    found: digest,
                });
            }
        }
        let path = self.store.blob_path(&digest);
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        // Renamed even where the blob is there: if that file was damaged later,
        // this mends it.
        hashed.temp.keep(&path)?;
        Ok((digest, size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.out.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[derive(Debug)]
struct Hashed {
    temp: TempFile,
    hasher: Sha256,
    bytes: u64,
}

impl Hashed {
    fn new(temp: TempFile) -> Self {
        Self {
            temp,
            hasher: Sha256::new(),
            bytes: 0,
        }
    }
}

impl Write for Hashed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.temp.file.write(buf)?;
        self.hasher.update(buf.get(..n).unwrap_or_default());
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.file.flush()
    }
}
