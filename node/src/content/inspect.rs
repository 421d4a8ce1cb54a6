//! What the storage holds.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use isoforge_base::digest::Digest;
use isoforge_base::human;
use isoforge_oci::manifest::{Descriptor, Document};
use isoforge_oci::media::MediaType;
use serde::Serialize;

use super::images::Images;
use super::index::Entry;
use super::{BadRecord, names};
use isoforge_base::shown::Line;

/// Kind of an image whose manifests can't be read.
const DAMAGED: &str = "damaged";

/// What the storage holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// By repository and tag.
    pub images: Vec<Listed>,
    /// Bytes of all blobs, hard links counted once.
    pub bytes: u64,
}

/// An image of the storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name in full, as manifests have it.
    pub reference: String,
    /// Its repository and tag in the registry.
    pub stored: String,
    pub digest: Digest,
    /// Its artifact type, else the media type of its configuration, or of itself where
    /// it is an index: they tell packs and charts from images. `damaged` where its
    /// manifests can't be read.
    pub kind: String,
    /// Platforms that are there, of an index.
    pub platforms: Vec<String>,
    /// Bytes of all that it consists of.
    pub bytes: u64,
}

/// What the storage holds.
///
/// # Errors
/// Where it can't be read or is damaged.
pub fn list(storage: &dyn Images) -> Result<Listing> {
    let mut images = Vec::new();
    for repository in storage.repositories()? {
        for entry in &storage.entries(&repository)? {
            if let Some(tag) = &entry.tag {
                images.push(listed(storage, &repository, tag, entry)?);
            }
        }
    }
    let bytes = storage.files()?.iter().map(|file| file.bytes).sum();
    Ok(Listing { images, bytes })
}

fn listed(storage: &dyn Images, repository: &str, tag: &str, entry: &Entry) -> Result<Listed> {
    let mut parts = ImageBlobs::default();
    match parts.add(storage, repository, entry) {
        // One that is damaged must not hide the others; `verify` tells more.
        Err(error) if error.is::<BadRecord>() => parts.kind = Some(DAMAGED.to_owned()),
        other => other?,
    }
    Ok(Listed {
        reference: names::reference(repository, tag, &entry.digest),
        stored: format!("{repository}:{tag}"),
        digest: entry.digest,
        kind: parts.kind.unwrap_or_else(|| entry.media_type.to_string()),
        platforms: parts.platforms,
        bytes: parts
            .blobs
            .values()
            .fold(0_u64, |sum, size| sum.saturating_add(*size)),
    })
}

/// All that an image consists of.
#[derive(Debug, Default)]
pub(super) struct ImageBlobs {
    kind: Option<String>,
    platforms: Vec<String>,
    /// Digest and size in bytes.
    pub(super) blobs: BTreeMap<Digest, u64>,
    /// Manifests and indexes among them.
    pub(super) manifests: BTreeMap<Digest, Descriptor>,
}

impl ImageBlobs {
    /// Adds a manifest and what is there of all that it leads to.
    pub(super) fn add(
        &mut self,
        storage: &dyn Images,
        repository: &str,
        entry: &Entry,
    ) -> Result<()> {
        if self.manifests.contains_key(&entry.digest) {
            return Ok(());
        }
        let Some(manifest) = storage.manifest(repository, entry)? else {
            return Ok(());
        };
        self.blobs.insert(entry.digest, manifest.raw.len() as u64);
        self.manifests.insert(entry.digest, manifest.descriptor());
        match &manifest.document {
            Document::Image(image) => {
                let kind = || {
                    let config = || image.config.media_type.to_string();
                    artifact_type(&manifest.raw).unwrap_or_else(config)
                };
                self.kind.get_or_insert_with(kind);
                for blob in std::iter::once(&image.config).chain(&image.layers) {
                    // Registries need not have those.
                    let foreign = matches!(blob.media_type, MediaType::ForeignLayer(_));
                    if !foreign || fs_err::exists(storage.blob_path(repository, &blob.digest))? {
                        self.blobs.insert(blob.digest, blob.size);
                    }
                }
            }
            Document::Index(children) => {
                self.kind
                    .get_or_insert_with(|| manifest.media_type.to_string());
                for child in children {
                    self.child(storage, repository, child)?;
                }
            }
        }
        Ok(())
    }

    fn child(&mut self, storage: &dyn Images, repository: &str, child: &Descriptor) -> Result<()> {
        if !fs_err::exists(storage.blob_path(repository, &child.digest))? {
            return Ok(());
        }
        if let Some(platform) = &child.platform
            && !child.is_attestation()
        {
            self.platforms.push(platform.to_string());
        }
        if !child.media_type.is_manifest() {
            self.blobs.insert(child.digest, child.size);
            return Ok(());
        }
        let entry = Entry::new(child.digest, child.media_type.clone(), child.size, None);
        self.add(storage, repository, &entry)
    }
}

/// What a manifest says that it carries, which is no image then.
fn artifact_type(raw: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        artifact_type: Option<String>,
    }
    let document: Document = serde_json::from_slice(raw).ok()?;
    document.artifact_type.filter(|text| !text.is_empty())
}

impl Listing {
    /// For people: a line for each image.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for image in &self.images {
            let size = human::size(image.bytes);
            let damaged = match image.kind.as_str() {
                DAMAGED => ", damaged",
                _ => "",
            };
            let platforms = match image.platforms.as_slice() {
                [] => String::new(),
                some => format!(" ({})", Line(some.join(", "))),
            };
            let _ = writeln!(
                text,
                "{}\n    {} {size}{platforms}{damaged}",
                Line(&image.reference),
                image.digest
            );
        }
        let _ = writeln!(
            text,
            "{}, {} on the disk",
            human::count(self.images.len(), "image"),
            human::size(self.bytes)
        );
        text
    }
}
