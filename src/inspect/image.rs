//! Images of an OCI layout: platforms, layers, labels, annotations, and whether
//! every blob is what its digest says.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{MAX_DOCUMENT_BYTES, no_document};
use isoforge_base::digest::Digest;
use isoforge_base::error::Result;
use isoforge_base::progress::Progress;
use isoforge_oci::layout::{INDEX_FILE, REF_NAME, blob_path};
use isoforge_oci::manifest::{Descriptor, Document, MAX_INDEX_DEPTH, Manifest};
use isoforge_oci::registry::Files;

/// What is in an OCI layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ImageReport {
    /// The images, in the order of `index.json`.
    pub images: Vec<NamedImage>,
    /// How many blobs there are in all.
    pub blobs: u64,
    /// Bytes of all blobs.
    pub bytes: u64,
    /// What does not hold.
    pub problems: Vec<String>,
}

/// An image of a layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NamedImage {
    /// Its name in the layout (`org.opencontainers.image.ref.name`).
    pub name: Option<String>,
    /// Digest of its index or manifest.
    pub digest: Digest,
    /// Annotations of its index.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    pub platforms: Vec<PlatformReport>,
}

/// An image for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PlatformReport {
    /// The platform, as `linux/amd64`.
    pub platform: String,
    pub manifest: Digest,
    /// `created` of the configuration.
    pub created: Option<String>,
    /// Layers, lowest first.
    pub layers: Vec<LayerReport>,
    /// Labels of the configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LayerReport {
    pub media_type: String,
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
}

/// The parts of documents that [`isoforge_oci::manifest`] does not keep.
#[derive(Default, Deserialize)]
struct Annotated {
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
struct Configuration {
    created: Option<String>,
    architecture: Option<String>,
    os: Option<String>,
    variant: Option<String>,
    #[serde(default)]
    config: Option<Container>,
}

#[derive(Default, Deserialize)]
struct Container {
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

pub(super) fn inspect(layout: &Files, progress: &Progress) -> Result<ImageReport> {
    let mut walk = Walk {
        layout,
        progress,
        seen: BTreeSet::new(),
        bytes: 0,
        problems: Vec::new(),
    };
    let damaged = |problem: String| no_document(layout.path(), INDEX_FILE, problem);
    let raw = document(layout, INDEX_FILE).map_err(damaged)?;
    let index = Manifest::parse(raw, None).map_err(|error| damaged(error.to_string()))?;
    let Document::Index(entries) = index.document else {
        return Err(damaged("it is no index".to_owned()));
    };
    let images = entries.iter().map(|entry| walk.image(entry)).collect();
    Ok(ImageReport {
        images,
        blobs: walk.seen.len() as u64,
        bytes: walk.bytes,
        problems: walk.problems,
    })
}

struct Walk<'a> {
    layout: &'a Files,
    progress: &'a Progress,
    seen: BTreeSet<Digest>,
    bytes: u64,
    problems: Vec<String>,
}

impl Walk<'_> {
    fn image(&mut self, entry: &Descriptor) -> NamedImage {
        let mut image = NamedImage {
            name: entry.annotations.get(REF_NAME).cloned(),
            digest: entry.digest,
            annotations: BTreeMap::new(),
            platforms: Vec::new(),
        };
        let mut pending = vec![(entry.clone(), 0)];
        while let Some((descriptor, depth)) = pending.pop() {
            let Some(manifest) = self.manifest(&descriptor) else {
                continue;
            };
            match &manifest.document {
                Document::Index(below) if depth < MAX_INDEX_DEPTH => {
                    if depth == 0 {
                        image.annotations = annotations(&manifest.raw);
                    }
                    pending.extend(below.iter().rev().map(|d| (d.clone(), depth + 1)));
                }
                Document::Index(_) => self.problems.push(format!(
                    "{}: indexes are nested too deep",
                    descriptor.digest
                )),
                Document::Image(document) => {
                    let layers = document.layers.clone();
                    let config = document.config.clone();
                    image
                        .platforms
                        .push(self.platform(&manifest, &config, &layers));
                }
            }
        }
        image
    }

    fn manifest(&mut self, descriptor: &Descriptor) -> Option<Manifest> {
        if !self.check_blob(descriptor) {
            return None;
        }
        let parsed = document(self.layout, &blob_path(&descriptor.digest)).and_then(|raw| {
            Manifest::parse(raw, Some(&descriptor.media_type)).map_err(|e| e.to_string())
        });
        match parsed {
            Ok(manifest) => Some(manifest),
            Err(problem) => {
                self.problems
                    .push(format!("{}: {problem}", descriptor.digest));
                None
            }
        }
    }

    fn platform(
        &mut self,
        manifest: &Manifest,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> PlatformReport {
        let mut configuration = Configuration::default();
        if self.check_blob(config) {
            match document(self.layout, &blob_path(&config.digest))
                .and_then(|raw| serde_json::from_slice(&raw).map_err(|e| e.to_string()))
            {
                Ok(parsed) => configuration = parsed,
                Err(problem) => self.problems.push(format!("{}: {problem}", config.digest)),
            }
        }
        for layer in layers {
            self.check_blob(layer);
        }
        let platform: Vec<String> = [
            configuration.os,
            configuration.architecture,
            configuration.variant,
        ]
        .into_iter()
        .flatten()
        .collect();
        PlatformReport {
            platform: platform.join("/"),
            manifest: manifest.digest,
            created: configuration.created,
            layers: layers.iter().map(LayerReport::of).collect(),
            labels: configuration
                .config
                .and_then(|config| config.labels)
                .unwrap_or_default(),
            annotations: annotations(&manifest.raw),
        }
    }

    /// Whether a blob is there and what its descriptor says; each is looked at
    /// once.
    fn check_blob(&mut self, descriptor: &Descriptor) -> bool {
        let digest = descriptor.digest;
        if !self.seen.insert(digest) {
            return true;
        }
        let task = self
            .progress
            .task(&format!("check {}", digest.short()), Some(descriptor.size));
        let found = match self.layout.open(&blob_path(&digest)) {
            Ok(Some(opened)) => {
                Digest::of_reader(task.reader(opened.reader)).map_err(|e| e.to_string())
            }
            Ok(None) => {
                self.problems.push(format!("{digest}: the blob is missing"));
                return false;
            }
            Err(error) => Err(error.to_string()),
        };
        match found {
            Ok((found, size)) if found == digest && size == descriptor.size => {
                self.bytes += size;
                true
            }
            Ok((found, size)) if found == digest => {
                self.problems.push(format!(
                    "{digest}: the blob has {size} bytes, its descriptor says {}",
                    descriptor.size
                ));
                false
            }
            Ok((found, _)) => {
                self.problems
                    .push(format!("{digest}: the blob's digest is {found}"));
                false
            }
            Err(error) => {
                self.problems.push(format!("{digest}: {error}"));
                false
            }
        }
    }
}

impl LayerReport {
    fn of(descriptor: &Descriptor) -> Self {
        Self {
            media_type: descriptor.media_type.to_string(),
            digest: descriptor.digest,
            size: descriptor.size,
        }
    }
}

/// A document of the layout, or what is wrong with it.
fn document(layout: &Files, name: &str) -> Result<Vec<u8>, String> {
    let found = layout.read(name, MAX_DOCUMENT_BYTES);
    let found = found.map_err(|error| error.to_string())?;
    found.ok_or_else(|| "it is missing".to_owned())
}

fn annotations(raw: &[u8]) -> BTreeMap<String, String> {
    serde_json::from_slice::<Annotated>(raw)
        .unwrap_or_default()
        .annotations
        .unwrap_or_default()
}
