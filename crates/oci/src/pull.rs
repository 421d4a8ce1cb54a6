//! Pulling images into the store.
//!
//! [`pull_image`] fetches one platform of an image whose layers become a root
//! file system; [`mirror_image`] copies an image as it is, index included, for a
//! content bundle, and [`mirror_referrers`] what is about it: signatures, SBOMs.
//! What will be fetched is found out before by [`resolve_image`] and
//! [`resolve_mirror`], which take manifests and configurations alone.
//!
//! Invariants:
//! - A blob is hashed while it streams and gets its name in the store only when
//!   digest and size hold. What the store has is not fetched again.
//! - All layers in the store have their digests. Their diffIDs are what the
//!   configuration claims until [`diff_id`] has checked them, which whoever takes a
//!   layer does before the first use: pulling decompresses nothing.
//! - Which image a failure concerns is part of the error; nothing of a failed
//!   pull remains but complete blobs, and beginnings of large ones that the next
//!   pull goes on with.

pub mod diff_id;
mod download;
mod fetch;
mod layers;
mod mirror;
mod referrers;

use std::num::NonZeroUsize;

pub use download::{Download, Open};
pub use mirror::{MirroredImage, Platforms, mirror_image, resolve_mirror};
pub use referrers::{
    MAX_REFERRER_DEPTH, MAX_REFERRERS, MirroredReferrers, Referrer, mirror_referrers,
};

use crate::Error;
use crate::layer::Layer;
use crate::manifest::{
    self, Descriptor, Document, ImageConfig, ImageManifest, MAX_CONFIG_BYTES, MAX_INDEX_DEPTH,
    Manifest,
};
use crate::platform::Platform;
use crate::reference::ImageSource;
use crate::registry::Client;
use crate::store::Store;
use fetch::Source;
use isoforge_base::digest::Digest;
use isoforge_base::error::Class;
use isoforge_base::progress::Progress;

const GIB: u64 = 1024 * 1024 * 1024;

/// Upper bounds for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Layers of an image.
    pub layers: usize,
    /// Bytes of one blob as transferred.
    pub blob_bytes: u64,
}

impl Limits {
    /// Used where the settings say nothing else.
    pub const DEFAULT: Self = Self {
        layers: 1024,
        blob_bytes: 64 * GIB,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// One platform of an image, complete in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledImage {
    /// The source as the user would write it, in full form.
    pub reference: String,
    /// Digest of the index that the manifest was chosen from, where there was
    /// one.
    pub index_digest: Option<Digest>,
    /// The image's manifest.
    pub manifest: Manifest,
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// The configuration's digest.
    pub config_digest: Digest,
    /// The platform that the image is for.
    pub platform: Platform,
    /// When the image was made, in seconds since 1970-01-01 UTC.
    pub created: Option<i64>,
    /// The layers, lowest first. Their diffIDs are not checked yet; see
    /// [`diff_id`].
    pub layers: Vec<Layer>,
}

/// One platform of an image of which manifests and configuration are in the
/// store, and of the layers those that were there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedImage {
    /// What a pull will give; its diffIDs are the configuration's word.
    pub image: PulledImage,
    /// The layers as the manifest describes them, lowest first.
    descriptors: Vec<Descriptor>,
}

impl ResolvedImage {
    /// The layers that a pull would fetch, each once.
    ///
    /// # Errors
    /// What looking into the store gives.
    pub fn missing(&self, store: &Store) -> Result<Vec<Descriptor>, Error> {
        missing(&self.descriptors, store)
    }
}

/// Those of `blobs` that the store does not have in full size, each once.
fn missing(blobs: &[Descriptor], store: &Store) -> Result<Vec<Descriptor>, Error> {
    let mut found: Vec<Descriptor> = Vec::new();
    for blob in blobs {
        let known = found.iter().any(|other| other.digest == blob.digest);
        if !known && store.blob_size(&blob.digest)? != Some(blob.size) {
            found.push(blob.clone());
        }
    }
    Ok(found)
}

/// Finds out what the image for `platform` is made of: takes its manifests and
/// its configuration into the store, and no layer.
///
/// # Errors
/// See [`Error`].
pub fn resolve_image(
    client: &Client,
    source: &ImageSource,
    platform: &Platform,
    store: &Store,
    limits: &Limits,
    progress: &Progress,
) -> Result<ResolvedImage, Error> {
    let source = Source::open(client, source, store, limits, progress)?;
    resolve(&source, platform)
}

