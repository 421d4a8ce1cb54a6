//! From a blob to its tar stream, with the decoder's output bounded.

use std::io::{self, Read};

use crate::Error;
use isoforge_formats::tar::{Limit, Limits};
use isoforge_oci::compression::{self, Bound, Bounds, Exceeded};
use isoforge_oci::layer::LayerCompression;

/// The tar stream of a blob.
///
/// The reader fails as soon as the decoder has given more than
/// [`Limits::layer_bytes`], or, above [`Limits::inflation_floor_bytes`], more
/// than [`Limits::inflation_ratio`] bytes for each byte it took. The error of
/// the reader carries a [`isoforge_formats::Error`].
///
/// # Errors
/// [`isoforge_formats::Error::Read`] where the decoder can't be set up.
pub fn decompress<'a>(
    blob: impl Read + Send + 'a,
    compression: LayerCompression,
    limits: &Limits,
) -> Result<Box<dyn Read + Send + 'a>, Error> {
    let inner = compression::decompress_within(blob, compression, bounds(limits))
        .map_err(|source| isoforge_formats::Error::Read { offset: 0, source })?;
    Ok(Box::new(NamedErrors { inner }))
}

/// What a blob may decompress to.
#[must_use]
pub fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        bytes: limits.layer_bytes,
        ratio: limits.inflation_ratio,
        ratio_floor_bytes: limits.inflation_floor_bytes,
    }
}

struct NamedErrors<R> {
    inner: R,
}

impl<R: Read> Read for NamedErrors<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf).map_err(|error| {
            let exceeded = match error.downcast::<Exceeded>() {
                Ok(exceeded) => exceeded,
                Err(error) => return error,
            };
            let limit = match exceeded.bound {
                Bound::Bytes => Limit::LayerBytes,
                Bound::Ratio => Limit::InflationRatio,
            };
            let entry = format!("byte {} of the uncompressed layer", exceeded.given);
            let max = exceeded.allowed;
            isoforge_formats::Error::Limit { limit, max, entry }.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use isoforge_base::error::{Class, Diagnose};

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(data).unwrap();
        out.finish().unwrap()
    }

    fn all(blob: &[u8], compression: LayerCompression, limits: &Limits) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        decompress(blob, compression, limits)?
            .read_to_end(&mut out)
            .map_err(Error::of_stream)?;
        Ok(out)
    }

    #[test]
    fn members_and_frames_that_follow_each_other_are_one_stream() {
        let limits = Limits::default();
        let blob = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(
            all(&blob, LayerCompression::Gzip, &limits).unwrap(),
            b"one two"
        );
        // A skippable frame (RFC 8878 section 3.1.2) carries no data.
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        let blob = [
            zstd::encode_all(&b"one "[..], 3).unwrap(),
            skippable.to_vec(),
            zstd::encode_all(&b"two"[..], 3).unwrap(),
        ]
        .concat();
        assert_eq!(
            all(&blob, LayerCompression::Zstd, &limits).unwrap(),
            b"one two"
        );
        assert_eq!(all(b"x", LayerCompression::Plain, &limits).unwrap(), b"x");
    }

    #[test]
    fn damage_is_a_verification_error() {
        let limits = Limits::default();
        let gz = gzip(&[7; 10_000]);
        let zst = zstd::encode_all(&[7_u8; 10_000][..], 3).unwrap();
        for (blob, compression) in [
            (gz[..gz.len() - 3].to_vec(), LayerCompression::Gzip),
            (zst[..zst.len() - 3].to_vec(), LayerCompression::Zstd),
            (b"not compressed at all".to_vec(), LayerCompression::Gzip),
            (b"not compressed at all".to_vec(), LayerCompression::Zstd),
            (
                [gz.clone(), b"tail".to_vec()].concat(),
                LayerCompression::Gzip,
            ),
        ] {
            let error = all(&blob, compression, &limits).unwrap_err();
            assert_eq!(error.class(), Class::Verification, "{error:?}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_by_what_comes_out_of_the_decoder() {
        let bomb = gzip(&vec![0; 3_000_000]);
        let limits = Limits {
            inflation_floor_bytes: 1_000_000,
            ..Limits::default()
        };
        let mut reader = decompress(&bomb[..], LayerCompression::Gzip, &limits).unwrap();
        let mut given = 0;
        let mut buf = [0; 4096];
        let error = loop {
            match reader.read(&mut buf) {
                Ok(0) => panic!("the bomb went off"),
                Ok(n) => given += n,
                Err(error) => break isoforge_formats::Error::from_io(error).unwrap(),
            }
        };
        assert!(given <= 1_000_000 + buf.len(), "{given}");
        assert!(matches!(
            error,
            isoforge_formats::Error::Limit {
                limit: Limit::InflationRatio,
                max: 200,
                ..
            }
        ));
        assert_eq!(error.class(), Class::Verification);
        assert!(error.hint().unwrap().contains("'ratio' under [limits]"));
        // The same bytes below the floor are fine.
        assert_eq!(
            all(&bomb, LayerCompression::Gzip, &Limits::default())
                .unwrap()
                .len(),
            3_000_000
        );
    }

    #[test]
    fn an_archive_above_the_size_limit_is_stopped() {
        let limits = Limits {
            layer_bytes: 100,
            ..Limits::default()
        };
        let error = all(&[1; 101], LayerCompression::Plain, &limits).unwrap_err();
        assert!(matches!(
            error,
            Error::Format(isoforge_formats::Error::Limit {
                limit: Limit::LayerBytes,
                ..
            })
        ));
        assert!(all(&[1; 100], LayerCompression::Plain, &limits).is_ok());
    }
}
