//! A blob that something is made of: hashed while it is read.
//!
//! That a blob's digest held when it was written does not say that it holds now: disks
//! rot, and files are copied about. So what makes something of a blob reads it through
//! [`CheckedBlob`], which never gives the last bytes of a wrong one.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err::File;

use super::{Result, Store};
use crate::Error;
use isoforge_base::digest::{Digest, Sha256};
use isoforge_base::error::Failure;

/// Bytes read at once of what nobody wanted.
const CHUNK_BYTES: usize = 256 * 1024;

/// A reader over all bytes of a blob. The read that would give its last ones fails
/// where the digest does not hold; the [`io::Error`] carries [`Error::Damaged`] with its
/// class and hint.
#[derive(Debug)]
pub struct CheckedBlob {
    file: File,
    digest: Digest,
    /// None once it was compared.
    hasher: Option<Sha256>,
    left: u64,
    /// What was found to be wrong.
    problem: Option<String>,
}

impl Store {
    /// Opens a blob of which something is made.
    ///
    /// # Errors
    /// What [`open_blob`](Self::open_blob) gives.
    pub fn open_checked(&self, digest: &Digest) -> Result<CheckedBlob> {
        CheckedBlob::of(self.open_blob(digest)?, *digest)
    }

    /// The same of a blob whose size is known.
    ///
    /// # Errors
    /// What [`open_sized_blob`](Self::open_sized_blob) gives.
    pub fn open_checked_sized(&self, digest: &Digest, size: u64) -> Result<CheckedBlob> {
        CheckedBlob::of(self.open_sized_blob(digest, size)?, *digest)
    }
}

impl CheckedBlob {
    /// A file that should have this digest and size.
    ///
    /// # Errors
    /// Where it can't be opened or has another size.
    pub fn open(path: &Path, digest: &Digest, size: u64) -> Result<Self> {
        let this = Self::of(File::open(path)?, *digest)?;
        match this.left == size {
            true => Ok(this),
            false => Err(other_size(path.to_owned(), size, this.left)),
        }
    }

    fn of(file: File, digest: Digest) -> Result<Self> {
        Ok(Self {
            left: file.metadata()?.len(),
            file,
            digest,
            hasher: Some(Sha256::new()),
            problem: None,
        })
    }

    /// Reads what is left, and says whether all bytes together have the digest.
    ///
    /// # Errors
    /// [`Error::Damaged`] where they have not; [`Error::Store`].
    pub fn finish(mut self) -> Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match self.give(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(Error::Store(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn give(&mut self, buf: &mut [u8]) -> Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buf.len(), |left| left.min(buf.len()));
        let n = self.file.read(buf.get_mut(..wanted).unwrap_or_default())?;
        if n == 0 && wanted > 0 {
            let left = self.left;
            return Err(self.damaged(format!("{left} bytes are missing at its end")));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(buf.get(..n).unwrap_or_default());
        }
        self.left = self.left.saturating_sub(n as u64);
        if self.left == 0
            && let Some(hasher) = self.hasher.take()
        {
            let found = hasher.finish();
            if found != self.digest {
                return Err(self.damaged(format!("its digest is {found}")));
            }
        }
        Ok(n)
    }

    fn damaged(&mut self, problem: String) -> Error {
        let path = self.file.path().to_owned();
        self.problem = Some(problem.clone());
        Error::Damaged { path, problem }
    }

    /// [`Error::Damaged`] where this was found while it was read; else `error`, which
    /// using what was read gave.
    pub(super) fn or_damaged(&mut self, error: Error) -> Error {
        match self.problem.take() {
            Some(problem) => self.damaged(problem),
            None => error,
        }
    }
}

impl Read for CheckedBlob {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.give(buf).map_err(|error| match error {
            Error::Store(error) => error,
            error => Failure::from(error).into(),
        })
    }
}

pub(super) fn other_size(path: PathBuf, size: u64, found: u64) -> Error {
    Error::Damaged {
        path,
        problem: format!("it should have {size} bytes, but has {found}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_base::error::{Class, Diagnose as _};

    const BLOB: &[u8] = b"what a blob was when it was written";

    fn store() -> (tempfile::TempDir, Store, Digest) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let digest = store.put_blob(BLOB).unwrap();
        (folder, store, digest)
    }

    #[test]
    fn a_right_blob_is_given_whole_and_its_rest_is_read_by_finishing() {
        let (_folder, store, digest) = store();
        let mut blob = store.open_checked(&digest).unwrap();
        let mut found = Vec::new();
        blob.read_to_end(&mut found).unwrap();
        assert_eq!(found, BLOB);
        blob.finish().unwrap();
        let mut blob = store
            .open_checked_sized(&digest, BLOB.len() as u64)
            .unwrap();
        blob.read_exact(&mut [0; 3]).unwrap();
        blob.finish().unwrap();
        let empty = store.put_blob(b"").unwrap();
        store.open_checked(&empty).unwrap().finish().unwrap();
    }

    #[test]
    fn the_last_bytes_of_a_wrong_blob_are_not_given() {
        let (_folder, store, digest) = store();
        let path = store.blob_path(&digest);
        let mut rotten = BLOB.to_vec();
        rotten[2] ^= 1;
        for bytes in [&rotten[..], b"short", b""] {
            fs_err::write(&path, bytes).unwrap();
            let mut blob = store.open_checked(&digest).unwrap();
            // Byte by byte, and exactly as many as there are, as writers of archives do.
            let mut found = Vec::new();
            let error = loop {
                let mut byte = [0];
                match blob.read(&mut byte) {
                    Ok(0) => panic!("the digest held"),
                    Ok(_) => found.push(byte[0]),
                    Err(error) => break error,
                }
            };
            assert_eq!(found.len(), bytes.len().saturating_sub(1));
            // It is told through others' interfaces, too.
            let failure = Failure::from(error);
            assert_eq!(failure.class(), Class::Verification);
            let text = failure.to_string();
            assert!(text.contains(&path.display().to_string()), "{text}");
            assert!(text.contains("its digest is sha256:"), "{text}");
            let hint = failure.hint().unwrap();
            assert!(hint.contains("cache verify --repair"), "{hint}");
            let error = store.open_checked(&digest).unwrap().finish().unwrap_err();
            assert_eq!(error.class(), Class::Verification);
            assert!(error.hint().is_some());
        }
        let error = CheckedBlob::open(&path, &digest, 7).unwrap_err();
        assert!(error.to_string().contains("7 bytes"), "{error}");
    }
}
