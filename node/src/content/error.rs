//! Why content can't be imported, checked or handed out.

use std::io;
use std::path::PathBuf;

use isoforge_base::digest::Digest;

/// Why content can't be imported, checked or handed out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the storage can't be read or written.
    #[error("'{}' can't be {action}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, as it follows "can't be".
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The storage's file system is full.
    #[error(
        "the storage '{}' is full: writing {digest} ({bytes} bytes) failed; what was imported before stays, and the next import goes on from there",
        path.display()
    )]
    Full {
        /// The storage.
        path: PathBuf,
        /// The blob that did not fit.
        digest: Digest,
        /// Its size in bytes.
        bytes: u64,
    },
    /// The content needs more room than there is.
    #[error(
        "the content needs {needed} bytes in '{}', {available} are available; nothing was imported",
        path.display()
    )]
    NoRoom {
        /// The storage.
        path: PathBuf,
        /// What it needs, in bytes.
        needed: u64,
        /// What there is, in bytes.
        available: u64,
    },
    /// Another import or clean-up is at work.
    #[error("another program changes the storage '{}'", .0.display())]
    Busy(PathBuf),
    /// The source can't be read.
    #[error("{name} can't be read")]
    Source {
        /// The source, in words.
        name: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Reading a blob of the source broke off.
    #[error("{name}: reading {digest} failed after {bytes} bytes")]
    Read {
        /// The source, in words.
        name: String,
        /// The blob.
        digest: Digest,
        /// Bytes read before.
        bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A blob of the source has other bytes than its name says.
    #[error("{name} is damaged: what should be {digest} is {found} ({bytes} bytes)")]
    Damaged {
        /// The source, in words.
        name: String,
        /// What it should be.
        digest: Digest,
        /// What it is.
        found: Digest,
        /// Bytes that were read.
        bytes: u64,
    },
    /// A blob of the source is shorter or longer than its manifest says.
    #[error("{name} is damaged: {digest} has {found} bytes, not {expected}")]
    Length {
        /// The source, in words.
        name: String,
        /// The blob.
        digest: Digest,
        /// Its size in bytes by the manifest.
        expected: u64,
        /// Its size.
        found: u64,
    },
    /// A manifest is none.
    #[error("the manifest {digest} of {reference} can't be used")]
    Manifest {
        /// The image.
        reference: String,
        /// The manifest.
        digest: Digest,
        /// What is wrong with it.
        source: Box<isoforge_oci::Error>,
    },
    /// Something that an image needs is neither in the source nor in the storage.
    #[error("{name} lacks {digest}, which {reference} needs, and the storage does not have it")]
    Missing {
        /// The source, in words.
        name: String,
        /// The image.
        reference: String,
        /// What lacks.
        digest: Digest,
    },
    /// An index of which nothing is there.
    #[error("{name} has the index {reference}, but no image of it")]
    NoPlatform {
        /// The source, in words.
        name: String,
        /// The image.
        reference: String,
    },
    /// Indexes lie in each other, deeper than anything real.
    #[error("{name}: the indexes of {reference} lie in each other too deep")]
    Nested {
        /// The source, in words.
        name: String,
        /// The image.
        reference: String,
    },
    /// A root's name can't be a repository of the registry.
    #[error("'{reference}' can't be stored: {problem}")]
    Name {
        /// The name.
        reference: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two roots of a source have one name.
    #[error("{name} has two different images with the name {reference}: {first} and {second}")]
    Ambiguous {
        /// The source, in words.
        name: String,
        /// Their name.
        reference: String,
        /// One of them.
        first: Digest,
        /// The other.
        second: Digest,
    },
    /// Another bundle of the same name and version was imported before.
    #[error(
        "a different bundle {bundle} {version} was imported before ({before}, this one is {now}); give the new one another version, or import it with --replace"
    )]
    SameName {
        /// The bundle's name.
        bundle: String,
        /// Its version.
        version: String,
        /// The index of the one that was imported.
        before: Digest,
        /// The index of this one.
        now: Digest,
    },
    /// A delta whose base is not there.
    #[error(
        "{name} holds only what its base lacks, and that base ({base}) was not imported here; import the base first"
    )]
    WrongBase {
        /// The source, in words.
        name: String,
        /// The digest of the base's index.
        base: Digest,
    },
    /// An index or a record of the storage is no JSON of the right form.
    #[error("'{}' is damaged: {problem}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// What is asked for is not in the storage.
    #[error("the storage has no '{0}'")]
    Unknown(String),
    /// The registry can't be stopped or started.
    #[error("the registry can't be {action}")]
    Service {
        /// What was tried, as it follows "can't be".
        action: &'static str,
        /// What failed.
        source: Box<isoforge_base::process::Error>,
    },
    /// It was started, and does not answer.
    #[error("the registry does not answer on port {port} within {seconds} s; what was done to its content stays (journalctl --unit {UNIT})", UNIT = super::commit::UNIT)]
    Silent {
        /// Its port.
        port: u16,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A registry can't be talked to, or did not take it.
    #[error(transparent)]
    Oci(#[from] isoforge_oci::Error),
}

impl Error {
    /// Whether what is imported is to blame.
    #[must_use]
    pub fn is_of_the_source(&self) -> bool {
        matches!(
            self,
            Self::Source { .. }
                | Self::Read { .. }
                | Self::Damaged { .. }
                | Self::Length { .. }
                | Self::Manifest { .. }
                | Self::Missing { .. }
                | Self::NoPlatform { .. }
                | Self::Nested { .. }
                | Self::Name { .. }
                | Self::Ambiguous { .. }
        )
    }

    /// An error about a file, for `map_err`.
    pub(crate) fn file(
        path: impl Into<PathBuf>,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            path,
            action,
            source,
        }
    }
}
