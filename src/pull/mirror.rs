//! Copying an image as it is, for a content bundle.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use super::fetch::Source;
use super::{Error, Limits, layers};
use crate::oci::digest::Digest;
use crate::oci::manifest::{
    self, Descriptor, Document, ImageConfig, MAX_CONFIG_BYTES, MAX_INDEX_DEPTH, Manifest,
};
use crate::oci::media::MediaType;
use crate::oci::platform::Platform;
use crate::oci::reference::ImageSource;
use crate::progress::Progress;
use crate::registry::Client;
use crate::store::Store;

/// Which platforms of an index are copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Platforms {
    /// Everything that the index lists, attestations too.
    All,
    /// These; each must be there. The index is kept as it is and still lists
    /// the others, as registries allow for sparse copies.
    Only(Vec<Platform>),
}

/// An image copied into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredImage {
    /// The source as the user would write it, in full form.
    pub reference: String,
    /// The index or manifest that the source names.
    pub root: Descriptor,
    /// All that was copied, by digest: indexes, manifests, configurations,
    /// layers.
    pub blobs: Vec<Descriptor>,
}

/// Copies an image with its index, byte for byte, into the store. Artifacts are
/// copied too: what the blobs are does not matter here.
///
/// # Errors
/// See [`Error`].
pub fn mirror_image(
    client: &Client,
    source: &ImageSource,
    platforms: &Platforms,
    store: &Store,
    limits: &Limits,
    threads: NonZeroUsize,
    progress: &Progress,
) -> Result<MirroredImage, Error> {
    let source = Source::open(client, source, store, limits, progress)?;
    let root = source.resolve()?;
    let mut copy = Copy {
        source: &source,
        platforms,
        manifests: BTreeMap::new(),
        blobs: BTreeMap::new(),
    };
    let root_descriptor = root.descriptor();
    copy.manifest(root, 0)?;
    let Copy {
        manifests, blobs, ..
    } = copy;
    let mut work: Vec<&Descriptor> = blobs.values().collect();
    work.sort_by_key(|blob| (std::cmp::Reverse(blob.size), blob.digest));
    layers::in_parallel(&work, threads, |blob, cancelled| {
        source.fetch(blob, "blob", cancelled)
    })?;
    let mut all = manifests;
    all.extend(blobs);
    Ok(MirroredImage {
        reference: source.name().to_owned(),
        root: root_descriptor,
        blobs: all.into_values().collect(),
    })
}

struct Copy<'a> {
    source: &'a Source<'a>,
    platforms: &'a Platforms,
    manifests: BTreeMap<Digest, Descriptor>,
    blobs: BTreeMap<Digest, Descriptor>,
}

impl Copy<'_> {
    /// Takes in a manifest or index and what it leads to.
    fn manifest(&mut self, manifest: Manifest, depth: usize) -> Result<(), Error> {
        if depth > MAX_INDEX_DEPTH {
            return Err(Error::TooDeep {
                image: self.source.name().to_owned(),
            });
        }
        self.manifests
            .insert(manifest.digest, manifest.descriptor());
        match &manifest.document {
            Document::Image(image) => {
                if depth == 0 {
                    self.check_platform(&image.config)?;
                }
                self.source.check_layer_count(image.layers.len())?;
                for blob in std::iter::once(&image.config).chain(&image.layers) {
                    self.blob(blob)?;
                }
                Ok(())
            }
            Document::Index(entries) => {
                for entry in self.wanted(entries)? {
                    if !self.manifests.contains_key(&entry.digest) {
                        let child = self.source.manifest(entry)?;
                        self.manifest(child, depth + 1)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn blob(&mut self, blob: &Descriptor) -> Result<(), Error> {
        if let MediaType::ForeignLayer(media_type) = &blob.media_type {
            return Err(self.source.unusable(manifest::Error::ForeignLayer {
                digest: blob.digest,
                media_type: media_type.clone(),
            }));
        }
        let mut plain = blob.clone();
        plain.annotations.clear();
        plain.platform = None;
        self.blobs.insert(blob.digest, plain);
        Ok(())
    }

    fn wanted<'b>(&self, entries: &'b [Descriptor]) -> Result<Vec<&'b Descriptor>, Error> {
        let platforms = match self.platforms {
            Platforms::All => return Ok(entries.iter().collect()),
            Platforms::Only(platforms) => platforms,
        };
        platforms
            .iter()
            .map(|wanted| {
                manifest::choose(entries, wanted).ok_or_else(|| {
                    self.source.unusable(manifest::Error::MissingPlatform {
                        wanted: wanted.clone(),
                        offered: manifest::platforms(entries),
                    })
                })
            })
            .collect()
    }

    /// An image without an index must be for the one platform wanted.
    fn check_platform(&self, config: &Descriptor) -> Result<(), Error> {
        let Platforms::Only(platforms) = self.platforms else {
            return Ok(());
        };
        if !matches!(config.media_type, MediaType::Config(_)) {
            return Ok(());
        }
        let bytes = self.source.small_blob(config, MAX_CONFIG_BYTES)?;
        let parsed = ImageConfig::parse(&bytes).map_err(|problem| self.source.unusable(problem))?;
        let Some(found) = parsed.platform else {
            return Ok(());
        };
        match platforms
            .iter()
            .find(|wanted| wanted.distance(&found).is_none())
        {
            None => Ok(()),
            Some(wanted) => Err(self.source.unusable(manifest::Error::MissingPlatform {
                wanted: wanted.clone(),
                offered: vec![found],
            })),
        }
    }
}
