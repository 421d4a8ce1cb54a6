//! What can be wrong with packs, charts, manifests and bundles.

use std::io;
use std::path::{Path, PathBuf};

use crate::bundle::SCHEMA_VERSION;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Cause, Class, Diagnose, Failure};
use isoforge_base::yaml::Refused;
use isoforge_base::{output, process};

/// Why a pack, chart, manifest or bundle can't be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// There is nothing at the path.
    #[error("'{}' does not exist", .0.display())]
    Missing(PathBuf),
    /// A file or folder can't be read.
    #[error("'{}' can't be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// An archive is damaged or is none.
    #[error("'{place}' is no archive that can be read: {problem}")]
    Archive { place: String, problem: String },
    /// A path in an archive leads out of it.
    #[error("'{place}' has the path '{path}', which leads out of the archive")]
    Escapes { place: String, path: String },
    /// More than a pack or chart may have.
    #[error("'{place}' has more than {limit} {unit}")]
    TooLarge {
        place: String,
        limit: u64,
        /// Of what: `files`, `bytes`.
        unit: &'static str,
    },
    /// A file that is no text.
    #[error("{0}: is not UTF-8 text")]
    NotText(String),
    /// A file of another syntax or shape than it must have.
    #[error("{file}:{line}:{column}: {problem}")]
    Syntax {
        file: String,
        /// Its line, from 1.
        line: u64,
        /// Its column, from 1.
        column: u64,
        problem: String,
    },
    /// A file that must be there.
    #[error("'{place}' has no {file}")]
    NoFile { place: String, file: String },
    /// Neither pack nor chart nor manifests.
    #[error("'{}' is neither a pack nor a chart nor manifests", .0.display())]
    Unknown(PathBuf),
    /// Helm failed on a chart.
    #[error("{chart} can't be rendered")]
    Helm {
        chart: String,
        #[source]
        source: Box<process::Error>,
    },
    /// Nothing was made of a kustomization.
    #[error("{place} can't be built")]
    Kustomize {
        place: String,
        #[source]
        source: Box<process::Error>,
    },
    /// The server of a chart did not deliver.
    #[error("can't download {what}")]
    Download {
        /// What: a chart or an index.
        what: String,
        source: Box<isoforge_oci::Error>,
    },
    /// Another archive came than was asked for.
    #[error("{place}: digest mismatch: expected {expected}, got {found}")]
    Digest {
        place: String,
        /// As asked for or as the index says.
        expected: Digest,
        found: Digest,
    },
    /// A download of more bytes than the limit.
    #[error("{place}: more than {limit} bytes")]
    TooLong { place: String, limit: u64 },
    /// Something else than a bundle, or a damaged one.
    #[error("{} is no bundle: {problem}", path.display())]
    NotBundle { path: PathBuf, problem: String },
    /// An archive that can only be read from its start.
    #[error("{} is compressed in one piece, so it can't be read in place", path.display())]
    OnePiece {
        path: PathBuf,
        /// The program that decompresses it.
        program: &'static str,
    },
    /// The ISO image that a bundle is on.
    #[error("{} can't be used", path.display())]
    Iso {
        path: PathBuf,
        source: isoforge_formats::Error,
    },
    /// A file of a bundle can't be read.
    #[error("{} can't be read", path.display())]
    ReadBundle { path: PathBuf, source: io::Error },
    /// A blob that must be there is not.
    #[error("{place} is missing; {named_by} names it")]
    NoBlob {
        /// Where the blob should be, with its digest.
        place: String,
        digest: Digest,
        named_by: String,
    },
    /// A blob that can't be read.
    #[error("blob {digest} can't be read")]
    ReadBlob { digest: Digest, source: io::Error },
    /// A blob that is not what its digest says.
    #[error("blob {digest} is damaged: its digest is {found}")]
    DamagedBlob {
        /// As its name has it.
        digest: Digest,
        found: Digest,
    },
    /// A registry, the store or a bundle's layout failed.
    #[error(transparent)]
    Oci(#[from] isoforge_oci::Error),
    /// Writing failed.
    #[error(transparent)]
    Output(#[from] output::Error),
    /// What nobody acts on.
    #[error(transparent)]
    Other(Cause),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Other(failure.into())
    }
}

/// What the system said of a path that the user named.
pub(crate) fn read(path: &Path) -> impl Fn(io::Error) -> Error + Copy {
    |source| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing(path.to_owned()),
        _ => Error::Read {
            path: path.to_owned(),
            source,
        },
    }
}

