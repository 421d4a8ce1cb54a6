//! A part of a file, read without moving the file's own position.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

/// Reads `left` bytes from `offset` on; several of one file do not disturb each
/// other.
#[derive(Debug)]
pub struct Section<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl<'a> Section<'a> {
    /// The `left` bytes of `file` from `offset` on.
    pub fn new(file: &'a File, offset: u64, left: u64) -> Self {
        Self { file, offset, left }
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        let n = self
            .file
            .read_at(buf.get_mut(..wanted).unwrap_or_default(), self.offset)?;
        self.offset += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}
