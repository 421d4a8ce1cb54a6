//! What can go wrong with the store.

use std::io;
use std::path::PathBuf;

use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed; the source names the path.
    #[error("the store can't be read or written")]
    Io(#[from] io::Error),
    /// The store is from a newer version.
    #[error("{} is of version {found}, this isoforge knows versions up to {}", path.display(), super::VERSION)]
    Version {
        /// The file that says so.
        path: PathBuf,
        /// The version that it says.
        found: u32,
    },
    /// The file that gives the version is something else.
    #[error("{} does not give the version of a store", path.display())]
    NoStore {
        /// The file.
        path: PathBuf,
    },
    /// What was written is not what was announced.
    #[error("digest mismatch: expected {expected}, got {found}")]
    DigestMismatch {
        /// The digest that was announced.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// What was written has another size than announced.
    #[error("{digest} should have {expected} bytes, but has {found}")]
    SizeMismatch {
        /// The digest that was announced.
        digest: Digest,
        /// The size that was announced.
        expected: u64,
        /// The size of the bytes.
        found: u64,
    },
    /// A blob is not in the store.
    #[error("{digest} is not in the store ({} is missing)", path.display())]
    Missing {
        /// The blob's digest.
        digest: Digest,
        /// Where it would be.
        path: PathBuf,
    },
    /// A blob in the store was damaged after it was written.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The blob's file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Io(error) if is_full(error) => Class::Environment,
            Self::Io(_) | Self::Missing { .. } => Class::Io,
            Self::Version { .. } | Self::NoStore { .. } => Class::Environment,
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } | Self::Damaged { .. } => {
                Class::Verification
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Io(error) if is_full(error) => {
                Some("free disk space, or put the store on another file system".into())
            }
            Self::Io(error) if is_in_the_way(error) => {
                Some("name another folder with --cache-dir, or correct its owner and mode".into())
            }
            Self::Version { .. } => {
                Some("use the newer isoforge, or a store in another place".into())
            }
            Self::NoStore { .. } => Some("choose an empty or new folder for the store".into()),
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => Some(
                "do not trust this source: push the image again, or pull it from elsewhere".into(),
            ),
            Self::Damaged { path, .. } => Some(format!(
                "remove {} and build again; it is then fetched or made anew",
                path.display()
            )),
            _ => None,
        }
    }
}

/// Whether the store's place is not one that can be written to.
fn is_in_the_way(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
