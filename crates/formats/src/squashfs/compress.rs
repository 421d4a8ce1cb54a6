//! The compressors of a SquashFS image, with contexts that a thread makes once
//! and uses for all its blocks.

use std::fmt;
use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use liblzma::stream::{
    Action, Check, Filters, LzmaOptions, PRESET_DEFAULT, Status as XzStatus, Stream,
};

use super::layout::{COMPRESSOR_GZIP, COMPRESSOR_XZ, COMPRESSOR_ZSTD, GzipOptions, ZstdOptions};
use super::settings::Compressor;

/// The level that mksquashfs and the kernel assume for zlib without options.
const GZIP_IMPLIED_LEVEL: u32 = 9;
/// The level that mksquashfs assumes for Zstandard without options.
const ZSTD_IMPLIED_LEVEL: u32 = 15;
/// Base-2 logarithm of the zlib window that flate2 compresses with.
const GZIP_WINDOW_LOG: u16 = 15;
/// Smallest dictionary of LZMA2.
const XZ_DICTIONARY_MIN: u32 = 4096;
/// Memory that decompressing one xz block may take: a dictionary of 1 MiB, the
/// most that the format has, and xz's own state.
const XZ_MEMORY_BYTES: u64 = 16 << 20;

/// The compressor options as they follow the superblock; `None` where the
/// format implies the settings.
#[must_use]
pub fn options(compressor: Compressor) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match compressor {
        Compressor::Gzip { level } if level != GZIP_IMPLIED_LEVEL => GzipOptions {
            level,
            window_log: GZIP_WINDOW_LOG,
            strategies: 0,
        }
        .write(&mut bytes),
        Compressor::Zstd { level } if level != ZSTD_IMPLIED_LEVEL => {
            ZstdOptions { level }.write(&mut bytes);
        }
        // Without options xz's dictionary is as large as a block, as it is here.
        Compressor::Gzip { .. } | Compressor::Zstd { .. } | Compressor::Xz => return None,
    }
    Some(bytes)
}

/// Version of the library behind a compressor, for the key of cached results:
/// another version may give other bytes.
#[must_use]
pub fn library_version(compressor: Compressor) -> u32 {
    match compressor {
        Compressor::Zstd { .. } => zstd::zstd_safe::version_number(),
        // Both come with the program and change only with it.
        Compressor::Gzip { .. } | Compressor::Xz => 0,
    }
}

/// Compresses blocks one after the other.
pub struct Encoder(EncoderKind);

enum EncoderKind {
    Zstd(zstd::bulk::Compressor<'static>),
    Gzip(Compress),
    /// xz's binding can't reset an encoder, so each block makes its own.
    Xz,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoder")
    }
}

impl Encoder {
    /// A context for blocks of one image.
    ///
    /// # Errors
    /// Where the compressor can't be set up.
    pub fn new(compressor: Compressor) -> io::Result<Self> {
        Ok(Self(match compressor {
            Compressor::Zstd { level } => {
                let level = i32::try_from(level).map_err(io::Error::other)?;
                EncoderKind::Zstd(zstd::bulk::Compressor::new(level)?)
            }
            Compressor::Gzip { level } => {
                EncoderKind::Gzip(Compress::new(Compression::new(level), true))
            }
            Compressor::Xz => EncoderKind::Xz,
        }))
    }

    /// Compresses `raw` to `out`, whose old contents go. Says whether that made
    /// it smaller; where not, `raw` is to be stored and `out` means nothing.
    ///
    /// # Errors
    /// What the compressor reports.
    pub fn compress(&mut self, raw: &[u8], out: &mut Vec<u8>) -> io::Result<bool> {
        out.clear();
        match &mut self.0 {
            EncoderKind::Zstd(context) => {
                out.reserve(zstd::compress_bound(raw.len()));
                context.compress_to_buffer(raw, out)?;
            }
            EncoderKind::Gzip(context) => {
                out.reserve(raw.len());
                context.reset();
                let status = context
                    .compress_vec(raw, out, FlushCompress::Finish)
                    .map_err(io::Error::other)?;
                if status != Status::StreamEnd {
                    return Ok(false);
                }
            }
            EncoderKind::Xz => {
                out.reserve(raw.len());
                let status = xz_encoder(raw.len())?.process_vec(raw, out, Action::Finish)?;
                if status != XzStatus::StreamEnd {
                    return Ok(false);
                }
            }
        }
        Ok(out.len() < raw.len())
    }
}

/// An encoder with the smallest dictionary that holds a block of `raw_bytes`;
/// it is never larger than the image's blocks or metadata blocks, which bounds
/// what the kernel sets aside.
fn xz_encoder(raw_bytes: usize) -> io::Result<Stream> {
    let dictionary = u32::try_from(raw_bytes.next_power_of_two()).map_err(io::Error::other)?;
    let mut options = LzmaOptions::new_preset(PRESET_DEFAULT)?;
    options.dict_size(dictionary.max(XZ_DICTIONARY_MIN));
    // The kernel's decoder knows no other check than CRC32.
    Ok(Stream::new_stream_encoder(
        Filters::new().lzma2(&options),
        Check::Crc32,
    )?)
}

