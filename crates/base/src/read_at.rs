//! Bytes that are read from any place on, by several threads at once: a file, or
//! several that are one behind the other.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::regular;

/// What has a size and can be read from any byte on.
pub trait ReadAt: Send + Sync + fmt::Debug {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Reads some bytes from `offset` on, none only at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where there are not so many.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let n = match self.read_at(rest, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            rest = rest.get_mut(n..).unwrap_or_default();
            at = at.saturating_add(n as u64);
        }
        Ok(())
    }
}

/// A file or block device.
#[derive(Debug)]
pub struct FileAt {
    file: std::fs::File,
    size: u64,
}

impl FileAt {
    /// Opens a regular file or a block device.
    ///
    /// # Errors
    /// For anything else, and what the system says, with the path.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(regular::open_or_medium(path)?.into_file())
    }

    /// An open file; its size is where its end is, which block devices have too.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(mut file: std::fs::File) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, size })
    }
}

impl ReadAt for FileAt {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.file, buf, offset)
    }
}

/// As it is now; [`FileAt`] asks once for its size.
impl ReadAt for std::fs::File {
    fn size(&self) -> u64 {
        self.metadata().map_or(0, |metadata| metadata.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buf, offset)
    }
}

/// Several that are read as one.
#[derive(Debug)]
pub struct Joined {
    /// Where each begins.
    parts: Vec<(u64, FileAt)>,
    size: u64,
}

impl Joined {
    /// Joins files in this order.
    ///
    /// # Errors
    /// Where their sizes have no sum.
    pub fn new(files: Vec<FileAt>) -> io::Result<Self> {
        let mut parts = Vec::with_capacity(files.len());
        let mut size = 0_u64;
        for file in files {
            let start = size;
            size = size
                .checked_add(file.size)
                .ok_or(io::ErrorKind::FileTooLarge)?;
            parts.push((start, file));
        }
        Ok(Self { parts, size })
    }
}

impl ReadAt for Joined {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let behind = self.parts.partition_point(|(start, _)| *start <= offset);
        // Empty parts begin where the next one does, so the last one is it.
        match behind.checked_sub(1).and_then(|at| self.parts.get(at)) {
            Some((start, part)) => part.read_at(buf, offset - start),
            None => Ok(0),
        }
    }
}

/// A range of a source, read like a file of its own; several of one source do not
/// disturb each other.
#[derive(Debug)]
pub struct Window<S = Arc<dyn ReadAt>> {
    source: S,
    start: u64,
    size: u64,
    /// Relative to `start`.
    at: u64,
}

impl<S: Deref<Target: ReadAt>> Window<S> {
    /// `size` bytes from `start` on.
    #[must_use]
    pub fn new(source: S, start: u64, size: u64) -> Self {
        Self {
            source,
            start,
            size,
            at: 0,
        }
    }

    /// All of it.
    #[must_use]
    pub fn whole(source: S) -> Self {
        let size = source.size();
        Self::new(source, 0, size)
    }
}

impl<S> Seek for Window<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl<S: Deref<Target: ReadAt>> Read for Window<S> {
    /// A range that the source ends within is an error, not a shorter range.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.at);
        let wanted = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = match buf.get_mut(..wanted) {
            Some(buf) if wanted > 0 => {
                let at = self.start.checked_add(self.at);
                self.source
                    .read_at(buf, at.ok_or(io::ErrorKind::InvalidInput)?)?
            }
            _ => return Ok(0),
        };
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(bytes: &[u8]) -> FileAt {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        FileAt::new(file).unwrap()
    }

    #[test]
    fn joined_files_are_one_and_windows_look_across_their_ends() {
        let joined = Joined::new(vec![file(b""), file(b"abc"), file(b""), file(b"defg")]).unwrap();
        assert_eq!(joined.size(), 7);
        let joined: Arc<dyn ReadAt> = Arc::new(joined);
        let mut all = String::new();
        Window::whole(Arc::clone(&joined))
            .read_to_string(&mut all)
            .unwrap();
        assert_eq!(all, "abcdefg");
        let mut window = Window::new(Arc::clone(&joined), 2, 3);
        let mut text = String::new();
        window.read_to_string(&mut text).unwrap();
        assert_eq!(text, "cde");
        assert_eq!(window.seek(SeekFrom::End(-1)).unwrap(), 2);
        text.clear();
        window.read_to_string(&mut text).unwrap();
        assert_eq!(text, "e");
        let cut = Window::new(joined, 5, 3).read_to_end(&mut Vec::new());
        assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
