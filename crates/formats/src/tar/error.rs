//! What can be wrong with an archive.

use std::io;

use isoforge_base::error::{Class, Diagnose};
use isoforge_base::tree;

use super::limits::Limit;

/// Why an archive can't be used. Entries are named as the archive writes them.
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
}

impl Error {
    /// An error of this type that was carried through an [`io::Error`] comes
    /// out again; any other is given back.
    ///
    /// # Errors
    /// The error that was none of this type.
    pub fn from_io(error: io::Error) -> Result<Self, io::Error> {
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
