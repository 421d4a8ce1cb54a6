//! Zstandard's seekable format: a compressed file that is read from any byte on.
//!
//! Specification: "Zstandard Seekable Format" 0.1.0
//! (`contrib/seekable_format/zstd_seekable_compression_format.md` of Zstandard):
//! independent frames, and behind them a skippable frame (RFC 8878, section 3.1.2)
//! with a table of their sizes. To a decoder that does not know it the file is an
//! ordinary one.
//!
//! Scope: writing frames of the caller's choice, each with its content checksum;
//! reading what anybody wrote, with checksums in the table or without.
//! Non-goals: the table's own checksums (the frames have theirs), dictionaries.
//!
//! Ours because the crates for it compress through a writer that decides itself where
//! frames end, and trust the table that they read; what compresses is Zstandard.
//!
//! Invariants:
//! - Same frames, same bytes.
//! - Input is not trusted: the table must account for every byte of the file, and a
//!   frame must give as many bytes as the table says. One frame is unpacked at a
//!   time, and none of more than [`MAX_FRAME_BYTES`].

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{self, CParameter};

use crate::Error;
use isoforge_base::limit;
use isoforge_base::read_at::ReadAt;

/// Largest frame that is unpacked, in bytes.
pub const MAX_FRAME_BYTES: u32 = 128 * 1024 * 1024;
/// Most frames of a file (`ZSTD_SEEKABLE_MAXFRAMES`).
pub const MAX_FRAMES: u32 = 0x0800_0000;

/// Level of what compresses.
const LEVEL: i32 = 3;
/// Magic number of the skippable frame that the table is in.
const SKIPPABLE_MAGIC: u32 = 0x184D_2A5E;
/// Magic number at the end of the file.
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;
const SKIPPABLE_HEADER_BYTES: u64 = 8;
const FOOTER_BYTES: u64 = 9;
/// Bit of the descriptor: entries have checksums.
const HAS_CHECKSUMS: u8 = 0x80;
/// Bits of the descriptor that must not be set.
const RESERVED: u8 = 0x7C;
/// Bytes of unpacked frames that are kept for who reads on: a few readers at once.
const KEPT_BYTES: usize = 32 * 1024 * 1024;

/// How hard to compress a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// As well as is quick.
    Normal,
    /// Not at all: it is compressed already.
    Stored,
}

/// Makes frames, and the table in the end.
pub struct Encoder {
    normal: Compressor<'static>,
    stored: Compressor<'static>,
    buffer: Vec<u8>,
    /// Compressed and uncompressed bytes of each.
    table: Vec<(u32, u32)>,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("frames", &self.table.len())
            .finish_non_exhaustive()
    }
}

impl Encoder {
    /// The beginning of a file.
    ///
    /// # Errors
    /// What the library says.
    pub fn new() -> io::Result<Self> {
        let compressor = |level| {
            let mut compressor = Compressor::new(level)?;
            compressor.set_parameter(CParameter::ChecksumFlag(true))?;
            Ok::<_, io::Error>(compressor)
        };
        Ok(Self {
            normal: compressor(LEVEL)?,
            // At this level the search for matches skips whole blocks.
            stored: compressor(zstd_safe::min_c_level())?,
            buffer: Vec::new(),
            table: Vec::new(),
        })
    }

