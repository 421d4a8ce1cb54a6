//! The system of a provider image, made again from its layers: what a machine
//! does that upgrades to the image. The same code as in a build gives the same
//! bytes.

use std::num::NonZeroUsize;

use anyhow::Result;

use super::Settings;
use super::iso;
use super::slabs::SlabMaker;
use super::system::System;
use crate::formats::squashfs;
use crate::formats::squashfs::write::ImagePlan;
use crate::oci::digest::Digest;
use crate::oci::layer::Layer;
use crate::progress::Progress;
use crate::rootfs::layer::Limits;
use crate::store::Store;
use crate::tree::{ReadFile, Tree};

/// A system whose layers are merged, their data compressed.
#[derive(Debug)]
pub struct Replay {
    system: System,
    squashfs: squashfs::Settings,
}

impl Replay {
    /// Merges `layers` (lowest first, in the store), which are compressed as
    /// `squashfs` says, by up to `jobs` threads.
    ///
    /// # Errors
    /// Of a layer, or of the store.
    pub fn new(
        store: &Store,
        layers: &[Layer],
        squashfs: squashfs::Settings,
        jobs: NonZeroUsize,
        progress: &Progress,
    ) -> Result<Self> {
        let settings = Settings {
            jobs: jobs.get(),
            ..Settings::default()
        };
        let maker = SlabMaker {
            store,
            squashfs: &squashfs,
            limits: &Limits::DEFAULT,
            settings: &settings,
            progress,
        };
        let mut system = System::default();
        for (at, layer) in layers.iter().enumerate() {
            let name = format!("layer {} of {}", at + 1, layers.len());
            system.add(layer, &name, &maker)?;
        }
        Ok(Self { system, squashfs })
    }

    /// The merged tree.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.system.tree
    }

    /// Where its files' data is.
    #[must_use]
    pub fn files(&self) -> &dyn ReadFile {
        &self.system.slabs
    }

    /// The SquashFS of the tree, made at `epoch` (seconds since 1970-01-01 UTC).
    ///
    /// # Errors
    /// What the format can't hold.
    pub fn plan(&self, epoch: u32) -> Result<ImagePlan<'_>> {
        Ok(ImagePlan::new(
            &self.system.tree,
            &self.system.slabs,
            &self.squashfs,
            epoch,
        )?)
    }
}

/// The digest of a planned SquashFS, which is written nowhere.
///
/// # Errors
/// What reading the layers gives.
pub fn digest_of(plan: &ImagePlan<'_>, progress: &Progress) -> Result<Digest> {
    iso::digest_of(plan, "the root file system", progress)
}
