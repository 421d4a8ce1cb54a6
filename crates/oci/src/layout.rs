//! An OCI image layout as a value: which files it has and where their bytes are.
//!
//! OCI Image Specification v1.1, "Image Layout": `oci-layout`, `index.json` and
//! `blobs/sha256/<hex>`. The store writes it to a directory or an archive, the
//! installer ISO embeds it. Blobs and references are sorted, so equal content
//! gives equal bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::manifest::Descriptor;
use super::media::{Family, MediaType};
use isoforge_base::digest::Digest;

/// Annotation that names an image within a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Annotation with an image's full name, registry and tag included, as
/// containerd and `BuildKit` write and read it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// Name of the file that marks a layout.
pub const LAYOUT_FILE: &str = "oci-layout";
/// Name of the file that lists the layout's images.
pub const INDEX_FILE: &str = "index.json";
/// Name of the file by which `docker save` lists images.
pub const DOCKER_FILE: &str = "manifest.json";
/// The folder of the blobs.
pub const BLOB_FOLDER: &str = "blobs/sha256";
/// Value of `imageLayoutVersion`.
pub const LAYOUT_VERSION: &str = "1.0.0";

/// Whether an entry of an index has this name, short or full.
#[must_use]
pub fn has_name(entry: &Descriptor, name: &str) -> bool {
    [REF_NAME, IMAGE_NAME]
        .iter()
        .any(|key| entry.annotations.get(*key).is_some_and(|has| has == name))
}

/// The images among the entries of an index, each once, by a name that leads to it
/// alone: the short one, else the full one. Those that have no such name are left out.
pub fn typed_names(entries: &[Descriptor]) -> impl Iterator<Item = (&String, &Descriptor)> {
    let images = move || entries.iter().filter(|entry| !entry.is_attestation());
    let mut seen = BTreeSet::new();
    images().filter_map(move |entry| {
        let names = [REF_NAME, IMAGE_NAME].into_iter();
        let mut names = names.filter_map(|key| entry.annotations.get(key));
        let name = names.find(|name| {
            images()
                .filter(|other| has_name(other, name))
                .all(|other| other.digest == entry.digest)
        })?;
        seen.insert(entry.digest).then_some((name, entry))
    })
}

/// Where a file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayoutFile {
    /// Here.
    Bytes(Vec<u8>),
    /// In the store: digest and size in bytes.
    Blob(Digest, u64),
    /// In a file of its own, a slab for example: where, digest and size in bytes.
    File(PathBuf, Digest, u64),
}

impl LayoutFile {
    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blob(_, size) | Self::File(_, _, size) => *size,
        }
    }
}

/// An image layout, made by [`Builder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciLayout {
    /// Path within the layout and content: `oci-layout`, `index.json`, `manifest.json`
    /// where images are listed for Docker too, then the blobs by digest.
    pub files: Vec<(String, LayoutFile)>,
}

impl OciLayout {
    /// Bytes of all files together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|(_, file)| file.size()).sum()
    }
}

/// The path of a blob within a layout.
#[must_use]
pub fn blob_path(digest: &Digest) -> String {
    format!("{BLOB_FOLDER}/{}", digest.hex())
}

/// The JSON of a descriptor, keys in the order of the specification.
#[must_use]
pub fn descriptor_json(descriptor: &Descriptor) -> Value {
    let mut out = Map::new();
    out.insert("mediaType".into(), json!(descriptor.media_type.as_str()));
    out.insert("digest".into(), json!(descriptor.digest));
    out.insert("size".into(), json!(descriptor.size));
    if !descriptor.annotations.is_empty() {
        out.insert("annotations".into(), json!(descriptor.annotations));
    }
    if let Some(platform) = &descriptor.platform {
        let mut fields = Map::new();
        fields.insert("architecture".into(), json!(platform.architecture()));
        fields.insert("os".into(), json!(platform.os()));
        if let Some(variant) = platform.variant() {
            fields.insert("variant".into(), json!(variant));
        }
        out.insert("platform".into(), Value::Object(fields));
    }
    Value::Object(out)
}

/// Collects the content of a layout.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    blobs: BTreeMap<Digest, LayoutFile>,
    references: BTreeMap<(String, Digest), Descriptor>,
    /// In `index.json` without a name.
    unnamed: BTreeMap<Digest, Descriptor>,
    /// Of `index.json` itself.
    annotations: BTreeMap<String, String>,
    /// Images as `docker save` lists them.
    docker: Vec<Value>,
}

impl Builder {
    /// An empty layout.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Annotates `index.json` itself.
    pub fn annotate(&mut self, key: &str, value: &str) {
        self.annotations.insert(key.to_owned(), value.to_owned());
    }

    /// Adds a blob or manifest that is in the store.
    pub fn blob(&mut self, digest: Digest, size: u64) {
        self.blobs
            .entry(digest)
            .or_insert(LayoutFile::Blob(digest, size));
    }

    /// Adds a blob that is the file at `path`.
    pub fn file(&mut self, path: PathBuf, digest: Digest, size: u64) {
        self.blobs
            .entry(digest)
            .or_insert(LayoutFile::File(path, digest, size));
    }

