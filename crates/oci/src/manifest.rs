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

use oci_spec::image as spec;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::layer::LayerCompression;
use super::media::{Family, MediaType};
use super::platform::Platform;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};

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

/// What is wrong with a manifest, index or configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More bytes than the limit.
    #[error("the manifest has {size} bytes; at most {limit} are accepted")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit that it exceeds.
        limit: u64,
    },
    /// No JSON, or JSON of another shape.
    #[error("the {what} is malformed: {problem}")]
    Malformed {
        /// `manifest`, `index` or `configuration`.
        what: &'static str,
        /// What the parser says, with line and column.
        problem: String,
    },
    /// Its own `mediaType` and the one announced differ.
    #[error("the manifest says it is {inside}, but was announced as {announced}")]
    MediaTypeDisagrees {
        /// The `mediaType` in the document.
        inside: MediaType,
        /// What the registry or the index says.
        announced: MediaType,
    },
    /// It has the fields of a manifest and those of an index.
    #[error(
        "the manifest has both 'manifests' and 'layers', so tools could disagree on what it is"
    )]
    Ambiguous,
    /// Docker's manifest of 2014.
    #[error("the image has a manifest of Docker's schema 1, which cannot be verified")]
    Schema1,
    /// Neither manifest nor index.
    #[error("'{media_type}' is not a manifest or index that isoforge knows")]
    UnknownManifest {
        /// The media type.
        media_type: String,
    },
    /// A manifest that carries something else than an image.
    #[error("this is an artifact of the type '{media_type}', not an image")]
    NotAnImage {
        /// Media type of its configuration.
        media_type: String,
    },
    /// A layer that the registry does not hold.
    #[error("layer {digest} is a foreign layer ({media_type}) that registries do not hold")]
    ForeignLayer {
        /// The layer's digest.
        digest: Digest,
        /// Its media type.
        media_type: String,
    },
    /// A layer in no known form.
    #[error("layer {digest} has the unknown media type '{media_type}'")]
    UnknownLayer {
        /// The layer's digest.
        digest: Digest,
        /// Its media type.
        media_type: String,
    },
    /// A digest of another algorithm than sha256.
    #[error("'{digest}' is not a sha256 digest, the only kind supported")]
    UnsupportedDigest {
        /// The digest.
        digest: String,
    },
    /// No manifest for the platform.
    #[error("there is no image for {wanted}; there are: {}", list(offered))]
    MissingPlatform {
        /// The platform wanted.
        wanted: Platform,
        /// The platforms that the index has.
        offered: Vec<Platform>,
    },
    /// The configuration and the manifest disagree on the number of layers.
    #[error("the manifest has {layers} layers, but the configuration has {diff_ids} diff_ids")]
    LayerCount {
        /// Layers in the manifest.
        layers: usize,
        /// `rootfs.diff_ids` in the configuration.
        diff_ids: usize,
    },
}

fn list(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    names.join(", ")
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::MediaTypeDisagrees { .. }
            | Self::Ambiguous
            | Self::LayerCount { .. } => Class::Verification,
            Self::Schema1
            | Self::UnknownManifest { .. }
            | Self::NotAnImage { .. }
            | Self::ForeignLayer { .. }
            | Self::UnknownLayer { .. }
            | Self::UnsupportedDigest { .. }
            | Self::MissingPlatform { .. } => Class::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Schema1 => {
                Some("push the image again with a current tool; it converts the manifest".into())
            }
            Self::ForeignLayer { .. } => {
                Some("images with foreign layers (Windows) can't be used".into())
            }
            Self::MissingPlatform { .. } => {
                Some("take one of the platforms there, or another tag".into())
            }
            Self::NotAnImage { .. } => Some("name a container image here".into()),
            _ => None,
        }
    }
}

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
            digest: digest
                .parse()
                .map_err(|_| Error::UnsupportedDigest { digest })?,
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
    /// [`Error::NotAnImage`] on an artifact, [`Error::ForeignLayer`] and
    /// [`Error::UnknownLayer`] on layers that can't be used.
    pub fn layer_compressions(&self) -> Result<Vec<LayerCompression>, Error> {
        if !matches!(self.config.media_type, MediaType::Config(_)) {
            return Err(Error::NotAnImage {
                media_type: self.config.media_type.to_string(),
            });
        }
        let compression = |layer: &Descriptor| match &layer.media_type {
            MediaType::Layer(_, compression) => Ok(*compression),
            MediaType::ForeignLayer(media_type) => Err(Error::ForeignLayer {
                digest: layer.digest,
                media_type: media_type.clone(),
            }),
            other => Err(Error::UnknownLayer {
                digest: layer.digest,
                media_type: other.to_string(),
            }),
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
    /// All of [`Error`] that concern one document.
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
            MediaType::Schema1(_) => return Err(Error::Schema1),
            other => {
                return Err(Error::UnknownManifest {
                    media_type: other.to_string(),
                });
            }
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
/// [`Error::TooLarge`].
pub fn check_size(size: u64, limit: u64) -> Result<(), Error> {
    if size > limit {
        return Err(Error::TooLarge { size, limit });
    }
    Ok(())
}

fn descriptors(from: &[spec::Descriptor]) -> Result<Vec<Descriptor>, Error> {
    from.iter().map(TryInto::try_into).collect()
}

fn decode<'a, T: Deserialize<'a>>(what: &'static str, raw: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(raw).map_err(|error| Error::Malformed {
        what,
        problem: error.to_string(),
    })
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
        return Err(Error::Schema1);
    }
    if shape.manifests.is_some() && (shape.layers.is_some() || shape.config.is_some()) {
        return Err(Error::Ambiguous);
    }
    let inside = shape.media_type.as_deref().map(MediaType::parse);
    let usable = announced.filter(|announced| announced.is_manifest());
    match (inside, usable) {
        (Some(inside), Some(announced)) if inside != *announced => Err(Error::MediaTypeDisagrees {
            inside,
            announced: announced.clone(),
        }),
        (Some(inside), _) => Ok(inside),
        (None, Some(announced)) => Ok(announced.clone()),
        // OCI documents may leave out their type.
        (None, None) if shape.manifests.is_some() => Ok(MediaType::Index(Family::Oci)),
        (None, None) if shape.config.is_some() => Ok(MediaType::Manifest(Family::Oci)),
        (None, None) => Err(Error::UnknownManifest {
            media_type: announced.map_or_else(|| "no media type".to_owned(), ToString::to_string),
        }),
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
    /// [`Error::TooLarge`] and [`Error::Malformed`].
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
                let time: jiff::Timestamp = text.parse().map_err(|error| Error::Malformed {
                    what: "configuration",
                    problem: format!("'created' is '{text}': {error}"),
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
