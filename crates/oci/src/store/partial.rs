//! Blobs under way: what came of a large blob is kept until the rest comes.
//!
//! `partial/<hex>` holds the first bytes of the blob with that digest. It survives
//! errors, interrupts and the end of the process.
//!
//! Invariants:
//! - Nobody trusts what is in a partial file: its bytes are hashed when it is
//!   opened, and the blob gets its name only when the digest of all holds.
//! - Whoever writes it, renames it or removes it holds its exclusive lock, which
//!   the kernel drops with the process. Who finds it locked does not wait, but
//!   receives the blob into the temporary folder.
//! - After a lock was taken the name still has to lead to the locked file: its last
//!   holder may have made it a blob, and a blob is never written to.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};

use super::session::{TempFile, publish};
use super::{Result, Store, make_folder};
use crate::Error;
use isoforge_base::digest::{Digest, Sha256};

/// Folder of the blobs under way.
const FOLDER: &str = "partial";
/// Bytes hashed at once.
const CHUNK_BYTES: usize = 256 * 1024;

impl Store {
    /// Where the first bytes of a blob under way are kept.
    #[must_use]
    pub fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.base.join(FOLDER).join(digest.hex())
    }

    /// Begins or goes on to receive a blob that may have `limit` bytes. With
    /// `keep` it goes on behind the bytes that an earlier attempt left, and what
    /// comes is left for later attempts.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn receive(&self, digest: &Digest, limit: u64, keep: bool) -> Result<Incoming> {
        let partial = if keep {
            self.lock_partial(digest)?
        } else {
            None
        };
        let place = match partial {
            Some(partial) => BlobFile::Partial(partial),
            None => BlobFile::Temp(self.session.temp_file()?),
        };
        let mut incoming = Incoming {
            store: self.clone(),
            digest: *digest,
            limit,
            place,
            hasher: Sha256::new(),
            bytes: 0,
        };
        incoming.take_up()?;
        Ok(incoming)
    }

    /// The locked partial file of a blob; `None` where another holds it.
    fn lock_partial(&self, digest: &Digest) -> Result<Option<Partial>> {
        let path = self.partial_path(digest);
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            match file.file().try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
                Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
            }
            if is_at(&file, &path)? {
                return Ok(Some(Partial { file, path }));
            }
        }
    }
}

