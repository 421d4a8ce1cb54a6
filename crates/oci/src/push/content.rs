//! What an image of a layout consists of.

use std::collections::BTreeSet;

use crate::manifest::{
    self, BASE_NAME, Descriptor, Document, ImageManifest, MAX_INDEX_DEPTH, Manifest,
};
use crate::media::MediaType;
use crate::reference::Reference;
use crate::registry::push::ImageLayout;
use crate::{Error, Step};
use isoforge_base::digest::Digest;

/// An image, all manifests read and checked.
#[derive(Debug)]
pub(super) struct Content {
    /// The index or manifest that gets the tag.
    pub(super) root: PushedManifest,
    /// All manifests and indexes that it leads to, what they name before them.
    pub(super) below: Vec<PushedManifest>,
}

/// A manifest and the blobs that it names.
#[derive(Debug)]
pub(super) struct PushedManifest {
    pub(super) manifest: Manifest,
    pub(super) blobs: Vec<Blob>,
}

impl PushedManifest {
    /// Digests of its blobs.
    pub(super) fn digests(&self) -> impl Iterator<Item = Digest> {
        self.blobs.iter().map(|blob| blob.descriptor.digest)
    }
}

/// A blob of an image.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) descriptor: Descriptor,
    /// What progress calls it.
    pub(super) label: String,
    /// The image that the blob may come from.
    pub(super) base: Option<Reference>,
}

impl Content {
    /// Reads the image of `descriptor`; `name` is the reference that it gets.
    pub(super) fn read(
        layout: &ImageLayout,
        descriptor: &Descriptor,
        name: &str,
    ) -> Result<Self, Error> {
        let mut reader = Reader {
            layout,
            name,
            seen: BTreeSet::new(),
            below: Vec::new(),
        };
        let root = reader.part(descriptor, 0)?;
        Ok(Self {
            root,
            below: reader.below,
        })
    }

    /// Number of manifests and indexes.
    pub(super) fn manifests(&self) -> u64 {
        self.below.len() as u64 + 1
    }

    pub(super) fn blobs(&self) -> impl Iterator<Item = &Blob> {
        let parts = self.below.iter().chain([&self.root]);
        parts.flat_map(|part| &part.blobs)
    }

    /// The images that it is built upon.
    pub(super) fn bases(&self) -> impl Iterator<Item = &Reference> {
        self.blobs().filter_map(|blob| blob.base.as_ref())
    }
}

struct Reader<'a> {
    layout: &'a ImageLayout,
    name: &'a str,
    seen: BTreeSet<Digest>,
    below: Vec<PushedManifest>,
}

impl Reader<'_> {
    /// A manifest with its blobs; all that it leads to is taken in before.
    fn part(&mut self, descriptor: &Descriptor, depth: usize) -> Result<PushedManifest, Error> {
        if depth > MAX_INDEX_DEPTH {
            return Err(manifest::too_deep(self.name));
        }
        let manifest = self
            .layout
            .manifest(descriptor)
            .map_err(|error| error.of_image(self.name, Step::Push))?;
        let blobs = match &manifest.document {
            Document::Image(image) => self.blobs(descriptor, &manifest, image)?,
            Document::Index(entries) => {
                for entry in entries {
                    let left_out = self.layout.leaves_out(entry)?;
                    if !left_out && self.seen.insert(entry.digest) {
                        let part = self.part(entry, depth + 1)?;
                        self.below.push(part);
                    }
                }
                Vec::new()
            }
        };
        Ok(PushedManifest { manifest, blobs })
    }

    fn blobs(
        &self,
        descriptor: &Descriptor,
        manifest: &Manifest,
        image: &ImageManifest,
    ) -> Result<Vec<Blob>, Error> {
        let platform = match &descriptor.platform {
            Some(platform) if !descriptor.is_attestation() => format!("{platform} "),
            _ => String::new(),
        };
        let base: Option<Reference> = manifest
            .annotations()
            .get(BASE_NAME)
            .and_then(|name| name.parse().ok());
        let mut blobs = vec![Blob {
            descriptor: image.config.clone(),
            label: format!("{platform}configuration"),
            // An image's configuration is its own.
            base: None,
        }];
        for (at, layer) in image.layers.iter().enumerate() {
            let is_foreign = matches!(layer.media_type, MediaType::ForeignLayer(_));
            if is_foreign && !self.layout.has_blob(&layer.digest)? {
                return Err(manifest::foreign_layer(layer).of_image(self.name, Step::Push));
            }
            blobs.push(Blob {
                descriptor: layer.clone(),
                label: format!("{platform}layer {}/{}", at + 1, image.layers.len()),
                base: base.clone(),
            });
        }
        Ok(blobs)
    }
}
