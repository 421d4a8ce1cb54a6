//! What can be wrong with a bundle.

use std::io;
use std::path::PathBuf;

use super::SCHEMA_VERSION;
use crate::error::{Class, Diagnose};
use crate::formats::iso9660::read;
use crate::oci::digest::Digest;
use crate::registry;

/// Why a bundle can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is there.
    #[error("there is no {}", path.display())]
    NotThere {
        /// Where it should be.
        path: PathBuf,
    },
    /// Something else than a bundle, or a damaged one.
    #[error("{} is no bundle: {problem}", path.display())]
    Format {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A bundle of a later version.
    #[error("{} has version {found} of the bundle format; this isoforge reads up to {SCHEMA_VERSION}", path.display())]
    Schema {
        /// The file or folder.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// An archive that can only be read from its start.
    #[error("{} is compressed in one piece, so it can't be read in place", path.display())]
    OnePiece {
        /// The archive.
        path: PathBuf,
        /// The program that decompresses it.
        program: &'static str,
    },
    /// A part of a split bundle.
    #[error("part {number} of {count} of a split bundle, {}: {problem}", path.display())]
    Part {
        /// The part.
        path: PathBuf,
        /// Its place, from 1 on.
        number: usize,
        /// How many there are.
        count: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The ISO image that it is on.
    #[error("{} can't be used", path.display())]
    Iso {
        /// The image.
        path: PathBuf,
        /// What is wrong.
        source: read::Error,
    },
    /// A blob that must be there is not.
    #[error("{place} is missing; {named_by} names it")]
    Missing {
        /// Where the blob should be, with its digest.
        place: String,
        /// The digest.
        digest: Digest,
        /// The reference or manifest that names it.
        named_by: String,
    },
    /// Indexes within indexes.
    #[error("{reference}: indexes are nested too deep")]
    TooDeep {
        /// The root.
        reference: String,
    },
    /// A bundle that is whole where a delta is needed.
    #[error("{} is no delta: it needs no base", path.display())]
    NotDelta {
        /// The bundle.
        path: PathBuf,
    },
    /// A delta to another bundle.
    #[error("{} is a delta to the bundle {expected}, and {} is the bundle {found}", delta.display(), base.display())]
    WrongBase {
        /// The delta.
        delta: PathBuf,
        /// Digest of the `index.json` that it is made for.
        expected: Digest,
        /// The bundle that was given.
        base: PathBuf,
        /// Digest of its `index.json`.
        found: Digest,
    },
    /// Reading the layout failed.
    #[error(transparent)]
    Layout(Box<registry::Error>),
    /// Reading failed.
    #[error("{} can't be read", path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::Layout(Box::new(error))
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::NotThere { .. } | Self::NotDelta { .. } | Self::OnePiece { .. } => Class::Profile,
            Self::Format { .. }
            | Self::Schema { .. }
            | Self::Part { .. }
            | Self::Missing { .. }
            | Self::TooDeep { .. }
            | Self::WrongBase { .. } => Class::Verification,
            Self::Iso { source, .. } => source.class(),
            Self::Layout(error) => error.class(),
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Class::Verification,
                _ => Class::Io,
            },
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::OnePiece { path, program } => Some(format!(
                "decompress it first: {program} -d -k {}",
                path.display()
            )),
            Self::Part { .. } => {
                Some("copy the part again from where the bundle comes from".into())
            }
            Self::WrongBase { expected, .. } => Some(format!(
                "give the bundle whose index.json has the digest {expected}: isoforge bundle inspect shows it"
            )),
            Self::Layout(error) => error.hint(),
            _ => None,
        }
    }
}
