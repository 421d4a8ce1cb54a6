//! Layers of our own as they are transferred: compressed once, always to the
//! same bytes.

use std::io::{self, Read, Write};

use flate2::{Compression, GzBuilder};

use crate::Error;
use isoforge_base::digest::{Digest, HashingReader};
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
    let mut blob = task.reader(store.open_blob(&layer.digest)?);
    let mut out = store.blob_writer()?;
    let found = match compression {
        LayerCompression::Plain => copy_hashed(&mut blob, &mut out).map_err(Error::io(WRITE))?,
        LayerCompression::Gzip => {
            let mut encoder = GzBuilder::new()
                .mtime(0)
                .write(&mut out, Compression::new(GZIP_LEVEL));
            let found = copy_hashed(&mut blob, &mut encoder).map_err(Error::io(WRITE))?;
            encoder.finish().map_err(Error::io(WRITE))?;
            found
        }
        LayerCompression::Zstd => {
            let mut encoder =
                zstd::stream::Encoder::new(&mut out, ZSTD_LEVEL).map_err(Error::io(WRITE))?;
            let found = copy_hashed(&mut blob, &mut encoder).map_err(Error::io(WRITE))?;
            encoder.finish().map_err(Error::io(WRITE))?;
            found
        }
    };
    if found != layer.diff_id {
        let (digest, expected) = (layer.digest, layer.diff_id);
        let problem = format!("layer {digest} in the store has diffID {found}, not {expected}");
        return Err(Failure::new(Class::Verification, problem).into());
    }
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

fn copy_hashed(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<Digest> {
    let mut reader = HashingReader::new(from);
    io::copy(
        &mut io::BufReader::with_capacity(COPY_BUFFER_BYTES, &mut reader),
        to,
    )?;
    Ok(reader.finish().0)
}
