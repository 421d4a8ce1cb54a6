//! Blobs in parallel, and the check of their diffIDs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::Error;
use super::check::{self, Unpack};
use super::fetch::Source;
use crate::oci::digest::Digest;
use crate::oci::layer::{Layer, LayerCompression};
use crate::oci::manifest::Descriptor;
use crate::util::parallel;

/// Kind under which the store keeps a blob's diffID.
const DIFF_ID_FACT: &str = "diff-id";

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
        let layers = claimed.iter().map(|(compression, diff_id)| Layer {
            digest: blob.digest,
            size: blob.size,
            compression: *compression,
            diff_id: *diff_id,
        });
        let layers: Vec<Layer> = layers.collect();
        if let Some(layer) = layers.first() {
            fetch_layer(source, blob, layer, &label, cancelled)?;
        }
        layers
            .iter()
            .try_for_each(|layer| check_diff_id(source, layer, &label, cancelled))
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

/// Checks the diffID that the configuration claims for a layer in the store.
fn check_diff_id(
    source: &Source<'_>,
    layer: &Layer,
    label: &str,
    cancelled: &AtomicBool,
) -> Result<(), Error> {
    let found = match layer.compression {
        LayerCompression::Plain => layer.digest,
        _ => match known_diff_id(source, layer)? {
            Some(known) => known,
            None => {
                let found = find_diff_id(source, layer, label, cancelled)?;
                keep_diff_id(source, layer, found)?;
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

fn keep_diff_id(source: &Source<'_>, layer: &Layer, diff_id: Digest) -> Result<(), Error> {
    let fact = DiffIdFact {
        compression: layer.compression,
        diff_id,
    };
    source
        .store
        .put_fact(DIFF_ID_FACT, &layer.digest.hex(), &fact)
        .map_err(|error| source.store_error(error))
}

fn unpack(source: &Source<'_>, compression: LayerCompression) -> Unpack {
    Unpack {
        compression,
        bounds: source.limits.unpacked,
    }
}

/// Fetches a layer's blob. What it decompresses to is hashed while it comes, so
/// that it need not be read again.
fn fetch_layer(
    source: &Source<'_>,
    blob: &Descriptor,
    layer: &Layer,
    label: &str,
    cancelled: &AtomicBool,
) -> Result<(), Error> {
    let known =
        layer.compression == LayerCompression::Plain || known_diff_id(source, layer)?.is_some();
    let wanted = (!known).then(|| unpack(source, layer.compression));
    match source.fetch(blob, label, wanted, cancelled)? {
        None => Ok(()),
        Some(Ok(diff_id)) => keep_diff_id(source, layer, diff_id),
        Some(Err(error)) => Err(check::failed(
            source.name(),
            layer.digest,
            layer.size,
            error,
        )),
    }
}

/// Hashes what a blob in the store decompresses to.
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
    let go_on = || match cancelled.load(Ordering::Relaxed) {
        true => Err(io::ErrorKind::Interrupted.into()),
        false => Ok(()),
    };
    unpack(source, layer.compression)
        .hash(task.reader(blob), go_on)
        .map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => Error::Cancelled {
                image: source.name().to_owned(),
            },
            _ => check::failed(source.name(), layer.digest, layer.size, error),
        })
}
