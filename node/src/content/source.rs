//! What content comes from.

use std::collections::BTreeMap;
use std::io::Read;

use isoforge::oci::digest::Digest;
use isoforge::oci::manifest::Descriptor;

use super::Error;

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
pub trait Source {
    /// What errors and progress call it.
    fn name(&self) -> String;

    /// The images.
    fn roots(&self) -> &[Root];

    /// What the source says about itself.
    fn annotations(&self) -> &BTreeMap<String, String>;

    /// The digest of its list of images, by which sources are told apart.
    fn digest(&self) -> Digest;

    /// Whether it has a blob.
    fn has(&self, digest: &Digest) -> bool;

    /// Opens a blob; none where it is not there.
    ///
    /// # Errors
    /// [`Error::Source`].
    fn open(&self, digest: &Digest) -> Result<Option<Opened>, Error>;
}
