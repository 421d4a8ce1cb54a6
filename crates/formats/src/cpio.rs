//! The cpio archives that make up an initrd, read and written.
//!
//! Specification: Linux, Documentation/driver-api/early-userspace/
//! buffer-format.rst (formats "newc" and "crc"), and cpio(5).
//!
//! Scope: archives one after another with zero bytes between them, of which
//! the last may be compressed with zstd, xz or gzip; inside, again archives.
//! Non-goals: other formats of cpio, hard links, checksums.
//!
//! Invariants: memory is bounded by [`Limits`] whatever the input; every error
//! of the format tells the offset in the stream, decompressed where it is
//! compressed.

use std::io::{self, BufReader, Read};

use crate::Error;
use isoforge_base::inflate::{self, Bounds};
use isoforge_base::limit;

/// Size of a header, in bytes.
const HEADER_BYTES: usize = 110;

/// Headers, names and data start at multiples of this, in bytes.
const ALIGN: usize = 4;

/// Longest magic number that is looked at, in bytes.
const MAGIC_BYTES: usize = 6;

/// How deep compressed streams may be nested.
const MAX_NESTING: usize = 3;

/// Name of the entry that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// What an initrd may cost to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one stream, decompressed.
    pub max_bytes: u64,
    /// Entries of all archives.
    pub max_entries: u64,
    /// Bytes of one name.
    pub max_name_bytes: u32,
    /// Bytes of memory that xz may use.
    pub xz_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 4 << 30,
            max_entries: 1_000_000,
            max_name_bytes: 4096,
            xz_memory: 256 << 20,
        }
    }
}

/// Receives each entry: its path and its data.
pub type Visit<'v> = dyn FnMut(&str, &mut dyn Read) -> io::Result<()> + 'v;

/// Calls `visit` for every entry of every archive, with its path (without `./`) and
/// its data.
///
/// # Errors
/// [`Error::Io`] where reading, decompressing or `visit` fails; else with the offset
/// where the format is broken or a limit met.
pub fn walk(initrd: impl Read, limits: &Limits, visit: &mut Visit<'_>) -> Result<(), Error> {
    let mut stream = Stream::new(Box::new(BufReader::new(initrd)), limits);
    let mut entries = 0;
    for _ in 0..=MAX_NESTING {
        match archives(&mut stream, limits, &mut entries, visit)? {
            None => return Ok(()),
            Some(compression) => stream = Stream::new(compression.reader(stream, limits)?, limits),
        }
    }
    let what = "compressed streams within each other";
    Err(over(MAX_NESTING as u64, what, stream.offset))
}

#[derive(Debug, Clone, Copy)]
enum Compression {
    Zstd,
    Xz,
    Gzip,
}

impl Compression {
    fn reader<'a>(self, stream: Stream<'a>, limits: &Limits) -> Result<Box<dyn Read + 'a>, Error> {
        let bounds = Bounds {
            // All that comes out is counted by who reads it.
            bytes: u64::MAX,
            ratio: self.ratio(),
            ratio_floor_bytes: limit::RATIO_FLOOR_BYTES,
        };
        let inflated = inflate::within(stream, bounds, |stream| self.decoder(stream, limits))?;
        Ok(Box::new(inflated))
    }

    fn decoder<'a>(
        self,
        stream: impl Read + 'a,
        limits: &Limits,
    ) -> Result<Box<dyn Read + 'a>, Error> {
        Ok(match self {
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::new(stream).map_err(reading)?;
                Box::new(decoder.single_frame())
            }
            Self::Xz => {
                let decoder = liblzma::stream::Stream::new_stream_decoder(limits.xz_memory, 0)
                    .map_err(|error| reading(error.into()))?;
                Box::new(liblzma::read::XzDecoder::new_stream(stream, decoder))
            }
            Self::Gzip => Box::new(flate2::read::GzDecoder::new(stream)),
        })
    }

    fn ratio(self) -> u64 {
        match self {
            Self::Zstd => limit::ZSTD_RATIO,
            Self::Xz => limit::XZ_RATIO,
            Self::Gzip => limit::GZIP_RATIO,
        }
    }
}

