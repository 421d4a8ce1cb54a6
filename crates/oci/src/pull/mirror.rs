//! Copying an image as it is, for a content bundle.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use super::fetch::Source;
use super::{Error, Limits, layers, nested};
use crate::manifest::{
    self, Descriptor, Document, ImageConfig, ImageManifest, MAX_CONFIG_BYTES, MAX_INDEX_DEPTH,
    Manifest,
};
use crate::media::MediaType;
use crate::platform::Platform;
use crate::reference::ImageSource;
use crate::registry::Client;
use crate::store::Store;
use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;

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
    /// Digest of the manifest of the first platform asked for, of the first in
    /// the index where all were.
    pub manifest: Digest,
    /// All that was copied, by digest: indexes, manifests, configurations,
    /// layers.
    pub blobs: Vec<Descriptor>,
}

impl MirroredImage {
    /// What a copy would fetch, each blob once.
    ///
    /// # Errors
    /// What looking into the store gives.
    pub fn missing(&self, store: &Store) -> Result<Vec<Descriptor>, Error> {
        super::missing(&self.blobs, store)
    }
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
    let Copy {
        root,
        manifests,
        blobs,
        ..
    } = Copy::resolve(&source, platforms)?;
    let mut work: Vec<&Descriptor> = blobs.values().collect();
    work.sort_by_key(|blob| (std::cmp::Reverse(blob.size), blob.digest));
    layers::in_parallel(&work, threads, |blob, cancelled| {
        source.fetch(blob, "blob", cancelled)
    })?;
    Ok(mirrored(&source, root, manifests, blobs))
}

/// Finds out what [`mirror_image`] copies: takes manifests alone into the store,
/// and the configuration where an image without an index must be for a platform.
///
/// # Errors
/// See [`Error`].
pub fn resolve_mirror(
    client: &Client,
    source: &ImageSource,
    platforms: &Platforms,
    store: &Store,
    limits: &Limits,
    progress: &Progress,
) -> Result<MirroredImage, Error> {
    let source = Source::open(client, source, store, limits, progress)?;
    let Copy {
        root,
        manifests,
        blobs,
        ..
    } = Copy::resolve(&source, platforms)?;
    Ok(mirrored(&source, root, manifests, blobs))
}

/// The index or manifest that a source names, and its first image's manifest.
struct Root {
    descriptor: Descriptor,
    manifest: Digest,
}

fn mirrored(
    source: &Source<'_>,
    root: Root,
    manifests: BTreeMap<Digest, Descriptor>,
    blobs: BTreeMap<Digest, Descriptor>,
) -> MirroredImage {
    let mut all = manifests;
    all.extend(blobs);
    MirroredImage {
        reference: source.name().to_owned(),
        root: root.descriptor,
        manifest: root.manifest,
        blobs: all.into_values().collect(),
    }
}

struct Copy<'a> {
    source: &'a Source<'a>,
    platforms: &'a Platforms,
    root: Root,
    /// The first image that was come to.
    first: Option<Digest>,
    manifests: BTreeMap<Digest, Descriptor>,
    blobs: BTreeMap<Digest, Descriptor>,
}

impl<'a> Copy<'a> {
    /// Follows all manifests from the one that the source names.
    fn resolve(source: &'a Source<'a>, platforms: &'a Platforms) -> Result<Self, Error> {
        let root = source.resolve()?;
        let mut copy = Self {
            source,
            platforms,
            root: Root {
                descriptor: root.descriptor(),
                manifest: root.digest,
            },
            first: None,
            manifests: BTreeMap::new(),
            blobs: BTreeMap::new(),
        };
        match platforms {
            Platforms::All => copy.all(&root, 0)?,
            Platforms::Only(platforms) => {
                for wanted in platforms {
                    copy.one(&root, 0, wanted)?.map_err(|offered| {
                        source.unusable(manifest::missing_platform(wanted, &offered))
                    })?;
                }
            }
        }
        copy.root.manifest = copy.first.unwrap_or(copy.root.manifest);
        Ok(copy)
    }

    /// Takes in a manifest or index and all that it leads to.
    fn all(&mut self, manifest: &Manifest, depth: usize) -> Result<(), Error> {
        if depth > MAX_INDEX_DEPTH {
            return Err(self.source.too_deep());
        }
        self.manifests
            .insert(manifest.digest, manifest.descriptor());
        match &manifest.document {
            Document::Image(image) => self.image(manifest, image, depth),
            Document::Index(entries) => {
                for entry in entries {
                    if !self.manifests.contains_key(&entry.digest) {
                        let child = self.source.manifest(entry)?;
                        self.all(&child, depth + 1)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Takes in the image for a platform and the indexes that lead to it, as a pull
    /// finds it; else gives the platforms that there are.
    fn one(
        &mut self,
        manifest: &Manifest,
        depth: usize,
        wanted: &Platform,
    ) -> Result<Result<(), Vec<Platform>>, Error> {
        if depth > MAX_INDEX_DEPTH {
            return Err(self.source.too_deep());
        }
        let entries = match &manifest.document {
            Document::Image(image) => {
                self.image(manifest, image, depth)?;
                self.manifests
                    .insert(manifest.digest, manifest.descriptor());
                return Ok(Ok(()));
            }
            Document::Index(entries) => entries,
        };
        let (children, mut offered): (Vec<&Descriptor>, _) =
            match self.source.choose(entries, wanted)? {
                Ok(entry) => (vec![entry], Vec::new()),
                Err(offered) => (nested(entries).collect(), offered),
            };
        for entry in children {
            let child = self.source.manifest(entry)?;
            match self.one(&child, depth + 1, wanted)? {
                Ok(()) => {
                    self.manifests
                        .insert(manifest.digest, manifest.descriptor());
                    return Ok(Ok(()));
                }
                Err(further) => offered.extend(further),
            }
        }
        Ok(Err(offered))
    }

    fn image(
        &mut self,
        manifest: &Manifest,
        image: &ImageManifest,
        depth: usize,
    ) -> Result<(), Error> {
        self.first.get_or_insert(manifest.digest);
        if depth == 0 {
            self.check_platform(&image.config)?;
        }
        self.source.check_layer_count(image.layers.len())?;
        for blob in std::iter::once(&image.config).chain(&image.layers) {
            self.blob(blob);
        }
        Ok(())
    }

    fn blob(&mut self, blob: &Descriptor) {
        let mut plain = blob.clone();
        plain.annotations.clear();
        plain.platform = None;
        self.blobs.insert(blob.digest, plain);
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
            Some(wanted) => {
                let error = manifest::missing_platform(wanted, &[found]);
                Err(self.source.unusable(error))
            }
        }
    }
}
