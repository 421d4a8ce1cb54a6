//! What a root leads to.

use std::collections::BTreeSet;

use super::{Bundle, Root};
use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_base::limit::{self, Budget};
use isoforge_oci::manifest::{Descriptor, Document, MAX_INDEX_DEPTH};
use isoforge_oci::media::MediaType;

/// See [`Bundle::walk`].
pub(super) fn walk(bundle: &Bundle, root: &Root) -> Result<Vec<Descriptor>, Error> {
    walk_within(bundle, root, &mut Budget::new(limit::DOCUMENT_BYTES))
}

/// The same, as long as there is enough left of `documents`, the bytes of documents that
/// may be read.
pub(super) fn walk_within(
    bundle: &Bundle,
    root: &Root,
    documents: &mut Budget,
) -> Result<Vec<Descriptor>, Error> {
    walk_on(bundle, root, documents, &mut Err)
}

/// The same, each failure given to `failed`, which says whether that ends the walk.
pub(super) fn walk_on(
    bundle: &Bundle,
    root: &Root,
    documents: &mut Budget,
    failed: &mut dyn FnMut(Error) -> Result<(), Error>,
) -> Result<Vec<Descriptor>, Error> {
    let mut walker = Walker {
        bundle,
        root,
        documents,
        seen: BTreeSet::new(),
        found: Vec::new(),
        failed,
    };
    let is_there = walker.manifest(&root.descriptor, 0)?;
    if !is_there && !bundle.lacks_base() {
        let missing = bundle.missing(root.descriptor.digest, &root.reference);
        (walker.failed)(missing)?;
    }
    Ok(walker.found)
}

/// Takes a document of what may be read.
pub(super) fn spend(documents: &mut Budget, document: &[u8]) -> Result<(), Error> {
    documents.take(document.len() as u64).map_err(|limit| {
        let problem =
            format!("the bundle leads to more than {limit} bytes of manifests and configurations");
        Error::unfit(problem).into()
    })
}

struct Walker<'a> {
    bundle: &'a Bundle,
    root: &'a Root,
    documents: &'a mut Budget,
    seen: BTreeSet<Digest>,
    found: Vec<Descriptor>,
    failed: &'a mut dyn FnMut(Error) -> Result<(), Error>,
}

impl Walker<'_> {
    /// Takes in a manifest and what it names; whether it is there.
    fn manifest(&mut self, descriptor: &Descriptor, depth: usize) -> Result<bool, Error> {
        if depth > MAX_INDEX_DEPTH {
            let text = format!("{}: indexes are nested too deep", self.root.reference);
            (self.failed)(Error::unfit(text).into())?;
            return Ok(true);
        }
        if self.seen.contains(&descriptor.digest) {
            return Ok(true);
        }
        let manifest = match self.bundle.manifest(descriptor) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Ok(false),
            Err(error) => {
                (self.failed)(error)?;
                return Ok(true);
            }
        };
        spend(self.documents, &manifest.raw)?;
        match &manifest.document {
            Document::Index(entries) => {
                for entry in entries {
                    self.manifest(entry, depth + 1)?;
                }
            }
            Document::Image(image) => {
                for blob in std::iter::once(&image.config).chain(&image.layers) {
                    self.blob(blob, descriptor)?;
                }
            }
        }
        if self.seen.insert(descriptor.digest) {
            self.found.push(descriptor.clone());
        }
        Ok(true)
    }

    fn blob(&mut self, blob: &Descriptor, named_by: &Descriptor) -> Result<(), Error> {
        if self.seen.contains(&blob.digest) {
            return Ok(());
        }
        if let Some((size, _)) = self.bundle.open_blob(&blob.digest)? {
            self.seen.insert(blob.digest);
            if size != blob.size {
                let length = isoforge_oci::Error::Length {
                    place: self.bundle.place(&blob.digest),
                    expected: blob.size,
                    found: size,
                };
                return (self.failed)(length.into());
            }
            self.found.push(blob.clone());
            return Ok(());
        }
        // Registries need not have those.
        let is_foreign = matches!(blob.media_type, MediaType::ForeignLayer(_));
        if is_foreign || self.bundle.lacks_base() {
            return Ok(());
        }
        let manifest = format!("manifest {} of {}", named_by.digest, self.root.reference);
        self.seen.insert(blob.digest);
        (self.failed)(self.bundle.missing(blob.digest, &manifest))
    }
}