/// Reads archives up to the end or to a compressed stream.
fn archives(
    stream: &mut Stream<'_>,
    limits: &Limits,
    entries: &mut u64,
    visit: &mut Visit<'_>,
) -> Result<Option<Compression>, Error> {
    loop {
        stream.skip_zeros()?;
        let offset = stream.offset;
        let magic = stream.peek().map_err(reading)?;
        match magic {
            [] => return Ok(None),
            b"070701" | b"070702" => archive(stream, limits, entries, visit)?,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return Ok(Some(Compression::Zstd)),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => return Ok(Some(Compression::Xz)),
            [0x1f, 0x8b, ..] => return Ok(Some(Compression::Gzip)),
            _ => {
                let name = match magic {
                    [0x02, 0x21, 0x4c, 0x18, ..] | [0x04, 0x22, 0x4d, 0x18, ..] => "lz4",
                    [0x5d, 0, 0, ..] => "lzma",
                    [0x89, b'L', b'Z', b'O', ..] => "lzo",
                    [b'B', b'Z', b'h', ..] => "bzip2",
                    _ => {
                        let magic: Vec<_> = magic.iter().map(|b| format!("{b:02x}")).collect();
                        let magic = magic.join(" ");
                        return Err(Error::damaged(format!(
                            "neither a cpio archive nor a known compression at offset {offset} (bytes {magic})"
                        )));
                    }
                };
                return Err(Error::damaged(format!(
                    "it is compressed with {name} at offset {offset}, which isoforge can't read"
                )));
            }
        }
    }
}

/// Reads one archive up to its trailer.
fn archive(
    stream: &mut Stream<'_>,
    limits: &Limits,
    entries: &mut u64,
    visit: &mut Visit<'_>,
) -> Result<(), Error> {
    loop {
        let offset = stream.offset;
        let header = Header::read(stream)?;
        if header.name_bytes > limits.max_name_bytes {
            return Err(over(
                limits.max_name_bytes.into(),
                "bytes in a name",
                offset,
            ));
        }
        let mut name = vec![0; header.name_bytes as usize];
        stream.fill(&mut name)?;
        stream.skip_padding()?;
        let Some((0, name)) = name.split_last() else {
            return Err(broken_header(offset));
        };
        if name == TRAILER.as_bytes() {
            return Ok(());
        }
        *entries += 1;
        if *entries > limits.max_entries {
            return Err(over(limits.max_entries, "entries", offset));
        }
        let end = stream.offset.saturating_add(header.data_bytes.into());
        let mut data = (&mut *stream).take(header.data_bytes.into());
        let name = String::from_utf8_lossy(name);
        visit(name.trim_start_matches("./"), &mut data).map_err(reading)?;
        stream.skip_to(end)?;
        stream.skip_padding()?;
    }
}

/// The fields that are of use here.
struct Header {
    data_bytes: u32,
    name_bytes: u32,
}

impl Header {
    fn read(stream: &mut Stream<'_>) -> Result<Self, Error> {
        let offset = stream.offset;
        let mut bytes = [0; HEADER_BYTES];
        stream.fill(&mut bytes)?;
        let broken = || broken_header(offset);
        if !matches!(bytes.get(..MAGIC_BYTES), Some(b"070701" | b"070702")) {
            return Err(broken());
        }
        // Thirteen fields of eight hexadecimal digits follow the magic number:
        // inode, mode, uid, gid, links, mtime, file size, four device numbers,
        // name size with the final zero byte, checksum.
        let field = |index: usize| {
            let start = MAGIC_BYTES + index * 8;
            let digits = std::str::from_utf8(bytes.get(start..start + 8)?).ok()?;
            // from_str_radix would take a sign.
            digits
                .chars()
                .all(|c| c.is_ascii_hexdigit())
                .then_some(())?;
            u32::from_str_radix(digits, 16).ok()
        };
        Ok(Self {
            data_bytes: field(6).ok_or_else(broken)?,
            name_bytes: field(11).ok_or_else(broken)?,
        })
    }
}

fn reading(source: io::Error) -> Error {
    Error::io("reading failed")(source)
}

fn broken_header(offset: u64) -> Error {
    Error::damaged(format!("broken cpio header at offset {offset}"))
}

/// A limit was met.
fn over(limit: u64, what: &str, offset: u64) -> Error {
    Error::damaged(format!(
        "it has more than {limit} {what} at offset {offset}"
    ))
}

