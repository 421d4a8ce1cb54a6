//! Root file system archives and layers from tar archives of the local disk.
//!
//! Formats: tar, plain or with gzip (RFC 1952), Zstandard (RFC 8878) or xz
//! (xz file format 1.2.1), told by their first bytes and never by their names.
//! Plain, gzip and Zstandard archives become blobs of the store as they are; xz,
//! which OCI has no media type for, becomes the tar in it.
//!
//! The archive is hashed each time, since nothing else tells whether a local
//! file is still the same; what was found out about the same bytes before is
//! taken from the store.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use serde::{Deserialize, Serialize};

use isoforge_base::digest::{Digest, HashingReader};
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::progress::Progress;
use isoforge_formats::tar::Limits;
use isoforge_oci::compression::sniff;
use isoforge_oci::layer::{Layer, LayerCompression};
use isoforge_oci::store::{self, Store};
use isoforge_system::layer::{EntryKind, decompress, read_tar};
use isoforge_system::spool::NoData;

/// Kind of the store's facts on archives.
const FACT: &str = "archive";

/// Counts up when facts of older versions no longer serve.
const FACT_VERSION: u32 = 2;

/// How many bytes tell the formats apart: a tar header.
const MAGIC_BYTES: u64 = 512;

const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";

/// Where a tar header has `ustar` (POSIX and GNU alike).
const USTAR_MAGIC: std::ops::Range<usize> = 257..262;

/// Memory that the xz decoder may take, in bytes: what `xz -9` needs, four
/// times over.
const XZ_MEMORY_LIMIT_BYTES: u64 = 256 << 20;

const COPY_BUFFER_BYTES: usize = 1 << 18;

/// An archive in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Digest of the file as it was given.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The layer that it became.
    pub layer: Layer,
    /// Time of its newest member, in seconds since 1970-01-01 UTC; none where
    /// it has no members.
    pub newest_seconds: Option<i64>,
}

/// Why an archive can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("can't read the archive '{}'", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is of no known format.
    #[error("'{}' is no tar archive, plain or with gzip, zstd or xz", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file is another than it was a moment ago.
    #[error("'{}' changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The archive is damaged, unsafe or too large.
    #[error(transparent)]
    Layer(isoforge_system::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => Class::Profile,
            Self::Open { .. } | Self::Changed { .. } => Class::Io,
            Self::Format { .. } => Class::Profile,
            Self::Layer(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("relative paths start from the directory of the profile".into())
            }
            Self::Open { .. } => None,
            Self::Changed { .. } => Some("build again once nothing writes to it".into()),
            Self::Format { .. } => Some("make one with `tar --create`".into()),
            Self::Layer(error) => error.hint(),
            Self::Store(error) => error.hint(),
        }
    }
}

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Layer(LayerCompression),
    Xz,
}

/// Takes an archive into the store.
///
/// # Errors
/// [`Error`].
pub fn import(
    store: &Store,
    path: &Path,
    limits: &Limits,
    progress: &Progress,
) -> Result<Archive, Error> {
    let open_error = |source| Error::Open {
        path: path.to_path_buf(),
        source,
    };
    let open = || fs_err::File::open(path).map_err(open_error);
    let format = detect(open()?, path)?;
    let size = fs_err::metadata(path).map_err(open_error)?.len();
    let task = progress.task(&format!("hash {}", file_name(path)), Some(size));
    let fingerprint = fingerprint(task.reader(open()?)).map_err(open_error)?;
    drop(task);
    let key = format!("{fingerprint}-v{FACT_VERSION}");
    if let Some(known) = store.fact::<Archive>(FACT, &key)?
        && store.has_blob(&known.layer.digest)
    {
        return Ok(known);
    }
    let task = progress.task(&format!("read {}", file_name(path)), Some(size));
    let mut input = Tee::new(task.reader(open()?), blake3::Hasher::new());
    let in_layer =
        |error: isoforge_system::Error| Error::Layer(error.in_layer(path.display().to_string()));
    let read = match format {
        Format::Layer(compression) => read_as_is(store, &mut input, compression, limits),
        Format::Xz => read_xz(store, &mut input, limits, size),
    };
    let archive = read.map_err(|error| match error {
        ReadError::Layer(error) => in_layer(error),
        ReadError::Store(error) => Error::Store(error),
    })?;
    if input.to.finalize() != fingerprint {
        return Err(Error::Changed {
            path: path.to_path_buf(),
        });
    }
    store.put_fact(FACT, &key, &archive)?;
    Ok(archive)
}

fn file_name(path: &Path) -> impl fmt::Display + '_ {
    path.file_name().unwrap_or(path.as_os_str()).display()
}

