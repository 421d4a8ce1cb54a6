//! Uploads of blobs: whole or in pieces, resumed after a break.
//!
//! OCI Distribution Specification v1.1, "Pushing a blob monolithically" and
//! "Pushing a blob in chunks". A registry names the place of an upload anew in
//! each answer; only the latest is good.

use std::time::Duration;

use ureq::http::header;

use super::super::exchange;
use super::super::transport::{Call, Method, Reply};
use super::super::url::{Origin, ShownUrl, encode, resolve};
use super::body::Payload;
use super::{Target, received};
use crate::Error;

/// Largest blob that is sent in one request. Above that a break would cost too
/// much, where the registry forgets what a broken request brought.
pub const WHOLE_BYTES: u64 = 1024 * 1024 * 1024;
/// Bytes of one piece of a larger blob.
pub const CHUNK_BYTES: u64 = 256 * 1024 * 1024;
/// How long a registry may take to put away what it was sent: those that store
/// elsewhere copy a blob when it is complete.
pub(super) const COMMIT_TIMEOUT: Duration = Duration::from_secs(600);

/// The smallest piece that a registry takes, the last one excepted.
const CHUNK_MINIMUM: header::HeaderName = header::HeaderName::from_static("oci-chunk-min-length");

/// When a blob is sent in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pieces {
    /// See [`WHOLE_BYTES`].
    pub whole_bytes: u64,
    /// See [`CHUNK_BYTES`]; a registry may ask for more.
    pub chunk_bytes: u64,
}

impl Pieces {
    /// Never.
    pub const NEVER: Self = Self {
        whole_bytes: u64::MAX,
        chunk_bytes: u64::MAX,
    };
}

impl Default for Pieces {
    fn default() -> Self {
        Self {
            whole_bytes: WHOLE_BYTES,
            chunk_bytes: CHUNK_BYTES,
        }
    }
}

/// An upload under way.
#[derive(Debug, Clone)]
pub struct Session {
    url: String,
    /// Bytes that the registry has.
    received: u64,
    /// The smallest piece that the registry takes, where it says so.
    minimum: Option<u64>,
}

impl Session {
    /// Bytes that the registry has.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The upload that a POST began at the repository of `base_url`.
    pub(super) fn begin(base_url: &str, reply: &Reply) -> Result<Self, Error> {
        let minimum = reply
            .header(&CHUNK_MINIMUM)
            .and_then(|text| text.trim().parse().ok());
        let mut session = Self {
            url: base_url.to_owned(),
            received: 0,
            minimum,
        };
        if !session.moved(reply)? {
            return Err(unusable(&reply.url, "it has no usable Location"));
        }
        Ok(session)
    }

    /// Follows the upload to where `reply` says that it goes on; `false` where
    /// it says nothing.
    fn moved(&mut self, reply: &Reply) -> Result<bool, Error> {
        let Some(location) = reply.header(&header::LOCATION) else {
            return Ok(false);
        };
        let refuse = |problem: &str| unusable(&reply.url, problem);
        let next = resolve(&reply.url, location.trim());
        let origin = next.as_deref().and_then(Origin::of);
        match (next, origin, Origin::of(&self.url)) {
            (Some(_), Some(to), Some(from)) if from.https && !to.https => {
                Err(refuse("its Location leads from TLS to plain HTTP"))
            }
            (Some(next), Some(_), _) => {
                self.url = next;
                Ok(true)
            }
            _ => Err(refuse("its Location is no URL")),
        }
    }

    /// The place that makes a blob of what was sent.
    fn commit_url(&self, digest: &str) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}digest={}", self.url, encode(digest))
    }

    /// Largest piece that is sent of a blob of `size` bytes. A registry that
    /// gives a smallest piece wants pieces.
    fn piece_bytes(&self, pieces: Pieces, size: u64) -> u64 {
        let wanted = match self.minimum {
            _ if pieces == Pieces::NEVER => u64::MAX,
            Some(minimum) => minimum.max(pieces.chunk_bytes),
            None if size > pieces.whole_bytes => pieces.chunk_bytes,
            None => u64::MAX,
        };
        wanted.max(1)
    }
}

impl Target {
    /// Sends what the registry lacks of a blob, and makes it one. After an
    /// error `session` can be [resumed](Self::resume).
    ///
    /// # Errors
    /// See [`Error`]; [`Error::UploadLost`] where it has to be begun anew.
    pub fn send(
        &self,
        session: &mut Session,
        payload: &Payload<'_>,
        pieces: Pieces,
    ) -> Result<(), Error> {
        let blob = payload.blob();
        let piece = session.piece_bytes(pieces, blob.size);
        while blob.size.saturating_sub(session.received) > piece {
            self.patch(session, payload, session.received.saturating_add(piece))?;
        }
        let range = content_range(session.received, blob.size);
        let call = Call {
            method: Method::Put,
            url: &session.commit_url(&blob.digest.to_string()),
            headers: if session.received > 0 { &range } else { &[] },
            body: Some(&payload.piece(session.received, blob.size)),
            patience: Some(COMMIT_TIMEOUT),
            ..Call::default()
        };
        let reply = self
            .upload_call(call)
            .map_err(|error| payload.blame(error))?;
        match reply.status.is_success() {
            true => Ok(()),
            false => Err(refusal(reply)),
        }
    }

