//! Whether slabs hold what their layers do: each is made again and compared.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Seek as _};
use std::num::NonZeroUsize;

use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Failure};
use isoforge_base::progress::Progress;
use isoforge_formats::squashfs::pack::PackedData as _;
use isoforge_formats::tar::Limits;
use isoforge_oci::layer::Layer;
use isoforge_oci::pull::diff_id;
use isoforge_oci::store::{Entry, EntryKind, Store};
use isoforge_system::layer::read_layer;
use isoforge_system::slab::{self, Slab};

/// Bytes that are compared at once.
const CHUNK_BYTES: usize = 1 << 18;

/// What comes out for a slab.
pub(super) enum Proof {
    Holds,
    /// It is not what its layer gives, or its layer is not there to say so.
    Fails(String),
    /// This isoforge can't tell, and does not use it either.
    Open(String),
}

/// Proves slabs against the layers in the store.
pub(super) struct Prover<'a> {
    store: &'a Store,
    threads: NonZeroUsize,
    progress: &'a Progress,
    /// By diffID.
    layers: BTreeMap<Digest, Layer>,
}

impl<'a> Prover<'a> {
    pub(super) fn new(
        store: &'a Store,
        entries: &[Entry],
        threads: NonZeroUsize,
        progress: &'a Progress,
    ) -> Self {
        let mut layers = BTreeMap::new();
        for entry in entries {
            let EntryKind::Blob(digest) = entry.kind else {
                continue;
            };
            let (digest, size) = (digest, entry.size);
            // Believed by nobody: the layer is hashed when it is read.
            if let Some((compression, diff_id)) = diff_id::recorded(store, &digest) {
                let layer = Layer {
                    digest,
                    size,
                    compression,
                    diff_id,
                };
                layers.insert(diff_id, layer);
            }
            layers.entry(digest).or_insert(Layer::plain(digest, size));
        }
        Self {
            store,
            threads,
            progress,
            layers,
        }
    }

    pub(super) fn prove(&self, key: &str, entry: &Entry) -> Proof {
        let fails = |problem: &str| Proof::Fails(problem.to_owned());
        let Some(diff_id) = slab::diff_id(key) else {
            return fails("its name is that of no slab");
        };
        if !slab::is_of_this_version(key) {
            return Proof::Open("another version of isoforge made it".to_owned());
        }
        let Some(layer) = self.layers.get(&diff_id) else {
            return fails("its layer, which could prove it, is not in the store");
        };
        match self.compare(key, layer, entry) {
            Ok(true) => Proof::Holds,
            Ok(false) => fails("it is not what its layer gives"),
            Err(error) if error.class() == Class::Verification => {
                Proof::Fails(format!("its layer can't prove it: {error:#}"))
            }
            Err(error) => Proof::Open(format!("{error:#}")),
        }
    }

    /// Whether the slab is what the layer gives, byte for byte.
    fn compare(&self, key: &str, layer: &Layer, entry: &Entry) -> Result<bool, Failure> {
        let settings = *Slab::open(&entry.path)?.settings();
        if slab::key(&layer.diff_id, &settings) != key {
            return Ok(false);
        }
        let mut made = tempfile::tempfile_in(self.store.temp_dir())?;
        let name = layer.digest.to_string();
        let task = format!("compress layer {} again", layer.digest.short());
        let task = self.progress.task(&task, Some(layer.size));
        let limits = &Limits::DEFAULT;
        slab::build(&mut made, &settings, self.threads.get(), |sink| {
            read_layer(self.store, layer, &name, limits, &task, sink)
        })?;
        made.rewind()?;
        Ok(are_equal(made, fs_err::File::open(&entry.path)?)?)
    }
}

fn are_equal(mut one: impl io::Read, mut other: impl io::Read) -> io::Result<bool> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    loop {
        first.clear();
        second.clear();
        one.by_ref()
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut first)?;
        other
            .by_ref()
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut second)?;
        if first != second {
            return Ok(false);
        }
        if first.is_empty() {
            return Ok(true);
        }
    }
}
