//! A registry that must not be asked: everything that the store lacks is an
//! error.

use super::{BlobRest, Error, Registry};
use crate::manifest::{Descriptor, Manifest};
use crate::reference::Reference;
use isoforge_base::digest::Digest;

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

    fn blob(&self, descriptor: &Descriptor, _: u64) -> Result<BlobRest<'_>, Error> {
        self.refuse(&format!("the blob {}", descriptor.digest))
    }

    fn listed_referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        self.refuse(&format!("what is about {subject}"))
    }

    fn tagged(&self, tag: &str) -> Result<Option<Manifest>, Error> {
        self.refuse(&format!("the tag {tag}"))
    }
}
