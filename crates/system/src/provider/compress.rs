//! Layers of our own as they are transferred: compressed once, always to the
//! same bytes.

use std::io::{self, BufReader, Read, Write};

use flate2::{Compression, GzBuilder};

use crate::Error;
use isoforge_base::error::{Class, Failure};
use isoforge_base::progress::Progress;
use isoforge_oci::layer::{Layer, LayerCompression};
use isoforge_oci::store::Store;

/// Counts up when equal input no longer gives equal bytes, so that results
/// remembered by an older isoforge are made anew.
const VERSION: u32 = 1;

/// Kind of the store's facts that remember results.
const FACT: &str = "provider-layer";

/// gzip's own default.
const GZIP_LEVEL: u32 = 6;

/// Zstandard's own default.
const ZSTD_LEVEL: i32 = 3;

/// What is said where a layer can't be read or written.
const WRITE: &str = "writing the provider image failed";

const COPY_BUFFER_BYTES: usize = 1 << 18;

/// A plain layer in the form that `compression` names, from the store where it was made
/// before; a layer that is compressed already as it is.
///
/// # Errors
/// Where the blob is not the layer, or what the store says.
pub(crate) fn compress_layer(
    store: &Store,
    layer: &Layer,
    compression: LayerCompression,
    progress: &Progress,
) -> Result<Layer, Error> {
    if layer.compression != LayerCompression::Plain {
        return Ok(layer.clone());
    }
    let name = match compression {
        LayerCompression::Plain => return Ok(layer.clone()),
        LayerCompression::Gzip => format!("gzip-{GZIP_LEVEL}-v{VERSION}"),
        LayerCompression::Zstd => format!("zstd-{ZSTD_LEVEL}-v{VERSION}"),
    };
    let key = format!("{}-{name}", layer.diff_id.hex());
    if let Some(known) = store.fact::<Layer>(FACT, &key)?
        && store.has_blob(&known.digest)
    {
        return Ok(known);
    }
    let task = progress.task(
        &format!("compress layer {}", layer.diff_id.short()),
        Some(layer.size),
    );
    if layer.digest != layer.diff_id {
        let (found, expected) = (layer.digest, layer.diff_id);
        let problem = format!("layer {found} in the store has diffID {found}, not {expected}");
        return Err(Failure::new(Class::Verification, problem).into());
    }
    let mut blob = store.open_checked(&layer.digest)?;
    let mut out = store.blob_writer()?;
    out.set_private(store.is_private(&layer.digest));
    let bytes = BufReader::with_capacity(COPY_BUFFER_BYTES, task.reader(&mut blob));
    compress(bytes, &mut out, compression).map_err(Error::io(WRITE))?;
    blob.finish()?;
    let (digest, size) = out.commit(None)?;
    let compressed = Layer {
        digest,
        size,
        compression,
        diff_id: layer.diff_id,
    };
    store.put_fact(FACT, &key, &compressed)?;
    Ok(compressed)
}

fn compress(
    mut from: impl Read,
    to: &mut impl Write,
    compression: LayerCompression,
) -> io::Result<()> {
    match compression {
        LayerCompression::Plain => {
            io::copy(&mut from, to)?;
        }
        LayerCompression::Gzip => {
            let level = Compression::new(GZIP_LEVEL);
            let mut encoder = GzBuilder::new().mtime(0).write(to, level);
            io::copy(&mut from, &mut encoder)?;
            encoder.finish()?;
        }
        LayerCompression::Zstd => {
            let mut encoder = zstd::stream::Encoder::new(to, ZSTD_LEVEL)?;
            io::copy(&mut from, &mut encoder)?;
            encoder.finish()?;
        }
    }
    Ok(())
}
