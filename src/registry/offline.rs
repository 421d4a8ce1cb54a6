//! A registry that must not be asked: everything that the store lacks is an
//! error.

use super::{Error, Registry};
use crate::oci::manifest::{Descriptor, Manifest};
use crate::oci::reference::Reference;

/// The place of an image whose registry is not asked.
#[derive(Debug)]
pub(super) struct Offline {
    pub(super) reference: Reference,
}

impl Offline {
    fn refuse<T>(&self, what: &str) -> Result<T, Error> {
        Err(Error::Offline {
            what: format!("{what} of {}", self.reference),
        })
    }
}

impl Registry for Offline {
    fn resolve(&self) -> Result<Manifest, Error> {
        self.refuse("the manifest")
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Error> {
        self.refuse(&format!("the manifest {}", descriptor.digest))
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn std::io::Read + Send + '_>, Error> {
        self.refuse(&format!("the blob {}", descriptor.digest))
    }
}
