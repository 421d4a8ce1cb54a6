//! All blobs that a lock's input consists of, found through the manifests in the
//! store.

use std::collections::{BTreeMap, BTreeSet};

use isoforge_base::error::{Context as _, Result};

use crate::lock::{BlobKind, Image, Lock, LockedBlob};
use isoforge_base::digest::Digest;
use isoforge_oci::manifest::{Descriptor, Document, MAX_INDEX_DEPTH, MAX_MANIFEST_BYTES, Manifest};
use isoforge_oci::media::MediaType;
use isoforge_oci::store::Store;

/// The input of a lock.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// By what `index.json` calls them.
    pub(super) images: Vec<(String, Descriptor)>,
    /// Everything that belongs to images, with sizes in bytes.
    pub(super) blobs: BTreeMap<Digest, u64>,
    /// What is no image, and its size in bytes.
    pub(super) others: Vec<(LockedBlob, u64)>,
    /// What the store lacks: what it is, in the lock's words.
    pub(super) missing: BTreeMap<Digest, String>,
}

impl Inputs {
    /// What is missing, each on a line of its own.
    pub(super) fn missing_list(&self) -> String {
        let missing = self.missing.iter();
        let lines = missing.map(|(digest, what)| format!("\n    {digest} {what}"));
        lines.collect()
    }
}

/// Finds the input of `lock` in the store; what is not there is told in the
/// result.
pub(super) fn find(store: &Store, lock: &Lock) -> Result<Inputs> {
    let mut finder = Finder {
        store,
        found: Inputs::default(),
    };
    for image in &lock.images {
        finder.image(image)?;
    }
    for blob in lock.blobs() {
        finder.other(blob)?;
    }
    finder.found.others.sort();
    finder.found.others.dedup();
    Ok(finder.found)
}

struct Finder<'a> {
    store: &'a Store,
    found: Inputs,
}

impl Finder<'_> {
    fn image(&mut self, image: &Image) -> Result<()> {
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
    ) -> Result<bool> {
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
    fn document(&mut self, digest: Digest, what: &str) -> Result<Option<Manifest>> {
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
    fn read(&self, digest: Digest) -> Result<Option<Manifest>> {
        match self.store.read_blob(&digest, MAX_MANIFEST_BYTES) {
            Ok(raw) => Manifest::parse(raw, None)
                .map(Some)
                .with_context(|| format!("{digest} in the store can't be used")),
            Err(isoforge_oci::Error::Missing { .. } | isoforge_oci::Error::Damaged { .. }) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn blob(&mut self, blob: &Descriptor, of: &str) -> Result<()> {
        if self.store.blob_size(&blob.digest)? == Some(blob.size) {
            self.found.blobs.insert(blob.digest, blob.size);
        } else {
            self.miss(blob.digest, &format!("a blob of {of}"));
        }
        Ok(())
    }

    fn other(&mut self, blob: LockedBlob) -> Result<()> {
        match self.store.blob_size(&blob.digest)? {
            Some(found) if blob.size.is_none_or(|size| size == found) => {
                self.found.others.push((blob, found));
            }
            _ => {
                let what = format!("{} {}", described(blob.kind), blob.name);
                self.miss(blob.digest, &what);
            }
        }
        Ok(())
    }

    fn miss(&mut self, digest: Digest, what: &str) {
        self.found
            .missing
            .entry(digest)
            .or_insert_with(|| what.to_owned());
    }
}

fn described(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::Archive => "the archive",
        BlobKind::Bootstrap => "the bootstrap for",
        BlobKind::Chart => "the chart",
        BlobKind::CoreImage => "GRUB's core image for",
        BlobKind::File => "the file",
    }
}
