//! The provider image: operating system and Kubernetes as an OCI image, from
//! which machines are installed and upgraded.
//!
//! OCI Image Specification v1.1. For each Kubernetes version one image index
//! over all architectures. The layers of a base that is an image keep their
//! digests, so that a registry that has the base is not sent it again; Docker
//! schema 2 bases get OCI media types over the same blobs. Layers of our own
//! lie in the store as plain tar streams and are compressed here, once.
//!
//! Not here: deciding which layers belong in (that is the build's), reading
//! or pushing images (that is `registry`'s).
//!
//! Invariants:
//! - Equal input gives equal bytes: no clock, sorted maps, gzip without time
//!   and name.
//! - Every blob that an image names is in the store.

use std::collections::BTreeMap;

use crate::Error;
use crate::error::unfit;
use crate::merged::BuiltLayer;
use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;
use isoforge_contract::manifest::Squashfs;
use isoforge_oci::layer::{Layer, LayerCompression};
use isoforge_oci::layout::{Builder, IMAGE_NAME, OciLayout};
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::platform::Platform as PlatformName;
use isoforge_oci::store::Store;

mod compress;
mod config;
mod image;
mod labels;

use compress::compress_layer;

const NO_JSON: &str = "a document of the provider image can't be written as JSON";

/// Longest tag that the OCI Distribution Specification allows.
const MAX_TAG_BYTES: usize = 128;

/// What an image says of itself, in the profile's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// `appliance.name`.
    pub name: String,
    /// `appliance.version`.
    pub version: String,
    /// `os.distribution`.
    pub os_distribution: String,
    /// `os.version`.
    pub os_version: String,
    /// `kubernetes.distribution`.
    pub kubernetes_distribution: String,
    /// The Kubernetes version of this image, as the profile says it.
    pub kubernetes_version: String,
    /// The version that was found in it, where the profile leaves that to the image.
    pub kubernetes_found: Option<String>,
}

impl Description {
    /// The image's tag, see [`isoforge_contract::labels::tag`].
    ///
    /// # Errors
    /// Where the OCI Distribution Specification's grammar
    /// does not allow the result.
    pub fn tag(&self) -> Result<String, Error> {
        let tag = isoforge_contract::labels::tag(
            &self.kubernetes_distribution,
            &self.kubernetes_version,
            &self.version,
        );
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if tag.len() > MAX_TAG_BYTES || tag.starts_with(['.', '-']) || !tag.chars().all(allowed) {
            let problem = format!("'{tag}' can't be the tag of a provider image");
            let hint = "use letters, digits, '.', '_', '+' and '-' in kubernetes.distribution, \
                 kubernetes.version and appliance.version";
            return Err(unfit(problem).with_hint(hint).into());
        }
        Ok(tag)
    }
}

/// The image that a provider image is built upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Its reference in a registry; none where it came from a local file.
    pub name: Option<String>,
    /// Digest of its platform manifest.
    pub manifest: Digest,
    /// Its configuration, byte for byte.
    pub config: Vec<u8>,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
}

/// One architecture of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Linux on the architecture.
    pub platform: PlatformName,
    /// The image that this one is built upon; none where the operating system
    /// is an archive or bootstrapped, and so a layer of our own.
    pub base: Option<Base>,
    /// The layers over the base, lowest first.
    pub layers: Vec<BuiltLayer>,
    /// The SquashFS of this image's tree.
    pub squashfs: Squashfs,
}

/// A provider image to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// What it says of itself.
    pub description: Description,
    /// The build's time, in seconds since 1970-01-01 UTC.
    pub epoch: u32,
    /// How layers of our own are compressed.
    pub compression: LayerCompression,
    /// Its architectures.
    pub platforms: Vec<Platform>,
}

/// A provider image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformImage {
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Digest of its configuration.
    pub config: Digest,
    /// Digests of its layers, lowest first.
    pub layers: Vec<Digest>,
}

/// A provider image, all of it in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its tag.
    pub tag: String,
    /// Its index.
    pub index: Descriptor,
    /// What it is for each platform.
    pub platforms: BTreeMap<PlatformName, PlatformImage>,
    /// Every blob that it consists of, the index included, and its size in
    /// bytes.
    pub blobs: BTreeMap<Digest, u64>,
}

/// Puts images together in one layout, each under its tag, and with its full
/// name where it is known for which `repository` they are. Blobs that they share
/// are in it once. One image for one platform is listed as `docker save` does too:
/// Kairos takes a file without that list for the system itself.
#[must_use]
pub fn layout(images: &[Image], repository: Option<&str>) -> OciLayout {
    let mut builder = Builder::new();
    for image in images {
        for (digest, size) in &image.blobs {
            builder.blob(*digest, *size);
        }
        let mut index = image.index.clone();
        if let Some(repository) = repository {
            let name = format!("{repository}:{}", image.tag);
            index.annotations.insert(IMAGE_NAME.to_owned(), name);
        }
        builder.reference(&image.tag, index);
    }
    if let [image] = images
        && let Some(only) = image.platforms.values().next()
        && image.platforms.len() == 1
    {
        let name = repository.map(|repository| format!("{repository}:{}", image.tag));
        builder.docker_image(name.as_deref(), &only.config, &only.layers);
    }
    builder.build()
}

/// Makes an image: compresses layers that need it, and puts configurations,
/// manifests and the index into the store.
///
/// # Errors
/// Where the base image's configuration, the tag or a layer can't be used, or what
/// the store says.
pub fn build(store: &Store, spec: &Spec, progress: &Progress) -> Result<Image, Error> {
    image::build(store, spec, progress)
}

#[cfg(test)]
mod tests;
