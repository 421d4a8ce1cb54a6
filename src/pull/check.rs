//! What a layer's blob decompresses to, hashed.
//!
//! A blob that is fetched is checked at the same time, by a thread of its own: so
//! it is not read a second time. That thread never decides about the blob; a
//! blob that has its digest is kept even where it does not decompress.

use std::io::{self, Read};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use super::Error;
use crate::oci::compression::{Bound, Bounds, Exceeded, decompress_within};
use crate::oci::digest::{Digest, Sha256};
use crate::oci::layer::LayerCompression;

/// Bytes decompressed at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that may wait to be decompressed; what they hold bounds the memory.
const WAITING_CHUNKS: usize = 32;

/// How a blob is decompressed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unpack {
    pub(super) compression: LayerCompression,
    pub(super) bounds: Bounds,
}

impl Unpack {
    /// The digest of what `blob` decompresses to. `go_on` is asked now and then.
    ///
    /// # Errors
    /// What the decoder says, an [`Exceeded`], and what `go_on` gives.
    pub(super) fn hash(
        self,
        blob: impl Read + Send,
        go_on: impl Fn() -> io::Result<()>,
    ) -> io::Result<Digest> {
        let mut reader = decompress_within(blob, self.compression, self.bounds)?;
        let mut hasher = Sha256::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            go_on()?;
            match reader.read(&mut chunk) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(n) => hasher.update(chunk.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The error for a layer of `image` that does not decompress.
pub(super) fn failed(image: &str, layer: Digest, size: u64, error: io::Error) -> Error {
    match error.downcast::<Exceeded>() {
        Ok(exceeded) => Error::Limit {
            image: image.to_owned(),
            what: format!("layer {layer} ({size} bytes)"),
            found: exceeded.given,
            unit: "uncompressed bytes or more",
            limit: match exceeded.bound {
                Bound::Bytes => "layer_bytes",
                Bound::Ratio => "ratio",
            },
            allowed: exceeded.allowed,
        },
        Err(source) => Error::Compression {
            image: image.to_owned(),
            layer,
            source,
        },
    }
}

/// Hashes what the bytes that it is given decompress to.
#[derive(Debug)]
pub(super) struct Checker {
    chunks: Sender<Vec<u8>>,
    thread: JoinHandle<io::Result<Digest>>,
}

impl Checker {
    /// # Errors
    /// Where there is no thread to be had.
    pub(super) fn start(unpack: Unpack) -> io::Result<Self> {
        let (chunks, received) = crossbeam_channel::bounded(WAITING_CHUNKS);
        let thread = std::thread::Builder::new()
            .name("check".to_owned())
            .spawn(move || unpack.hash(Chunks::new(received), || Ok(())))?;
        Ok(Self { chunks, thread })
    }

    /// Takes the blob's next bytes.
    pub(super) fn take(&self, bytes: &[u8]) {
        // A thread that has failed listens no more; it will say so at the end.
        let _ = self.chunks.send(bytes.to_vec());
    }

    /// The digest, all bytes having been taken.
    ///
    /// # Errors
    /// See [`Unpack::hash`].
    pub(super) fn finish(self) -> io::Result<Digest> {
        drop(self.chunks);
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Chunks, read one after the other.
struct Chunks {
    received: Receiver<Vec<u8>>,
    current: io::Cursor<Vec<u8>>,
}

impl Chunks {
    fn new(received: Receiver<Vec<u8>>) -> Self {
        Self {
            received,
            current: io::Cursor::new(Vec::new()),
        }
    }
}

impl Read for Chunks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.current.read(buf)?;
            if n > 0 || buf.is_empty() {
                return Ok(n);
            }
            match self.received.recv() {
                Ok(chunk) => self.current = io::Cursor::new(chunk),
                Err(_) => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn unpack(bytes: u64) -> Unpack {
        Unpack {
            compression: LayerCompression::Gzip,
            bounds: Bounds {
                bytes,
                ratio: 2000,
                ratio_floor_bytes: 0,
            },
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn check(blob: &[u8], limit: u64) -> io::Result<Digest> {
        let checker = Checker::start(unpack(limit)).unwrap();
        blob.chunks(7).for_each(|chunk| checker.take(chunk));
        checker.finish()
    }

    #[test]
    fn what_comes_in_pieces_is_hashed_as_a_whole() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let blob = gzip(&text);
        assert_eq!(check(&blob, 400_000).unwrap(), Digest::of(&text));
        assert!(check(&blob[..blob.len() - 1], 400_000).is_err());
        let error = check(&blob, 399_999).unwrap_err();
        assert!(error.downcast::<Exceeded>().is_ok());
    }

    #[test]
    fn whoever_gives_bytes_is_never_held_by_a_thread_that_has_failed() {
        let error = check(&vec![7; 100_000], 400_000).unwrap_err();
        let said = failed("a:1", Digest::of(b""), 5, error).to_string();
        assert!(said.contains("can't be decompressed"), "{said}");
    }
}
