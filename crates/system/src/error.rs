//! What can go wrong in making a system of layers.

use isoforge_base::error::{Class, Diagnose};
use isoforge_formats::squashfs;
use isoforge_oci::{pull, store};

use crate::layer::InLayer;
use crate::slab;

/// Why layers do not become a system.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A layer is at fault.
    #[error(transparent)]
    Layer(#[from] InLayer),
    /// A layer is not what its image says.
    #[error(transparent)]
    Pull(#[from] Box<pull::Error>),
    /// The store could not give or keep something.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Layers' data can't be compressed or kept.
    #[error(transparent)]
    Slab(#[from] slab::Error),
    /// What was just made can't be read again.
    #[error("the slab of {layer}")]
    NewSlab {
        /// The layer's name.
        layer: String,
        /// What reading gave.
        source: slab::Error,
    },
    /// Layers are numbered by 16 bits.
    #[error("the system has more layers than can be numbered")]
    TooManyLayers,
    /// What the file system of the result can't hold.
    #[error(transparent)]
    Squashfs(#[from] squashfs::Error),
}

impl From<pull::Error> for Error {
    fn from(error: pull::Error) -> Self {
        Self::Pull(Box::new(error))
    }
}

impl Error {
    fn cause(&self) -> Option<&dyn Diagnose> {
        Some(match self {
            Self::Layer(error) => error,
            Self::Pull(error) => &**error,
            Self::Store(error) => error,
            Self::Slab(error) | Self::NewSlab { source: error, .. } => error,
            Self::Squashfs(error) => error,
            Self::TooManyLayers => return None,
        })
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        self.cause().map_or(Class::Bug, Diagnose::class)
    }

    fn hint(&self) -> Option<String> {
        self.cause().and_then(Diagnose::hint)
    }
}
