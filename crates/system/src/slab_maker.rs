//! The slabs of a build's layers: taken from the store, or made and kept there.

use std::path::Path;

use crate::Error;
use crate::layer::{bounds, decompress, read_tar};
use crate::slab::{self, Slab};
use isoforge_base::error::Context as _;
use isoforge_base::progress::{Counted, Progress};
use isoforge_formats::squashfs;
use isoforge_formats::tar::Limits;
use isoforge_oci::layer::Layer;
use isoforge_oci::pull::diff_id;
use isoforge_oci::store::Store;

/// What the time for making slabs is counted as.
const COMPRESSING: &str = "Compressing layers";

/// What slabs are made with.
#[derive(Debug, Clone, Copy)]
pub struct SlabMaker<'a> {
    /// Where layers and slabs are.
    pub store: &'a Store,
    /// How they are compressed.
    pub squashfs: &'a squashfs::Settings,
    /// What a layer may hold.
    pub limits: &'a Limits,
    /// Threads that compress.
    pub jobs: usize,
    /// Told what is done.
    pub progress: &'a Progress,
}

impl SlabMaker<'_> {
    /// The slab of `layer`, whose diffID is checked, since slabs are found by it;
    /// `name` is what progress and errors call it.
    ///
    /// # Errors
    /// Of the layer, or of the store.
    pub fn get(&self, layer: &Layer, name: &str) -> Result<Slab, Error> {
        let key = slab::key(&layer.diff_id, self.squashfs);
        if let Some(path) = self.store.slab(&key)
            && let Some(slab) = self.open(&path)?
        {
            let bounds = bounds(self.limits);
            diff_id::check(self.store, layer, name, bounds, self.progress)?;
            self.progress
                .count(Counted::SlabStored, layer.diff_id, layer.size);
            self.progress.detail(format!(
                "{name} ({}): compressed before, from the store",
                layer.digest.short()
            ));
            return Ok(slab);
        }
        let _part = self.progress.part(COMPRESSING);
        let mut writer = self.store.slab_writer(&key)?;
        let task = self
            .progress
            .task(&format!("compress {name}"), Some(layer.size));
        let blob = self.store.open_blob(&layer.digest)?;
        slab::build(
            writer.file(),
            self.squashfs,
            self.jobs,
            |sink| -> Result<_, Error> {
                let in_layer = |error: Error| error.in_layer(name);
                let tar = decompress(task.reader(blob), layer.compression, self.limits)
                    .map_err(in_layer)?;
                let mut tar = diff_id::Checking::new(self.store, layer, name, tar)?;
                let entries = read_tar(&mut tar, self.limits, sink).map_err(in_layer)?;
                tar.finish()?;
                Ok(entries)
            },
        )?;
        drop(task);
        let path = writer.commit()?;
        self.progress
            .count(Counted::SlabMade, layer.diff_id, layer.size);
        Ok(Slab::open(&path).with_context(|| format!("the slab of {name}"))?)
    }

    /// Opens a slab of the store; a damaged one counts as missing, since it is
    /// made again from its layer.
    fn open(&self, path: &Path) -> Result<Option<Slab>, Error> {
        match Slab::open(path) {
            Ok(slab) => Ok(Some(slab)),
            Err(error) if error.is_damage() => {
                self.progress
                    .warn(format!("{error}; it is made again from its layer"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
