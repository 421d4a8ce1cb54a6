//! Decompression of layers, streaming and in constant memory.
//!
//! gzip is RFC 1952 with any number of members (parallel compressors and eStargz
//! write several), zstd is RFC 8878 with any number of frames. It is the output
//! that [`Bounds`] bound: a bomb's input is small by nature.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::layer::LayerCompression;
use isoforge_base::inflate;
pub use isoforge_base::inflate::{Bound, Bounds, Exceeded};

/// Largest zstd window accepted, as a power of two: 128 MiB, what the reference
/// decoder accepts by default and level 22 needs.
pub const MAX_ZSTD_WINDOW_LOG: u32 = 27;

/// Size of the buffer before a decoder.
const BUFFER_BYTES: usize = 128 * 1024;

/// Like [`decompress`]; reading fails with [`Exceeded`] as soon as more came out
/// than `bounds` allow.
///
/// # Errors
/// Where the decoder can't be set up; damage shows up while reading.
pub fn decompress_within<'a>(
    blob: impl Read + Send + 'a,
    compression: LayerCompression,
    bounds: Bounds,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let decoder = |blob| decompress(blob, compression);
    Ok(Box::new(inflate::within(blob, bounds, decoder)?))
}

/// A reader over what `blob` decompresses to. Several gzip members or Zstandard
/// frames one after the other are one stream, as RFC 1952 section 2.2 and RFC 8878
/// section 3.1 have it.
///
/// # Errors
/// Where the decoder can't be set up; damage shows up while reading.
pub fn decompress<'a>(
    blob: impl Read + Send + 'a,
    compression: LayerCompression,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let buffered = io::BufReader::with_capacity(BUFFER_BYTES, blob);
    Ok(match compression {
        LayerCompression::Plain => Box::new(buffered),
        LayerCompression::Gzip => Box::new(MultiGzDecoder::new(buffered)),
        LayerCompression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

/// What the first bytes of a stream say about its compression.
#[must_use]
pub fn sniff(magic: &[u8]) -> LayerCompression {
    if magic.starts_with(&[0x1f, 0x8b]) {
        LayerCompression::Gzip
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        LayerCompression::Zstd
    } else {
        LayerCompression::Plain
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(blob: &[u8], compression: LayerCompression) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(blob, compression)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn several_members_and_frames_are_one_stream() {
        let members = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(sniff(&members), LayerCompression::Gzip);
        assert_eq!(read(&members, LayerCompression::Gzip).unwrap(), b"one two");
        let frames = [
            zstd::bulk::compress(b"one ", 3).unwrap(),
            zstd::bulk::compress(b"two", 3).unwrap(),
        ]
        .concat();
        assert_eq!(sniff(&frames), LayerCompression::Zstd);
        assert_eq!(read(&frames, LayerCompression::Zstd).unwrap(), b"one two");
        assert_eq!(read(b"one", LayerCompression::Plain).unwrap(), b"one");
    }

    #[test]
    fn truncated_streams_are_errors() {
        let whole = gzip(&[7; 10_000]);
        assert!(read(&whole[..whole.len() - 4], LayerCompression::Gzip).is_err());
        let whole = zstd::bulk::compress(&[7; 10_000], 3).unwrap();
        assert!(read(&whole[..whole.len() - 2], LayerCompression::Zstd).is_err());
        assert!(read(b"not gzip", LayerCompression::Gzip).is_err());
    }

    #[test]
    fn a_window_beyond_the_limit_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(MAX_ZSTD_WINDOW_LOG + 2).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&[0; 100_000]).unwrap();
        let blob = encoder.finish().unwrap();
        assert!(read(&blob, LayerCompression::Zstd).is_err());
    }
}