/// Writes an archive whose entries belong to root and have time 0. Names are
/// relative, directories come before what is in them.
#[derive(Debug, Default)]
pub struct Writer {
    archive: Vec<u8>,
    entries: usize,
}

impl Writer {
    /// Adds an entry; `mode` has the file type too (`0o040_755`), `data` is the
    /// target of a symbolic link.
    pub fn entry(&mut self, name: &str, mode: u32, data: &[u8]) {
        self.entries += 1;
        let links = if mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
        self.put(self.entries, name, mode, links, data);
    }

    /// The archive with its trailer.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.put(0, TRAILER, 0, 1, &[]);
        self.archive
    }

    fn put(&mut self, inode: usize, name: &str, mode: u32, links: u32, data: &[u8]) {
        let (size, name_size, zero) = (data.len(), name.len() + 1, 0);
        let owner = format!("{zero:08X}{zero:08X}{links:08X}{zero:08X}");
        let devices = format!("{zero:032X}");
        let header = format!(
            "070701{inode:08X}{mode:08X}{owner}{size:08X}{devices}{name_size:08X}{zero:08X}"
        );
        self.archive
            .extend(header.bytes().chain(name.bytes()).chain([0]));
        self.pad();
        self.archive.extend(data);
        self.pad();
    }

    fn pad(&mut self) {
        let end = self.archive.len().next_multiple_of(ALIGN);
        self.archive.resize(end, 0);
    }
}

/// A stream that knows its offset and can look a few bytes ahead.
struct Stream<'a> {
    inner: Box<dyn Read + 'a>,
    /// Bytes looked at and not yet read, the next one first.
    ahead: Vec<u8>,
    offset: u64,
    max_bytes: u64,
}

impl<'a> Stream<'a> {
    fn new(inner: Box<dyn Read + 'a>, limits: &Limits) -> Self {
        Self {
            inner,
            ahead: Vec::with_capacity(MAGIC_BYTES),
            offset: 0,
            max_bytes: limits.max_bytes,
        }
    }

    /// The next bytes: [`MAGIC_BYTES`] of them, fewer at the end.
    fn peek(&mut self) -> io::Result<&[u8]> {
        let missing = MAGIC_BYTES.saturating_sub(self.ahead.len());
        (&mut self.inner)
            .take(missing as u64)
            .read_to_end(&mut self.ahead)?;
        Ok(&self.ahead)
    }

    fn skip_zeros(&mut self) -> Result<(), Error> {
        while self.peek().map_err(reading)?.first() == Some(&0) {
            self.check_limit(self.offset)?;
            self.fill(&mut [0])?;
        }
        Ok(())
    }

    fn skip_padding(&mut self) -> Result<(), Error> {
        self.skip_to(self.offset.next_multiple_of(ALIGN as u64))
    }

    fn skip_to(&mut self, end: u64) -> Result<(), Error> {
        self.check_limit(end)?;
        let rest = end.saturating_sub(self.offset);
        let skipped = io::copy(&mut (&mut *self).take(rest), &mut io::sink()).map_err(reading)?;
        if skipped < rest {
            return Err(self.truncated());
        }
        Ok(())
    }