/// What the system said of a file that is written.
pub(crate) fn writing(source: io::Error) -> Error {
    output::Error::from(source).into()
}

/// What the system said of a bundle's file.
pub(crate) fn read_bundle(path: &Path) -> impl Fn(io::Error) -> Error + Copy {
    |source| Error::ReadBundle {
        path: path.to_owned(),
        source,
    }
}

impl Error {
    pub(crate) fn syntax(file: &str, refused: Refused) -> Self {
        Self::Syntax {
            file: file.to_owned(),
            line: refused.line,
            column: refused.column,
            problem: refused.problem,
        }
    }

    /// The text of `file`.
    pub(crate) fn text(bytes: Vec<u8>, file: &str) -> Result<String, Self> {
        String::from_utf8(bytes).map_err(|_| Self::NotText(file.to_owned()))
    }

    pub(crate) fn archive(place: &str, problem: impl ToString) -> Self {
        Self::Archive {
            place: place.to_owned(),
            problem: problem.to_string(),
        }
    }

    /// What the user asked for in vain; `message` is all that there is to say.
    pub(crate) fn asked(message: impl Into<String>) -> Failure {
        Failure::new(Class::Profile, message)
    }

    /// Something that is damaged or does not fit; `message` is all that there is to say.
    pub(crate) fn unfit(message: impl Into<String>) -> Failure {
        Failure::new(Class::Verification, message)
    }

    /// A bundle of a later version.
    pub(crate) fn later_bundle(path: &Path, found: u32) -> Self {
        let path = path.display();
        Self::unfit(format!(
            "{path} has version {found} of the bundle format; this isoforge reads up to {SCHEMA_VERSION}"
        ))
        .into()
    }

    pub(crate) fn not_bundle(path: &Path, problem: impl Into<String>) -> Self {
        Self::NotBundle {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Missing(_)
            | Self::Escapes { .. }
            | Self::TooLarge { .. }
            | Self::NotText(_)
            | Self::Syntax { .. }
            | Self::NoFile { .. }
            | Self::Unknown(_)
            | Self::OnePiece { .. } => Class::Profile,
            Self::Archive { .. }
            | Self::Digest { .. }
            | Self::TooLong { .. }
            | Self::NotBundle { .. }
            | Self::NoBlob { .. }
            | Self::DamagedBlob { .. } => Class::Verification,
            Self::Helm { .. } | Self::Kustomize { .. } => Class::Environment,
            Self::Read { source, .. } => source.class(),
            Self::Other(cause) => cause.class(),
            // Damaged archives give such errors, too.
            Self::ReadBundle { source, .. } | Self::ReadBlob { source, .. } => {
                match source.kind() {
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                        Class::Verification
                    }
                    _ => source.class(),
                }
            }
            Self::Iso { source, .. } => source.class(),
            Self::Download { source, .. } => source.class(),
            Self::Oci(error) => error.class(),
            Self::Output(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        let text: &str = match self {
            Self::Unknown(_) => {
                "name a pack (with pack.json), a chart (with Chart.yaml), as folder or archive, \
                 or a .yaml, .yml or .json file, or a folder of such"
            }
            Self::Helm { .. } => {
                "give the values that the chart wants with --values, or search its values alone \
                 with --no-helm"
            }
            Self::Digest { found, .. } => &format!(
                "the chart was published anew or damaged; if its publisher says so, pin {found}"
            ),
            Self::DamagedBlob { .. } => {
                "a bundle has to be copied or made again; what is damaged in the store is removed \
                 by `isoforge cache verify --repair`, and then fetched or made anew"
            }
            Self::OnePiece { path, program } => {
                &format!("decompress it first: {program} -d -k {}", path.display())
            }
            Self::Output(error) => match error {
                output::Error::Exists { .. } => {
                    "give the bundle another name or version, or replace an archive with --force"
                }
                error => return error.hint(),
            },
            Self::Other(cause) => return cause.hint(),
            Self::Oci(error) => return error.hint(),
            Self::Download { source, .. } => return source.hint(),
            Self::Read { source, .. }
            | Self::ReadBundle { source, .. }
            | Self::ReadBlob { source, .. } => return source.hint(),
            _ => return None,
        };
        Some(text.to_owned())
    }
}
