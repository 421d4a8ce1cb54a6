//! Bundles: images and other artifacts in one OCI image layout, to be carried to
//! where no network is.
//!
//! OCI Image Specification v1.1, "Image Layout". `index.json` lists every root under
//! its full reference ([`REF_NAME`] and [`IMAGE_NAME`]) and, where it is no image,
//! with its [`KIND`]; its own annotations are [`NAME`], [`VERSION`], [`SCHEMA`] and,
//! of a delta, [`BASE`]. Indexes are what their registries have, digest and all, even
//! where not every platform is in the bundle. `docs/bundles.md` has the whole format.
//!
//! A bundle lies in a folder, in a tar archive, in one that is compressed in
//! Zstandard's seekable format, in one of these that was split, or below
//! `isoforge/content` on an installer ISO. All of them are read in place: nothing is
//! unpacked. A layout that others made is a bundle too.
//!
//! Scope: reading, writing, comparing, verifying and serving bundles. Non-goals:
//! deciding what belongs in one, and taking in what one holds.
//!
//! Invariants:
//! - Manifests and indexes are given only if their digests held. Blobs are given as
//!   they lie there: who takes one checks it, [`verify`](fn@verify) checks all.
//! - Equal content gives equal bytes.

mod archive;
mod blobs;
mod compose;
mod diff;
mod http;
mod inspect;
mod open;
mod parts;
mod serve;
mod verify;
mod walk;
mod write;

use std::fmt;
use std::io::Read;
use std::path::Path;

pub use archive::write_tar;
pub use blobs::{Blobs, Combined};
pub use compose::{Composer, applied};
pub use diff::{Change, Difference, difference};
pub use inspect::{Inspection, RootReport, inspect};
pub use parts::ArchivePart;
pub use serve::{LOCAL, Server, repository};
pub use verify::{Fault, Verification, verify};
pub use write::{DEFAULT_PART_BYTES, Form, Target, Written, write, write_folder};

use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_oci::layout::{IMAGE_NAME, REF_NAME};
use isoforge_oci::manifest::{Descriptor, Manifest};
use isoforge_oci::reference::{self, Reference};
use isoforge_oci::referrer;
use isoforge_oci::registry::WholeLayout;

/// Annotation of `index.json`: the bundle's name.
pub const NAME: &str = "io.isoforge.bundle.name";
/// Annotation of `index.json`: the bundle's version.
pub const VERSION: &str = "io.isoforge.bundle.version";
/// Annotation of `index.json`: version of the format, [`SCHEMA_VERSION`].
pub const SCHEMA: &str = "io.isoforge.bundle.schema";
/// Annotation of a delta's `index.json`: digest of its base's `index.json`.
pub const BASE: &str = "io.isoforge.bundle.base";
/// Annotation of a root: what it is, see [`Kind`].
pub const KIND: &str = "io.isoforge.bundle.kind";
/// The version of the format that is read and written.
pub const SCHEMA_VERSION: u32 = 1;
/// What a root is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A container image.
    #[default]
    Image,
    /// A pack.
    Pack,
    /// A Helm chart.
    Chart,
    /// Kubernetes manifests.
    Manifest,
    /// A cluster definition.
    Definition,
    /// An image to install or upgrade an appliance from.
    Provider,
    /// What a later version may have.
    Other(String),
}

impl Kind {
    /// Its name in [`KIND`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Image => "image",
            Self::Pack => "pack",
            Self::Chart => "chart",
            Self::Manifest => "manifest",
            Self::Definition => "definition",
            Self::Provider => "provider",
            Self::Other(name) => name,
        }
    }

    fn parse(name: &str) -> Self {
        let known = [
            Self::Image,
            Self::Pack,
            Self::Chart,
            Self::Manifest,
            Self::Definition,
            Self::Provider,
        ];
        let found = known.into_iter().find(|kind| kind.as_str() == name);
        found.unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What `index.json` says of the bundle; nothing in a layout that others made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// [`NAME`]
    pub name: Option<String>,
    /// [`VERSION`]
    pub version: Option<String>,
    /// [`SCHEMA`]
    pub schema: Option<u32>,
    /// [`BASE`]: then the bundle is a delta, which holds what its base lacks.
    pub base: Option<Digest>,
}