    /// Appends one frame to `out`, whose bytes are the file's in their order; none for
    /// no data.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for more than [`MAX_FRAME_BYTES`],
    /// [`io::ErrorKind::FileTooLarge`] for more than [`MAX_FRAMES`].
    pub fn frame(&mut self, data: &[u8], effort: Effort, out: &mut Vec<u8>) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let size = u32::try_from(data.len())
            .ok()
            .filter(|&size| size <= MAX_FRAME_BYTES)
            .ok_or(io::ErrorKind::InvalidInput)?;
        if self.table.len() as u64 >= u64::from(MAX_FRAMES) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let compressor = match effort {
            Effort::Normal => &mut self.normal,
            Effort::Stored => &mut self.stored,
        };
        let bound = zstd_safe::compress_bound(data.len());
        // The library writes from a buffer's first byte on.
        let compressed = if out.is_empty() {
            out.reserve(bound);
            compressor.compress_to_buffer(data, out)?
        } else {
            self.buffer.clear();
            self.buffer.reserve(bound);
            let bytes = compressor.compress_to_buffer(data, &mut self.buffer)?;
            out.extend_from_slice(&self.buffer);
            bytes
        };
        let compressed = u32::try_from(compressed).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.table.push((compressed, size));
        Ok(())
    }

    /// The table, which ends the file.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`].
    pub fn table(self) -> io::Result<Vec<u8>> {
        let frames = u32::try_from(self.table.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let bytes = u64::from(frames) * 8 + FOOTER_BYTES;
        let bytes = u32::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut table = Vec::with_capacity(bytes as usize + SKIPPABLE_HEADER_BYTES as usize);
        table.extend(SKIPPABLE_MAGIC.to_le_bytes());
        table.extend(bytes.to_le_bytes());
        for (compressed, size) in &self.table {
            table.extend(compressed.to_le_bytes());
            table.extend(size.to_le_bytes());
        }
        table.extend(frames.to_le_bytes());
        table.push(0);
        table.extend(SEEKABLE_MAGIC.to_le_bytes());
        Ok(table)
    }
}

/// Where a frame is.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Of its compressed bytes within the file.
    start: u64,
    compressed: u32,
    /// Of its content within the whole.
    at: u64,
    size: u32,
}

/// The content of a seekable file. Frames that were unpacked last are kept.
#[derive(Debug)]
pub struct Reader {
    source: Arc<dyn ReadAt>,
    frames: Vec<Frame>,
    size: u64,
    kept: Mutex<VecDeque<(usize, Arc<Vec<u8>>)>>,
}

impl Reader {
    /// Reads the table; `None` where the file has none, as other Zstandard files.
    ///
    /// # Errors
    /// Where the table contradicts the format or the file's size, or reading fails.
    pub fn open(source: Arc<dyn ReadAt>) -> Result<Option<Self>, Error> {
        let length = source.size();
        let Some(footer_at) = length.checked_sub(FOOTER_BYTES) else {
            return Ok(None);
        };
        let mut footer = [0; FOOTER_BYTES as usize];
        source
            .read_exact_at(&mut footer, footer_at)
            .map_err(reading)?;
        let [a, b, c, d, descriptor, magic @ ..] = footer;
        if u32::from_le_bytes(magic) != SEEKABLE_MAGIC {
            return Ok(None);
        }
        if descriptor & RESERVED != 0 {
            return Err(wrong_table("it is of a later version"));
        }
        let count = u32::from_le_bytes([a, b, c, d]);
        if count > MAX_FRAMES {
            return Err(wrong_table("it has more entries than the format allows"));
        }
        let entry_bytes = if descriptor & HAS_CHECKSUMS == 0 {
            8
        } else {
            12
        };
        let entries_bytes = u64::from(count) * entry_bytes;
        let start = footer_at
            .checked_sub(entries_bytes + SKIPPABLE_HEADER_BYTES)
            .ok_or_else(|| wrong_table("it is longer than the file"))?;
        let mut table = vec![0; (length - start - FOOTER_BYTES) as usize];
        source.read_exact_at(&mut table, start).map_err(reading)?;
        let mut words = table
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap_or_default()));
        let stated = (words.next(), words.next().map(u64::from));
        if stated != (Some(SKIPPABLE_MAGIC), Some(entries_bytes + FOOTER_BYTES)) {
            return Err(wrong_table("its frame is not where it must be"));
        }
        let words: Vec<u32> = words.collect();
        let entries = words.chunks_exact((entry_bytes / 4) as usize);
        let (frames, size) = frames(entries, start)?;
        Ok(Some(Self {
            source,
            frames,
            size,
            kept: Mutex::default(),
        }))
    }

    /// The content of a frame.
    fn unpacked(&self, number: usize, frame: &Frame) -> io::Result<Arc<Vec<u8>>> {
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = kept.iter().position(|(n, _)| *n == number)
                && let Some(found) = kept.remove(at)
            {
                let content = Arc::clone(&found.1);
                kept.push_back(found);
                return Ok(content);
            }
        }
        let content = Arc::new(self.unpack(frame)?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((number, Arc::clone(&content)));
        let mut bytes: usize = kept.iter().map(|(_, content)| content.len()).sum();
        while bytes > KEPT_BYTES
            && kept.len() > 1
            && let Some((_, gone)) = kept.pop_front()
        {
            bytes -= gone.len();
        }
        Ok(content)
    }

    fn unpack(&self, frame: &Frame) -> io::Result<Vec<u8>> {
        let mut compressed = vec![0; frame.compressed as usize];
        self.source.read_exact_at(&mut compressed, frame.start)?;
        let damaged = |problem: String| {
            let place = format!("the Zstandard frame at byte {}", frame.start);
            io::Error::new(io::ErrorKind::InvalidData, format!("{place} {problem}"))
        };
        let mut content = Vec::with_capacity(frame.size as usize);
        Decompressor::new()?
            .decompress_to_buffer(&compressed, &mut content)
            .map_err(|error| damaged(format!("can't be decompressed: {error}")))?;
        if content.len() != frame.size as usize {
            return Err(damaged(format!(
                "has {} bytes, {} in the table",
                content.len(),
                frame.size
            )));
        }
        Ok(content)
    }
}

