//! Reads a file's data, extent after extent.

use std::io::{self, Read, Seek, SeekFrom};

use super::record::{Entry, Section};

/// Made by [`Image::open_file`](super::Image::open_file).
#[derive(Debug)]
pub struct FileReader<'a, R> {
    reader: &'a mut R,
    sections: Vec<Section>,
    next: usize,
    /// Bytes read of the current section.
    read: u64,
}

impl<'a, R> FileReader<'a, R> {
    pub(super) fn new(reader: &'a mut R, entry: &Entry) -> Self {
        Self {
            reader,
            sections: entry.sections.clone(),
            next: 0,
            read: 0,
        }
    }
}

impl<R: Read + Seek> Read for FileReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Some(section) = self.sections.get(self.next) {
            let left = section.bytes.saturating_sub(self.read);
            if left == 0 {
                self.next += 1;
                self.read = 0;
                continue;
            }
            let offset = section.offset.saturating_add(self.read);
            self.reader.seek(SeekFrom::Start(offset))?;
            let wanted = left.min(buf.len() as u64) as usize;
            let n = match buf.get_mut(..wanted) {
                Some(part) => self.reader.read(part)?,
                None => 0,
            };
            if n == 0 && wanted > 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("the image ends at byte {offset} within a file"),
                ));
            }
            self.read += n as u64;
            return Ok(n);
        }
        Ok(0)
    }
}