/// Whether `path` leads to the open file.
fn is_at(file: &File, path: &Path) -> Result<bool> {
    let open = file.metadata()?;
    match fs_err::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A partial file, locked as long as it is open.
struct Partial {
    file: File,
    path: PathBuf,
}

impl Drop for Partial {
    fn drop(&mut self) {
        // A file without bytes is worth nothing. After a commit the name is gone,
        // or belongs to the next who begins.
        let empty = self.file.metadata().is_ok_and(|now| now.len() == 0);
        if empty && is_at(&self.file, &self.path).unwrap_or(false) {
            let _ = fs_err::remove_file(&self.path);
        }
    }
}

enum BlobFile {
    Partial(Partial),
    Temp(TempFile),
}

impl BlobFile {
    fn file(&mut self) -> &mut File {
        match self {
            Self::Partial(partial) => &mut partial.file,
            Self::Temp(temp) => &mut temp.file,
        }
    }
}

/// A blob that is received; it hashes what it is given. Dropped without
/// [`commit`](Self::commit) it keeps what came for the next attempt, if it was
/// begun so.
pub struct Incoming {
    store: Store,
    digest: Digest,
    limit: u64,
    place: BlobFile,
    hasher: Sha256,
    bytes: u64,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("digest", &self.digest)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Incoming {
    /// Bytes that are there: number of the next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.bytes
    }

    /// Hashes what an earlier attempt left.
    fn take_up(&mut self) -> Result<()> {
        if self.place.file().metadata()?.len() > self.limit {
            return self.restart();
        }
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let n = match self.place.file().read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let bytes = chunk.get(..n).unwrap_or_default();
            self.hasher.update(bytes);
            self.bytes += n as u64;
        }
    }

    /// Drops all that came.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn restart(&mut self) -> Result<()> {
        let file = self.place.file();
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        self.hasher = Sha256::new();
        self.bytes = 0;
        Ok(())
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] beyond the limit; [`Error::Store`], after which
    /// nothing is kept.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let size = self.bytes.saturating_add(bytes.len() as u64);
        if size > self.limit {
            return Err(Error::SizeMismatch {
                digest: self.digest,
                expected: self.limit,
                found: size,
            });
        }
        if let Err(error) = self.place.file().write_all(bytes) {
            // A disk that is full must not stay so for the sake of a beginning.
            self.restart()?;
            return Err(error.into());
        }
        self.hasher.update(bytes);
        self.bytes = size;
        Ok(())
    }

    /// The digest of what is there.
    #[must_use]
    pub fn found(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Puts the blob in its place. With `size` it must have this size, and it
    /// must have its digest.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] and [`Error::DigestMismatch`], which leave
    /// nothing behind; [`Error::Store`].
    pub fn commit(mut self, size: Option<u64>) -> Result<u64> {
        let (found, bytes) = (self.found(), self.bytes);
        let wrong = if let Some(expected) = size.filter(|size| *size != bytes) {
            Some(Error::SizeMismatch {
                digest: self.digest,
                expected,
                found: bytes,
            })
        } else if found != self.digest {
            Some(Error::DigestMismatch {
                expected: self.digest,
                found,
            })
        } else {
            None
        };
        if let Some(wrong) = wrong {
            self.restart()?;
            return Err(wrong);
        }
        let to = self.store.blob_path(&self.digest);
        if let Some(folder) = to.parent() {
            make_folder(folder)?;
        }
        match self.place {
            BlobFile::Partial(partial) => publish(&partial.file, &partial.path, &to)?,
            BlobFile::Temp(temp) => temp.keep(&to)?,
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    fn begin(store: &Store, blob: &[u8]) -> Incoming {
        let limit = blob.len() as u64;
        store.receive(&Digest::of(blob), limit, true).unwrap()
    }

    fn partials(store: &Store) -> usize {
        std::fs::read_dir(store.base.join(FOLDER)).unwrap().count()
    }

    #[test]
    fn what_came_is_there_for_the_next_who_opens_the_store() {
        let (folder, store) = store();
        let mut incoming = begin(&store, b"blob");
        incoming.write(b"bl").unwrap();
        drop((incoming, store));
        let store = Store::open(folder.path()).unwrap();
        let mut incoming = begin(&store, b"blob");
        assert_eq!(incoming.position(), 2);
        assert_eq!(incoming.found(), Digest::of(b"bl"));
        incoming.write(b"ob").unwrap();
        assert_eq!(incoming.commit(Some(4)).unwrap(), 4);
        assert_eq!(store.read_blob(&Digest::of(b"blob"), 9).unwrap(), b"blob");
        assert_eq!(partials(&store), 0);
    }

    #[test]
    fn a_second_one_does_not_wait_and_both_end_well() {
        let (_folder, store) = store();
        let mut first = begin(&store, b"blob");
        first.write(b"bl").unwrap();
        let mut second = begin(&store, b"blob");
        assert_eq!(
            second.position(),
            0,
            "it does not see what the other writes"
        );
        second.write(b"blob").unwrap();
        second.commit(Some(4)).unwrap();
        first.write(b"ob").unwrap();
        first.commit(Some(4)).unwrap();
        store.verify(&Digest::of(b"blob")).unwrap();
        assert_eq!(partials(&store), 0);
    }

    #[test]
    fn whoever_opened_the_file_before_it_became_a_blob_does_not_write_to_it() {
        let (_folder, store) = store();
        let digest = Digest::of(b"blob");
        let mut first = begin(&store, b"blob");
        first.write(b"blob").unwrap();
        let path = store.partial_path(&digest);
        let late = File::open(&path).unwrap();
        first.commit(Some(4)).unwrap();
        late.file().try_lock().unwrap();
        assert!(!is_at(&late, &path).unwrap());
        let second = begin(&store, b"blob");
        assert_eq!(second.position(), 0);
        drop(second);
        store.verify(&digest).unwrap();
    }

    #[test]
    fn wrong_bytes_leave_nothing() {
        let (_folder, store) = store();
        for (bytes, is_digest) in [(&b"blab"[..], true), (b"bl", false)] {
            let mut incoming = begin(&store, b"blob");
            assert_eq!(incoming.position(), 0);
            incoming.write(bytes).unwrap();
            let error = incoming.commit(Some(4)).unwrap_err();
            assert_eq!(matches!(error, Error::DigestMismatch { .. }), is_digest);
            assert_eq!(partials(&store), 0);
        }
        assert!(!store.has_blob(&Digest::of(b"blob")));
    }

    #[test]
    fn no_more_than_the_limit_is_taken_or_taken_up() {
        let (_folder, store) = store();
        let digest = Digest::of(b"blob");
        std::fs::write(store.partial_path(&digest), b"much too long").unwrap();
        let mut incoming = begin(&store, b"blob");
        assert_eq!(incoming.position(), 0);
        assert!(incoming.write(b"blobs").is_err());
        incoming.write(b"blob").unwrap();
        incoming.commit(None).unwrap();
        store.verify(&digest).unwrap();
    }
}