    /// Adds a blob or manifest by its bytes and gives its digest.
    pub fn bytes(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.blobs.insert(digest, LayoutFile::Bytes(bytes));
        digest
    }

    /// Lists a manifest or index, which must be among the blobs, in
    /// `index.json` under `name`.
    pub fn reference(&mut self, name: &str, mut descriptor: Descriptor) {
        descriptor
            .annotations
            .insert(REF_NAME.to_owned(), name.to_owned());
        self.references
            .insert((name.to_owned(), descriptor.digest), descriptor);
    }

    /// Lists a manifest, which must be among the blobs, in `index.json` without a
    /// name: one that names what it is about, where tools look for referrers.
    pub fn referrer(&mut self, descriptor: Descriptor) {
        self.unnamed.insert(descriptor.digest, descriptor);
    }

    /// Lists an image, whose blobs are among those of the layout, as `docker save` does
    /// too (Docker Image Specification v1.2, "Combined Image JSON + Filesystem
    /// Changeset Format"): programs that know no layouts read that file, and do not
    /// look for others. `layers` are in order, lowest first.
    pub fn docker_image(&mut self, name: Option<&str>, config: &Digest, layers: &[Digest]) {
        let layers: Vec<String> = layers.iter().map(blob_path).collect();
        self.docker.push(json!({
            "Config": blob_path(config),
            "RepoTags": name.into_iter().collect::<Vec<_>>(),
            "Layers": layers,
        }));
    }

    /// The layout.
    #[must_use]
    pub fn build(self) -> OciLayout {
        let listed = self.references.values().chain(self.unnamed.values());
        let manifests: Vec<Value> = listed.map(descriptor_json).collect();
        let mut index = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::Index(Family::Oci).as_str(),
            "manifests": manifests,
        });
        if let Some(index) = index
            .as_object_mut()
            .filter(|_| !self.annotations.is_empty())
        {
            index.insert("annotations".into(), json!(self.annotations));
        }
        let marker = json!({ "imageLayoutVersion": LAYOUT_VERSION });
        let mut files = vec![
            (
                LAYOUT_FILE.to_owned(),
                LayoutFile::Bytes(marker.to_string().into_bytes()),
            ),
            (
                INDEX_FILE.to_owned(),
                LayoutFile::Bytes(index.to_string().into_bytes()),
            ),
        ];
        if !self.docker.is_empty() {
            let list = Value::from(self.docker).to_string();
            let file = LayoutFile::Bytes(list.into_bytes());
            files.push((DOCKER_FILE.to_owned(), file));
        }
        files.extend(
            self.blobs
                .into_iter()
                .map(|(digest, file)| (blob_path(&digest), file)),
        );
        OciLayout { files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Platform;

    #[test]
    fn references_and_blobs_are_sorted_whatever_the_order_of_adding() {
        let manifest = MediaType::Manifest(Family::Oci);
        let build = |names: [&str; 2]| {
            let mut builder = Builder::new();
            for name in names {
                let digest = builder.bytes(name.as_bytes().to_vec());
                let mut descriptor = Descriptor::new(manifest.clone(), digest, name.len() as u64);
                descriptor.platform = Some(Platform::linux("arm64"));
                builder.reference(name, descriptor);
            }
            builder.blob(Digest::of(b"layer"), 5);
            builder.file("slab".into(), Digest::of(b"slab"), 4);
            builder.build()
        };
        let layout = build(["b:1", "a:1"]);
        assert_eq!(layout, build(["a:1", "b:1"]));
        let shown: Vec<String> = layout
            .files
            .iter()
            .map(|(path, file)| match file {
                LayoutFile::Bytes(bytes) => format!("{path} {}", String::from_utf8_lossy(bytes)),
                LayoutFile::Blob(_, size) => format!("{path} blob of {size}"),
                LayoutFile::File(_, _, size) => format!("{path} file of {size}"),
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
    oci-layout {"imageLayoutVersion":"1.0.0"}
    index.json {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:2b2c40a6706d9e5f320d553628313833e3668d8b0c8f5b0a25a2ca7d926df6d4","size":3,"annotations":{"org.opencontainers.image.ref.name":"a:1"},"platform":{"architecture":"arm64","os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:34340f0e82d75a3446150f4a916c20c1fe83f9d7cf6b61f4cc8ad69c420ab0a3","size":3,"annotations":{"org.opencontainers.image.ref.name":"b:1"},"platform":{"architecture":"arm64","os":"linux"}}]}
    blobs/sha256/2b2c40a6706d9e5f320d553628313833e3668d8b0c8f5b0a25a2ca7d926df6d4 a:1
    blobs/sha256/34340f0e82d75a3446150f4a916c20c1fe83f9d7cf6b61f4cc8ad69c420ab0a3 b:1
    blobs/sha256/5643f1a80ea9af2d5f8478baf8ba292893c1b020ecabfbb43faa60c4c8b82f2e file of 4
    blobs/sha256/dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85 blob of 5
    "#);
    }
}
