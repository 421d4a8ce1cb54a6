//! Why the state of a machine can't be laid out, or read.

use std::io;
use std::path::PathBuf;

/// Why the state of a machine can't be laid out, or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel command line lacks an argument.
    #[error("the kernel command line has no '{name}='")]
    Argument {
        /// Its name.
        name: &'static str,
    },
    /// An argument of the kernel command line can't be understood.
    #[error("kernel argument '{name}={value}': {reason}")]
    Value {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file system is not there.
    #[error("the file system {name} (UUID {uuid}) did not appear within {seconds} s")]
    Device {
        /// What it is.
        name: String,
        /// By what it is looked for.
        uuid: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Something can't be mounted.
    #[error("can't mount {what} at {}", .target.display())]
    Mount {
        /// What.
        what: String,
        /// Where.
        target: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A path within a root file system leads nowhere.
    #[error("can't enter '{path}' in the root file system at {}", .root.display())]
    Enter {
        /// The path.
        path: String,
        /// The root.
        root: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The read-only root lacks a directory that something is mounted on.
    #[error(
        "the root file system has no directory '{path}' to mount on, and is read-only: it must be in the image"
    )]
    MountPoint {
        /// The path.
        path: String,
    },
    /// A path of the configuration that can't be kept.
    #[error("'{path}' can't be kept: it must be absolute, without '.' and '..', and below /")]
    KeptPath {
        /// The path.
        path: String,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Accounts can't be merged into the slot's.
    #[error("can't merge the accounts that were kept into the slot's")]
    Accounts(#[from] crate::accounts::Error),
    /// A file can't be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<rustix::io::Errno> for Error {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Io(errno.into())
    }
}
