//! What content comes from.

use std::fmt;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result};
use isoforge_base::digest::Digest;
pub use isoforge_content::bundle::Annotations;
use isoforge_content::bundle::{self, Bundle};
use isoforge_oci::manifest::Descriptor;

use super::BadSource;

/// What a root of a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something that the registry serves: an image, a pack, a chart.
    Content,
    /// A provider image, which becomes a slot.
    Provider,
}

/// An image of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its manifest or index.
    pub descriptor: Descriptor,
    /// Its name in full; none for what is about another image.
    pub reference: Option<String>,
    /// What it is.
    pub kind: Kind,
}

/// A blob's size in bytes, and its bytes, which are to be hashed.
pub type Opened = (u64, Box<dyn Read + Send>);

/// An opened source: a set of blobs, and which of them are images.
pub trait Source: fmt::Debug + Send + Sync {
    /// What errors and progress call it.
    fn name(&self) -> String;

    /// The images.
    fn roots(&self) -> &[Root];

    /// What the source says about itself.
    fn annotations(&self) -> &Annotations;

    /// The digest of its list of images, by which sources are told apart.
    fn digest(&self) -> Digest;

    /// Whether it has a blob.
    fn has(&self, digest: &Digest) -> Result<bool>;

    /// Opens a blob; none where it is not there.
    fn open(&self, digest: &Digest) -> Result<Option<Opened>>;
}

/// A bundle as a source.
#[derive(Debug)]
pub struct OfBundle {
    bundle: Bundle,
    roots: Vec<Root>,
}

impl OfBundle {
    /// Opens the bundle at `path`.
    ///
    /// # Errors
    /// [`isoforge_content::Error`].
    pub fn open(path: &Path) -> Result<Self, isoforge_content::Error> {
        let bundle = Bundle::open(path)?;
        let roots = bundle.roots().iter().map(root).collect();
        Ok(Self { bundle, roots })
    }
}

fn root(root: &bundle::Root) -> Root {
    Root {
        descriptor: root.descriptor.clone(),
        reference: Some(root.reference.clone()).filter(|text| !text.is_empty()),
        kind: match root.kind {
            bundle::Kind::Provider => Kind::Provider,
            _ => Kind::Content,
        },
    }
}

impl Source for OfBundle {
    fn name(&self) -> String {
        format!("the bundle '{}'", self.bundle.path().display())
    }

    fn roots(&self) -> &[Root] {
        &self.roots
    }

    fn annotations(&self) -> &Annotations {
        self.bundle.annotations()
    }

    fn digest(&self) -> Digest {
        self.bundle.digest()
    }

    fn has(&self, digest: &Digest) -> Result<bool> {
        let has = self.bundle.has_blob(digest);
        has.with_context(|| self.unreadable())
    }

    fn open(&self, digest: &Digest) -> Result<Option<Opened>> {
        let opened = self.bundle.open_blob(digest);
        opened.with_context(|| self.unreadable())
    }
}

impl OfBundle {
    fn unreadable(&self) -> BadSource {
        BadSource(format!("{} can't be read", self.name()))
    }
}
