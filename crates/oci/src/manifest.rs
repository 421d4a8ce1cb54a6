//! Manifests, indexes and image configurations.
//!
//! OCI Image Specification v1.1, "Image Manifest", "Image Index" and "Image
//! Configuration", and Docker's Image Manifest Version 2, Schema 2. Raw bytes
//! are kept and digests are over them, never over re-serialized JSON. Unknown
//! keys are ignored, as the specifications ask; a document that could be read
//! as manifest and as index (CVE-2021-41190) is refused.
//!
//! Non-goals: Docker's schema 1, artifacts without an image configuration.

use std::collections::BTreeMap;
use std::fmt;

use oci_spec::image as spec;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::layer::LayerCompression;
use super::media::{Family, MediaType};
use super::platform::Platform;
use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_base::error::Class;

/// Largest manifest or index accepted, as registries limit them (OCI
/// Distribution Specification v1.1, "Pushing Manifests").
pub const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
/// Largest image configuration accepted.
pub const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;
/// How deep indexes may nest.
pub const MAX_INDEX_DEPTH: usize = 3;

/// Annotation with the reference of the image that one is built upon (OCI Image
/// Specification v1.1, "Pre-Defined Annotation Keys").
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";

const ATTESTATION_KEY: &str = "vnd.docker.reference.type";

/// Names a blob or manifest by its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The platform that the content is for, in an index.
    pub platform: Option<Platform>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor without platform and annotations.
    #[must_use]
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Whether the content is about another image of the index (provenance,
    /// SBOM) instead of being one.
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        self.annotations.contains_key(ATTESTATION_KEY)
            || self.platform.as_ref().is_some_and(Platform::is_unknown)
    }
}

impl TryFrom<&spec::Descriptor> for Descriptor {
    type Error = Error;

    fn try_from(from: &spec::Descriptor) -> Result<Self, Error> {
        let digest = from.digest().to_string();
        Ok(Self {
            media_type: MediaType::parse(from.media_type().as_ref()),
            digest: digest.parse().map_err(|_| {
                let problem = format!("'{digest}' is not a sha256 digest, the only kind supported");
                Error::new(Class::Profile, problem)
            })?,
            size: from.size(),
            platform: from.platform().as_ref().map(|platform| {
                Platform::new(
                    platform.os().to_string().as_str(),
                    platform.architecture().to_string().as_str(),
                    platform.variant().as_deref(),
                )
            }),
            annotations: from
                .annotations()
                .iter()
                .flatten()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        })
    }
}

/// The manifest of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
}

impl ImageManifest {
    /// The compression of each layer, lowest first.
    ///
    /// # Errors
    /// On an artifact, and on layers that can't be used.
    pub(crate) fn layer_compressions(&self) -> Result<Vec<LayerCompression>, Error> {
        if !matches!(self.config.media_type, MediaType::Config(_)) {
            let problem = format!(
                "this is an artifact of the type '{}', not an image",
                self.config.media_type
            );
            let hint = "name a container image here";
            return Err(Error::new(Class::Profile, problem).with_hint(hint));
        }
        let compression = |layer: &Descriptor| {
            layer.media_type.layer_compression().ok_or_else(|| {
                let (digest, media_type) = (layer.digest, &layer.media_type);
                let problem = format!("layer {digest} has the unknown media type '{media_type}'");
                Error::new(Class::Profile, problem)
            })
        };
        self.layers.iter().map(compression).collect()
    }
}

/// What a manifest holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// Manifests for several platforms.
    Index(Vec<Descriptor>),
    /// One image.
    Image(ImageManifest),
}

/// A manifest or index with the bytes that its digest is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The bytes as received.
    pub raw: Vec<u8>,
    /// Digest of [`raw`](Self::raw).
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// What it says.
    pub document: Document,
}

impl Manifest {
    /// Reads a manifest or index. `announced` is the type that the transport or
    /// the parent index gives; types that are no manifest's are not held
    /// against it, because plain file servers send them.
    ///
    /// # Errors
    /// Where it is too large, malformed, of an unknown type, or ambiguous.
    pub fn parse(raw: Vec<u8>, announced: Option<&MediaType>) -> Result<Self, Error> {
        check_size(raw.len() as u64, MAX_MANIFEST_BYTES)?;
        let media_type = classify(&raw, announced)?;
        let document = match &media_type {
            MediaType::Index(_) => {
                let index: spec::ImageIndex = decode("index", &raw)?;
                Document::Index(descriptors(index.manifests())?)
            }
            MediaType::Manifest(_) => {
                let image: spec::ImageManifest = decode("manifest", &raw)?;
                Document::Image(ImageManifest {
                    config: image.config().try_into()?,
                    layers: descriptors(image.layers())?,
                })
            }
            MediaType::Schema1(_) => return Err(schema1()),
            other => return Err(unknown_manifest(other)),
        };
        Ok(Self {
            digest: Digest::of(&raw),
            raw,
            media_type,
            document,
        })
    }

    /// The document's own annotations.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        #[derive(Deserialize)]
        struct Annotated {
            #[serde(default)]
            annotations: Option<BTreeMap<String, String>>,
        }
        // It was read once, so the shape is right.
        serde_json::from_slice::<Annotated>(&self.raw)
            .ok()
            .and_then(|document| document.annotations)
            .unwrap_or_default()
    }

    /// A descriptor of this document.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest, self.raw.len() as u64)
    }
}

/// Refuses a size over its limit.
///
/// # Errors
/// Where it is.
pub fn check_size(size: u64, limit: u64) -> Result<(), Error> {
    if size > limit {
        return Err(Error::new(
            Class::Verification,
            format!("the manifest has {size} bytes; at most {limit} are accepted"),
        ));
    }
    Ok(())
}

