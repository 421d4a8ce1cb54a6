//! Writing and opening one slab.

use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fs_err::File;
use fs_err::os::unix::fs::FileExt;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::entry::{Entry, FileSink};
use isoforge_base::digest::Digest;
use isoforge_formats::squashfs::pack::{self, ContentReader, Packed, PackedData, Packer};
use isoforge_formats::squashfs::{Settings, compress};

/// Changes with the file's layout and with how data is packed.
const FORMAT_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"isoslab\n";
const HEADER_BYTES: u64 = 16;
const CHECKSUM_BYTES: usize = blake3::OUT_LEN;
const TRAILER_BYTES: usize = 8 + CHECKSUM_BYTES + MAGIC.len();
/// Largest index that is read: some millions of files.
const INDEX_BYTES_MAX: u64 = 1 << 30;

/// Names the slab of a layer within a store. Other settings, another version
/// of the format, of this program or of its compressor give another name, since
/// each may give other bytes.
#[must_use]
pub fn key(diff_id: &Digest, settings: &Settings) -> String {
    format!(
        "{}-{}-{}-{FORMAT_VERSION}-{}-{}",
        diff_id.hex(),
        settings.compressor.to_string().replace(':', "-"),
        settings.block_size,
        env!("CARGO_PKG_VERSION"),
        compress::library_version(settings.compressor),
    )
}

/// Whether a slab of this name is one that this isoforge would make and use.
#[must_use]
pub fn is_of_this_version(key: &str) -> bool {
    key.contains(&format!("-{FORMAT_VERSION}-{}-", env!("CARGO_PKG_VERSION")))
}

#[derive(Serialize, Deserialize)]
struct Index {
    settings: Settings,
    entries: Vec<Entry>,
    packed: Packed,
}

/// Makes a slab in `out`, an empty file open for reading and writing. `feed`
/// hands all files of the layer to the sink, in the archive's order, and gives
/// the layer's entries. `threads` threads compress; the bytes do not depend on
/// their number.
///
/// # Errors
/// What `feed` gave, or an [`Error`] where packing or writing failed.
pub fn build<W, E>(
    out: &mut W,
    settings: &Settings,
    threads: usize,
    feed: impl FnOnce(&mut dyn FileSink) -> Result<Vec<Entry>, E>,
) -> Result<(), E>
where
    W: Read + Write + Seek + Send,
    E: From<Error>,
{
    let header = header();
    out.write_all(&header)
        .map_err(|source| Error::SlabWrite { source })?;
    let packed = pack::pack(&mut *out, settings, threads, |packer| {
        feed(&mut Sink(packer)).map_err(Failure::Feed)
    });
    let (packed, entries) = packed.map_err(|failure| match failure {
        Failure::Pack(error) => E::from(Error::Format(error)),
        Failure::Feed(error) => error,
    })?;
    let index = Index {
        settings: *settings,
        entries,
        packed,
    };
    write_index(out, &header, &index)?;
    Ok(())
}

fn write_index(out: &mut impl Write, header: &[u8], index: &Index) -> Result<(), Error> {
    let index = postcard::to_allocvec(index).map_err(|source| Error::SlabEncode { source })?;
    let length = (index.len() as u64).to_le_bytes();
    let checksum = checksum(header, &index, length);
    let write = |out: &mut dyn Write| {
        out.write_all(&index)?;
        out.write_all(&length)?;
        out.write_all(&checksum)?;
        out.write_all(&MAGIC)?;
        out.flush()
    };
    write(out).map_err(|source| Error::SlabWrite { source })
}

enum Failure<E> {
    Pack(isoforge_formats::Error),
    Feed(E),
}

impl<E> From<isoforge_formats::Error> for Failure<E> {
    fn from(error: isoforge_formats::Error) -> Self {
        Self::Pack(error)
    }
}

struct Sink<'a>(&'a mut Packer);

impl FileSink for Sink<'_> {
    fn file(&mut self, size: u64, data: &mut dyn Read) -> io::Result<()> {
        self.0.file(size, data)
    }
}

fn header() -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    header.resize(HEADER_BYTES as usize, 0);
    header
}

fn checksum(header: &[u8], index: &[u8], length: [u8; 8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header).update(index).update(&length);
    *hasher.finalize().as_bytes()
}

/// An open slab.
#[derive(Debug)]
pub struct Slab {
    path: PathBuf,
    stored: Mutex<Stored>,
    settings: Settings,
    entries: Vec<Entry>,
    packed: Packed,
    again: Option<Again>,
}

/// The slab's file.
#[derive(Debug)]
struct Stored {
    file: Arc<File>,
    /// Whether it was made again since the slab was opened.
    is_mended: bool,
}

/// Makes a slab's file again from its layer and opens it; told why.
pub type MakeAgain = Box<dyn Fn(&str) -> Result<Slab, Error> + Send + Sync>;

