//! Why packs, charts and manifests can't be used.

use std::io;
use std::path::PathBuf;

use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::process;

/// Why a pack, chart or manifest can't be read or searched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing at the path.
    #[error("'{}' does not exist", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A file or folder can't be read.
    #[error("'{}' can't be read", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An archive is damaged or is none.
    #[error("'{place}' is no archive that can be read: {problem}")]
    Archive {
        /// The archive.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A path in an archive leads out of it.
    #[error("'{place}' has the path '{path}', which leads out of the archive")]
    Escapes {
        /// The archive.
        place: String,
        /// The path within.
        path: String,
    },
    /// More than a pack or chart may have.
    #[error("'{place}' has more than {limit} {unit}")]
    TooLarge {
        /// The folder or archive.
        place: String,
        /// The limit.
        limit: u64,
        /// Of what: `files`, `bytes`.
        unit: &'static str,
    },
    /// A file that is no text.
    #[error("{file}: is not UTF-8 text")]
    NotText {
        /// The file.
        file: String,
    },
    /// A file of another syntax or shape than it must have.
    #[error("{file}:{line}:{column}: {problem}")]
    Syntax {
        /// The file.
        file: String,
        /// Its line, from 1.
        line: u64,
        /// Its column, from 1.
        column: u64,
        /// What is wrong.
        problem: String,
    },
    /// A file that must be there.
    #[error("'{place}' has no {file}")]
    NoFile {
        /// The folder or archive.
        place: String,
        /// The file.
        file: String,
    },
    /// Neither pack nor chart nor manifests.
    #[error("'{}' is neither a pack nor a chart nor manifests", path.display())]
    Unknown {
        /// The path.
        path: PathBuf,
    },
    /// A folder of packs or charts.
    #[error("'{}' holds packs or charts ({inside}); name each", path.display())]
    Several {
        /// The folder.
        path: PathBuf,
        /// The first of them.
        inside: String,
    },
    /// A pack or chart where manifests are meant.
    #[error("'{}' is a pack or chart, where manifests are meant", path.display())]
    NotManifests {
        /// The path.
        path: PathBuf,
    },
    /// A preset that the pack does not have.
    #[error("the pack '{pack}' has no preset '{preset}'; it has {}", list(known))]
    UnknownPreset {
        /// Name of the pack.
        pack: String,
        /// As asked for.
        preset: String,
        /// Those that it has, as `Group:name`.
        known: Vec<String>,
    },
    /// Two presets of one group.
    #[error("the presets '{first}' and '{second}' are of the same group: one can be on")]
    SameGroup {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// An archive that is not the one that was asked for.
    #[error("{place}: digest mismatch: expected {expected}, got {found}")]
    Digest {
        /// Where it came from.
        place: String,
        /// As asked for.
        expected: Digest,
        /// As it is.
        found: Digest,
    },
    /// Text that is no rule of where images are.
    #[error("'{rule}' says no place of images: {problem}")]
    Rule {
        /// The text.
        rule: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Helm failed on a chart.
    #[error("{chart} can't be rendered")]
    Helm {
        /// The chart.
        chart: String,
        /// What it said.
        #[source]
        source: Box<process::Error>,
    },
    /// A value can't be put into YAML.
    #[error("{what} can't be written as YAML: {problem}")]
    Write {
        /// What it is.
        what: String,
        /// What the writer says.
        problem: String,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Read { .. } => Class::Io,
            Self::Archive { .. } | Self::Digest { .. } => Class::Verification,
            Self::Helm { .. } => Class::Environment,
            Self::Write { .. } => Class::Bug,
            Self::Missing { .. }
            | Self::Escapes { .. }
            | Self::TooLarge { .. }
            | Self::NotText { .. }
            | Self::Syntax { .. }
            | Self::NoFile { .. }
            | Self::Unknown { .. }
            | Self::NotManifests { .. }
            | Self::Several { .. }
            | Self::UnknownPreset { .. }
            | Self::SameGroup { .. }
            | Self::Rule { .. } => Class::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some(
                "name a pack (with pack.json), a chart (with Chart.yaml), as folder or archive, \
                 or a .yaml, .yml or .json file, or a folder of such"
                    .to_owned(),
            ),
            Self::Digest { .. } => Some(
                "the chart was published anew or damaged; take its new digest only if its \
                 publisher says so"
                    .to_owned(),
            ),
            Self::Rule { .. } => Some(
                "write KIND: PATH, as in 'Widget: spec.engine.image', or env: NAME, as in \
                 'env: RELATED_IMAGE_*'"
                    .to_owned(),
            ),
            Self::Helm { .. } => Some(
                "give the values that the chart wants with --values, or search its values alone \
                 with --no-helm"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
