//! What can be wrong with an overlay.

use std::io;

use crate::filter::PatternError;
use crate::tar_out;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::tree;
use isoforge_oci::store;

/// Why an overlay can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A template in it can't be filled in.
    #[error("{0}")]
    Render(Box<dyn Diagnose + Send + Sync>),
    /// A template in it is not UTF-8.
    #[error("'{path}' is not UTF-8 text (first at byte {offset})")]
    NotUtf8 {
        /// The template, with the overlay's path.
        path: String,
        /// The first byte that is none.
        offset: usize,
    },
    /// A file or directory on disk can't be read.
    #[error("overlay '{overlay}': can't read '{path}'")]
    Read {
        /// The overlay.
        overlay: String,
        /// The file in it.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A device, pipe or socket.
    #[error("overlay '{overlay}': '{path}' is {kind}")]
    SpecialFile {
        /// The overlay.
        overlay: String,
        /// The file in it.
        path: String,
        /// What it is, in words.
        kind: &'static str,
    },
    /// A file and a template would both become the same file.
    #[error("overlay '{overlay}': '{path}' comes both as it is and from '{path}.tera'")]
    Twice {
        /// The overlay.
        overlay: String,
        /// The file in it.
        path: String,
    },
    /// The manifest is malformed.
    #[error("{manifest}:{line}:{column}: {message}")]
    Manifest {
        /// The manifest's path in the project.
        manifest: String,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A value in the manifest is none of its kind.
    #[error("{manifest}: {key} = '{value}' is not {expected}")]
    Value {
        /// The manifest's path in the project.
        manifest: String,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A path pattern of the manifest is malformed.
    #[error("{manifest}: {source}")]
    Pattern {
        /// The manifest's path in the project.
        manifest: String,
        /// What is wrong.
        source: PatternError,
    },
    /// Attributes are set on nothing.
    #[error("{manifest}: '{pattern}' matches nothing in the overlay")]
    NoMatch {
        /// The manifest's path in the project.
        manifest: String,
        /// The pattern.
        pattern: String,
    },
    /// Something can't be put where the overlay or its manifest has it.
    #[error("overlay '{overlay}': {source}")]
    Tree {
        /// The overlay.
        overlay: String,
        /// What is wrong.
        source: tree::Error,
    },
    /// A link or directory of the manifest stands where the overlay has
    /// something else.
    #[error("{manifest}: '{path}' is in the overlay already")]
    Conflict {
        /// The manifest's path in the project.
        manifest: String,
        /// The path.
        path: String,
    },
    /// The overlay has more files than can be counted.
    #[error("overlay '{overlay}' has more than {} files", u32::MAX)]
    TooManyFiles {
        /// The overlay.
        overlay: String,
    },
    /// It can't be written as a layer.
    #[error("writing {name} as a layer")]
    Write {
        /// What it is called.
        name: String,
        /// What happened.
        source: Box<tar_out::Error>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Render(error) => error.class(),
            Self::Read { .. } => Class::Io,
            Self::Write { source, .. } => source.class(),
            Self::Store(error) => error.class(),
            _ => Class::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Render(error) => error.hint(),
            Self::Pattern { source, .. } => source.hint(),
            Self::Write { source, .. } => source.hint(),
            Self::Store(error) => error.hint(),
            Self::SpecialFile { .. } => {
                Some("an overlay holds files, directories and symbolic links only".to_owned())
            }
            Self::NoMatch { .. } => Some(
                "attributes are set on what the overlay itself has, not on the layers below"
                    .to_owned(),
            ),
            Self::Manifest { .. } => Some("docs/overlays.md describes the manifest".to_owned()),
            _ => None,
        }
    }
}
