//! An OCI layout, all of whose images can be had.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::super::layout::LayoutRegistry;
use super::super::{Expected, Registry, checked_manifest};
use crate::Error;
use crate::manifest::{Descriptor, MAX_MANIFEST_BYTES, Manifest};
use isoforge_base::digest::Digest;

/// An OCI image layout in a folder or archive, or what is like one, to be pushed
/// from.
#[derive(Debug)]
pub struct ImageLayout(LayoutSource);

/// Blobs by digest that lie in something else than a layout.
pub trait Blobs: fmt::Debug + Send + Sync {
    /// Opens a blob: its size in bytes, and its bytes, whose digest is not
    /// checked. `None` where it is not there.
    ///
    /// # Errors
    /// What the system says.
    #[allow(clippy::type_complexity)]
    fn open(&self, digest: &Digest) -> io::Result<Option<(u64, Box<dyn Read + Send>)>>;
}

#[derive(Debug)]
enum LayoutSource {
    Layout(LayoutRegistry),
    Blobs {
        path: PathBuf,
        images: Vec<Descriptor>,
        blobs: Box<dyn Blobs>,
    },
}

impl ImageLayout {
    /// Opens a layout. An archive is not unpacked; `scratch` is where a
    /// compressed one is decompressed.
    ///
    /// # Errors
    /// Where there is none, and what the system says.
    pub fn open(path: &Path, scratch: &Path) -> Result<Self, Error> {
        Ok(Self(LayoutSource::Layout(LayoutRegistry::at(
            path, scratch,
        )?)))
    }

    /// `images` whose blobs lie in `blobs`; `path` is where these are, for messages.
    /// An index may name images that are not there.
    #[must_use]
    pub fn over(path: &Path, images: Vec<Descriptor>, blobs: Box<dyn Blobs>) -> Self {
        Self(LayoutSource::Blobs {
            path: path.to_owned(),
            images,
            blobs,
        })
    }

    /// The folder or archive.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.0 {
            LayoutSource::Layout(layout) => layout.path(),
            LayoutSource::Blobs { path, .. } => path,
        }
    }

    /// The images that `index.json` lists, in its order.
    ///
    /// # Errors
    /// [`Error::Format`] and [`Error::Manifest`] on a malformed index.
    pub fn images(&self) -> Result<Vec<Descriptor>, Error> {
        let mut entries = match &self.0 {
            LayoutSource::Layout(layout) => layout.index()?.1,
            LayoutSource::Blobs { images, .. } => images.clone(),
        };
        entries.retain(|entry| !entry.is_attestation());
        Ok(entries)
    }

    /// Whether an image of an index is left out on purpose.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn leaves_out(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        match &self.0 {
            LayoutSource::Layout(_) => Ok(false),
            LayoutSource::Blobs { .. } => Ok(!self.has_blob(&descriptor.digest)?),
        }
    }

    /// Whether a blob is there.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        match &self.0 {
            LayoutSource::Layout(layout) => layout.has_blob(digest),
            LayoutSource::Blobs { blobs, .. } => {
                Ok(blobs.open(digest).map_err(Error::Read)?.is_some())
            }
        }
    }

    /// A manifest or index, checked against its descriptor.
    ///
    /// # Errors
    /// [`Error::Digest`] and [`Error::Length`] on damage, and see [`Error`].
    pub fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Error> {
        match &self.0 {
            LayoutSource::Layout(layout) => layout.manifest(descriptor),
            LayoutSource::Blobs { .. } => {
                let size = descriptor.size.min(MAX_MANIFEST_BYTES);
                let mut raw = Vec::new();
                let reader = self.blob(descriptor, 0)?;
                let mut reader = reader.take(size.saturating_add(1));
                reader.read_to_end(&mut raw).map_err(Error::Read)?;
                let place = self.place(&descriptor.digest);
                checked_manifest(place, raw, Expected::from(descriptor))
            }
        }
    }

    /// A blob from byte `start` on; its digest is not checked.
    pub(super) fn blob(
        &self,
        blob: &Descriptor,
        start: u64,
    ) -> Result<Box<dyn Read + Send>, Error> {
        let blobs = match &self.0 {
            LayoutSource::Layout(layout) => {
                let opened = layout.open_blob(&blob.digest, blob.size)?;
                return Ok(opened.from(start)?.reader);
            }
            LayoutSource::Blobs { blobs, .. } => blobs,
        };
        let place = || self.place(&blob.digest);
        let opened = blobs.open(&blob.digest).map_err(Error::Read)?;
        let (found, mut reader) = opened.ok_or_else(|| {
            let problem = format!("{} is missing", place());
            Error::Read(io::Error::new(io::ErrorKind::NotFound, problem))
        })?;
        if found != blob.size {
            return Err(Error::Length {
                place: place(),
                expected: blob.size,
                found,
            });
        }
        io::copy(&mut reader.by_ref().take(start), &mut io::sink()).map_err(Error::Read)?;
        Ok(reader)
    }

    /// Where a blob is, for messages.
    pub(super) fn place(&self, digest: &Digest) -> String {
        match &self.0 {
            LayoutSource::Layout(layout) => layout.place(digest),
            LayoutSource::Blobs { path, .. } => format!("{}: {digest}", path.display()),
        }
    }
}
