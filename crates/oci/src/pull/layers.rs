//! Blobs in parallel.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use super::fetch::Source;
use crate::Error;
use crate::manifest::Descriptor;
use isoforge_base::parallel;

/// Brings all layers into the store.
pub(super) fn fetch(
    source: &Source<'_>,
    blobs: &[Descriptor],
    threads: NonZeroUsize,
) -> Result<(), Error> {
    // One that is in the image twice is fetched once.
    let mut seen = BTreeSet::new();
    let mut work: Vec<(usize, &Descriptor)> = blobs
        .iter()
        .enumerate()
        .filter(|(_, blob)| seen.insert(blob.digest))
        .collect();
    // The largest first, so that no thread is left alone with it at the end.
    work.sort_by_key(|(at, blob)| (std::cmp::Reverse(blob.size), *at));
    in_parallel(&work, threads, |(at, blob), cancelled| {
        let label = format!("layer {}/{}", at + 1, blobs.len());
        source.fetch(blob, &label, cancelled)
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
