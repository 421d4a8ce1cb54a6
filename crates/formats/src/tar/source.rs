//! The tar stream, read in blocks, with its position for messages.

use std::io::{self, Read};

use super::header::BLOCK_BYTES;
use super::limits::Limit;
use crate::Error;

const BLOCK: u64 = BLOCK_BYTES as u64;
const DRAIN_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes from the end of `size` bytes to the end of their last block.
pub(super) fn padding(size: u64) -> u64 {
    (BLOCK - size % BLOCK) % BLOCK
}

/// The stream, with its position.
#[derive(Debug)]
pub(super) struct Source<R> {
    inner: R,
    pub(super) offset: u64,
    max: u64,
}

impl<R: Read> Source<R> {
    /// Reads from `inner`, which begins at byte `offset`, up to byte `max`.
    pub(super) fn new(inner: R, offset: u64, max: u64) -> Self {
        Self { inner, offset, max }
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let n = loop {
            match self.inner.read(buf) {
                Ok(n) => break n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let offset = self.offset;
                    return Err(
                        Error::from_io(e).unwrap_or_else(|source| Error::Read { offset, source })
                    );
                }
            }
        };
        self.offset += n as u64;
        if self.offset > self.max {
            return Err(Error::Limit {
                limit: Limit::LayerBytes,
                max: self.max,
                entry: format!("byte {} of the archive", self.offset),
            });
        }
        Ok(n)
    }

    /// One block; `None` where the stream is at its end.
    pub(super) fn block(&mut self, what: &str) -> Result<Option<[u8; BLOCK_BYTES]>, Error> {
        let mut block = [0; BLOCK_BYTES];
        let n = self.read(&mut block)?;
        if n == 0 {
            return Ok(None);
        }
        self.fill(block.get_mut(n..).unwrap_or_default(), what)?;
        Ok(Some(block))
    }

    pub(super) fn fill(&mut self, mut buf: &mut [u8], what: &str) -> Result<(), Error> {
        while !buf.is_empty() {
            let n = self.read(buf)?;
            if n == 0 {
                return Err(self.truncated(what));
            }
            buf = buf.get_mut(n..).unwrap_or_default();
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, mut bytes: u64, what: &str) -> Result<(), Error> {
        let mut buf = [0; DRAIN_BUFFER_BYTES];
        while bytes > 0 {
            let length = usize::try_from(bytes).unwrap_or(usize::MAX).min(buf.len());
            let n = self.read(buf.get_mut(..length).unwrap_or_default())?;
            if n == 0 {
                return Err(self.truncated(what));
            }
            bytes -= n as u64;
        }
        Ok(())
    }

    /// What fills the last block behind `size` bytes of a member. An archive may end
    /// right before: umoci's `insert` leaves it so, and container runtimes take that
    /// (Go's archive/tar).
    pub(super) fn skip_padding(&mut self, size: u64, what: &str) -> Result<(), Error> {
        let padding = padding(size);
        let mut first = [0; 1];
        if padding == 0 || self.read(&mut first)? == 0 {
            return Ok(());
        }
        self.skip(padding - 1, what)
    }

    pub(super) fn drain(&mut self) -> Result<(), Error> {
        let mut buf = [0; DRAIN_BUFFER_BYTES];
        while self.read(&mut buf)? > 0 {}
        Ok(())
    }

    fn truncated(&self, what: &str) -> Error {
        Error::Truncated {
            offset: self.offset,
            entry: what.to_owned(),
        }
    }
}

/// The data of one member.
pub(super) struct Data<'a, R> {
    pub(super) source: &'a mut Source<R>,
    pub(super) remaining: &'a mut u64,
    pub(super) entry: &'a str,
}

impl<R: Read> Read for Data<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(*self.remaining)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        let Some(buf) = buf.get_mut(..length).filter(|buf| !buf.is_empty()) else {
            return Ok(0);
        };
        let n = self.source.read(buf)?;
        if n == 0 {
            return Err(self.source.truncated(self.entry).into());
        }
        *self.remaining -= n as u64;
        Ok(n)
    }
}
