//! Where the OS and further layers come from: images, archives, packages,
//! files. Everything that a source gives are layers in the store, and what the
//! build manifest says about them.

use std::num::NonZeroUsize;

use crate::lock::Lock;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::progress::Progress;
use isoforge_contract::arch::Arch;
use isoforge_contract::manifest;
use isoforge_formats::tar::Limits;
use isoforge_oci::layer::Layer;
use isoforge_oci::pull;
use isoforge_oci::reference::{ImageSource, ParseReferenceError, Reference};
use isoforge_oci::registry::Client;
use isoforge_oci::store::{self, Store};

pub mod archive;
pub mod bootstrap;
pub mod components;
pub mod content;
pub mod epoch;
pub mod files;
pub mod image;
pub mod kubernetes;
pub mod layers;
pub mod packages;

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
        if path.exists() || !self.store.has_blob(&pin) {
            return source;
        }
        match STORED.parse::<Reference>() {
            Ok(stored) => ImageSource::Registry(stored.with_digest(pin)),
            Err(_) => source,
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

/// Why a source can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text names no image.
    #[error(transparent)]
    Reference(Box<ParseReferenceError>),
    /// An image can't be had.
    #[error(transparent)]
    Pull(Box<pull::Error>),
    /// An archive can't be used.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// Paths can't be taken out of layers.
    #[error(transparent)]
    Filter(#[from] isoforge_system::Error),
    /// Files can't be downloaded or laid.
    #[error(transparent)]
    Files(Box<files::Error>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// An image of the content can't be had.
    #[error("an image of {needed_by} can't be had")]
    Content {
        /// Such as `cni calico 3.29.2`, or `content` for the profile's own list.
        needed_by: String,
        /// What happened.
        source: Box<Self>,
    },
}

// Boxed, so that results stay small.
impl From<ParseReferenceError> for Error {
    fn from(error: ParseReferenceError) -> Self {
        Self::Reference(Box::new(error))
    }
}

impl From<pull::Error> for Error {
    fn from(error: pull::Error) -> Self {
        Self::Pull(Box::new(error))
    }
}

impl From<files::Error> for Error {
    fn from(error: files::Error) -> Self {
        Self::Files(Box::new(error))
    }
}

impl Error {
    fn cause(&self) -> &dyn Diagnose {
        match self {
            Self::Reference(error) => error.as_ref(),
            Self::Pull(error) => error.as_ref(),
            Self::Archive(error) => error,
            Self::Filter(error) => error,
            Self::Files(error) => error.as_ref(),
            Self::Store(error) => error,
            Self::Content { source, .. } => source.cause(),
        }
    }

    /// The same, said to be of an image of the content where `needed_by` needs it.
    #[must_use]
    pub fn needed_by(self, needed_by: Option<&str>) -> Self {
        match needed_by {
            None => self,
            Some(needed_by) => Self::Content {
                needed_by: needed_by.to_owned(),
                source: Box::new(self),
            },
        }
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        self.cause().class()
    }

    fn hint(&self) -> Option<String> {
        self.cause().hint()
    }
}
