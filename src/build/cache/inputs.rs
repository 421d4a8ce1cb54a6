//! All blobs that a lock's input consists of, found through the manifests in the
//! store.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Error, MissingBlob};
use crate::lock::{Image, Lock};
use isoforge_base::digest::Digest;
use isoforge_oci::manifest::{Descriptor, Document, MAX_INDEX_DEPTH, MAX_MANIFEST_BYTES, Manifest};
use isoforge_oci::media::MediaType;
use isoforge_oci::store::{self, Store};

/// The input of a lock.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// By what `index.json` calls them.
    pub(super) images: Vec<(String, Descriptor)>,
    /// Everything that belongs to images, with sizes in bytes.
    pub(super) blobs: BTreeMap<Digest, u64>,
    /// What is no image.
    pub(super) parts: Vec<Part>,
    /// What the store lacks, by digest.
    pub(super) missing: BTreeMap<Digest, MissingBlob>,
}

/// A blob of the lock that belongs to no image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) kind: PartKind,
    /// URL, path or architecture, as the lock has it.
    pub(super) name: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PartKind {
    Archive,
    Bootstrap,
    Chart,
    CoreImage,
    File,
}

/// Finds the input of `lock` in the store; what is not there is told in the
/// result.
pub(super) fn find(store: &Store, lock: &Lock) -> Result<Inputs, Error> {
    let mut finder = Finder {
        store,
        found: Inputs::default(),
    };
    for image in &lock.images {
        finder.image(image)?;
    }
    for archive in &lock.archives {
        let layer = &archive.layer;
        finder.part(
            PartKind::Archive,
            &archive.path,
            layer.digest,
            Some(layer.size),
        )?;
    }
    for made in &lock.bootstraps {
        finder.part(PartKind::Bootstrap, &made.arch, made.layer, Some(made.size))?;
    }
    for chart in &lock.charts {
        finder.part(PartKind::Chart, &chart.source, chart.digest, None)?;
    }
    for core in &lock.core_images {
        finder.part(PartKind::CoreImage, &core.purpose(), core.digest, None)?;
    }
    for file in &lock.files {
        finder.part(PartKind::File, &file.url, file.digest, None)?;
    }
    finder.found.parts.sort();
    finder.found.parts.dedup();
    Ok(finder.found)
}

struct Finder<'a> {
    store: &'a Store,
    found: Inputs,
}

