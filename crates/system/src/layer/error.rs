//! What can be wrong with a layer.

use std::io;

use super::limits::Limit;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::tree;

/// Why a layer can't be used. Entries are named as the archive writes them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream could not be read or decompressed.
    #[error("can't read the archive at byte {offset}")]
    Read {
        /// Bytes of the tar stream read before.
        offset: u64,
        /// What the reader said.
        source: io::Error,
    },
    /// The stream ends inside an entry.
    #[error("the archive ends at byte {offset}, inside '{entry}'")]
    Truncated {
        /// Bytes of the tar stream read before.
        offset: u64,
        /// The entry, or what else was being read.
        entry: String,
    },
    /// A header's checksum is wrong, so this is no tar archive or a damaged one.
    #[error("no valid tar header at byte {offset}")]
    Checksum {
        /// Where the header starts.
        offset: u64,
    },
    /// A lone zero block stands between entries; some readers stop there, some
    /// don't.
    #[error("the archive goes on after a single zero block at byte {offset}")]
    LoneZeroBlock {
        /// Where the zero block starts.
        offset: u64,
    },
    /// A field of a header or an extended header is malformed.
    #[error("entry '{entry}' at byte {offset}: {field} is {problem}")]
    Field {
        /// Where the entry's header starts.
        offset: u64,
        /// The entry.
        entry: String,
        /// The field or PAX keyword.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An extended header is malformed.
    #[error("the extended header at byte {offset} is malformed: {problem}")]
    ExtendedHeader {
        /// Where its header starts.
        offset: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// Header and PAX record state different sizes; readers differ in which
    /// they believe.
    #[error(
        "entry '{entry}' at byte {offset} has two sizes: {header} in its header, {pax} in its extended header"
    )]
    SizeDisagreement {
        /// Where the entry's header starts.
        offset: u64,
        /// The entry.
        entry: String,
        /// Size in the header.
        header: u64,
        /// Size in the PAX record.
        pax: u64,
    },
    /// An entry that has no data by its type states a size; readers differ in
    /// whether data follows.
    #[error("entry '{entry}' at byte {offset} is a {kind} and states {size} bytes of data")]
    UnexpectedData {
        /// Where the entry's header starts.
        offset: u64,
        /// The entry.
        entry: String,
        /// Its type.
        kind: &'static str,
        /// The size.
        size: u64,
    },
    /// A path has `..` or a NUL byte.
    #[error("unsafe entry '{entry}': {source}")]
    UnsafePath {
        /// The entry.
        entry: String,
        /// What is wrong with the path.
        source: tree::Error,
    },
    /// An entry's type is none that a layer may have.
    #[error("entry '{entry}' at byte {offset} has type '{}', which a layer can't have", .typeflag.escape_ascii())]
    Type {
        /// Where the entry's header starts.
        offset: u64,
        /// The entry.
        entry: String,
        /// The type flag.
        typeflag: u8,
    },
    /// The root itself is given as something that is no directory.
    #[error("entry '{entry}' makes the root something other than a directory")]
    RootNotDirectory {
        /// The entry.
        entry: String,
    },
    /// The map of a sparse file does not hold together.
    #[error("sparse file '{entry}' at byte {offset}: {problem}")]
    Sparse {
        /// Where the entry's header starts.
        offset: u64,
        /// The entry.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A limit is exceeded.
    #[error("more than {max} {limit}, at '{entry}'")]
    Limit {
        /// The limit.
        limit: Limit,
        /// Its value.
        max: u64,
        /// The entry, or what else was being read.
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

    /// An error of this type that was carried through an [`io::Error`] comes
    /// out again; any other is given back.
    pub(super) fn from_io(error: io::Error) -> Result<Self, io::Error> {
        match error.downcast::<Self>() {
            Ok(own) => Ok(own),
            Err(other) => Err(other),
        }
    }
}

impl From<Error> for io::Error {
    /// For readers and sinks, whose interface has only [`io::Error`]; get it
    /// back with [`io::Error::downcast`].
    fn from(error: Error) -> Self {
        let kind = match error.class() {
            Class::Io => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Sink { .. } => Class::Io,
            Self::Read { source, .. } if source.raw_os_error().is_some() => Class::Io,
            Self::Read { source, .. } => match source.kind() {
                // How decoders say that their input is damaged; zstd's says
                // "other", which no error of the system maps to.
                io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::Other => Class::Verification,
                _ => Class::Io,
            },
            _ => Class::Verification,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Limit { limit, .. } => Some(format!(
                "if this layer is trusted and really that large, raise '{}' under [limits] in the profile",
                limit.name()
            )),
            Self::UnsafePath { .. }
            | Self::SizeDisagreement { .. }
            | Self::UnexpectedData { .. }
            | Self::LoneZeroBlock { .. } => Some(
                "no usual tool writes such an archive; do not trust the image it comes from"
                    .to_owned(),
            ),
            Self::Truncated { .. } | Self::Checksum { .. } => {
                Some("the archive is damaged or no tar archive; fetch or make it again".to_owned())
            }
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
