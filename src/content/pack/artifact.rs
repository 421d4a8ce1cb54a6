//! A pack as an OCI artifact.
//!
//! OCI Image Specification v1.1, "Guidelines for Artifact Usage": a manifest with
//! an artifact type, `pack.json` as its configuration, and the archive as its one
//! layer, titled so that clients of artifacts write it under its name.

use serde_json::json;

use super::{Built, FILE};
use crate::oci::layout::{Builder, OciLayout};
use crate::oci::manifest::Descriptor;
use crate::oci::media::{Family, MediaType};

/// Artifact type of a pack.
pub const ARTIFACT_TYPE: &str = "application/vnd.isoforge.pack.v1";
/// Media type of its configuration, a `pack.json`.
pub const CONFIG_TYPE: &str = "application/vnd.isoforge.pack.config.v1+json";
/// Media type of its layer, an archive.
pub const CONTENT_TYPE: &str = "application/vnd.isoforge.pack.content.v1.tar+gzip";

const TITLE: &str = "org.opencontainers.image.title";
const VERSION: &str = "org.opencontainers.image.version";

/// An image layout that holds a pack alone, under the name `tag`.
#[must_use]
pub fn layout(built: &Built, tag: &str) -> OciLayout {
    let mut builder = Builder::new();
    let config = built.pack.files().get(FILE).unwrap_or_default().to_vec();
    let (config_size, archive_size) = (config.len(), built.archive.len());
    let config_digest = builder.bytes(config);
    let archive_digest = builder.bytes(built.archive.clone());
    let meta = &built.pack.meta;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::Manifest(Family::Oci).as_str(),
        "artifactType": ARTIFACT_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": config_digest, "size": config_size},
        "layers": [{
            "mediaType": CONTENT_TYPE,
            "digest": archive_digest,
            "size": archive_size,
            "annotations": {TITLE: built.file_name()},
        }],
        "annotations": {
            "io.isoforge.pack.layer": meta.layer.as_str(),
            TITLE: meta.name,
            VERSION: meta.version,
        },
    });
    let bytes = manifest.to_string().into_bytes();
    let size = bytes.len() as u64;
    let digest = builder.bytes(bytes);
    let descriptor = Descriptor::new(MediaType::Manifest(Family::Oci), digest, size);
    builder.reference(tag, descriptor);
    builder.build()
}
