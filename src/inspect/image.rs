//! Images of an OCI layout: platforms, layers, labels, annotations, and whether
//! every blob is what its digest says.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::no_document;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Failure, Result};
use isoforge_base::limit::{self, Budget};
use isoforge_base::progress::Progress;
use isoforge_oci::layout::{INDEX_FILE, REF_NAME, blob_path};
use isoforge_oci::manifest::{
    Descriptor, Document, MAX_CONFIG_BYTES, MAX_INDEX_DEPTH, MAX_MANIFEST_BYTES, Manifest,
};
use isoforge_oci::registry::Files;

/// What an entry of a map or list takes in memory beside its text.
const ENTRY_BYTES: u64 = 128;

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
        hashed: layout.size().map(Budget::new),
        documents: Budget::new(limit::DOCUMENT_BYTES),
        kept: Budget::new(limit::REPORT_BYTES),
        is_cut: false,
        problems: Vec::new(),
    };
    let damaged = |problem: String| no_document(layout.path(), INDEX_FILE, problem);
    let raw = document(layout, INDEX_FILE, MAX_MANIFEST_BYTES).map_err(damaged)?;
    let index = Manifest::parse(raw, None).map_err(|error| damaged(error.to_string()))?;
    let Document::Index(entries) = index.document else {
        return Err(damaged("it is no index".to_owned()));
    };
    let mut images = Vec::new();
    for entry in &entries {
        images.push(walk.image(entry));
        if walk.is_cut {
            break;
        }
    }
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
    /// Bytes of an archive that may still be hashed: its members may be links.
    hashed: Option<Budget>,
    /// Bytes of documents that may still be read: one may be named many times.
    documents: Budget,
    /// Bytes that the report may still take.
    kept: Budget,
    /// Whether the report ends early, which is one of the problems.
    is_cut: bool,
    problems: Vec<String>,
}

impl Walk<'_> {
    /// Ends the report for what there is too much of.
    fn cut(&mut self, limit: u64, what: &str) {
        if !std::mem::replace(&mut self.is_cut, true) {
            let problem = format!("more than {limit} bytes of {what}; the rest is not looked at");
            self.problems.push(problem);
        }
    }

    /// A document of the layout; `None` with what is wrong among the problems.
    fn document(&mut self, descriptor: &Descriptor, limit: u64) -> Option<Vec<u8>> {
        let raw = match document(self.layout, &blob_path(&descriptor.digest), limit) {
            Ok(raw) => raw,
            Err(problem) => {
                self.problems
                    .push(format!("{}: {problem}", descriptor.digest));
                return None;
            }
        };
        match self.documents.take(raw.len() as u64) {
            Ok(()) => Some(raw),
            Err(limit) => {
                self.cut(limit, "manifests and configurations");
                None
            }
        }
    }

    /// Keeps texts of a report, as long as there are not too many.
    fn keep(&mut self, texts: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let bytes = |(name, value): (&String, &String)| (name.len() + value.len()) as u64;
        let sum: u64 = texts.iter().map(|text| bytes(text) + ENTRY_BYTES).sum();
        match self.kept.take(sum) {
            Ok(()) => texts,
            Err(limit) => {
                self.cut(limit, "labels, annotations and layers");
                BTreeMap::new()
            }
        }
    }

    fn image(&mut self, entry: &Descriptor) -> NamedImage {
        let mut image = NamedImage {
            name: entry.annotations.get(REF_NAME).cloned(),
            digest: entry.digest,
            annotations: BTreeMap::new(),
            platforms: Vec::new(),
        };
        let mut pending = vec![(entry.clone(), 0)];
        while !self.is_cut
            && let Some((descriptor, depth)) = pending.pop()
        {
            let Some(manifest) = self.manifest(&descriptor) else {
                continue;
            };
            match &manifest.document {
                Document::Index(below) if depth < MAX_INDEX_DEPTH => {
                    if depth == 0 {
                        image.annotations = self.keep(annotations(&manifest.raw));
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
        let raw = self.document(descriptor, MAX_MANIFEST_BYTES)?;
        match Manifest::parse(raw, Some(&descriptor.media_type)) {
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
        if self.check_blob(config)
            && let Some(raw) = self.document(config, MAX_CONFIG_BYTES)
        {
            match serde_json::from_slice(&raw) {
                Ok(parsed) => configuration = parsed,
                Err(problem) => self.problems.push(format!("{}: {problem}", config.digest)),
            }
        }
        for layer in layers {
            if let Err(limit) = self.kept.take(ENTRY_BYTES) {
                self.cut(limit, "labels, annotations and layers");
            }
            if self.is_cut {
                break;
            }
            self.check_blob(layer);
        }
        let layers = if self.is_cut { &[] } else { layers };
        let labels = configuration.config.and_then(|config| config.labels);
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
            labels: self.keep(labels.unwrap_or_default()),
            annotations: self.keep(annotations(&manifest.raw)),
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
                let hashed = self.hashed.as_mut();
                if let Some(Err(limit)) = hashed.map(|hashed| hashed.take(opened.size)) {
                    self.cut(limit, "blobs, which is all that the archive has");
                    return false;
                }
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
fn document(layout: &Files, name: &str, limit: u64) -> Result<Vec<u8>, String> {
    let found = layout.read(name, limit);
    let found = found.map_err(|error| format!("{:#}", Failure::from(error)))?;
    found.ok_or_else(|| "it is missing".to_owned())
}

fn annotations(raw: &[u8]) -> BTreeMap<String, String> {
    serde_json::from_slice::<Annotated>(raw)
        .unwrap_or_default()
        .annotations
        .unwrap_or_default()
}
