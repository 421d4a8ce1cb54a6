//! Manifests and the index of a provider image.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::config::{self, ConfigInput, ConfigLayer};
use super::{Image, NO_JSON, Platform, PlatformImage, Spec, compress_layer, labels};
use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Context as _, Failure};
use isoforge_base::progress::Progress;
use isoforge_oci::layer::Layer;
use isoforge_oci::layout::descriptor_json;
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::{Family, MediaType};
use isoforge_oci::store::Store;

const INDEX: MediaType = MediaType::Index(Family::Oci);
const MANIFEST: MediaType = MediaType::Manifest(Family::Oci);
const CONFIG: MediaType = MediaType::Config(Family::Oci);

/// Blobs of an image: digest and size in bytes.
type Blobs = BTreeMap<Digest, u64>;

/// What all platforms of an image have in common.
struct Common<'a> {
    spec: &'a Spec,
    /// RFC 3339.
    created: String,
    labels: BTreeMap<String, String>,
}

pub(super) fn build(store: &Store, spec: &Spec, progress: &Progress) -> Result<Image, Error> {
    let tag = spec.description.tag()?;
    let created = rfc3339(spec.epoch)?;
    let common = Common {
        labels: labels::common(&spec.description, &created),
        spec,
        created,
    };
    let mut blobs = Blobs::new();
    let mut images = BTreeMap::new();
    let mut descriptors = Vec::new();
    let mut platforms: Vec<&Platform> = spec.platforms.iter().collect();
    platforms.sort_by_key(|platform| &platform.platform);
    for platform in platforms {
        let (mut descriptor, image) =
            build_platform(store, &common, platform, &mut blobs, progress)?;
        descriptor.platform = Some(platform.platform.clone());
        images.insert(platform.platform.clone(), image);
        descriptors.push(descriptor_json(&descriptor));
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX.as_str(),
        "manifests": descriptors,
        "annotations": common.labels,
    });
    Ok(Image {
        tag,
        index: put_document(store, INDEX, &index, &mut blobs)?,
        platforms: images,
        blobs,
    })
}

fn build_platform(
    store: &Store,
    common: &Common<'_>,
    platform: &Platform,
    blobs: &mut Blobs,
    progress: &Progress,
) -> Result<(Descriptor, PlatformImage), Error> {
    let labels = labels::platform(&common.labels, platform.base.as_ref(), &platform.squashfs);
    let base_layers = platform.base.as_ref().map_or(&[][..], |base| &base.layers);
    let mut layers: Vec<Layer> = base_layers.to_vec();
    for added in &platform.layers {
        layers.push(compress_layer(
            store,
            &added.layer,
            common.spec.compression,
            progress,
        )?);
    }
    blobs.extend(layers.iter().map(|layer| (layer.digest, layer.size)));
    let config = merge_config(common, platform, base_layers, &labels)?;
    let config_digest = store.put_blob(&config)?;
    let config_size = config.len() as u64;
    blobs.insert(config_digest, config_size);
    let digests = layers.iter().map(|layer| layer.digest).collect();
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| {
            let media_type = MediaType::Layer(Family::Oci, layer.compression);
            descriptor_json(&Descriptor::new(media_type, layer.digest, layer.size))
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST.as_str(),
        "config": descriptor_json(&Descriptor::new(CONFIG, config_digest, config_size)),
        "layers": layers,
        "annotations": labels,
    });
    let descriptor = put_document(store, MANIFEST, &manifest, blobs)?;
    let image = PlatformImage {
        manifest: descriptor.digest,
        config: config_digest,
        layers: digests,
    };
    Ok((descriptor, image))
}

fn merge_config(
    common: &Common<'_>,
    platform: &Platform,
    base_layers: &[Layer],
    labels: &BTreeMap<String, String>,
) -> Result<Vec<u8>, Error> {
    let base_diff_ids: Vec<Digest> = base_layers.iter().map(|layer| layer.diff_id).collect();
    let layers: Vec<ConfigLayer> = platform
        .layers
        .iter()
        .map(|added| ConfigLayer {
            diff_id: added.layer.diff_id,
            created_by: format!("isoforge: {}", added.purpose),
        })
        .collect();
    config::merge(&ConfigInput {
        base: platform.base.as_ref().map(|base| base.config.as_slice()),
        base_diff_ids: &base_diff_ids,
        layers: &layers,
        platform: &platform.platform,
        created: &common.created,
        labels,
    })
}

/// RFC 3339, in UTC, to the second.
fn rfc3339(seconds: u32) -> Result<String, Error> {
    jiff::Timestamp::from_second(i64::from(seconds))
        .map(|time| time.to_string())
        .map_err(|_| {
            let problem = format!("{seconds} s after 1970 has no date");
            Failure::new(Class::Bug, problem).into()
        })
}

fn put_document(
    store: &Store,
    media_type: MediaType,
    document: &Value,
    blobs: &mut Blobs,
) -> Result<Descriptor, Error> {
    let bytes = serde_json::to_vec(document).context(NO_JSON)?;
    let digest = store.put_blob(&bytes)?;
    let size = bytes.len() as u64;
    blobs.insert(digest, size);
    Ok(Descriptor::new(media_type, digest, size))
}
