//! Putting a bundle together: which roots and blobs it has.

use std::collections::BTreeMap;

use super::{BASE, Bundle, KIND, Kind, NAME, Root, SCHEMA, SCHEMA_VERSION, VERSION};
use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_oci::artifact::Artifact;
use isoforge_oci::layout::{BLOB_FOLDER, Builder, IMAGE_NAME, OciLayout, REF_NAME};
use isoforge_oci::manifest::Descriptor;

/// Collects what a bundle holds.
#[derive(Debug, Clone)]
pub struct Composer {
    builder: Builder,
    /// Of each reference.
    roots: BTreeMap<String, Digest>,
}

impl Composer {
    /// An empty bundle of this name and version.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        let mut builder = Builder::new();
        builder.annotate(NAME, name);
        builder.annotate(VERSION, version);
        builder.annotate(SCHEMA, &SCHEMA_VERSION.to_string());
        Self {
            builder,
            roots: BTreeMap::new(),
        }
    }

    /// Adds a blob, manifests and indexes too.
    pub fn blob(&mut self, digest: Digest, size: u64) {
        self.builder.blob(digest, size);
    }

    /// Adds a blob or manifest by its bytes and gives its digest.
    pub fn bytes(&mut self, bytes: Vec<u8>) -> Digest {
        self.builder.bytes(bytes)
    }

    /// Lists a root, which must be among the blobs, under its full reference.
    ///
    /// # Errors
    /// Where another one has that reference.
    pub fn root(
        &mut self,
        reference: &str,
        kind: &Kind,
        mut root: Descriptor,
    ) -> Result<(), Error> {
        let known = self.roots.insert(reference.to_owned(), root.digest);
        if let Some(first) = known.filter(|first| *first != root.digest) {
            let second = root.digest;
            let text = format!("{reference} names two things: {first} and {second}");
            return Err(Error::asked(text).into());
        }
        root.annotations
            .insert(IMAGE_NAME.to_owned(), reference.to_owned());
        if *kind != Kind::Image {
            root.annotations
                .insert(KIND.to_owned(), kind.as_str().to_owned());
        }
        self.builder.reference(reference, root);
        Ok(())
    }

    /// Adds an artifact and lists it under its own name.
    ///
    /// # Errors
    /// See [`root`](Self::root).
    pub fn artifact(&mut self, artifact: &Artifact) -> Result<(), Error> {
        let root = artifact.put_into(&mut self.builder);
        let kind = artifact.kind.map_or(Kind::Image, Kind::parse);
        self.root(&artifact.name, &kind, root)
    }

    /// Lists a manifest, which must be among the blobs, that is about another one.
    pub fn referrer(&mut self, manifest: Descriptor) {
        self.builder.referrer(manifest);
    }

    /// Takes in a root of another bundle and all that it consists of.
    ///
    /// # Errors
    /// What walking it gives, and see [`root`](Self::root).
    pub fn adopt(
        &mut self,
        bundle: &Bundle,
        root: &Root,
        reference: &str,
        kind: &Kind,
    ) -> Result<(), Error> {
        for blob in bundle.walk(root)? {
            self.blob(blob.digest, blob.size);
        }
        let mut descriptor = root.descriptor.clone();
        if reference.is_empty() {
            self.referrer(descriptor);
            return Ok(());
        }
        descriptor.annotations.remove(REF_NAME);
        descriptor.annotations.remove(KIND);
        self.root(reference, kind, descriptor)
    }

    /// The bundle.
    #[must_use]
    pub fn build(self) -> OciLayout {
        self.builder.build()
    }

    /// The difference to `old`: all roots, and the blobs that it lacks.
    ///
    /// # Errors
    /// Where `old` is a delta, and what looking for blobs gives.
    pub fn since(mut self, old: &Bundle) -> Result<OciLayout, Error> {
        if old.lacks_base() {
            let path = old.path().display();
            return Err(
                Error::asked(format!("{path} is a delta itself, and no base for another"))
                    .with_hint(format!(
                        "make it whole first: isoforge bundle apply BASE {path}"
                    ))
                    .into(),
            );
        }
        self.builder.annotate(BASE, &old.digest().to_string());
        let mut layout = self.builder.build();
        let mut kept = Vec::with_capacity(layout.files.len());
        for (path, file) in layout.files {
            let is_there = match digest_of(&path) {
                Some(digest) => old.has_blob(&digest)?,
                None => false,
            };
            if !is_there {
                kept.push((path, file));
            }
        }
        layout.files = kept;
        Ok(layout)
    }
}

/// The digest of the blob that is at `path` within a layout.
fn digest_of(path: &str) -> Option<Digest> {
    let hex = path.strip_prefix(BLOB_FOLDER)?.strip_prefix('/')?;
    format!("sha256:{hex}").parse().ok()
}

/// The whole that a delta and its base are.
///
/// # Errors
/// What walking the roots gives.
pub fn applied(delta: &Bundle) -> Result<OciLayout, Error> {
    let annotations = delta.annotations();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut composer = Composer::new(&text(&annotations.name), &text(&annotations.version));
    for root in delta.roots() {
        composer.adopt(delta, root, &root.reference, &root.kind)?;
    }
    Ok(composer.build())
}
