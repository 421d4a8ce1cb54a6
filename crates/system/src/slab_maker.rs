//! The slabs of a build's layers: taken from the store, or made and kept there.

use std::path::Path;

use crate::Error;
use crate::layer::{bounds, read_layer};
use crate::slab::{self, MakeAgain, Slab};
use isoforge_base::error::{Context as _, Failure};
use isoforge_base::progress::{Counted, Progress};
use isoforge_formats::squashfs;
use isoforge_formats::squashfs::pack::PackedData as _;
use isoforge_formats::tar::Limits;
use isoforge_oci::layer::Layer;
use isoforge_oci::pull::diff_id;
use isoforge_oci::store::Store;

/// What the time for making slabs is counted as.
const COMPRESSING: &str = "Compressing layers";

/// What is said of a slab that is damaged.
const MADE_AGAIN: &str = "it is made again from its layer";

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
            && let Some(slab) = self.open(&path)
        {
            let bounds = bounds(self.limits);
            diff_id::check(self.store, layer, name, bounds, self.progress)?;
            self.progress
                .count(Counted::SlabStored, layer.diff_id, layer.size);
            self.progress.detail(format!(
                "{name} ({}): compressed before, from the store",
                layer.digest.short()
            ));
            return Ok(slab.mended_by(self.remaker(layer, name)));
        }
        let slab = self.make(layer, name)?;
        self.progress
            .count(Counted::SlabMade, layer.diff_id, layer.size);
        Ok(slab.mended_by(self.remaker(layer, name)))
    }

    /// Makes the slab of `layer` and keeps it in the store.
    fn make(&self, layer: &Layer, name: &str) -> Result<Slab, Error> {
        let _part = self.progress.part(COMPRESSING);
        let key = slab::key(&layer.diff_id, self.squashfs);
        let mut writer = self.store.slab_writer(&key)?;
        writer.set_private(self.store.is_private(&layer.digest));
        let task = self
            .progress
            .task(&format!("compress {name}"), Some(layer.size));
        slab::build(writer.file(), self.squashfs, self.jobs, |sink| {
            read_layer(self.store, layer, name, self.limits, &task, sink)
        })?;
        drop(task);
        let path = writer.commit()?;
        Ok(Slab::open(&path).with_context(|| format!("the slab of {name}"))?)
    }

    /// Makes the slab of `layer` again while it is in use, which may be long after this.
    fn remaker(&self, layer: &Layer, name: &str) -> MakeAgain {
        let (store, squashfs, limits) = (self.store.clone(), *self.squashfs, *self.limits);
        let (jobs, progress) = (self.jobs, self.progress.clone());
        let (layer, name) = (layer.clone(), name.to_owned());
        Box::new(move |problem| {
            progress.warn(format!("{problem}; {MADE_AGAIN}"));
            let maker = SlabMaker {
                store: &store,
                squashfs: &squashfs,
                limits: &limits,
                jobs,
                progress: &progress,
            };
            maker.make(&layer, &name)
        })
    }

    /// Opens a slab of the store; one that can't be used counts as missing, since it is
    /// made again from its layer.
    fn open(&self, path: &Path) -> Option<Slab> {
        match Slab::open(path) {
            // Under the name of others it was put by somebody else.
            Ok(slab) if slab.settings() != self.squashfs => None,
            Ok(slab) => Some(slab),
            Err(error) => {
                let error = Failure::from(error);
                self.progress.warn(format!("{error:#}; {MADE_AGAIN}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
