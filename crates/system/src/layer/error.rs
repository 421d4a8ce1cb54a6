//! What can be wrong with a layer.

use std::io;

use isoforge_base::error::{Class, Diagnose};
use isoforge_base::tree;
use isoforge_formats::tar;

/// Why a layer can't be used. Entries are named as the archive writes them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its archive can't be read.
    #[error(transparent)]
    Archive(#[from] tar::Error),
    /// The root itself is given as something that is no directory.
    #[error("entry '{entry}' makes the root something other than a directory")]
    RootNotDirectory {
        /// The entry.
        entry: String,
    },
    /// A hard link's target is neither in this layer before it nor below.
    #[error("hard link '{entry}' leads to '{target}', which does not exist")]
    LinkTarget {
        /// The link.
        entry: String,
        /// Where it leads.
        target: String,
    },
    /// An entry can't be laid into the tree.
    #[error("entry '{entry}': {source}")]
    Merge {
        /// The entry.
        entry: String,
        /// What the tree said.
        source: tree::Error,
    },
    /// What takes the files' data failed.
    #[error("can't keep the data of '{entry}'")]
    Sink {
        /// The entry.
        entry: String,
        /// What the sink said.
        source: io::Error,
    },
}

impl Error {
    /// Says which layer it was; `layer` is its digest or a name that the user
    /// knows.
    #[must_use]
    pub fn in_layer(self, layer: impl Into<String>) -> InLayer {
        InLayer {
            layer: layer.into(),
            source: Box::new(self),
        }
    }

    /// What handing the data of `entry` to a sink gave.
    pub(super) fn of_sink(error: io::Error, entry: &str) -> Self {
        match tar::Error::from_io(error) {
            Ok(error) => Self::Archive(error),
            Err(source) => Self::Sink {
                entry: entry.to_owned(),
                source,
            },
        }
    }

    /// What reading the stream of an archive gave.
    #[must_use]
    pub fn of_stream(error: io::Error) -> Self {
        let read = |source| tar::Error::Read { offset: 0, source };
        Self::Archive(tar::Error::from_io(error).unwrap_or_else(read))
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Archive(error) => error.class(),
            Self::Sink { .. } => Class::Io,
            _ => Class::Verification,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Archive(error) => error.hint(),
            _ => None,
        }
    }
}

/// An [`Error`] with the layer in which it was found.
#[derive(Debug, thiserror::Error)]
#[error("layer {layer}: {source}")]
pub struct InLayer {
    /// Digest or name of the layer.
    pub layer: String,
    /// What is wrong.
    pub source: Box<Error>,
}

impl Diagnose for InLayer {
    fn class(&self) -> Class {
        self.source.class()
    }

    fn hint(&self) -> Option<String> {
        self.source.hint()
    }
}