struct Again(MakeAgain);

impl std::fmt::Debug for Again {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Again")
    }
}

impl Slab {
    /// Opens a slab and checks all of it but the stored blocks, which are
    /// checked when they are read.
    ///
    /// # Errors
    /// [`Error::SlabDamaged`] where the file is no whole slab of this version,
    /// [`Error::Io`] where it can't be read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let read =
            |source| Error::io(format!("reading the slab '{}' failed", path.display()))(source);
        let damaged = |reason| Error::SlabDamaged {
            path: path.to_owned(),
            reason,
        };
        let file = File::open(path).map_err(read)?;
        let file_bytes = file.metadata().map_err(read)?.len();
        let body_bytes = file_bytes
            .checked_sub(HEADER_BYTES + TRAILER_BYTES as u64)
            .ok_or_else(|| damaged("it is too short"))?;

        let mut found_header = [0; HEADER_BYTES as usize];
        file.read_exact_at(&mut found_header, 0).map_err(read)?;
        if found_header[..] != header()[..] {
            return Err(damaged("it does not begin like a slab of this version"));
        }
        let mut trailer = [0; TRAILER_BYTES];
        file.read_exact_at(&mut trailer, HEADER_BYTES + body_bytes)
            .map_err(read)?;
        let (length, found_checksum) =
            parse_trailer(&trailer).ok_or_else(|| damaged("its end is missing"))?;
        let index_bytes = u64::from_le_bytes(length);
        if index_bytes > body_bytes.min(INDEX_BYTES_MAX) {
            return Err(damaged("its index is longer than it may be"));
        }
        let data_bytes = body_bytes - index_bytes;
        let mut bytes = vec![
            0;
            usize::try_from(index_bytes)
                .map_err(|_| damaged("its index is longer than it may be"))?
        ];
        file.read_exact_at(&mut bytes, HEADER_BYTES + data_bytes)
            .map_err(read)?;
        if checksum(&found_header, &bytes, length)[..] != *found_checksum {
            return Err(damaged("its checksum does not match"));
        }
        let index: Index =
            postcard::from_bytes(&bytes).map_err(|_| damaged("its index can't be read"))?;
        if index.packed.stored_bytes != data_bytes {
            return Err(damaged("its data is not as long as the index says"));
        }
        Ok(Self {
            path: path.to_owned(),
            stored: Mutex::new(Stored {
                file: Arc::new(file),
                is_mended: false,
            }),
            settings: index.settings,
            entries: index.entries,
            packed: index.packed,
            again: None,
        })
    }

    /// The same, which has itself made again once where a block turns out to be damaged.
    #[must_use]
    pub fn mended_by(mut self, again: MakeAgain) -> Self {
        self.again = Some(Again(again));
        self
    }

    /// Makes the file again, which must have the same index then.
    fn replace(&self, stored: &mut Stored, again: &Again, problem: &str) -> Result<(), Error> {
        let made = (again.0)(problem)?;
        if made.packed != self.packed || made.entries != self.entries {
            return Err(Error::SlabDamaged {
                path: self.path.clone(),
                reason: "it is not what its layer gives",
            });
        }
        let made = made.stored.into_inner();
        stored.file = made.unwrap_or_else(PoisonError::into_inner).file;
        stored.is_mended = true;
        Ok(())
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layer's entries, in the archive's order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// A reader over the data of file number `file` of the layer. Every block
    /// is checked against its hash.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where there is no such file; reading gives
    /// [`io::ErrorKind::InvalidData`] where a block is damaged.
    pub fn read_file(&self, file: u32) -> io::Result<ContentReader<'_>> {
        let content = self.packed.content(file).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("{} has no file number {file}", self.name()),
            )
        })?;
        ContentReader::new(self, content)
    }
}

fn parse_trailer(trailer: &[u8; TRAILER_BYTES]) -> Option<([u8; 8], &[u8])> {
    let (length, rest) = trailer.split_first_chunk()?;
    let (checksum, magic) = rest.split_at_checked(CHECKSUM_BYTES)?;
    (magic == MAGIC).then_some((*length, checksum))
}

impl PackedData for Slab {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn packed(&self) -> &Packed {
        &self.packed
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let offset = offset
            .checked_add(HEADER_BYTES)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let file = Arc::clone(&self.stored().file);
        file.read_exact_at(buf, offset)
    }

    fn mend(&self, problem: &str) -> io::Result<bool> {
        let Some(again) = &self.again else {
            return Ok(false);
        };
        // Who comes meanwhile waits for what is made.
        let mut stored = self.stored();
        if !stored.is_mended {
            self.replace(&mut stored, again, problem)?;
        }
        Ok(true)
    }

    fn name(&self) -> String {
        format!("'{}'", self.path.display())
    }
}
