//! An OCI layout, all of whose images can be had.

use std::io::Read;
use std::path::Path;

use super::super::Registry;
use super::super::error::Error;
use super::super::layout::LayoutRegistry;
use crate::oci::digest::Digest;
use crate::oci::manifest::{Descriptor, Manifest};

/// An OCI image layout in a folder or archive, to be pushed from.
#[derive(Debug)]
pub struct ImageLayout(LayoutRegistry);

impl ImageLayout {
    /// Opens a layout. An archive is not unpacked; `scratch` is where a
    /// compressed one is decompressed.
    ///
    /// # Errors
    /// [`Error::NoSource`] and [`Error::Format`] where there is none,
    /// [`Error::Io`].
    pub fn open(path: &Path, scratch: &Path) -> Result<Self, Error> {
        Ok(Self(LayoutRegistry::at(path, scratch)?))
    }

    /// The folder or archive.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The images that `index.json` lists, in its order.
    ///
    /// # Errors
    /// [`Error::Format`] and [`Error::Manifest`] on a malformed index.
    pub fn images(&self) -> Result<Vec<Descriptor>, Error> {
        let (_, mut entries) = self.0.index()?;
        entries.retain(|entry| !entry.is_attestation());
        Ok(entries)
    }

    /// A manifest or index, checked against its descriptor.
    ///
    /// # Errors
    /// [`Error::Digest`] and [`Error::Length`] on damage, and see [`Error`].
    pub fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Error> {
        self.0.manifest(descriptor)
    }

    /// A blob from byte `start` on; its digest is not checked.
    pub(super) fn blob(
        &self,
        blob: &Descriptor,
        start: u64,
    ) -> Result<Box<dyn Read + Send>, Error> {
        let opened = self.0.open_blob(&blob.digest, blob.size)?;
        Ok(opened.from(start)?.reader)
    }

    /// Where a blob is, for messages.
    pub(super) fn place(&self, digest: &Digest) -> String {
        self.0.place(digest)
    }
}
