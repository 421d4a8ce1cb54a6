//! Artifacts: anything that is no image, in the form of one.
//!
//! OCI Image Specification v1.1, "Guidelines for Artifact Usage": a manifest with
//! an artifact type; its layers are files, titled with their names, so that
//! clients of artifacts write them under these.

use serde_json::json;

use super::layout::{Builder, IMAGE_NAME};
use super::manifest::Descriptor;
use super::media::{Family, MediaType};
use isoforge_base::digest::Digest;

/// Title of a layer: the name of its file.
pub const TITLE: &str = "org.opencontainers.image.title";
/// Version of what an artifact holds.
pub const VERSION: &str = "org.opencontainers.image.version";
/// What an entry of an `index.json` is, beside images.
pub const KIND: &str = "io.isoforge.bundle.kind";

/// A file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Its media type.
    pub media_type: String,
    /// Its name; nothing for a configuration.
    pub title: Option<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// An artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The name that it is listed under: a tag, or a reference in full.
    pub name: String,
    /// What it is among other content: `pack`, `chart`, `manifest`, `definition`;
    /// nothing where it stands alone.
    pub kind: Option<&'static str>,
    /// Its type.
    pub artifact_type: String,
    /// What describes it.
    pub config: ArtifactFile,
    /// Its files.
    pub layers: Vec<ArtifactFile>,
    /// Annotations of its manifest.
    pub annotations: Vec<(String, String)>,
}

impl Artifact {
    /// Puts it into a layout, listed under its name, and gives the digest of its
    /// manifest.
    pub fn add_to(&self, builder: &mut Builder) -> Digest {
        let mut descriptor = self.put_into(builder);
        let digest = descriptor.digest;
        if let Some(kind) = self.kind {
            let of_it = &mut descriptor.annotations;
            of_it.insert(KIND.to_owned(), kind.to_owned());
            of_it.insert(IMAGE_NAME.to_owned(), self.name.clone());
        }
        builder.reference(&self.name, descriptor);
        digest
    }

    /// An annotation of its manifest.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        let mut annotations = self.annotations.iter();
        annotations.find_map(|(name, value)| (name == key).then_some(value.as_str()))
    }

    /// Puts it among a layout's blobs, and gives its manifest to be listed.
    pub fn put_into(&self, builder: &mut Builder) -> Descriptor {
        let layers: Vec<_> = self.layers.iter().map(|part| add(part, builder)).collect();
        let annotations: serde_json::Map<_, _> = self
            .annotations
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::Manifest(Family::Oci).as_str(),
            "artifactType": self.artifact_type,
            "config": add(&self.config, builder),
            "layers": layers,
            "annotations": annotations,
        });
        let bytes = manifest.to_string().into_bytes();
        let size = bytes.len() as u64;
        let digest = builder.bytes(bytes);
        Descriptor::new(MediaType::Manifest(Family::Oci), digest, size)
    }
}

/// Adds the bytes and gives their descriptor.
fn add(part: &ArtifactFile, builder: &mut Builder) -> serde_json::Value {
    let size = part.bytes.len();
    let digest = builder.bytes(part.bytes.clone());
    let mut descriptor = json!({
        "mediaType": part.media_type,
        "digest": digest,
        "size": size,
    });
    if let (Some(title), Some(map)) = (&part.title, descriptor.as_object_mut()) {
        map.insert("annotations".to_owned(), json!({TITLE: title}));
    }
    descriptor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::LayoutFile;

    #[test]
    fn an_artifact_is_listed_with_its_kind_and_its_files_with_their_names() {
        let part = |media_type: &str, title: Option<&str>| ArtifactFile {
            media_type: media_type.to_owned(),
            title: title.map(str::to_owned),
            bytes: media_type.as_bytes().to_vec(),
        };
        let artifact = Artifact {
            name: "isoforge.internal/packs/a:1".to_owned(),
            kind: Some("pack"),
            artifact_type: "application/x-pack".to_owned(),
            config: part("config", None),
            layers: vec![part("layer", Some("a.tgz"))],
            annotations: vec![(VERSION.to_owned(), "1".to_owned())],
        };
        let mut builder = Builder::new();
        artifact.add_to(&mut builder);
        let shown: Vec<String> = builder
            .build()
            .files
            .iter()
            .map(|(path, file)| match file {
                LayoutFile::Bytes(bytes) => format!("{path} {}", String::from_utf8_lossy(bytes)),
                other => format!("{path} {other:?}"),
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        oci-layout {"imageLayoutVersion":"1.0.0"}
        index.json {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:d653eba15f9437dca3535beeb351d9ffa47fa7bf6247bb66e511718d4e5822b3","size":473,"annotations":{"io.containerd.image.name":"isoforge.internal/packs/a:1","io.isoforge.bundle.kind":"pack","org.opencontainers.image.ref.name":"isoforge.internal/packs/a:1"}}]}
        blobs/sha256/b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910 config
        blobs/sha256/d653eba15f9437dca3535beeb351d9ffa47fa7bf6247bb66e511718d4e5822b3 {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/x-pack","config":{"mediaType":"config","digest":"sha256:b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910","size":6},"layers":[{"mediaType":"layer","digest":"sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85","size":5,"annotations":{"org.opencontainers.image.title":"a.tgz"}}],"annotations":{"org.opencontainers.image.version":"1"}}
        blobs/sha256/dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85 layer
        "#);
    }
}
