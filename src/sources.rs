//! Where the OS and further layers come from: images, archives, packages,
//! files. Everything that a source gives are layers in the store, and what the
//! build manifest says about them.

use std::num::NonZeroUsize;

use crate::lock::Lock;
use isoforge_base::error::{Failure, Result};
use isoforge_base::progress::Progress;
use isoforge_contract::arch::Arch;
use isoforge_contract::manifest;
use isoforge_formats::tar::Limits;
use isoforge_oci::layer::Layer;
use isoforge_oci::platform::Platform;
use isoforge_oci::pull::{self, PulledImage};
use isoforge_oci::reference::{ImageSource, Reference};
use isoforge_oci::registry::Client;
use isoforge_oci::store::Store;
use isoforge_system::filtered::{Filter, filter_layers};

pub(crate) mod archive;
pub(crate) mod bootstrap;
pub(crate) mod components;
pub mod content;
pub mod epoch;
pub mod files;
pub(crate) mod held;
pub mod image;
pub mod kubernetes;
pub mod layers;
pub(crate) mod packages;
#[cfg(test)]
pub(crate) mod testing;

use epoch::InputTime;

/// What all sources work with.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Takes the layers.
    pub store: &'a Store,
    /// Opens images and files.
    pub client: &'a Client,
    /// What is asked for by the digest that it has, instead of by its tag.
    pub lock: Option<&'a Lock>,
    /// Bounds on one layer.
    pub limits: Limits,
    /// Bounds on one image.
    pub pull_limits: pull::Limits,
    /// How many blobs of an image are fetched at once.
    pub threads: NonZeroUsize,
    /// Whether what is about an image of the content goes along: signatures,
    /// attestations, SBOMs.
    pub referrers: bool,
    /// Told what happens.
    pub progress: &'a Progress,
}

impl Context<'_> {
    /// The image as it is asked for. A tag of a registry is pinned to the digest
    /// that the lock has. An image of the local disk is what lies there; where
    /// nothing does, it is what the lock says, out of the store. `name` is the
    /// image in the lock.
    #[must_use]
    pub fn pinned(&self, source: ImageSource, name: &str, arch: Arch) -> ImageSource {
        let locked = self.lock.and_then(|lock| lock.image(name));
        let Some(pin) = locked.and_then(|image| image.pin(arch.as_str())) else {
            return source;
        };
        let path = match source {
            ImageSource::Registry(reference) => {
                return ImageSource::Registry(reference.with_digest(pin));
            }
            ImageSource::OciDir { ref dir, .. } => dir,
            ImageSource::OciArchive { ref file, .. }
            | ImageSource::DockerArchive { ref file, .. } => file,
        };
        // Where that can't be told, reading the file says what is wrong.
        let is_there = fs_err::exists(path).unwrap_or(true);
        if is_there || !self.store.has_blob(&pin) {
            return source;
        }
        match STORED.parse::<Reference>() {
            Ok(stored) => ImageSource::Registry(stored.with_digest(pin)),
            Err(_) => source,
        }
    }
}

impl Context<'_> {
    /// The image `name` of the lock, as it is pinned, brought into the store.
    fn pull(&self, source: ImageSource, name: &str, arch: Arch) -> Result<PulledImage> {
        Ok(pull::pull_image(
            self.client,
            &self.pinned(source, name, arch),
            &Platform::linux(arch.as_str()),
            self.store,
            &self.pull_limits,
            self.threads,
            self.progress,
        )?)
    }

    /// What `filter` keeps of the layers of `from`, as one layer.
    fn filtered(&self, layers: &[Layer], filter: &Filter, from: &str) -> Result<Layer> {
        let (limits, progress) = (&self.limits, self.progress);
        Ok(filter_layers(
            self.store, layers, filter, from, limits, progress,
        )?)
    }

    /// The same of one layer, which stays as it is where all of it is kept.
    ///
    /// # Errors
    /// Nothing is kept; the layer is damaged; the store.
    pub fn filtered_layer(&self, layer: Layer, filter: &Filter, from: &str) -> Result<Layer> {
        match filter.keeps_everything() {
            true => Ok(layer),
            false => self.filtered(&[layer], filter, from),
        }
    }
}

/// A file that is looked for in an image.
#[derive(Debug, Clone, Copy)]
pub struct WantedFile<'a> {
    /// Where it may be, without leading slash; the first that is there is taken.
    pub paths: &'a [String],
    /// Largest size in bytes.
    pub max_bytes: u64,
}

/// Stands for a local image that is in the store alone; `.invalid` is a domain
/// that never exists (RFC 2606).
const STORED: &str = "the-store.invalid/local-image";

/// What a source gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sourced {
    /// Layers in the store, lowest first.
    pub layers: Vec<Layer>,
    /// Images that went in.
    pub images: Vec<manifest::Image>,
    /// Files that went in.
    pub files: Vec<manifest::File>,
    /// Times that these inputs tell of.
    pub times: Vec<InputTime>,
}

/// Says that it is an image of the content, where `needed_by` needs it: such as
/// `cni calico 3.29.2`, or `content` for the profile's own list.
#[must_use]
pub fn needed_by(error: impl Into<Failure>, needed_by: Option<&str>) -> Failure {
    match needed_by {
        None => error.into(),
        Some(needed_by) => error
            .into()
            .context(format!("an image of {needed_by} can't be had")),
    }
}