fn reading(source: io::Error) -> Error {
    Error::io(format!("can't be read: {source}"))(source)
}

fn wrong_table(problem: &str) -> Error {
    Error::damaged(format!("has a damaged seek table: {problem}"))
}

/// The frames of the table's entries, which end at `end`, and the size of all.
fn frames<'a>(
    entries: impl Iterator<Item = &'a [u32]>,
    end: u64,
) -> Result<(Vec<Frame>, u64), Error> {
    let (mut start, mut at) = (0_u64, 0_u64);
    let mut frames = Vec::new();
    for entry in entries {
        let &[compressed, size, ..] = entry else {
            return Err(wrong_table("an entry is cut off"));
        };
        if size > MAX_FRAME_BYTES {
            return Err(wrong_table("a frame is too large to be unpacked"));
        }
        // A frame is read whole, so it is bounded as well.
        if u64::from(compressed) > zstd_safe::compress_bound(MAX_FRAME_BYTES as usize) as u64 {
            return Err(wrong_table("a frame has too many bytes"));
        }
        if size > 0 {
            frames.push(Frame {
                start,
                compressed,
                at,
                size,
            });
        }
        start += u64::from(compressed);
        at += u64::from(size);
        if at > limit::RATIO_FLOOR_BYTES && at > start.saturating_mul(limit::ZSTD_RATIO) {
            return Err(wrong_table(&format!(
                "its frames have more than {} bytes for each compressed one",
                limit::ZSTD_RATIO
            )));
        }
    }
    if start != end {
        return Err(wrong_table("its frames do not end where it begins"));
    }
    Ok((frames, at))
}

impl ReadAt for Reader {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if buf.is_empty() || offset >= self.size {
            return Ok(0);
        }
        let number = self.frames.partition_point(|frame| frame.at <= offset);
        let Some(number) = number.checked_sub(1) else {
            return Ok(0);
        };
        let Some(frame) = self.frames.get(number) else {
            return Ok(0);
        };
        let content = self.unpacked(number, frame)?;
        let within = usize::try_from(offset - frame.at).unwrap_or(usize::MAX);
        let rest = content.get(within..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