/// An entry of `index.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its manifest or index, annotations and all.
    pub descriptor: Descriptor,
    /// Its full reference, as `docker.io/calico/node:v3.29.2`. What others made may
    /// have a bare tag, or nothing: then this is that, or empty. So it is for what is
    /// about another root, see [`Bundle::subject`].
    pub reference: String,
    /// What it is.
    pub kind: Kind,
}

impl Root {
    fn of(descriptor: Descriptor) -> Self {
        let annotation = |key: &str| descriptor.annotations.get(key);
        let text = annotation(IMAGE_NAME).or_else(|| annotation(REF_NAME));
        let text = text.map_or("", String::as_str);
        let full = Some(text)
            .filter(|text| reference::names_registry(text))
            .and_then(|text| text.parse::<Reference>().ok());
        Self {
            reference: full.map_or_else(|| text.to_owned(), |full| full.to_string()),
            kind: annotation(KIND).map_or(Kind::Image, |kind| Kind::parse(kind)),
            descriptor,
        }
    }

    /// [`reference`](Self::reference) where it is a full one.
    #[must_use]
    pub fn parsed(&self) -> Option<Reference> {
        Some(&self.reference)
            .filter(|text| reference::names_registry(text))
            .and_then(|text| text.parse().ok())
    }
}

/// An open bundle. Reading it needs no other memory than what is being read.
#[derive(Debug)]
pub struct Bundle {
    layout: WholeLayout,
    digest: Digest,
    annotations: Annotations,
    roots: Vec<Root>,
    /// What the bundle lacks is read from here.
    base: Option<Box<Bundle>>,
}

