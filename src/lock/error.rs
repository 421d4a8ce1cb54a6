//! What can be wrong with a lock.

use std::io;
use std::path::PathBuf;

use super::{Drift, MAX_LOCK_BYTES, REVISION, VERSION};
use isoforge_base::error::{Class, Diagnose};

/// Why a lock can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value of the lock is none of TOML's.
    #[error(transparent)]
    Encode(#[from] toml::ser::Error),
    /// The file can't be read.
    #[error("can't read the lock file '{}'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Of an incompatible version.
    #[error(
        "'{}' is a lock file of version {found}; this isoforge reads version {VERSION}",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u64,
    },
    /// No lock file, or a damaged one.
    #[error("'{}' is no sound lock file: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line where it is known.
        problem: String,
    },
    /// More bytes than a lock may have.
    #[error("'{}' has more than {MAX_LOCK_BYTES} bytes, too many for a lock file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A later revision of the same version can be used, but not rewritten.
    #[error(
        "'{}' is a lock file of revision {found}, of which this isoforge knows {REVISION}; \
         writing it would lose what is new in it",
        path.display()
    )]
    NewerRevision {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
    },
    /// The lock belongs to another profile.
    #[error("the lock file '{}' was made for the profile '{found}', not for '{wanted}'", path.display())]
    OtherProfile {
        /// The file.
        path: PathBuf,
        /// The profile that it names.
        found: String,
        /// The profile that is worked with.
        wanted: String,
    },
    /// There is no lock where one is needed.
    #[error("there is no lock file '{}'", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// The inputs are not those of the lock.
    #[error("the lock file '{}' is out of date:\n{}", path.display(), list(drifts))]
    Drift {
        /// The file.
        path: PathBuf,
        /// Every input that moved.
        drifts: Vec<Drift>,
    },
}

/// One line for each input that moved.
fn list(drifts: &[Drift]) -> String {
    let lines: Vec<String> = drifts.iter().map(|drift| format!("  {drift}")).collect();
    lines.join("\n")
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Encode(_) => Class::Bug,
            Self::Read { .. } => Class::Io,
            Self::Version { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::OtherProfile { .. }
            | Self::NewerRevision { .. } => Class::Profile,
            Self::Missing { .. } | Self::Drift { .. } => Class::LockDrift,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Encode(_) | Self::Read { .. } | Self::TooLarge { .. } => None,
            Self::Version { found, .. } if *found > u64::from(VERSION) => {
                Some("use a newer isoforge, or remove the file and lock anew".into())
            }
            Self::Version { .. } | Self::Malformed { .. } => {
                Some("restore it from version control, or remove it and lock anew".into())
            }
            Self::NewerRevision { .. } => Some("use a newer isoforge to change this lock".into()),
            Self::OtherProfile { .. } => Some("name another file with --lock".into()),
            Self::Missing { .. } => Some("write one with `isoforge lock`".into()),
            Self::Drift { .. } => Some(
                "where these changes are meant, run `isoforge lock` and commit the file".into(),
            ),
        }
    }
}