impl Finder<'_> {
    fn image(&mut self, image: &Image) -> Result<(), Error> {
        let name = &image.reference;
        let wanted: BTreeSet<Digest> = image.manifests.values().copied().collect();
        let mut reached = BTreeSet::new();
        if let Some(index) = image.index
            && let Some(root) = self.document(index, &format!("the index of {name}"))?
        {
            self.found.images.push((name.clone(), root.descriptor()));
            self.below(&root, &wanted, &mut reached, 0)?;
        }
        for (arch, digest) in &image.manifests {
            let what = format!("the manifest of {name} for {arch}");
            let Some(manifest) = self.document(*digest, &what)? else {
                continue;
            };
            if image.index.is_none() {
                let entry = (name.clone(), manifest.descriptor());
                if !self.found.images.contains(&entry) {
                    self.found.images.push(entry);
                }
            }
            if let Document::Image(content) = &manifest.document {
                for blob in std::iter::once(&content.config).chain(&content.layers) {
                    self.blob(blob, name)?;
                }
            }
        }
        Ok(())
    }

    /// Takes in the indexes that lie between `index` and the manifests wanted;
    /// whether there are any below it.
    fn below(
        &mut self,
        index: &Manifest,
        wanted: &BTreeSet<Digest>,
        reached: &mut BTreeSet<Digest>,
        depth: usize,
    ) -> Result<bool, Error> {
        let Document::Index(entries) = &index.document else {
            return Ok(false);
        };
        let mut leads = entries.iter().any(|entry| wanted.contains(&entry.digest));
        for entry in entries {
            let is_index = matches!(entry.media_type, MediaType::Index(_));
            if !is_index || depth >= MAX_INDEX_DEPTH || !reached.insert(entry.digest) {
                continue;
            }
            if let Some(nested) = self.read(entry.digest)?
                && self.below(&nested, wanted, reached, depth + 1)?
            {
                self.found
                    .blobs
                    .insert(nested.digest, nested.raw.len() as u64);
                leads = true;
            }
        }
        Ok(leads)
    }

    /// A manifest or index that has to be there.
    fn document(&mut self, digest: Digest, what: &str) -> Result<Option<Manifest>, Error> {
        let read = self.read(digest)?;
        match &read {
            Some(manifest) => {
                let size = manifest.raw.len() as u64;
                self.found.blobs.insert(digest, size);
            }
            None => self.miss(digest, what),
        }
        Ok(read)
    }

    /// A manifest or index, where the store has it undamaged.
    fn read(&self, digest: Digest) -> Result<Option<Manifest>, Error> {
        match self.store.read_blob(&digest, MAX_MANIFEST_BYTES) {
            Ok(raw) => Manifest::parse(raw, None)
                .map(Some)
                .map_err(|source| Error::Manifest {
                    digest,
                    source: Box::new(source),
                }),
            Err(store::Error::Missing { .. } | store::Error::Damaged { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn blob(&mut self, blob: &Descriptor, of: &str) -> Result<(), Error> {
        if self.store.blob_size(&blob.digest)? == Some(blob.size) {
            self.found.blobs.insert(blob.digest, blob.size);
        } else {
            self.miss(blob.digest, &format!("a blob of {of}"));
        }
        Ok(())
    }

    fn part(
        &mut self,
        kind: PartKind,
        name: &str,
        digest: Digest,
        size: Option<u64>,
    ) -> Result<(), Error> {
        match self.store.blob_size(&digest)? {
            Some(found) if size.is_none_or(|size| size == found) => self.found.parts.push(Part {
                kind,
                name: name.to_owned(),
                digest,
                size: found,
            }),
            _ => self.miss(digest, &format!("{} {name}", kind.described())),
        }
        Ok(())
    }

    fn miss(&mut self, digest: Digest, what: &str) {
        self.found
            .missing
            .entry(digest)
            .or_insert_with(|| MissingBlob {
                digest,
                what: what.to_owned(),
            });
    }
}

impl PartKind {
    fn described(self) -> &'static str {
        match self {
            Self::Archive => "the archive",
            Self::Bootstrap => "the bootstrap for",
            Self::Chart => "the chart",
            Self::CoreImage => "GRUB's core image for",
            Self::File => "the file",
        }
    }

    /// As annotations have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Bootstrap => "bootstrap",
            Self::Chart => "chart",
            Self::CoreImage => "core-image",
            Self::File => "file",
        }
    }
}

/// The diffIDs of the layers that a lock names, as far as the store tells.
pub(super) fn diff_ids(store: &Store, lock: &Lock) -> Result<BTreeSet<Digest>, Error> {
    use isoforge_oci::manifest::{ImageConfig, MAX_CONFIG_BYTES};
    let mut found: BTreeSet<Digest> = lock
        .archives
        .iter()
        .map(|archive| archive.layer.diff_id)
        .chain(lock.bootstraps.iter().map(|made| made.layer))
        .collect();
    let finder = Finder {
        store,
        found: Inputs::default(),
    };
    let manifests = lock
        .images
        .iter()
        .flat_map(|image| image.manifests.values());
    for digest in manifests {
        if let Some(manifest) = finder.read(*digest)?
            && let Document::Image(image) = &manifest.document
            && let Ok(bytes) = store.read_blob(&image.config.digest, MAX_CONFIG_BYTES)
            && let Ok(config) = ImageConfig::parse(&bytes)
        {
            found.extend(config.diff_ids);
        }
    }
    Ok(found)
}
