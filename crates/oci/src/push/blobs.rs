//! The blobs of an image on their way into the repository.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use super::content::Blob;
use super::{Amount, ImageReport, Pusher};
use crate::registry::push::{Begun, Payload, Pieces, Session};
use crate::registry::retry;
use crate::{Error, Step};
use isoforge_base::digest::Digest;
use isoforge_base::parallel;

/// How a blob came to be in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    There,
    Mounted,
    Uploaded,
}

impl Pusher<'_> {
    /// Brings blobs in, several at once, or says how they would be.
    pub(super) fn bring(
        &self,
        wanted: &BTreeMap<Digest, &Blob>,
        report: &mut ImageReport,
    ) -> Result<(), Error> {
        // The largest first, so that no thread is left alone with it at the end.
        let mut work: Vec<&Blob> = wanted.values().copied().collect();
        work.sort_by_key(|blob| {
            (
                std::cmp::Reverse(blob.descriptor.size),
                blob.descriptor.digest,
            )
        });
        let amounts: Mutex<[Amount; 3]> = Mutex::default();
        let gave_up = |error: &Error| matches!(error, Error::Cancelled { .. });
        parallel::for_each(&work, self.options.threads, gave_up, |blob, cancelled| {
            let outcome = self.blob(blob, cancelled)?;
            self.lock().insert(blob.descriptor.digest);
            let mut amounts = amounts.lock().unwrap_or_else(PoisonError::into_inner);
            let [there, mounted, uploaded] = &mut *amounts;
            match outcome {
                Outcome::There => there,
                Outcome::Mounted => mounted,
                Outcome::Uploaded => uploaded,
            }
            .add(blob.descriptor.size);
            Ok(())
        })?;
        let [there, mounted, uploaded] =
            amounts.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.there += there;
        report.mounted += mounted;
        report.uploaded += uploaded;
        Ok(())
    }

    fn blob(&self, blob: &Blob, cancelled: &AtomicBool) -> Result<Outcome, Error> {
        if self.lock().contains(&blob.descriptor.digest) {
            return Ok(Outcome::There);
        }
        if self.options.dry_run {
            return self.foresee(blob);
        }
        let mut way = Way::default();
        retry::run(self.client.retry_policy(), self.progress, || {
            self.attempt(blob, &mut way, cancelled)
        })
        .map_err(|error| match error {
            Error::Cancelled { .. } => error,
            _ => error.of_image(self.name, Step::Push),
        })
    }

    /// How the blob would get there.
    fn foresee(&self, blob: &Blob) -> Result<Outcome, Error> {
        if self.ask(|| self.target.has_blob(&blob.descriptor))? {
            return Ok(Outcome::There);
        }
        let mountable = match &blob.base {
            Some(base) => self.ask(|| self.target.could_mount(&blob.descriptor, base))?,
            None => false,
        };
        Ok(if mountable {
            Outcome::Mounted
        } else {
            Outcome::Uploaded
        })
    }

    /// One attempt to get the blob there, which goes on where the last one broke
    /// off.
    fn attempt(
        &self,
        blob: &Blob,
        way: &mut Way,
        cancelled: &AtomicBool,
    ) -> Result<Outcome, Error> {
        if cancelled.load(Ordering::Relaxed) {
            return Err(self.cancelled());
        }
        let descriptor = &blob.descriptor;
        let resumed = match way.session.clone() {
            None => None,
            Some(session) => self.target.resume(session, descriptor.size)?,
        };
        let session = match resumed {
            Some(session) => session,
            None => {
                // Asked after a break too: the answer to the last byte may have
                // been lost.
                if self.target.has_blob(descriptor)? {
                    return Ok(way.outcome());
                }
                match self.target.begin(descriptor, blob.base.as_ref())? {
                    Begun::Mounted => return Ok(Outcome::Mounted),
                    Begun::Upload(session) => session,
                }
            }
        };
        let pieces = way.pieces(self);
        self.upload(blob, way.session.insert(session), pieces, cancelled)
            .inspect_err(|error| way.failed(error))?;
        Ok(Outcome::Uploaded)
    }

    fn upload(
        &self,
        blob: &Blob,
        session: &mut Session,
        pieces: Pieces,
        cancelled: &AtomicBool,
    ) -> Result<(), Error> {
        let descriptor = &blob.descriptor;
        let label = format!("{} {} {}", self.name, blob.label, descriptor.digest.short());
        let task = self.progress.task(&label, Some(descriptor.size));
        task.advance(session.received());
        let payload = Payload::new(self.layout, descriptor, &task, cancelled);
        let sent = self.target.send(session, &payload, pieces);
        // The transport's error, where reading was broken off.
        if sent.is_err() && cancelled.load(Ordering::Relaxed) {
            return Err(self.cancelled());
        }
        sent
    }

    fn cancelled(&self) -> Error {
        Error::Cancelled {
            image: self.name.to_owned(),
        }
    }
}

/// How far the attempts for one blob came.
#[derive(Debug, Default)]
struct Way {
    session: Option<Session>,
    /// An upload in pieces was given up by the registry.
    no_pieces: bool,
    /// Bytes were sent.
    sent: bool,
}

impl Way {
    /// A registry that gives up uploads in pieces is sent the blob whole.
    fn pieces(&self, pusher: &Pusher<'_>) -> Pieces {
        if self.no_pieces {
            Pieces::NEVER
        } else {
            pusher.options.pieces
        }
    }

    fn failed(&mut self, error: &Error) {
        self.sent = true;
        if matches!(error, Error::UploadLost { .. }) {
            self.no_pieces = true;
            self.session = None;
        }
    }

    /// What it means that the blob is there.
    fn outcome(&self) -> Outcome {
        if self.sent {
            Outcome::Uploaded
        } else {
            Outcome::There
        }
    }
}
