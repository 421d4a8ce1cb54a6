//! OCI artifacts that carry what is no image: the lock and the parts of its
//! input, and slabs.
//!
//! OCI Image Specification v1.1, "Guidelines for Artifact Usage": a manifest with
//! an `artifactType`, an empty configuration, and the blobs as its layers.
//! `docs/cache.md` documents types and annotations.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use isoforge_base::digest::Digest;
use isoforge_oci::layout::{Builder, descriptor_json};
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::{Family, MediaType};

/// The lock and the parts of its input that are no images.
pub(super) const INPUT_TYPE: &str = "application/vnd.isoforge.input.v1";
/// Layers of the lock's images, compressed for SquashFS.
pub(super) const SLABS_TYPE: &str = "application/vnd.isoforge.slabs.v1";

/// Names of the artifacts in `index.json`.
pub(super) const INPUT_NAME: &str = "isoforge-input";
pub(super) const SLABS_NAME: &str = "isoforge-slabs";

pub(super) const LOCK_TYPE: &str = "application/vnd.isoforge.lock.v1+toml";
pub(super) const SLAB_TYPE: &str = "application/vnd.isoforge.slab.v1";
pub(super) const CORE_IMAGE_TYPE: &str = "application/vnd.isoforge.grub-core-image.v1";
pub(super) const FILE_TYPE: &str = "application/octet-stream";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// `lock`, `archive`, `bootstrap`, `core-image`, `file` or `slab`.
pub(super) const KIND: &str = "io.isoforge.kind";
/// URL, path, architecture or key.
pub(super) const NAME: &str = "io.isoforge.name";

/// A blob of an artifact.
pub(super) fn part(
    media_type: &str,
    kind: &str,
    name: &str,
    digest: Digest,
    size: u64,
) -> Descriptor {
    Descriptor {
        annotations: BTreeMap::from([
            (KIND.to_owned(), kind.to_owned()),
            (NAME.to_owned(), name.to_owned()),
        ]),
        ..Descriptor::new(MediaType::parse(media_type), digest, size)
    }
}

/// Adds the artifact to a layout; its blobs are there already.
pub(super) fn add(builder: &mut Builder, artifact_type: &str, name: &str, parts: &[Descriptor]) {
    let config = Descriptor::new(
        MediaType::parse(EMPTY_TYPE),
        builder.bytes(EMPTY.to_vec()),
        EMPTY.len() as u64,
    );
    let media_type = MediaType::Manifest(Family::Oci);
    let parts: Vec<_> = parts.iter().map(descriptor_json).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type.as_str(),
        "artifactType": artifact_type,
        "config": descriptor_json(&config),
        "layers": parts,
    })
    .to_string();
    let size = manifest.len() as u64;
    let digest = builder.bytes(manifest.into_bytes());
    builder.reference(name, Descriptor::new(media_type, digest, size));
}

/// The `artifactType` of a manifest, where it has one.
pub(super) fn type_of(manifest: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Artifact {
        artifact_type: Option<String>,
    }
    serde_json::from_slice::<Artifact>(manifest)
        .ok()?
        .artifact_type
}