/// Pulls the image for `platform` into the store. Up to `threads` blobs are
/// fetched at once.
///
/// # Errors
/// See [`Error`].
pub fn pull_image(
    client: &Client,
    source: &ImageSource,
    platform: &Platform,
    store: &Store,
    limits: &Limits,
    threads: NonZeroUsize,
    progress: &Progress,
) -> Result<PulledImage, Error> {
    let source = Source::open(client, source, store, limits, progress)?;
    let ResolvedImage { image, descriptors } = resolve(&source, platform)?;
    layers::fetch(&source, &descriptors, threads)?;
    Ok(image)
}

fn resolve(source: &Source<'_>, platform: &Platform) -> Result<ResolvedImage, Error> {
    let root = source.resolve()?;
    let index_digest = matches!(root.document, Document::Index(_)).then_some(root.digest);
    let (manifest, image) = choose(source, root, platform)?;
    let compressions = image
        .layer_compressions()
        .map_err(|problem| source.unusable(problem))?;
    source.check_layer_count(image.layers.len())?;
    let config = source.small_blob(&image.config, MAX_CONFIG_BYTES)?;
    let parsed = ImageConfig::parse(&config).map_err(|problem| source.unusable(problem))?;
    check_config(&parsed, &image, platform).map_err(|problem| source.unusable(problem))?;
    let layers: Vec<Layer> = image
        .layers
        .iter()
        .zip(compressions)
        .zip(&parsed.diff_ids)
        .map(|((descriptor, compression), diff_id)| Layer {
            digest: descriptor.digest,
            size: descriptor.size,
            compression,
            diff_id: *diff_id,
        })
        .collect();
    let pulled = PulledImage {
        reference: source.name().to_owned(),
        index_digest,
        manifest,
        config,
        config_digest: image.config.digest,
        platform: platform.clone(),
        created: parsed.created,
        layers,
    };
    Ok(ResolvedImage {
        image: pulled,
        descriptors: image.layers,
    })
}

/// Goes from the manifest that the source names to the image for `platform`.
fn choose(
    source: &Source<'_>,
    root: Manifest,
    platform: &Platform,
) -> Result<(Manifest, ImageManifest), Error> {
    let mut offered = Vec::new();
    let mut pending = vec![(root, 0)];
    while let Some((manifest, depth)) = pending.pop() {
        let entries = match &manifest.document {
            Document::Image(image) => {
                let image = image.clone();
                return Ok((manifest, image));
            }
            Document::Index(entries) => entries,
        };
        if depth >= MAX_INDEX_DEPTH {
            return Err(source.too_deep());
        }
        match source.choose(entries, platform)? {
            Ok(entry) => {
                pending.clear();
                pending.push((source.manifest(entry)?, depth + 1));
                continue;
            }
            Err(there_are) => offered.extend(there_are),
        }
        // An index may hold others that say nothing about their platforms.
        for entry in nested(entries).rev() {
            pending.push((source.manifest(entry)?, depth + 1));
        }
    }
    Err(source.unusable(manifest::missing_platform(platform, &offered)))
}

fn nested(entries: &[Descriptor]) -> impl DoubleEndedIterator<Item = &Descriptor> {
    entries.iter().filter(|entry| {
        entry.platform.is_none()
            && !entry.is_attestation()
            && matches!(entry.media_type, crate::media::MediaType::Index(_))
    })
}

/// Whether the configuration is for the platform and fits the manifest.
fn check_config(
    config: &ImageConfig,
    image: &ImageManifest,
    platform: &Platform,
) -> Result<(), Error> {
    if let Some(found) = &config.platform
        && platform.distance(found).is_none()
    {
        return Err(manifest::missing_platform(
            platform,
            std::slice::from_ref(found),
        ));
    }
    if config.diff_ids.len() != image.layers.len() {
        return Err(Error::new(
            Class::Verification,
            format!(
                "the manifest has {} layers, but the configuration has {} diff_ids",
                image.layers.len(),
                config.diff_ids.len()
            ),
        ));
    }
    Ok(())
}

/// The error for an image or layer that is larger than the limit of this name and value.
fn over_limit(found: String, limit: &str, allowed: u64) -> Error {
    let problem = format!("{found}; the limit {limit} is {allowed}");
    Error::new(Class::Verification, problem).with_hint(format!(
        "if the image can be trusted, raise '{limit}' under [limits] in the profile"
    ))
}

#[cfg(test)]
mod tests;
