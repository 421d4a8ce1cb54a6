//! Blobs in parallel, and the check of their diffIDs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::Error;
use super::fetch::Source;
use crate::oci::compression::decompress;
use crate::oci::digest::{Digest, Sha256};
use crate::oci::layer::{Layer, LayerCompression};
use crate::oci::manifest::Descriptor;
use crate::util::parallel;

/// Kind under which the store keeps a blob's diffID.
const DIFF_ID_FACT: &str = "diff-id";
/// Bytes decompressed at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// What is known of a blob that was decompressed once.
#[derive(Serialize, Deserialize)]
struct DiffIdFact {
    compression: LayerCompression,
    diff_id: Digest,
}

/// Brings all layers into the store and checks their diffIDs.
pub(super) fn fetch_and_check(
    source: &Source<'_>,
    blobs: &[Descriptor],
    layers: &[Layer],
    threads: NonZeroUsize,
) -> Result<(), Error> {
    // One that is in the image twice is fetched once, but each diffID that the
    // configuration claims for it is checked.
    let mut claims: BTreeMap<Digest, (usize, BTreeSet<(LayerCompression, Digest)>)> =
        BTreeMap::new();
    for (at, layer) in layers.iter().enumerate() {
        let (_, claimed) = claims
            .entry(layer.digest)
            .or_insert_with(|| (at, BTreeSet::new()));
        claimed.insert((layer.compression, layer.diff_id));
    }
    let mut work: Vec<(usize, BTreeSet<(LayerCompression, Digest)>)> =
        claims.into_values().collect();
    // The largest first, so that no thread is left alone with it at the end.
    work.sort_by_key(|(at, _)| {
        let size = blobs.get(*at).map_or(0, |blob| blob.size);
        (std::cmp::Reverse(size), *at)
    });
    in_parallel(&work, threads, |(at, claimed), cancelled| {
        let Some(blob) = blobs.get(*at) else {
            return Ok(());
        };
        let label = format!("layer {}/{}", at + 1, blobs.len());
        source.fetch(blob, &label, cancelled)?;
        for (compression, diff_id) in claimed {
            let layer = Layer {
                digest: blob.digest,
                size: blob.size,
                compression: *compression,
                diff_id: *diff_id,
            };
            check_diff_id(source, &layer, &label, cancelled)?;
        }
        Ok(())
    })
}

/// Runs `job` on all items in up to `threads` threads. After a failure no new
/// item is begun; of several failures the one of the earliest item is given.
pub(super) fn in_parallel<T: Sync>(
    items: &[T],
    threads: NonZeroUsize,
    job: impl Fn(&T, &AtomicBool) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let gave_up = |error: &Error| matches!(error, Error::Cancelled { .. });
    parallel::for_each(items, threads, gave_up, job)
}

fn check_diff_id(
    source: &Source<'_>,
    layer: &Layer,
    label: &str,
    cancelled: &AtomicBool,
) -> Result<(), Error> {
    let found = match layer.compression {
        LayerCompression::Plain => layer.digest,
        compression => match known_diff_id(source, layer)? {
            Some(known) => known,
            None => {
                let found = find_diff_id(source, layer, label, cancelled)?;
                let fact = DiffIdFact {
                    compression,
                    diff_id: found,
                };
                source
                    .store
                    .put_fact(DIFF_ID_FACT, &layer.digest.hex(), &fact)
                    .map_err(|error| source.store_error(error))?;
                found
            }
        },
    };
    if found == layer.diff_id {
        return Ok(());
    }
    Err(Error::DiffId {
        image: source.name().to_owned(),
        layer: layer.digest,
        expected: layer.diff_id,
        found,
    })
}

fn known_diff_id(source: &Source<'_>, layer: &Layer) -> Result<Option<Digest>, Error> {
    let fact: Option<DiffIdFact> = source
        .store
        .fact(DIFF_ID_FACT, &layer.digest.hex())
        .map_err(|error| source.store_error(error))?;
    Ok(fact
        .filter(|fact| fact.compression == layer.compression)
        .map(|fact| fact.diff_id))
}

fn find_diff_id(
    source: &Source<'_>,
    layer: &Layer,
    label: &str,
    cancelled: &AtomicBool,
) -> Result<Digest, Error> {
    let name = format!(
        "{} {label} {} (checking)",
        source.name(),
        layer.digest.short()
    );
    let task = source.progress.task(&name, Some(layer.size));
    let blob = source
        .store
        .open_sized_blob(&layer.digest, layer.size)
        .map_err(|error| source.store_error(error))?;
    let broken = |error: io::Error| Error::Compression {
        image: source.name().to_owned(),
        layer: layer.digest,
        source: error,
    };
    let mut reader = decompress(task.reader(blob), layer.compression).map_err(broken)?;
    let (mut hasher, mut bytes) = (Sha256::new(), 0_u64);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                image: source.name().to_owned(),
            });
        }
        let n = match reader.read(&mut chunk) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(error)),
        };
        bytes = bytes.saturating_add(n as u64);
        check_inflation(source, layer, bytes)?;
        hasher.update(chunk.get(..n).unwrap_or_default());
    }
}

/// Holds what came out of the decoder so far to the limits.
fn check_inflation(source: &Source<'_>, layer: &Layer, bytes: u64) -> Result<(), Error> {
    let limits = source.limits;
    let by_ratio = layer
        .size
        .saturating_mul(limits.inflation_ratio)
        .max(limits.inflation_floor_bytes);
    let (limit, allowed) = if bytes > limits.layer_bytes {
        ("layer_bytes", limits.layer_bytes)
    } else if bytes > by_ratio {
        ("ratio", limits.inflation_ratio)
    } else {
        return Ok(());
    };
    Err(Error::Limit {
        image: source.name().to_owned(),
        what: format!("layer {} ({} bytes)", layer.digest, layer.size),
        found: bytes,
        unit: "uncompressed bytes or more",
        limit,
        allowed,
    })
}
