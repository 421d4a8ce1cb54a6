//! Manifests and the index of a provider image.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::config::{self, ConfigInput, ConfigLayer};
use super::{Error, Image, Platform, Spec, compress_layer, labels};
use crate::oci::digest::Digest;
use crate::oci::layer::{Layer, LayerCompression};
use crate::progress::Progress;
use crate::store::Store;

pub(super) const MEDIA_TYPE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MEDIA_TYPE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const MEDIA_TYPE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// OCI Image Specification v1.1, "Content Descriptors". Members with no value
/// are left out; maps are sorted.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: &'static str,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<PlatformName>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct PlatformName {
    architecture: String,
    os: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
}

/// An image index, and a layout's `index.json`, which has the same form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Index {
    pub(super) fn new(
        manifests: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self {
            schema_version: 2,
            media_type: MEDIA_TYPE_INDEX,
            manifests,
            annotations,
        }
    }
}

impl Descriptor {
    pub(super) fn new(media_type: &'static str, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    fn of_layer(layer: &Layer) -> Self {
        let media_type = match layer.compression {
            LayerCompression::Plain => "application/vnd.oci.image.layer.v1.tar",
            LayerCompression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            LayerCompression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        };
        Self::new(media_type, layer.digest, layer.size)
    }
}

/// RFC 3339, in UTC, to the second.
fn rfc3339(seconds: u32) -> Result<String, Error> {
    jiff::Timestamp::from_second(i64::from(seconds))
        .map(|time| time.to_string())
        .map_err(|_| Error::Time { seconds })
}

pub(super) fn build(store: &Store, spec: &Spec, progress: &Progress) -> Result<Image, Error> {
    let tag = spec.description.tag()?;
    let created = rfc3339(spec.epoch)?;
    let common = labels::common(&spec.description, &created);
    let mut blobs = BTreeSet::new();
    let mut manifests = BTreeMap::new();
    let mut platforms: Vec<&Platform> = spec.platforms.iter().collect();
    platforms.sort_by_key(|platform| (&platform.architecture, &platform.variant));
    let mut descriptors = Vec::new();
    for platform in platforms {
        let (digest, size) =
            build_platform(store, spec, platform, &created, &common, &mut blobs, progress)?;
        manifests.insert(platform.architecture.clone(), digest);
        descriptors.push(Descriptor {
            platform: Some(PlatformName {
                architecture: platform.architecture.clone(),
                os: "linux",
                variant: platform.variant.clone(),
            }),
            ..Descriptor::new(MEDIA_TYPE_MANIFEST, digest, size)
        });
    }
    let (index, index_size) = put_json(store, &Index::new(descriptors, common), &mut blobs)?;
    Ok(Image {
        tag,
        index,
        index_size,
        manifests,
        blobs,
    })
}

fn build_platform(
    store: &Store,
    spec: &Spec,
    platform: &Platform,
    created: &str,
    common: &BTreeMap<String, String>,
    blobs: &mut BTreeSet<Digest>,
    progress: &Progress,
) -> Result<(Digest, u64), Error> {
    let labels = labels::platform(common, platform.base.as_ref(), &platform.squashfs);
    let base_layers = platform
        .base
        .as_ref()
        .map_or(&[][..], |base| &base.layers);
    let mut own = Vec::with_capacity(platform.layers.len());
    for layer in &platform.layers {
        own.push(compress_layer(store, &layer.layer, spec.format, progress)?);
    }
    let base_diff_ids: Vec<Digest> = base_layers.iter().map(|layer| layer.diff_id).collect();
    let config_layers: Vec<ConfigLayer> = platform
        .layers
        .iter()
        .map(|layer| ConfigLayer {
            diff_id: layer.layer.diff_id,
            created_by: format!("isoforge: {}", layer.purpose),
        })
        .collect();
    let config = config::merge(&ConfigInput {
        base: platform.base.as_ref().map(|base| base.config.as_slice()),
        base_diff_ids: &base_diff_ids,
        layers: &config_layers,
        architecture: &platform.architecture,
        variant: platform.variant.as_deref(),
        created,
        labels: &labels,
    })?;
    let config_digest = store.put_blob(&config)?;
    blobs.insert(config_digest);
    blobs.extend(base_layers.iter().chain(&own).map(|layer| layer.digest));
    let manifest = Manifest {
        schema_version: 2,
        media_type: MEDIA_TYPE_MANIFEST,
        config: Descriptor::new(MEDIA_TYPE_CONFIG, config_digest, config.len() as u64),
        layers: base_layers
            .iter()
            .chain(&own)
            .map(Descriptor::of_layer)
            .collect(),
        annotations: labels,
    };
    put_json(store, &manifest, blobs)
}

fn put_json<T: Serialize>(
    store: &Store,
    document: &T,
    blobs: &mut BTreeSet<Digest>,
) -> Result<(Digest, u64), Error> {
    let bytes = serde_json::to_vec(document).map_err(Error::Json)?;
    let digest = store.put_blob(&bytes)?;
    blobs.insert(digest);
    Ok((digest, bytes.len() as u64))
}