fn detect(file: fs_err::File, path: &Path) -> Result<Format, Error> {
    let mut magic = Vec::new();
    file.take(MAGIC_BYTES)
        .read_to_end(&mut magic)
        .map_err(|source| Error::Open {
            path: path.to_path_buf(),
            source,
        })?;
    if magic.starts_with(XZ_MAGIC) {
        return Ok(Format::Xz);
    }
    match sniff(&magic) {
        LayerCompression::Plain if magic.get(USTAR_MAGIC) != Some(b"ustar") => Err(Error::Format {
            path: path.to_path_buf(),
        }),
        compression => Ok(Format::Layer(compression)),
    }
}

/// What may fail while an archive is read, before it is known by its path.
enum ReadError {
    Layer(isoforge_system::Error),
    Store(store::Error),
}

impl From<isoforge_system::Error> for ReadError {
    fn from(error: isoforge_system::Error) -> Self {
        Self::Layer(error)
    }
}

impl From<store::Error> for ReadError {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for ReadError {
    /// What a reader carries of a layer's errors comes out again; the rest is
    /// the archive that can't be read.
    fn from(error: io::Error) -> Self {
        Self::Layer(isoforge_system::Error::of_stream(error))
    }
}

fn read_as_is(
    store: &Store,
    input: impl Read + Send,
    compression: LayerCompression,
    limits: &Limits,
) -> Result<Archive, ReadError> {
    let mut blob = Tee::new(input, store.blob_writer()?);
    // The diffID of a plain archive is its own digest, which the blob has.
    let (diff_id, newest_seconds) = if compression == LayerCompression::Plain {
        let tar = decompress(&mut blob, compression, limits)?;
        (None, newest_member(tar, limits)?)
    } else {
        let mut tar = HashingReader::new(decompress(&mut blob, compression, limits)?);
        let newest = newest_member(&mut tar, limits)?;
        (Some(tar.finish().0), newest)
    };
    let (digest, size) = blob.finish()?.commit(None)?;
    Ok(Archive {
        digest,
        size,
        layer: Layer {
            digest,
            size,
            compression,
            diff_id: diff_id.unwrap_or(digest),
        },
        newest_seconds,
    })
}

/// BLAKE3 of a file's bytes, by which the store finds it again: several times
/// faster than SHA-256 where the processor has no instructions for that.
fn fingerprint(file: impl Read) -> io::Result<blake3::Hash> {
    Ok(blake3::Hasher::new().update_reader(file)?.finalize())
}

fn read_xz(
    store: &Store,
    input: impl Read + Send,
    limits: &Limits,
    size: u64,
) -> Result<Archive, ReadError> {
    let mut input = HashingReader::new(input);
    let decoder =
        Stream::new_stream_decoder(XZ_MEMORY_LIMIT_BYTES, CONCATENATED).map_err(io::Error::from)?;
    // What comes out of the decoder is bounded as if it were plain, so the
    // ratio has to go into the bound on its size.
    let by_ratio = size
        .saturating_mul(limits.inflation_ratio)
        .max(limits.inflation_floor_bytes);
    let bounded = Limits {
        layer_bytes: limits.layer_bytes.min(by_ratio),
        ..*limits
    };
    let tar = decompress(
        XzDecoder::new_stream(&mut input, decoder),
        LayerCompression::Plain,
        &bounded,
    )?;
    let mut blob = Tee::new(tar, store.blob_writer()?);
    let newest_seconds = newest_member(&mut blob, limits)?;
    let (plain_digest, plain_size) = blob.finish()?.commit(None)?;
    // The decoder may leave the end of the file unread.
    io::copy(&mut input, &mut io::sink())?;
    let (digest, size) = input.finish();
    Ok(Archive {
        digest,
        size,
        layer: Layer {
            digest: plain_digest,
            size: plain_size,
            compression: LayerCompression::Plain,
            diff_id: plain_digest,
        },
        newest_seconds,
    })
}

/// Reads a tar stream to its end for the time of its newest member.
fn newest_member(tar: impl Read, limits: &Limits) -> Result<Option<i64>, isoforge_system::Error> {
    let entries = read_tar(tar, limits, &mut NoData)?;
    Ok(entries
        .iter()
        .filter(|entry| !matches!(entry.kind, EntryKind::Whiteout | EntryKind::Opaque))
        .map(|entry| entry.meta.mtime)
        .max())
}

/// Writes what is read through it to a blob or hash.
struct Tee<R, W> {
    inner: R,
    to: W,
}

impl<R: Read, W: Write> Tee<R, W> {
    fn new(inner: R, to: W) -> Self {
        Self { inner, to }
    }

    /// Reads what is left, so that nothing is missing.
    fn finish(mut self) -> io::Result<W> {
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        while self.read(&mut buffer)? != 0 {}
        Ok(self.to)
    }
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.to.write_all(buf.get(..n).unwrap_or_default())?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