/// Decompresses blocks one after the other.
pub struct Decoder(DecoderKind);

enum DecoderKind {
    Zstd(zstd::bulk::Decompressor<'static>),
    Gzip(Decompress),
    Xz,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decoder {
    /// A context for the compressor with this number in the superblock; `None`
    /// for one that this module does not have.
    ///
    /// # Errors
    /// Where the decompressor can't be set up.
    pub fn new(number: u16) -> io::Result<Option<Self>> {
        Ok(Some(Self(match number {
            COMPRESSOR_ZSTD => DecoderKind::Zstd(zstd::bulk::Decompressor::new()?),
            COMPRESSOR_GZIP => DecoderKind::Gzip(Decompress::new(true)),
            COMPRESSOR_XZ => DecoderKind::Xz,
            _ => return Ok(None),
        })))
    }

    /// Decompresses `stored` to `out`, whose old contents go.
    ///
    /// # Errors
    /// Where `stored` is no whole compressed block, or one of more than
    /// `max_bytes`.
    pub fn decompress(
        &mut self,
        stored: &[u8],
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        out.clear();
        out.reserve_exact(max_bytes);
        let whole = match &mut self.0 {
            DecoderKind::Zstd(context) => {
                context.decompress_to_buffer(stored, out)?;
                // No bytes at all count as no frames, which is no error to it.
                !stored.is_empty()
            }
            DecoderKind::Gzip(context) => {
                context.reset(true);
                let status = context
                    .decompress_vec(stored, out, FlushDecompress::Finish)
                    .map_err(io::Error::other)?;
                status == Status::StreamEnd
            }
            DecoderKind::Xz => {
                let mut stream = Stream::new_stream_decoder(XZ_MEMORY_BYTES, 0)?;
                stream.process_vec(stored, out, Action::Finish)? == XzStatus::StreamEnd
            }
        };
        if whole && out.len() <= max_bytes {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the compressed block is incomplete or larger than it may be",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compressor; 3] = [
        Compressor::Zstd { level: 9 },
        Compressor::Gzip { level: 9 },
        Compressor::Xz,
    ];

    fn noise(len: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(1);
        std::iter::repeat_with(|| random.u8(..)).take(len).collect()
    }

    #[test]
    fn blocks_round_trip_and_a_used_context_gives_the_same_bytes() {
        let text = b"the same words again and again, ".repeat(4000);
        for compressor in ALL {
            let mut encoder = Encoder::new(compressor).unwrap();
            let mut first = Vec::new();
            assert!(encoder.compress(&text, &mut first).unwrap());
            let mut again = Vec::new();
            encoder.compress(&noise(5000), &mut again).unwrap();
            assert!(encoder.compress(&text, &mut again).unwrap());
            assert_eq!(first, again, "{compressor}");

            let mut decoder = Decoder::new(compressor.number()).unwrap().unwrap();
            let mut raw = Vec::new();
            for _ in 0..2 {
                decoder.decompress(&first, text.len(), &mut raw).unwrap();
                assert_eq!(raw, text, "{compressor}");
            }
        }
    }

    #[test]
    fn noise_does_not_shrink() {
        for compressor in ALL {
            let mut encoder = Encoder::new(compressor).unwrap();
            let mut out = Vec::new();
            assert!(
                !encoder.compress(&noise(8192), &mut out).unwrap(),
                "{compressor}"
            );
        }
    }

    #[test]
    fn more_than_the_limit_or_less_than_a_block_is_an_error() {
        let text = vec![b'a'; 100_000];
        for compressor in ALL {
            let mut stored = Vec::new();
            Encoder::new(compressor)
                .unwrap()
                .compress(&text, &mut stored)
                .unwrap();
            let mut decoder = Decoder::new(compressor.number()).unwrap().unwrap();
            let mut out = Vec::new();
            for (input, limit) in [
                (&stored[..], 50_000),
                (&stored[..stored.len() - 1], 100_000),
                (&b""[..], 100_000),
                (&b"nonsense"[..], 100_000),
            ] {
                assert!(
                    decoder.decompress(input, limit, &mut out).is_err(),
                    "{compressor}"
                );
                assert!(out.len() <= 100_000);
            }
            decoder.decompress(&stored, 100_000, &mut out).unwrap();
            assert_eq!(out, text);
        }
    }

    #[test]
    fn options_are_there_when_the_level_is_not_the_implied_one() {
        assert_eq!(options(Compressor::Zstd { level: 15 }), None);
        assert_eq!(options(Compressor::Gzip { level: 9 }), None);
        assert_eq!(options(Compressor::Xz), None);
        assert_eq!(
            options(Compressor::Zstd { level: 9 }),
            Some(vec![9, 0, 0, 0])
        );
        assert_eq!(
            options(Compressor::Gzip { level: 6 }),
            Some(vec![6, 0, 0, 0, 15, 0, 0, 0])
        );
    }
}
