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
use std::path::Path;

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use serde::{Deserialize, Serialize};

use isoforge_base::digest::{Digest, HashingReader};
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::progress::Progress;
use isoforge_base::regular;
use isoforge_formats::tar::Limits;
use isoforge_oci::compression::sniff;
use isoforge_oci::layer::{Layer, LayerCompression};
use isoforge_oci::store::{BlobWriter, Store};
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

/// An archive in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Archive {
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

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Layer(LayerCompression),
    Xz,
}

/// Takes an archive into the store.
///
/// # Errors
/// It can't be read, is damaged, unsafe or too large; the store.
pub(crate) fn import(
    store: &Store,
    path: &Path,
    limits: &Limits,
    progress: &Progress,
) -> Result<Archive> {
    let unreadable = |error| unreadable(path, error);
    let open = || regular::open(path).map_err(unreadable);
    let format = detect(open()?, path)?;
    let size = fs_err::metadata(path).map_err(unreadable)?.len();
    let task = progress.task(&format!("hash {}", file_name(path)), Some(size));
    let fingerprint = fingerprint(task.reader(open()?)).map_err(unreadable)?;
    drop(task);
    let key = format!("{fingerprint}-v{FACT_VERSION}");
    if let Some(known) = store.fact::<Archive>(FACT, &key)?
        && store.has_blob(&known.layer.digest)
    {
        return Ok(known);
    }
    let blob = store.blob_writer()?;
    let task = progress.task(&format!("read {}", file_name(path)), Some(size));
    let mut input = Tee {
        inner: task.reader(open()?),
        to: blake3::Hasher::new(),
    };
    let tar = match format {
        Format::Layer(compression) => read_as_is(blob, &mut input, compression, limits),
        Format::Xz => read_xz(blob, &mut input, limits, size),
    };
    let tar = tar.map_err(|error| error.in_layer(path.display().to_string()))?;
    let (blob, blob_size) = tar.blob.commit(None)?;
    let (digest, size) = tar.file.unwrap_or((blob, blob_size));
    let archive = Archive {
        digest,
        size,
        layer: Layer {
            diff_id: tar.diff_id.unwrap_or(blob),
            compression: tar.compression,
            ..Layer::plain(blob, blob_size)
        },
        newest_seconds: tar.newest_seconds,
    };
    if input.to.finalize() != fingerprint {
        let message = format!("'{}' changed while it was read", path.display());
        return Err(
            Failure::new(Class::Io, message).with_hint("build again once nothing writes to it")
        );
    }
    store.put_fact(FACT, &key, &archive)?;
    Ok(archive)
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    let message = format!("can't read the archive '{}'", path.display());
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::caused(Class::Profile, message, error)
            .with_hint("relative paths start from the directory of the profile");
    }
    if error.kind() == io::ErrorKind::InvalidInput {
        return Failure::caused(Class::Profile, message, error)
            .with_hint("name a tar archive; a folder is an overlay");
    }
    Failure::from(error).context(message)
}

fn file_name(path: &Path) -> impl fmt::Display + '_ {
    path.file_name().unwrap_or(path.as_os_str()).display()
}

fn detect(file: fs_err::File, path: &Path) -> Result<Format> {
    let mut magic = Vec::new();
    file.take(MAGIC_BYTES)
        .read_to_end(&mut magic)
        .map_err(|error| unreadable(path, error))?;
    if magic.starts_with(XZ_MAGIC) {
        return Ok(Format::Xz);
    }
    match sniff(&magic) {
        LayerCompression::Plain if magic.get(USTAR_MAGIC) != Some(b"ustar") => {
            let path = path.display();
            let message = format!("'{path}' is no tar archive, plain or with gzip, zstd or xz");
            Err(Failure::new(Class::Profile, message).with_hint("make one with `tar --create`"))
        }
        compression => Ok(Format::Layer(compression)),
    }
}

/// An archive that was read to its end.
struct ReadToEnd {
    /// What becomes the layer's blob.
    blob: BlobWriter,
    compression: LayerCompression,
    /// None where it is the blob's own digest.
    diff_id: Option<Digest>,
    /// Digest and size of the file, where the blob is another one.
    file: Option<(Digest, u64)>,
    newest_seconds: Option<i64>,
}

fn read_as_is(
    blob: BlobWriter,
    input: impl Read + Send,
    compression: LayerCompression,
    limits: &Limits,
) -> Result<ReadToEnd, isoforge_system::Error> {
    let mut blob = Tee {
        inner: input,
        to: blob,
    };
    let tar = decompress(&mut blob, compression, limits)?;
    let (diff_id, newest_seconds) = if compression == LayerCompression::Plain {
        (None, newest_member(tar, limits)?)
    } else {
        let mut tar = HashingReader::new(tar);
        let newest = newest_member(&mut tar, limits)?;
        (Some(tar.finish().0), newest)
    };
    Ok(ReadToEnd {
        blob: blob.finish().map_err(isoforge_system::Error::of_stream)?,
        compression,
        diff_id,
        file: None,
        newest_seconds,
    })
}

/// BLAKE3 of a file's bytes, by which the store finds it again: several times
/// faster than SHA-256 where the processor has no instructions for that.
fn fingerprint(file: impl Read) -> io::Result<blake3::Hash> {
    Ok(blake3::Hasher::new().update_reader(file)?.finalize())
}

fn read_xz(
    blob: BlobWriter,
    input: impl Read + Send,
    limits: &Limits,
    size: u64,
) -> Result<ReadToEnd, isoforge_system::Error> {
    let mut input = HashingReader::new(input);
    let decoder = Stream::new_stream_decoder(XZ_MEMORY_LIMIT_BYTES, CONCATENATED)
        .map_err(|error| isoforge_system::Error::of_stream(error.into()))?;
    // What comes out of the decoder is bounded as if it were plain, so the
    // ratio has to go into the bound on its size.
    let by_ratio = size
        .saturating_mul(limits.inflation_ratio)
        .max(limits.inflation_floor_bytes);
    let bounded = Limits {
        layer_bytes: limits.layer_bytes.min(by_ratio),
        ..*limits
    };
    let inner = decompress(
        XzDecoder::new_stream(&mut input, decoder),
        LayerCompression::Plain,
        &bounded,
    )?;
    let mut tar = Tee { inner, to: blob };
    let newest_seconds = newest_member(&mut tar, limits)?;
    let blob = tar.finish().map_err(isoforge_system::Error::of_stream)?;
    // The decoder may leave the end of the file unread.
    io::copy(&mut input, &mut io::sink()).map_err(isoforge_system::Error::of_stream)?;
    Ok(ReadToEnd {
        blob,
        compression: LayerCompression::Plain,
        diff_id: None,
        file: Some(input.finish()),
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
    /// Reads what is left, so that nothing is missing.
    fn finish(mut self) -> io::Result<W> {
        io::copy(&mut self, &mut io::sink())?;
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