    fn check_limit(&self, end: u64) -> Result<(), Error> {
        if end > self.max_bytes {
            return Err(over(self.max_bytes, "bytes", self.offset));
        }
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.truncated(),
            _ => reading(error),
        })
    }

    fn truncated(&self) -> Error {
        let offset = self.offset;
        Error::damaged(format!("it ends at offset {offset}, within an archive"))
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = if self.ahead.is_empty() {
            self.inner.read(bytes)?
        } else {
            let n = self.ahead.as_slice().read(bytes)?;
            self.ahead.drain(..n);
            n
        };
        self.offset = self.offset.saturating_add(n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use insta::assert_snapshot;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = Writer::default();
        for (name, data) in files {
            writer.entry(name, 0o100_644, data.as_bytes());
        }
        writer.finish()
    }

    fn names(initrd: &[u8]) -> Result<Vec<String>, Error> {
        names_within(initrd, &Limits::default())
    }

    fn names_within(initrd: &[u8], limits: &Limits) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        walk(initrd, limits, &mut |name, data| {
            let mut text = String::new();
            data.read_to_string(&mut text)?;
            names.push(format!("{name}={text}"));
            Ok(())
        })?;
        Ok(names)
    }

    fn compressed(with: Compression, bytes: &[u8]) -> Vec<u8> {
        match with {
            Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    #[test]
    fn microcode_first_then_a_compressed_archive_then_padding() {
        for with in [Compression::Zstd, Compression::Xz, Compression::Gzip] {
            let mut initrd = archive(&[("kernel/x86/microcode/GenuineIntel.bin", "code")]);
            initrd.resize(initrd.len().next_multiple_of(512), 0);
            initrd.extend(archive(&[("early_cpio", "1")]));
            let main = archive(&[("./init", "x"), ("etc/odd", "abc")]);
            initrd.extend(compressed(with, &main));
            initrd.resize(initrd.len().next_multiple_of(512), 0);
            let expected = [
                "kernel/x86/microcode/GenuineIntel.bin=code",
                "early_cpio=1",
                "init=x",
                "etc/odd=abc",
            ];
            assert_eq!(names(&initrd).unwrap(), expected, "{with:?}");
        }
        assert_eq!(names(&[]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn broken_input_is_an_error_with_an_offset() {
        let good = archive(&[("init", "x")]);
        assert_snapshot!(names(&good[..200]).unwrap_err(), @"it ends at offset 200, within an archive");
        let mut bad = good.clone();
        bad[60] = b'+';
        assert_snapshot!(names(&bad).unwrap_err(), @"broken cpio header at offset 0");
        let mut second = good.clone();
        second[120] = b'!';
        assert_snapshot!(names(&second).unwrap_err(), @"broken cpio header at offset 120");
        assert_snapshot!(names(b"\x02\x21\x4c\x18xxxx").unwrap_err(), @"it is compressed with lz4 at offset 0, which isoforge can't read");
        let truncated = compressed(Compression::Zstd, &good);
        let error = names(&truncated[..truncated.len() - 5]).unwrap_err();
        assert!(
            matches!(error, Error::Io { .. } | Error::Invalid { .. }),
            "{error}"
        );
    }

    #[test]
    fn limits_hold() {
        let initrd = archive(&[("init", "x"), ("etc/passwd", "root")]);
        let tight = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            names_within(&initrd, &limits).unwrap_err().to_string()
        };
        assert_snapshot!(tight(|l| l.max_entries = 1), @"it has more than 1 entries at offset 120");
        assert_snapshot!(tight(|l| l.max_name_bytes = 5), @"it has more than 5 bytes in a name at offset 120");
        assert_snapshot!(tight(|l| l.max_bytes = 200), @"it has more than 200 bytes at offset 241");
        let zeros = compressed(Compression::Zstd, &[0; 1000]);
        let few = Limits {
            max_bytes: 200,
            ..Limits::default()
        };
        assert_snapshot!(names_within(&zeros, &few).unwrap_err(), @"it has more than 200 bytes at offset 201");
        let mut nested = initrd.clone();
        for _ in 0..5 {
            nested = compressed(Compression::Gzip, &nested);
        }
        assert_snapshot!(names(&nested).unwrap_err(), @"it has more than 3 compressed streams within each other at offset 0");
    }

    #[test]
    fn no_prefix_of_an_archive_makes_it_panic() {
        let mut initrd = archive(&[("early", "1")]);
        initrd.extend(compressed(Compression::Xz, &archive(&[("init", "x")])));
        for end in 0..initrd.len() {
            let _ = names(&initrd[..end]);
        }
        for at in 0..initrd.len() {
            let mut changed = initrd.clone();
            changed[at] ^= 0xff;
            let _ = names(&changed);
        }
    }

    #[test]
    fn what_inflates_too_much_is_refused() {
        let mut writer = Writer::default();
        writer.entry("zeros", 0o100_644, &vec![0; 100 << 20]);
        let bomb = zstd::bulk::compress(&writer.finish(), 1).unwrap();
        assert!(bomb.len() < 10_000, "{}", bomb.len());
        let error = walk(bomb.as_slice(), &Limits::default(), &mut |_, _| Ok(())).unwrap_err();
        let shown = format!("{:#}", isoforge_base::error::Failure::from(error));
        assert_eq!(
            shown,
            "reading failed: more than 10000 uncompressed bytes for each compressed one"
        );
    }
}
