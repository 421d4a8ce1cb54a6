//! One blob into the store: resumed where a transfer broke, in this run or an
//! earlier one, and hashed while it comes.
//!
//! Invariants:
//! - A blob that was put together of several transfers and has another digest is
//!   fetched once more from its first byte: a bad beginning that some run left must
//!   not be there for ever. One that came in a single transfer and has another
//!   digest is an error at once.
//! - A transfer that is begun again may start at the first byte; an attempt gets on
//!   only by bytes that no attempt had before.

use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;
use crate::registry::{BlobRest, RetryPolicy, retry};
use crate::store::{Incoming, Store};
use isoforge_base::digest::Digest;
use isoforge_base::progress::{Progress, Task};

/// Bytes moved at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Opens a blob's source from some byte on.
pub type Open<'a> = dyn Fn(u64) -> Result<BlobRest<'a>, Error> + 'a;

/// A blob to be fetched.
pub struct Download<'a> {
    /// Takes the blob.
    pub store: &'a Store,
    /// When to try again.
    pub policy: &'a RetryPolicy,
    /// Told what happens.
    pub progress: &'a Progress,
    /// Set where the transfer is to be given up.
    pub cancelled: &'a AtomicBool,
    /// The work, as it is shown.
    pub label: &'a str,
    /// The blob's digest.
    pub digest: Digest,
    /// Its size in bytes, where that is known.
    pub size: Option<u64>,
    /// Most bytes that it may have where its size is not known.
    pub limit: u64,
}

impl fmt::Debug for Download<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("label", &self.label)
            .field("digest", &self.digest)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Download<'_> {
    /// Fetches the blob and gives its size.
    ///
    /// # Errors
    /// See [`Error`]; what is the store's fault says [`Error::is_of_store`].
    pub fn run(&self, open: &Open<'_>) -> Result<u64, Error> {
        let mut transfer = Transfer::begin(self)?;
        let mut afresh = false;
        loop {
            retry::run_on(self.policy, self.progress, |got_on| {
                transfer.attempt(open, got_on)
            })?;
            if afresh || transfer.pieces < 2 || transfer.is_right() {
                break;
            }
            self.progress.note(format!(
                "{}: what came in several parts has another digest; it is fetched once more from its start",
                self.label
            ));
            afresh = true;
            transfer.furthest = 0;
            transfer.restart()?;
        }
        transfer.incoming.commit(self.size)
    }
}

/// A download under way.
struct Transfer<'a> {
    download: &'a Download<'a>,
    incoming: Incoming,
    /// How many transfers gave what is there; an earlier run counts as one.
    pieces: u32,
    /// The most bytes that there were.
    furthest: u64,
    /// Fewer bytes are not worth a part of their own.
    resume_bytes: u64,
}

impl<'a> Transfer<'a> {
    fn begin(download: &'a Download<'a>) -> Result<Self, Error> {
        let resume_bytes = download.policy.resume_bytes.max(1);
        let keep = download.size.is_none_or(|size| size >= resume_bytes);
        let limit = download.size.unwrap_or(download.limit);
        let incoming = download.store.receive(&download.digest, limit, keep)?;
        let position = incoming.position();
        Ok(Self {
            download,
            incoming,
            pieces: u32::from(position > 0),
            furthest: position,
            resume_bytes,
        })
    }

    fn is_right(&self) -> bool {
        let position = self.incoming.position();
        let whole = self.download.size.is_none_or(|size| size == position);
        whole && self.incoming.found() == self.download.digest
    }

    /// Drops what came.
    fn restart(&mut self) -> Result<(), Error> {
        self.incoming.restart()?;
        self.pieces = 0;
        Ok(())
    }

    /// One transfer up to the blob's end, behind what is there.
    fn attempt(&mut self, open: &Open<'_>, got_on: &mut bool) -> Result<(), Error> {
        let offset = self.incoming.position();
        // A run may have ended between the last byte and the new name.
        if offset > 0 && self.is_right() {
            return Ok(());
        }
        let offset = if offset < self.resume_bytes {
            0
        } else {
            offset
        };
        let task = self
            .download
            .progress
            .task(self.download.label, self.download.size);
        let part = open(offset)?;
        if part.start != self.incoming.position() {
            self.restart()?;
        }
        task.advance(self.incoming.position());
        self.pieces = self.pieces.saturating_add(1);
        let result = self.take(part, &task);
        let position = self.incoming.position();
        *got_on = position.saturating_sub(self.furthest) >= self.resume_bytes;
        self.furthest = self.furthest.max(position);
        result
    }

    fn take(&mut self, part: BlobRest<'_>, task: &Task) -> Result<(), Error> {
        let mut reader = part.reader;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            if self.download.cancelled.load(Ordering::Relaxed) {
                return Err(Error::Cancelled {
                    image: self.download.label.to_owned(),
                });
            }
            let n = match reader.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::from_read(error)),
            };
            let bytes = chunk.get(..n).unwrap_or_default();
            self.incoming.write(bytes)?;
            task.advance(n as u64);
        }
    }
}
