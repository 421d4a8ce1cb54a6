//! What a push did.

use std::fmt;
use std::ops::AddAssign;

use serde::Serialize;

use isoforge_base::digest::Digest;
use isoforge_base::human;

/// Version of the report's JSON.
const SCHEMA: u32 = 1;

/// What a push did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of this format.
    pub schema: u32,
    /// Registry and repository.
    pub repository: String,
    /// Whether the registry was only asked.
    pub dry_run: bool,
    /// The images, in the order of their tags in the layout.
    pub images: Vec<ImageReport>,
}

/// What became of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageReport {
    /// Registry, repository and tag.
    pub reference: String,
    /// The tag.
    pub tag: String,
    /// Digest of the index or manifest that the tag leads to.
    pub digest: Digest,
    /// What became of it.
    pub state: State,
    /// Manifests and indexes.
    pub manifests: Manifests,
    /// Blobs that were sent.
    pub uploaded: Amount,
    /// Blobs that the registry took over from another repository.
    pub mounted: Amount,
    /// Blobs that the repository had.
    pub there: Amount,
}

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The tag leads to it now.
    Pushed,
    /// The tag led to it before.
    AlreadyThere,
    /// A dry run found that it is not there.
    WouldBePushed,
}

/// Numbers of manifests and indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Manifests {
    /// That were sent.
    pub pushed: u64,
    /// That were there.
    pub there: u64,
}

/// A number of blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub blobs: u64,
    /// Their bytes together.
    pub bytes: u64,
}

impl Amount {
    /// One more.
    pub(super) fn add(&mut self, bytes: u64) {
        *self += Self { blobs: 1, bytes };
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.blobs = self.blobs.saturating_add(other.blobs);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Report {
    pub(super) fn new(repository: &str, dry_run: bool) -> Self {
        Self {
            schema: SCHEMA,
            repository: repository.to_owned(),
            dry_run,
            images: Vec::new(),
        }
    }
}

impl ImageReport {
    pub(super) fn new(reference: &str, tag: &str, digest: Digest, dry_run: bool) -> Self {
        Self {
            reference: reference.to_owned(),
            tag: tag.to_owned(),
            digest,
            state: if dry_run {
                State::WouldBePushed
            } else {
                State::Pushed
            },
            manifests: Manifests::default(),
            uploaded: Amount::default(),
            mounted: Amount::default(),
            there: Amount::default(),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blobs = human::count(self.blobs, "blob");
        write!(f, "{blobs} ({})", human::size(self.bytes))
    }
}

impl fmt::Display for ImageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Pushed => "pushed",
            State::AlreadyThere => "already there",
            State::WouldBePushed => "would be pushed",
        };
        writeln!(f, "{}: {state}", self.reference)?;
        writeln!(f, "  {}", self.digest)?;
        writeln!(
            f,
            "  uploaded {}, mounted {}, already there {}",
            self.uploaded, self.mounted, self.there
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.images.iter().try_for_each(|image| image.fmt(f))
    }
}
