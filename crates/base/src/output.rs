//! The only writer of artifacts.
//!
//! A build's artifacts lie together in one directory, `<base>/<name>-<version>/`.
//! [`OutputDir`] writes each of them under a temporary name beside its final
//! place, and gives all of them their names in one go when every one is
//! complete and on disk. Until then an earlier build's artifacts stay as they
//! are; after an error nothing partial is left.
//!
//! [`space`] checks before the work starts that what will be written fits;
//! the build manifest, which is the contract's, records what went in and came out.
//!
//! Invariants:
//! - A final name is only ever given to a complete, fsynced file.
//! - The manifest gets its name last, so one that is there tells of files that
//!   are there.
//! - At most one build writes into an output directory at a time (advisory
//!   lock); what a killed one left is removed by the next.

use std::io;
use std::path::PathBuf;

use crate::error::{Class, Diagnose, is_full};

mod dir;
mod private;
mod replace;
mod single;
pub mod space;
#[cfg(test)]
mod testing;
mod together;

pub use dir::{CHECKSUM_SUFFIX, check_name, checksum_line};
pub use dir::{Finished, OutputDir, Pending};
pub use private::replace_private;
pub use replace::replace;
pub use single::{new_files, new_folder, replace_with};

/// What can go wrong with the output.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The output directory can't be made or written to.
    #[error("the output directory '{}' is not writable", path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another build writes to the directory.
    #[error("another isoforge is writing to '{}'", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// A name that is no plain file name.
    #[error("'{name}' can't be the name of an output file")]
    BadName {
        /// The name.
        name: String,
    },
    /// Two outputs of one build have the same name.
    #[error("two outputs are named '{name}'")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// Not enough room on a file system.
    #[error(
        "not enough disk space at '{}': {purpose} needs {needed_bytes} bytes, {available_bytes} bytes are available",
        path.display()
    )]
    NoSpace {
        /// A directory on the file system.
        path: PathBuf,
        /// What the room is for.
        purpose: String,
        /// How much is needed.
        needed_bytes: u64,
        /// How much an unprivileged user can still write.
        available_bytes: u64,
    },
    /// What is to be written is there already.
    #[error("'{}' is there already", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file can't be replaced.
    #[error("'{}' can't be written", path.display())]
    Replace {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A manifest can't be put into words.
    #[error("the build manifest can't be written as JSON")]
    Manifest(#[source] serde_json::Error),
    /// Reading or writing failed.
    #[error("writing output failed")]
    Io(#[from] io::Error),
}

const MORE_SPACE: &str =
    "free some space, or name directories on a larger file system with --output and --cache-dir";

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Io(error)
            | Self::Replace { source: error, .. }
            | Self::NotWritable { source: error, .. } => error.class(),
            Self::Busy { .. } | Self::NoSpace { .. } => Class::Environment,
            Self::BadName { .. } | Self::Exists { .. } => Class::Profile,
            Self::DuplicateName { .. } | Self::Manifest(_) => Class::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotWritable { source, .. } if !is_full(source) => {
                Some("name another directory with --output, or correct its owner and mode".into())
            }
            Self::Busy { .. } => {
                Some("wait for it to end, or name another directory with --output".into())
            }
            Self::Io(error)
            | Self::Replace { source: error, .. }
            | Self::NotWritable { source: error, .. } => match is_full(error) {
                true => Some(MORE_SPACE.into()),
                false => error.hint(),
            },
            Self::NoSpace { .. } => Some(MORE_SPACE.into()),
            Self::BadName { .. } => Some(
                "use letters, digits, '.', '_', '+' and '-' in appliance.name and appliance.version"
                    .into(),
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_fills_up_is_the_environments_failure() {
        let full = Error::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.class(), Class::Environment);
        assert!(full.hint().is_some());
        let other = Error::from(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(other.class(), Class::Io);
    }
}
