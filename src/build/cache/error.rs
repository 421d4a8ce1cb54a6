//! What goes wrong with exports and imports.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::lock;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::output;
use isoforge_oci::manifest;
use isoforge_oci::registry;
use isoforge_oci::store;

/// A blob that a lock names and that is not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MissingBlob {
    pub(crate) digest: Digest,
    /// What it is, in the lock's words.
    pub(crate) what: String,
}

/// Why an input can't be carried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The store lacks some of the lock's input.
    #[error("the store lacks {} of what '{}' names:{}", blobs.len(), lock.display(), list(blobs))]
    Missing {
        lock: PathBuf,
        blobs: Vec<MissingBlob>,
    },
    /// An archive lacks some of its lock's input, and the store does too.
    #[error("'{}' is not complete; {} of what its lock names are missing:{}", path.display(), blobs.len(), list(blobs))]
    Incomplete {
        path: PathBuf,
        blobs: Vec<MissingBlob>,
    },
    /// A manifest in the store can't be understood.
    #[error("{digest} in the store can't be used")]
    Manifest {
        digest: Digest,
        source: Box<manifest::Error>,
    },
    /// A layout that `cache export` did not write.
    #[error("'{}' holds no lock: it is not what `isoforge cache export` writes", path.display())]
    NoLock { path: PathBuf },
    /// More of something than an export ever has.
    #[error("'{}' has more than {limit} {what}", path.display())]
    TooMany {
        path: PathBuf,
        what: &'static str,
        limit: usize,
    },
    /// A manifest names a blob that the archive does not have.
    #[error("'{}' lacks {digest}, {what}", path.display())]
    Lacks {
        path: PathBuf,
        digest: Digest,
        what: String,
    },
    /// A blob of the archive is not what it says.
    #[error("{what} in '{}' can't be taken", path.display())]
    Refused {
        path: PathBuf,
        what: String,
        source: Box<store::Error>,
    },
    /// A slab is not what it says.
    #[error("the slab {key} in '{}' can't be taken: {problem}", path.display())]
    Slab {
        path: PathBuf,
        key: String,
        problem: String,
    },
    /// Another file is where the lock shall go.
    #[error("'{}' is there already, and it is another lock", path.display())]
    OtherLock { path: PathBuf },
    /// The layout can't be read.
    #[error(transparent)]
    Layout(Box<registry::Error>),
    /// The lock can't be read.
    #[error(transparent)]
    Lock(Box<lock::Error>),
    /// The store failed.
    #[error(transparent)]
    Store(Box<store::Error>),
    /// The archive or folder can't be written.
    #[error(transparent)]
    Output(Box<output::Error>),
}

// Boxed, so that results stay small.
impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::Layout(Box::new(error))
    }
}

impl From<lock::Error> for Error {
    fn from(error: lock::Error) -> Self {
        Self::Lock(Box::new(error))
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<output::Error> for Error {
    fn from(error: output::Error) -> Self {
        Self::Output(Box::new(error))
    }
}

fn list(blobs: &[MissingBlob]) -> String {
    blobs.iter().fold(String::new(), |mut text, blob| {
        let _ = write!(text, "\n    {} {}", blob.digest, blob.what);
        text
    })
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Missing { .. } | Self::OtherLock { .. } => Class::Io,
            Self::NoLock { .. } => Class::Profile,
            Self::Incomplete { .. }
            | Self::TooMany { .. }
            | Self::Lacks { .. }
            | Self::Slab { .. } => Class::Verification,
            Self::Manifest { source, .. } => source.class(),
            Self::Refused { source, .. } => source.class(),
            Self::Layout(error) => error.class(),
            Self::Lock(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Output(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => {
                Some("bring it into the store with `isoforge pull PROFILE`".to_owned())
            }
            Self::Incomplete { .. } | Self::Lacks { .. } => {
                Some("export it again, and copy all of it".to_owned())
            }
            Self::OtherLock { .. } => Some("name another file with --lock-to".to_owned()),
            Self::NoLock { .. } => Some("name the archive or folder of an export".to_owned()),
            Self::Slab { .. } => Some("export again without --slabs".to_owned()),
            Self::TooMany { .. } => None,
            Self::Manifest { source, .. } => source.hint(),
            Self::Refused { source, .. } => match **source {
                store::Error::DigestMismatch { .. } | store::Error::SizeMismatch { .. } => {
                    Some("the export was changed or damaged: copy it again".to_owned())
                }
                _ => source.hint(),
            },
            Self::Layout(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Output(error) => error.hint(),
        }
    }
}
