//! What somebody acts on among the errors of content; all others are only read, and
//! `anyhow`'s.

use std::io;
use std::path::{Path, PathBuf};

use isoforge_base::digest::Digest;

/// What is imported or installed is to blame, not this machine.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadSource(pub String);

/// An index or a record of the storage is no JSON of the right form, or not what its
/// digest says.
#[derive(Debug, thiserror::Error)]
#[error("'{}' is damaged: {problem}", path.display())]
pub struct BadRecord {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

impl BadRecord {
    /// What `problem` says of the file at `path`.
    pub(super) fn of(path: &Path, problem: impl ToString) -> anyhow::Error {
        let path = path.to_owned();
        let problem = problem.to_string();
        Self { path, problem }.into()
    }
}

impl BadSource {
    /// Something that the image `reference` needs is neither in the source `name` nor
    /// in the storage.
    pub(super) fn missing(name: &str, digest: &Digest, reference: &str) -> anyhow::Error {
        let text = format!(
            "{name} lacks {digest}, which {reference} needs, and the storage does not have it"
        );
        Self(text).into()
    }

    /// A blob has other bytes than its name says.
    pub(super) fn damaged(name: &str, digest: &Digest, found: Digest, bytes: u64) -> anyhow::Error {
        let text = format!("{name} is damaged: what should be {digest} is {found} ({bytes} bytes)");
        Self(text).into()
    }

    /// A blob is shorter or longer than its manifest says.
    pub(super) fn length(name: &str, digest: &Digest, expected: u64, found: u64) -> anyhow::Error {
        let text = format!("{name} is damaged: {digest} has {found} bytes, not {expected}");
        Self(text).into()
    }

    /// Reading a blob broke off.
    pub(super) fn read(name: &str, digest: &Digest, bytes: u64) -> Self {
        Self(format!(
            "{name}: reading {digest} failed after {bytes} bytes"
        ))
    }

    /// A name that can't be a repository of the registry.
    pub(super) fn name(reference: &str, problem: impl std::fmt::Display) -> anyhow::Error {
        Self(format!("'{reference}' can't be stored: {problem}")).into()
    }
}

/// An error about a file, for `map_err`; `action` follows "can't be".
pub(super) fn at(path: &Path, action: &str) -> impl FnOnce(io::Error) -> anyhow::Error {
    move |error| {
        let text = format!("'{}' can't be {action}", path.display());
        anyhow::Error::new(error).context(text)
    }
}
