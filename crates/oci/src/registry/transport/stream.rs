//! An answer's body while it is read: exactly as long as was said, and not too slow.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use crate::Error;
use crate::registry::limiter::Permit;
use crate::registry::url::ShownUrl;

use super::from_ureq;
use isoforge_base::limit;

/// A body that is read.
pub(in crate::registry) struct Stream {
    pub(super) url: String,
    pub(super) inner: ureq::BodyReader<'static>,
    pub(super) expected: Option<u64>,
    pub(super) got: u64,
    pub(super) pace: Pace,
    pub(super) _permit: Permit,
}

/// Whether a body comes fast enough. Each single byte may be in time and all of them
/// take for ever, while the host's connection is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    window: Duration,
    /// Waited for the server since the window began: what the reader does in between is
    /// not the server's fault.
    waited: Duration,
    /// Bytes that came since.
    came: u64,
}

impl Pace {
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
            waited: Duration::ZERO,
            came: 0,
        }
    }

    /// Counts bytes that were waited for; whether they are enough.
    pub(super) fn add(&mut self, bytes: usize, waited: Duration) -> bool {
        self.waited += waited;
        self.came += bytes as u64;
        if self.waited < self.window {
            return true;
        }
        let enough = limit::RATE_BYTES as f64 * self.waited.as_secs_f64();
        let is_enough = self.came as f64 >= enough;
        *self = Self::new(self.window);
        is_enough
    }
}

impl Stream {
    fn too_slow(&self) -> io::Error {
        let rate = limit::RATE_BYTES;
        let seconds = self.pace.window.as_secs_f64();
        io::Error::other(Error::Transport {
            url: ShownUrl::of(&self.url),
            problem: format!("less than {rate} bytes a second came over {seconds} s"),
        })
    }

    fn truncated(&self, expected: u64) -> io::Error {
        io::Error::other(Error::Truncated {
            url: ShownUrl::of(&self.url),
            expected,
            got: self.got,
        })
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let begun = Instant::now();
        let n = match self.inner.read(buf) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                if let (Some(expected), io::ErrorKind::UnexpectedEof) =
                    (self.expected, error.kind())
                {
                    return Err(self.truncated(expected));
                }
                let error = match error.downcast::<ureq::Error>() {
                    Ok(inner) => from_ureq(&self.url, &inner, None),
                    Err(error) => from_ureq(&self.url, &ureq::Error::Io(error), None),
                };
                return Err(io::Error::other(error));
            }
        };
        self.got += n as u64;
        if n > 0 && !self.pace.add(n, begun.elapsed()) {
            return Err(self.too_slow());
        }
        match self.expected {
            Some(expected) if n == 0 && self.got < expected => Err(self.truncated(expected)),
            Some(expected) if self.got > expected => Err(io::Error::other(Error::Length {
                place: ShownUrl::of(&self.url).to_string(),
                expected,
                found: self.got,
            })),
            _ => Ok(n),
        }
    }
}