impl Bundle {
    /// Opens the bundle at `path`: a folder, archive, split archive or ISO image, told
    /// apart by what they hold. Of a split one `path` is any of its parts, their list,
    /// or the folder with them. Its list of files and `index.json` are read, no blob.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let layout = WholeLayout::of(open::files(path)?)?;
        let (index, entries) = layout.index()?;
        let annotations = annotations(layout.path(), &index)?;
        Ok(Self {
            digest: index.digest,
            roots: entries.into_iter().map(Root::of).collect(),
            annotations,
            layout,
            base: None,
        })
    }

    /// Opens a delta together with the bundle that it is the difference to.
    ///
    /// # Errors
    /// Where it is no delta, or one to another bundle, and what [`open`](Self::open) gives.
    pub fn open_with_base(delta: &Path, base: &Path) -> Result<Self, Error> {
        let (mut delta, base) = (Self::open(delta)?, Self::open(base)?);
        match delta.annotations.base {
            None => {
                let path = delta.path().display();
                Err(Error::asked(format!("{path} is no delta: it needs no base")).into())
            }
            Some(expected) if expected != base.digest => Err(Error::unfit(format!(
                "{} is a delta to the bundle {expected}, and {} is the bundle {}",
                delta.path().display(),
                base.path().display(),
                base.digest
            ))
            .with_hint(format!(
                "give the bundle whose index.json has the digest {expected}: isoforge bundle inspect shows it"
            ))
            .into()),
            Some(_) => {
                delta.base = Some(Box::new(base));
                Ok(delta)
            }
        }
    }

    /// The folder or file that the bundle is in.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.layout.path()
    }

    /// Digest of `index.json`.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What `index.json` says of the bundle.
    #[must_use]
    pub fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// What `index.json` lists, in its order.
    #[must_use]
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// Whether blobs may be missing because the base has them, which is not open.
    #[must_use]
    pub fn lacks_base(&self) -> bool {
        self.annotations.base.is_some() && self.base.is_none()
    }

    /// A blob's size in bytes and its bytes, whose digest is not checked; `None` where
    /// the bundle does not hold it.
    ///
    /// # Errors
    /// What the system says.
    #[allow(clippy::type_complexity)]
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<(u64, Box<dyn Read + Send>)>, Error> {
        self.open_blob_from(digest, 0)
    }

    /// Like [`open_blob`](Self::open_blob), the bytes from `offset` on. The size is the
    /// whole blob's.
    ///
    /// # Errors
    /// What the system says.
    #[allow(clippy::type_complexity)]
    pub(crate) fn open_blob_from(
        &self,
        digest: &Digest,
        offset: u64,
    ) -> Result<Option<(u64, Box<dyn Read + Send>)>, Error> {
        match (self.layout.open_blob(digest)?, &self.base) {
            (Some(opened), _) => {
                let size = opened.size;
                let part = opened.from(offset)?;
                Ok(Some((size, part.reader)))
            }
            (None, Some(base)) => base.open_blob_from(digest, offset),
            (None, None) => Ok(None),
        }
    }

    /// A small blob's bytes, at most `limit` of them; their digest is not checked.
    ///
    /// # Errors
    /// What the system says.
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some((_, reader)) = self.open_blob(digest)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let read = reader.take(limit).read_to_end(&mut bytes);
        let digest = *digest;
        read.map_err(|source| Error::ReadBlob { digest, source })?;
        Ok(Some(bytes))
    }

    /// Whether the bundle holds a blob.
    ///
    /// # Errors
    /// What the system says.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self.open_blob(digest)?.is_some())
    }

    /// That a blob is not there which `named_by` names.
    pub(crate) fn missing(&self, digest: Digest, named_by: &str) -> Error {
        Error::NoBlob {
            place: self.place(&digest),
            digest,
            named_by: named_by.to_owned(),
        }
    }

    /// Where a blob is, for messages.
    #[must_use]
    pub fn place(&self, digest: &Digest) -> String {
        self.layout.place(digest)
    }

    /// The manifest or index that a descriptor names, its digest checked; `None` where
    /// the bundle does not hold it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn manifest(&self, descriptor: &Descriptor) -> Result<Option<Manifest>, Error> {
        match (self.layout.manifest(descriptor)?, &self.base) {
            (Some(manifest), _) => Ok(Some(manifest)),
            (None, Some(base)) => base.manifest(descriptor),
            (None, None) => Ok(None),
        }
    }

    /// The digest that a root names as its subject, as signatures do; `None` also where
    /// the bundle does not hold the root.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn subject(&self, root: &Root) -> Result<Option<Digest>, Error> {
        let manifest = self.manifest(&root.descriptor)?;
        Ok(manifest.and_then(|manifest| referrer::subject(&manifest.raw)))
    }

    /// All that a root consists of and the bundle holds: manifests, configurations and
    /// layers, each once, what a manifest names before the manifest, the root last. An
    /// index may name platforms that the bundle does not hold; a delta whose base is
    /// not open leaves out what the base has.
    ///
    /// # Errors
    /// [`Error::NoBlob`] where the root, or a manifest that is there, lacks something,
    /// and see [`Error`].
    pub fn walk(&self, root: &Root) -> Result<Vec<Descriptor>, Error> {
        walk::walk(self, root)
    }
}

fn annotations(path: &Path, index: &Manifest) -> Result<Annotations, Error> {
    let mut all = index.annotations();
    let wrong = |key: &str, value: &str, what: &str| {
        let problem = format!("its annotation {key} is '{value}', which is no {what}");
        Error::not_bundle(path, problem)
    };
    let schema = match all.remove(SCHEMA) {
        None => None,
        Some(text) => Some(
            text.parse::<u32>()
                .map_err(|_| wrong(SCHEMA, &text, "number"))?,
        ),
    };
    if let Some(found) = schema.filter(|&schema| schema > SCHEMA_VERSION) {
        return Err(Error::later_bundle(path, found));
    }
    let base = match all.remove(BASE) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| wrong(BASE, &text, "digest"))?),
    };
    Ok(Annotations {
        name: all.remove(NAME),
        version: all.remove(VERSION),
        schema,
        base,
    })
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
