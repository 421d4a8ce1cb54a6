//! How much a decoder may give: a bomb's input is small by nature, so it is the output
//! that is bounded, absolutely and by what went in.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a stream may decompress to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes that come out.
    pub bytes: u64,
    /// Bytes that come out for each that went in.
    pub ratio: u64,
    /// Bytes below which the ratio is not looked at: short inputs may be
    /// arbitrarily redundant.
    pub ratio_floor_bytes: u64,
}

/// Which of the [`Bounds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// [`Bounds::bytes`]
    Bytes,
    /// [`Bounds::ratio`]
    Ratio,
}

impl Bound {
    fn per(self) -> &'static str {
        match self {
            Self::Bytes => "",
            Self::Ratio => " for each compressed one",
        }
    }
}

/// A stream decompresses to more than it may; carried in an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {allowed} uncompressed bytes{}", bound.per())]
pub struct Exceeded {
    /// The bound.
    pub bound: Bound,
    /// Its value.
    pub allowed: u64,
    /// Bytes that came out so far.
    pub given: u64,
}

/// What `decoder` makes of `from`; reading fails with [`Exceeded`] as soon as more came
/// out than `bounds` allow.
///
/// # Errors
/// Where the decoder can't be set up.
pub fn within<R: Read, D: Read, E>(
    from: R,
    bounds: Bounds,
    decoder: impl FnOnce(Counted<R>) -> Result<D, E>,
) -> Result<Bounded<D>, E> {
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        inner: from,
        taken: Arc::clone(&taken),
    };
    Ok(Bounded {
        inner: decoder(counted)?,
        taken,
        given: 0,
        bounds,
    })
}

/// A reader that counts what is taken from it.
#[derive(Debug)]
pub struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// What a decoder gives, as long as that is within [`Bounds`].
#[derive(Debug)]
pub struct Bounded<D> {
    inner: D,
    taken: Arc<AtomicU64>,
    given: u64,
    bounds: Bounds,
}

impl<D> Bounded<D> {
    fn check(&self) -> Result<(), Exceeded> {
        let (given, bounds) = (self.given, self.bounds);
        let by_ratio = self
            .taken
            .load(Ordering::Relaxed)
            .saturating_mul(bounds.ratio);
        let (bound, allowed) = if given > bounds.bytes {
            (Bound::Bytes, bounds.bytes)
        } else if given > bounds.ratio_floor_bytes && given > by_ratio {
            (Bound::Ratio, bounds.ratio)
        } else {
            return Ok(());
        };
        Err(Exceeded {
            bound,
            allowed,
            given,
        })
    }
}

impl<D: Read> Read for Bounded<D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.given = self.given.saturating_add(n as u64);
        self.check()
            .map_err(|exceeded| io::Error::new(io::ErrorKind::InvalidData, exceeded))?;
        Ok(n)
    }
}
