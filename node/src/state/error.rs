//! Why the state of a machine can't be laid out, or read.

use std::io;
use std::path::PathBuf;

/// Why the state of a machine can't be laid out, or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the kernel command line has no '{name}='")]
    Argument { name: &'static str },
    #[error("kernel argument '{name}={value}': {reason}")]
    Value {
        name: &'static str,
        value: String,
        reason: &'static str,
    },
    #[error("the file system {name} (UUID {uuid}) did not appear within {seconds} s")]
    Device {
        name: String,
        uuid: String,
        seconds: u64,
    },
    #[error("can't mount {what} at {}", .target.display())]
    Mount {
        what: String,
        target: PathBuf,
        source: io::Error,
    },
    #[error("can't enter '{path}' in the root file system at {}", .root.display())]
    Enter {
        path: String,
        root: PathBuf,
        source: io::Error,
    },
    #[error(
        "the root file system has no directory '{path}' to mount on, and is read-only: it must be in the image"
    )]
    MountPoint { path: String },
    #[error("'{path}' can't be kept: it must be absolute, without '.' and '..', and below /")]
    KeptPath { path: String },
    #[error("{}: {reason}", .path.display())]
    File { path: PathBuf, reason: String },
    #[error("can't merge the accounts that were kept into the slot's")]
    Accounts(#[from] crate::accounts::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<rustix::io::Errno> for Error {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Io(errno.into())
    }
}
