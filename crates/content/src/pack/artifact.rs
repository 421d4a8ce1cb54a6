//! A pack as an OCI artifact: `pack.json` as its configuration, and the archive
//! as its one layer.

use super::{Built, FILE, Pack};
use isoforge_oci::artifact::{Artifact, ArtifactFile, TITLE, VERSION};
use isoforge_oci::layout::{Builder, OciLayout};

/// Artifact type of a pack.
pub(super) const ARTIFACT_TYPE: &str = "application/vnd.isoforge.pack.v1";
/// Media type of its configuration, a `pack.json`.
pub const CONFIG_TYPE: &str = "application/vnd.isoforge.pack.config.v1+json";
/// Media type of its layer, an archive.
pub const CONTENT_TYPE: &str = "application/vnd.isoforge.pack.content.v1.tar+gzip";

/// An image layout that holds a pack alone, under the name `tag`.
#[must_use]
pub fn layout(built: &Built, tag: &str) -> OciLayout {
    let mut builder = Builder::new();
    artifact(&built.pack, built.archive.clone(), tag).add_to(&mut builder);
    builder.build()
}

/// A pack, with its archive, as an artifact of that name.
pub(crate) fn artifact(pack: &Pack, archive: Vec<u8>, name: &str) -> Artifact {
    let meta = &pack.meta;
    let annotations = [
        ("io.isoforge.pack.layer", meta.layer.as_str()),
        (TITLE, &meta.name),
        (VERSION, &meta.version),
    ];
    let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Artifact {
        name: name.to_owned(),
        kind: None,
        artifact_type: ARTIFACT_TYPE.to_owned(),
        config: ArtifactFile {
            media_type: CONFIG_TYPE.to_owned(),
            title: None,
            bytes: pack.files().get(FILE).unwrap_or_default().to_vec(),
        },
        layers: vec![ArtifactFile {
            media_type: CONTENT_TYPE.to_owned(),
            title: Some(format!("{}-{}.tar.gz", meta.name, meta.version)),
            bytes: archive,
        }],
        annotations: annotations.to_vec(),
    }
}
