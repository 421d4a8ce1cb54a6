//! The system of a provider image, made again from its layers: what a machine
//! does that upgrades to the image. The same code as in a build gives the same
//! bytes.

use std::num::NonZeroUsize;

use std::io::{self, Write};

use crate::Error;
use crate::merged::System;
use crate::slab_maker::SlabMaker;
use isoforge_base::digest::{Digest, Sha256};
use isoforge_base::progress::Progress;
use isoforge_base::tree::{ReadFile, Tree};
use isoforge_formats::squashfs;
use isoforge_formats::squashfs::write::ImagePlan;
use isoforge_formats::tar::Limits;
use isoforge_oci::layer::Layer;
use isoforge_oci::store::Store;

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
    ) -> Result<Self, Error> {
        let maker = SlabMaker {
            store,
            squashfs: &squashfs,
            limits: &Limits::DEFAULT,
            jobs: jobs.get(),
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
    pub fn plan(&self, epoch: u32) -> Result<ImagePlan<'_>, Error> {
        Ok(ImagePlan::new(
            &self.system.tree,
            &self.system.slabs,
            &self.squashfs,
            epoch,
        )?)
    }
}

/// The digest of a planned SquashFS that is written nowhere.
///
/// # Errors
/// What reading the layers gives.
pub fn digest_of(plan: &ImagePlan<'_>, name: &str, progress: &Progress) -> Result<Digest, Error> {
    struct Hash<'a>(Sha256, &'a isoforge_base::progress::Task);
    impl Write for Hash<'_> {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.update(buf);
            self.1.advance(buf.len() as u64);
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let task = progress.task(&format!("hash {name}"), Some(plan.size()));
    let mut hash = Hash(Sha256::new(), &task);
    plan.write(&mut hash)?;
    Ok(hash.0.finish())
}
