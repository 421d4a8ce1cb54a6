//! A blob's bytes on their way out, hashed as they go.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::transport::Body;
use super::layout::ImageLayout;
use crate::Error;
use crate::manifest::Descriptor;
use isoforge_base::digest::Sha256;
use isoforge_base::progress::Task;

/// Media type of a blob's bytes (OCI Distribution Specification v1.1, "Pushing
/// blobs").
const BLOB_TYPE: &str = "application/octet-stream";
/// Bytes hashed at once where nothing is sent.
const CHUNK_BYTES: usize = 256 * 1024;

/// A blob to be sent, in one piece or in several one after the other.
#[derive(Debug)]
pub struct Payload<'a> {
    layout: &'a ImageLayout,
    blob: &'a Descriptor,
    task: &'a Task,
    cancelled: &'a AtomicBool,
    /// The hash of the bytes before this one.
    hashed: Mutex<(u64, Sha256)>,
    /// Why reading failed: what the transport makes of it does not tell.
    failure: Mutex<Option<Error>>,
}

/// Bytes of a blob, sent with one request.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    payload: &'a Payload<'a>,
    from: u64,
    to: u64,
}

impl<'a> Payload<'a> {
    /// The blob of a layout; what is sent of it advances `task`. Reading ends
    /// in an error once `cancelled` is set.
    #[must_use]
    pub fn new(
        layout: &'a ImageLayout,
        blob: &'a Descriptor,
        task: &'a Task,
        cancelled: &'a AtomicBool,
    ) -> Self {
        Self {
            layout,
            blob,
            task,
            cancelled,
            hashed: Mutex::new((0, Sha256::new())),
            failure: Mutex::new(None),
        }
    }

    pub(super) fn blob(&self) -> &Descriptor {
        self.blob
    }

    /// Bytes from `from` up to `to`.
    pub(super) fn piece(&'a self, from: u64, to: u64) -> Piece<'a> {
        Piece {
            payload: self,
            from,
            to,
        }
    }

    /// The error of a request, or why its bytes could not be read.
    pub(super) fn blame(&self, error: Error) -> Error {
        lock(&self.failure).take().unwrap_or(error)
    }

    fn fail(&self, error: Error) -> io::Error {
        let shown = io::Error::other(error.to_string());
        *lock(&self.failure) = Some(error);
        shown
    }

    /// The hash of the bytes before `from`, which are read again where that is
    /// not known.
    fn hash_before(&self, from: u64) -> Result<Sha256, Error> {
        let (known, mut hasher) = lock(&self.hashed).clone();
        if known == from {
            return Ok(hasher);
        }
        let mut start = known;
        if known > from {
            (start, hasher) = (0, Sha256::new());
        }
        let mut reader = self.layout.blob(self.blob, start)?.take(from - start);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match reader.read(&mut chunk).map_err(Error::Read)? {
                0 => return Ok(hasher),
                n => hasher.update(chunk.get(..n).unwrap_or_default()),
            }
        }
    }

    /// Whether all bytes together have the blob's digest.
    fn check(&self, hasher: Sha256) -> Result<(), Error> {
        let found = hasher.finish();
        if found == self.blob.digest {
            return Ok(());
        }
        Err(Error::Digest {
            place: self.layout.place(&self.blob.digest),
            expected: self.blob.digest,
            found,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Replaced in single steps, so sound after a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Body for Piece<'_> {
    fn media_type(&self) -> &str {
        BLOB_TYPE
    }

    fn length(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    fn open(&self) -> Result<Box<dyn Read + '_>, Error> {
        let hasher = self.payload.hash_before(self.from)?;
        if self.length() == 0 && self.to == self.payload.blob.size {
            self.payload.check(hasher.clone())?;
        }
        Ok(Box::new(PieceReader {
            payload: self.payload,
            inner: self.payload.layout.blob(self.payload.blob, self.from)?,
            hasher,
            at: self.from,
            to: self.to,
        }))
    }
}

struct PieceReader<'a> {
    payload: &'a Payload<'a>,
    inner: Box<dyn Read + Send>,
    hasher: Sha256,
    at: u64,
    to: u64,
}

impl Read for PieceReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.to.saturating_sub(self.at);
        let wanted = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(buf) = buf.get_mut(..wanted).filter(|buf| !buf.is_empty()) else {
            return Ok(0);
        };
        let payload = self.payload;
        if payload.cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other("given up"));
        }
        let n = self
            .inner
            .read(buf)
            .map_err(|error| payload.fail(Error::Read(error)))?;
        if n == 0 {
            return Err(payload.fail(Error::Length {
                place: payload.layout.place(&payload.blob.digest),
                expected: payload.blob.size,
                found: self.at,
            }));
        }
        self.hasher.update(buf.get(..n).unwrap_or_default());
        self.at += n as u64;
        if self.at == payload.blob.size {
            // Before the last bytes are given out: a body that ends early can't
            // become a blob.
            let hasher = self.hasher.clone();
            payload.check(hasher).map_err(|error| payload.fail(error))?;
        }
        if self.at == self.to {
            *lock(&payload.hashed) = (self.at, self.hasher.clone());
        }
        payload.task.advance(n as u64);
        Ok(n)
    }
}
