//! What can be wrong with a bundle.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{MAX_PARTS, SCHEMA_VERSION};
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::output;
use isoforge_formats::iso9660::read;
use isoforge_oci::registry;
use isoforge_oci::store;

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
    /// A blob that can't be read.
    #[error("blob {digest} can't be read")]
    Blob {
        /// Its digest.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// A blob that is not what its digest says.
    #[error("blob {digest} is damaged: its digest is {found}")]
    Damaged {
        /// As its name has it.
        digest: Digest,
        /// As it is.
        found: Digest,
    },
    /// An address that others can reach.
    #[error("{address} is no address of this machine alone")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// An address that can't be listened on.
    #[error("can't listen on {address}: {problem}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        problem: String,
    },
    /// Two different images of one name.
    #[error("{reference} names two things: {first} and {second}")]
    TwoRoots {
        /// Their name.
        reference: String,
        /// The first.
        first: Digest,
        /// The second.
        second: Digest,
    },
    /// A delta to a delta.
    #[error("{} is a delta itself, and no base for another", path.display())]
    BaseIsDelta {
        /// The bundle.
        path: PathBuf,
    },
    /// Parts that are too small for what is to be split.
    #[error("the bundle would have more than {MAX_PARTS} parts")]
    TooManyParts,
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
    /// The store failed.
    #[error(transparent)]
    Store(Box<store::Error>),
    /// Writing failed.
    #[error(transparent)]
    Output(Box<output::Error>),
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

/// Damaged archives give such errors, too.
fn read_class(error: &io::Error) -> Class {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Class::Verification,
        _ => Class::Io,
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::NotThere { .. }
            | Self::NotDelta { .. }
            | Self::BaseIsDelta { .. }
            | Self::TwoRoots { .. }
            | Self::TooManyParts
            | Self::NotLoopback { .. }
            | Self::OnePiece { .. } => Class::Profile,
            Self::Format { .. }
            | Self::Schema { .. }
            | Self::Part { .. }
            | Self::Missing { .. }
            | Self::Damaged { .. }
            | Self::TooDeep { .. }
            | Self::WrongBase { .. } => Class::Verification,
            Self::Listen { .. } => Class::Environment,
            Self::Iso { source, .. } => source.class(),
            Self::Layout(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Output(error) => error.class(),
            Self::Io { source, .. } | Self::Blob { source, .. } => read_class(source),
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
            Self::BaseIsDelta { path } => Some(format!(
                "make it whole first: isoforge bundle apply BASE {}",
                path.display()
            )),
            Self::NotLoopback { .. } => {
                Some("the server has no access control: listen on 127.0.0.1 or [::1]".into())
            }
            Self::TooManyParts => Some("split it in larger parts".into()),
            Self::Output(error) => match error.as_ref() {
                output::Error::Exists { .. } => Some(
                    "give the bundle another name or version, or replace an archive with --force"
                        .into(),
                ),
                error => error.hint(),
            },
            Self::Store(error) => error.hint(),
            Self::Layout(error) => error.hint(),
            _ => None,
        }
    }
}