/// The error for a layer that registries need not hold and that is not there.
pub(crate) fn foreign_layer(layer: &Descriptor) -> Error {
    let problem = format!(
        "layer {} is a foreign layer ({}), which registries need not hold, and it is not there",
        layer.digest, layer.media_type
    );
    Error::new(Class::Profile, problem).with_hint(
        "isoforge asks no other place for it: copy the image with all its layers          (skopeo copy does), or name another image",
    )
}

/// The error for an image that is not there for the platform `wanted`.
pub(crate) fn missing_platform(wanted: &Platform, offered: &[Platform]) -> Error {
    let offered = match offered {
        [] => "none that says what it is for".to_owned(),
        some => some
            .iter()
            .map(Platform::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    };
    let problem = format!("there is no image for {wanted}; there are: {offered}");
    Error::new(Class::Profile, problem).with_hint("take one of the platforms there, or another tag")
}

/// The error for indexes within indexes within indexes.
pub(crate) fn too_deep(image: &str) -> Error {
    let problem = format!("{image}: its indexes nest deeper than {MAX_INDEX_DEPTH}");
    Error::new(Class::Verification, problem)
}

fn schema1() -> Error {
    let problem = "the image has a manifest of Docker's schema 1, which cannot be verified";
    Error::new(Class::Profile, problem)
        .with_hint("push the image again with a current tool; it converts the manifest")
}

fn unknown_manifest(media_type: impl fmt::Display) -> Error {
    let problem = format!("'{media_type}' is not a manifest or index that isoforge knows");
    Error::new(Class::Profile, problem)
}

fn malformed(what: &str, problem: impl fmt::Display) -> Error {
    let problem = format!("the {what} is malformed: {problem}");
    Error::new(Class::Verification, problem)
}

fn descriptors(from: &[spec::Descriptor]) -> Result<Vec<Descriptor>, Error> {
    from.iter().map(TryInto::try_into).collect()
}

fn decode<'a, T: Deserialize<'a>>(what: &str, raw: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(raw).map_err(|error| malformed(what, error))
}

/// The fields that tell the kinds of documents apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

fn classify(raw: &[u8], announced: Option<&MediaType>) -> Result<MediaType, Error> {
    let shape: Shape = decode("manifest", raw)?;
    if shape.schema_version == Some(1) {
        return Err(schema1());
    }
    if shape.manifests.is_some() && (shape.layers.is_some() || shape.config.is_some()) {
        let problem =
            "the manifest has both 'manifests' and 'layers', so tools could disagree on what it is";
        return Err(Error::new(Class::Verification, problem));
    }
    let inside = shape.media_type.as_deref().map(MediaType::parse);
    let usable = announced.filter(|announced| announced.is_manifest());
    match (inside, usable) {
        (Some(inside), Some(announced)) if inside != *announced => Err(Error::new(
            Class::Verification,
            format!("the manifest says it is {inside}, but was announced as {announced}"),
        )),
        (Some(inside), _) => Ok(inside),
        (None, Some(announced)) => Ok(announced.clone()),
        // OCI documents may leave out their type.
        (None, None) if shape.manifests.is_some() => Ok(MediaType::Index(Family::Oci)),
        (None, None) if shape.config.is_some() => Ok(MediaType::Manifest(Family::Oci)),
        (None, None) => Err(unknown_manifest(
            announced.map_or("no media type", MediaType::as_str),
        )),
    }
}

/// The entry of an index that serves `platform` best: the exact variant before
/// the baseline, earlier entries before later ones.
#[must_use]
pub fn choose<'a>(entries: &'a [Descriptor], platform: &Platform) -> Option<&'a Descriptor> {
    entries
        .iter()
        .filter(|entry| !entry.is_attestation())
        .filter_map(|entry| Some((platform.distance(entry.platform.as_ref()?)?, entry)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, entry)| entry)
}

/// The platforms that an index has images for, in its order.
#[must_use]
pub fn platforms(entries: &[Descriptor]) -> Vec<Platform> {
    entries
        .iter()
        .filter(|entry| !entry.is_attestation())
        .filter_map(|entry| entry.platform.clone())
        .collect()
}

/// The parts of an image configuration that isoforge acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    /// The platform that the image is for; `None` where the builder left it
    /// out.
    pub platform: Option<Platform>,
    /// When the image was made, in seconds since 1970-01-01 UTC. The zero time
    /// of Go, which stands for "not set", gives `None`.
    pub created: Option<i64>,
    /// Digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
}

impl ImageConfig {
    /// Reads an image configuration.
    ///
    /// # Errors
    /// Where it is too large or malformed.
    pub fn parse(raw: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Rootfs {
            #[serde(default)]
            diff_ids: Option<Vec<Digest>>,
        }
        #[derive(Deserialize)]
        struct Config {
            architecture: Option<String>,
            os: Option<String>,
            variant: Option<String>,
            created: Option<String>,
            rootfs: Rootfs,
        }
        check_size(raw.len() as u64, MAX_CONFIG_BYTES)?;
        let config: Config = decode("configuration", raw)?;
        let platform = match (config.os.as_deref(), config.architecture.as_deref()) {
            (Some(os), Some(architecture)) if !os.is_empty() && !architecture.is_empty() => {
                Some(Platform::new(os, architecture, config.variant.as_deref()))
            }
            _ => None,
        };
        let created = match config.created.as_deref() {
            None | Some("") => None,
            Some(text) => {
                let time: jiff::Timestamp = text.parse().map_err(|error| {
                    malformed("configuration", format!("'created' is '{text}': {error}"))
                })?;
                Some(time.as_second()).filter(|&seconds| seconds >= 0)
            }
        };
        Ok(Self {
            platform,
            created,
            diff_ids: config.rootfs.diff_ids.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