    /// Sends the bytes up to `to`.
    fn patch(&self, session: &mut Session, payload: &Payload<'_>, to: u64) -> Result<(), Error> {
        let call = Call {
            method: Method::Patch,
            url: &session.url,
            headers: &content_range(session.received, to),
            body: Some(&payload.piece(session.received, to)),
            patience: Some(COMMIT_TIMEOUT),
            ..Call::default()
        };
        let reply = self
            .upload_call(call)
            .map_err(|error| payload.blame(error))?;
        if !reply.status.is_success() {
            return Err(refusal(reply));
        }
        session.moved(&reply)?;
        let now = received(&reply).unwrap_or(to);
        // Less is allowed; then it goes on from there. None at all would go on
        // for ever, and more was not sent.
        if now <= session.received || now > to {
            let problem = format!(
                "of the bytes up to {to} it has received those up to {now}, and had {}",
                session.received
            );
            return Err(unusable(&session.url, &problem));
        }
        session.received = now;
        Ok(())
    }

    /// Asks how far an upload of `size` bytes came; `None` where the registry
    /// does not know it any more.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn resume(&self, mut session: Session, size: u64) -> Result<Option<Session>, Error> {
        let call = Call {
            url: &session.url,
            ..Call::default()
        };
        let reply = self.upload_call(call)?;
        // The specification's 204; a registry that gives an upload up may say
        // anything.
        if reply.status.as_u16() != 204 {
            let error = reply.into_error();
            return if error.is_transient() {
                Err(error)
            } else {
                Ok(None)
            };
        }
        let Some(received) = received(&reply).filter(|&received| received <= size) else {
            return Ok(None);
        };
        session.moved(&reply)?;
        session.received = received;
        Ok(Some(session))
    }

    /// A request of an upload, with credentials where it stays at the
    /// registry's own origin.
    fn upload_call(&self, call: Call<'_>) -> Result<Reply, Error> {
        if Origin::of(call.url) == Origin::of(&self.base_url) {
            return exchange::send(&self.transport, &self.auth, call);
        }
        self.transport.send(call)
    }
}

/// Bytes from `from` up to `to`, as the specification writes them, or nothing
/// where there are none.
fn content_range(from: u64, to: u64) -> Vec<(header::HeaderName, String)> {
    match to.checked_sub(1) {
        Some(last) if last >= from => vec![(header::CONTENT_RANGE, format!("{from}-{last}"))],
        _ => Vec::new(),
    }
}

/// The error for an answer without what the specification asks for.
fn unusable(url: &str, problem: &str) -> Error {
    Error::BadAnswer {
        url: ShownUrl::of(url),
        problem: format!("the registry's answer can't be used: {problem}"),
    }
}

/// The error that a refused part of an upload stands for.
fn refusal(reply: Reply) -> Error {
    let (url, status) = (ShownUrl::of(&reply.url), reply.status.as_u16());
    let answer = match reply.into_error() {
        Error::NotFound { answer, .. } => answer,
        Error::Status { answer, .. } if lost(status, answer.code.as_deref()) => answer,
        other => return other,
    };
    Error::UploadLost {
        url,
        status,
        answer,
    }
}

/// Whether a status means that the upload is not where it was thought to be.
fn lost(status: u16, code: Option<&str>) -> bool {
    status == 416
        || matches!(
            code,
            Some("BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID" | "RANGE_INVALID")
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(url: &str, minimum: Option<u64>) -> Session {
        Session {
            url: url.to_owned(),
            received: 0,
            minimum,
        }
    }

    #[test]
    fn the_query_of_an_uploads_place_is_kept() {
        let commit = |url| session(url, None).commit_url("sha256:ab");
        assert_eq!(commit("http://h/u"), "http://h/u?digest=sha256%3Aab");
        assert_eq!(
            commit("http://h/u?a=b"),
            "http://h/u?a=b&digest=sha256%3Aab"
        );
    }

    #[test]
    fn pieces_are_as_large_as_asked_and_as_the_registry_wants() {
        let pieces = Pieces {
            whole_bytes: 100,
            chunk_bytes: 40,
        };
        let piece = |minimum, size| session("", minimum).piece_bytes(pieces, size);
        assert_eq!(piece(None, 100), u64::MAX);
        assert_eq!(piece(None, 101), 40);
        assert_eq!(piece(Some(50), 60), 50);
        assert_eq!(piece(Some(0), 60), 40);
        assert_eq!(
            session("", Some(50)).piece_bytes(Pieces::NEVER, 60),
            u64::MAX
        );
    }

    #[test]
    fn ranges_name_the_first_and_the_last_byte() {
        let text = |from, to| content_range(from, to).pop().map(|(_, value)| value);
        assert_eq!(text(0, 10).as_deref(), Some("0-9"));
        assert_eq!(text(10, 11).as_deref(), Some("10-10"));
        assert_eq!(text(0, 0), None);
        assert_eq!(text(11, 11), None);
    }
}
