//! What can be wrong with packs, charts, manifests and bundles.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::yaml::Refused;
use isoforge_base::{output, process};
use isoforge_oci::registry::ShownUrl;

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
    /// A folder of packs or charts.
    #[error("'{}' holds packs or charts ({inside}); name each", path.display())]
    Several { path: PathBuf, inside: String },
    /// A pack or chart where manifests are meant.
    #[error("'{}' is a pack or chart, where manifests are meant", .0.display())]
    NotManifests(PathBuf),
    /// A preset that the pack does not have.
    #[error("the pack '{pack}' has no preset '{preset}'; it has {}", list(known))]
    UnknownPreset {
        pack: String,
        /// As asked for.
        preset: String,
        /// Those that it has, as `Group:name`.
        known: Vec<String>,
    },
    /// Two presets of one group.
    #[error("the presets '{first}' and '{second}' are of the same group: one can be on")]
    SameGroup { first: String, second: String },
    /// A pack that can't be packed.
    #[error("the pack '{place}' has errors:{}", problems.concat())]
    FaultyPack {
        place: String,
        /// Its errors, each on a line of its own that is indented.
        problems: Vec<String>,
    },
    /// A new pack's folder that has something in it.
    #[error("'{}' is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// A new pack that can't be written.
    #[error("the pack can't be written")]
    NotWritten(#[source] io::Error),
    /// Text that is no rule of where images are.
    #[error("'{rule}' says no place of images: {problem}")]
    Rule { rule: String, problem: String },
    /// Helm failed on a chart.
    #[error("{chart} can't be rendered")]
    Helm {
        chart: String,
        #[source]
        source: Box<process::Error>,
    },
    /// A value can't be put into YAML.
    #[error("{what} can't be written as YAML: {problem}")]
    Write { what: String, problem: String },
    /// A text that says no source of a chart.
    #[error("'{text}' names no chart: {problem}")]
    ChartSource { text: String, problem: String },
    /// The server of a chart did not deliver.
    #[error("can't download {what}")]
    Download {
        /// What: a chart or an index.
        what: String,
        source: Box<isoforge_oci::Error>,
    },
    /// What the registry has under the name is no chart.
    #[error("{reference} is no chart: {problem}")]
    NotChart { reference: String, problem: String },
    /// The repository has no such chart.
    #[error(
        "the chart repository {url} has no '{name}' {version}; {}",
        offer(known)
    )]
    NotListed {
        url: ShownUrl,
        name: String,
        version: String,
        known: Vec<String>,
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
    /// A chart of the cluster definition that is not among the bundle's.
    #[error("there is no chart {chart} ({digest}), which {named_by} names")]
    NoChart {
        chart: String,
        /// Digest of its archive.
        digest: Digest,
        /// The definition, and its layer.
        named_by: String,
    },
    /// There is no bundle at the path.
    #[error("there is no {}", .0.display())]
    NoBundle(PathBuf),
    /// Something else than a bundle, or a damaged one.
    #[error("{} is no bundle: {problem}", path.display())]
    NotBundle { path: PathBuf, problem: String },
    /// A bundle of a later version.
    #[error("{} has version {found} of the bundle format; this isoforge reads up to {known}", path.display())]
    BundleSchema {
        path: PathBuf,
        found: u32,
        /// The latest that can be read.
        known: u32,
    },
    /// An archive that can only be read from its start.
    #[error("{} is compressed in one piece, so it can't be read in place", path.display())]
    OnePiece {
        path: PathBuf,
        /// The program that decompresses it.
        program: &'static str,
    },
    /// A part of a split bundle.
    #[error("part {number} of {count} of a split bundle, {}: {problem}", path.display())]
    BundlePart {
        path: PathBuf,
        /// Its place, from 1 on.
        number: usize,
        count: usize,
        problem: String,
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
    /// An address that others can reach.
    #[error("{0} is no address of this machine alone")]
    NotLoopback(SocketAddr),
    /// An address that can't be listened on.
    #[error("can't listen on {address}: {problem}")]
    Listen {
        address: SocketAddr,
        problem: String,
    },
    /// Two different images of one name.
    #[error("{reference} names two things: {first} and {second}")]
    TwoRoots {
        reference: String,
        first: Digest,
        second: Digest,
    },
    /// A delta to a delta.
    #[error("{} is a delta itself, and no base for another", .0.display())]
    BaseIsDelta(PathBuf),
    /// Parts that are too small for what is to be split.
    #[error("the bundle would have more than {0} parts")]
    TooManyParts(usize),
    /// Indexes within indexes.
    #[error("{0}: indexes are nested too deep")]
    TooDeep(String),
    /// A bundle that is whole where a delta is needed.
    #[error("{} is no delta: it needs no base", .0.display())]
    NotDelta(PathBuf),
    /// A delta to another bundle.
    #[error("{} is a delta to the bundle {expected}, and {} is the bundle {found}", delta.display(), base.display())]
    WrongBase {
        delta: PathBuf,
        /// Digest of the `index.json` that it is made for.
        expected: Digest,
        base: PathBuf,
        found: Digest,
    },
    /// A registry, the store or a bundle's layout failed.
    #[error(transparent)]
    Oci(#[from] isoforge_oci::Error),
    /// Writing failed.
    #[error(transparent)]
    Output(#[from] output::Error),
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

fn offer(known: &[String]) -> String {
    const MOST: usize = 8;
    match known.get(..MOST) {
        _ if known.is_empty() => "it has no chart of that name".to_owned(),
        Some(first) if known.len() > MOST => format!("it has {}, …", first.join(", ")),
        _ => format!("it has {}", known.join(", ")),
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
            | Self::NotManifests(_)
            | Self::Several { .. }
            | Self::UnknownPreset { .. }
            | Self::SameGroup { .. }
            | Self::FaultyPack { .. }
            | Self::NotEmpty(_)
            | Self::Rule { .. }
            | Self::ChartSource { .. }
            | Self::NotChart { .. }
            | Self::NotListed { .. }
            | Self::NoBundle(_)
            | Self::NotDelta(_)
            | Self::BaseIsDelta(_)
            | Self::TwoRoots { .. }
            | Self::TooManyParts(_)
            | Self::NotLoopback(_)
            | Self::OnePiece { .. } => Class::Profile,
            Self::Archive { .. }
            | Self::Digest { .. }
            | Self::TooLong { .. }
            | Self::NoChart { .. }
            | Self::NotBundle { .. }
            | Self::BundleSchema { .. }
            | Self::BundlePart { .. }
            | Self::NoBlob { .. }
            | Self::DamagedBlob { .. }
            | Self::TooDeep(_)
            | Self::WrongBase { .. } => Class::Verification,
            Self::Helm { .. } | Self::Listen { .. } => Class::Environment,
            Self::Write { .. } => Class::Bug,
            Self::Read { .. } | Self::NotWritten(_) => Class::Io,
            // Damaged archives give such errors, too.
            Self::ReadBundle { source, .. } | Self::ReadBlob { source, .. } => {
                match source.kind() {
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                        Class::Verification
                    }
                    _ => Class::Io,
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
            Self::FaultyPack { .. } => "correct them; 'isoforge pack lint' says them with warnings",
            Self::NotEmpty(_) => "name a folder that is empty or not there; nothing is overwritten",
            Self::Rule { .. } => {
                "write KIND: PATH, as in 'Widget: spec.engine.image', or env: NAME, as in \
                 'env: RELATED_IMAGE_*'"
            }
            Self::Helm { .. } => {
                "give the values that the chart wants with --values, or search its values alone \
                 with --no-helm"
            }
            Self::ChartSource { .. } => {
                "write oci://HOST/REPOSITORY:VERSION, https://HOST/PATH#NAME:VERSION, the URL of a \
                 .tgz, or a path"
            }
            Self::NoChart { .. } => "build the bundle again, from a profile that has the chart",
            Self::BundlePart { .. } => "copy the part again from where the bundle comes from",
            Self::NotLoopback(_) => {
                "the server has no access control: listen on 127.0.0.1 or [::1]"
            }
            Self::TooManyParts(_) => "split it in larger parts",
            Self::Digest { found, .. } => &format!(
                "the chart was published anew or damaged; if its publisher says so, pin {found}"
            ),
            Self::OnePiece { path, program } => {
                &format!("decompress it first: {program} -d -k {}", path.display())
            }
            Self::WrongBase { expected, .. } => &format!(
                "give the bundle whose index.json has the digest {expected}: isoforge bundle inspect shows it"
            ),
            Self::BaseIsDelta(path) => &format!(
                "make it whole first: isoforge bundle apply BASE {}",
                path.display()
            ),
            Self::Output(error) => match error {
                output::Error::Exists { .. } => {
                    "give the bundle another name or version, or replace an archive with --force"
                }
                error => return error.hint(),
            },
            Self::Oci(error) => return error.hint(),
            Self::Download { source, .. } => return source.hint(),
            _ => return None,
        };
        Some(text.to_owned())
    }
}
