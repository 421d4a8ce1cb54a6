//! What can be wrong with a file of a format, and with what one is to be made of.

use std::borrow::Cow;
use std::io;

use isoforge_base::error::{Class, Diagnose, is_full};

use crate::tar::Limit;

/// Why a file can't be read or made. What nobody tells apart is one variant, with its
/// own text, class and hint; offsets count bytes, paths are lossily decoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bytes contradict their format, or it can't hold what it is to hold.
    #[error("{problem}")]
    Invalid {
        /// [`Class::Verification`] of what was read, [`Class::Profile`] of what was to
        /// be written, [`Class::Bug`] where only isoforge itself can be wrong.
        class: Class,
        /// What is wrong, with its path or offset and its value.
        problem: String,
        /// What to do about it.
        hint: Option<&'static str>,
        /// What else said so.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Reading or writing failed.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: Cow<'static, str>,
        /// What the system said.
        source: io::Error,
    },
    /// A tar stream could not be read or decompressed.
    #[error("can't read the archive at byte {offset}")]
    Read {
        /// Bytes of the tar stream read before.
        offset: u64,
        /// What the reader said.
        source: io::Error,
    },
    /// A tar stream ends inside an entry.
    #[error("the archive ends at byte {offset}, inside '{entry}'")]
    Truncated {
        /// Bytes of the tar stream read before.
        offset: u64,
        /// The entry, or what else was being read.
        entry: String,
    },
    /// A tar header's checksum is wrong, so this is no archive or a damaged one.
    #[error("no valid tar header at byte {offset}")]
    Checksum {
        /// Where the header starts.
        offset: u64,
    },
    /// A limit of tar archives is exceeded.
    #[error("more than {max} {limit}, at '{entry}'")]
    Limit {
        /// Which.
        limit: Limit,
        /// Its value.
        max: u64,
        /// The entry, or what else was being read.
        entry: String,
    },
    /// The packed data that an image is made of is not what it was.
    #[error("the packed data of '{path}' in {layer} is damaged at offset {offset}")]
    PackedData {
        /// A file whose data it is.
        path: String,
        /// The layer.
        layer: String,
        /// Where in the packed data.
        offset: u64,
    },
}

impl Error {
    /// What was read is not as its format says.
    pub(crate) fn damaged(problem: impl Into<String>) -> Self {
        Self::new(Class::Verification, problem)
    }

    /// What is to be written is more than the format holds.
    pub(crate) fn unfit(problem: impl Into<String>) -> Self {
        Self::new(Class::Profile, problem)
    }

    pub(crate) fn new(class: Class, problem: impl Into<String>) -> Self {
        Self::Invalid {
            class,
            problem: problem.into(),
            hint: None,
            source: None,
        }
    }

    /// Reading or writing failed while `doing` this.
    pub(crate) fn io(doing: impl Into<Cow<'static, str>>) -> impl Fn(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io {
            doing: doing.clone(),
            source,
        }
    }

    pub(crate) fn because(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        if let Self::Invalid { source, .. } = &mut self {
            *source = Some(cause.into());
        }
        self
    }

    pub(crate) fn with_hint(mut self, advice: &'static str) -> Self {
        if let Self::Invalid { hint, .. } = &mut self {
            *hint = Some(advice);
        }
        self
    }

    /// An error of this type that was carried through an [`io::Error`] comes
    /// out again; any other is given back.
    ///
    /// # Errors
    /// The error that was none of this type.
    pub fn from_io(error: io::Error) -> Result<Self, io::Error> {
        error.downcast()
    }
}

impl From<Error> for io::Error {
    /// For readers and sinks, whose interface has only [`io::Error`]; get it
    /// back with [`Error::from_io`].
    fn from(error: Error) -> Self {
        let kind = match error.class() {
            Class::Io => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidData,
        };
        match error {
            Error::Io { source, .. } => source,
            error => Self::new(kind, error),
        }
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Invalid { class, .. } => *class,
            Self::Io { source, .. } => source.class(),
            Self::Read { source, .. } if source.hint().is_some() => source.class(),
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
            Self::Invalid { hint, .. } => hint.map(str::to_owned),
            Self::Io { source, .. } if is_full(source) => {
                Some("free some disk space and build again".to_owned())
            }
            Self::Limit { limit, .. } => Some(format!(
                "if this layer is trusted and really that large, raise '{}' under [limits] in the profile",
                limit.name()
            )),
            Self::Truncated { .. } | Self::Checksum { .. } => {
                Some("the archive is damaged or no tar archive; fetch or make it again".to_owned())
            }
            Self::PackedData { layer, .. } => {
                Some(format!("remove {layer} and build again: it is made anew"))
            }
            Self::Io { source, .. } | Self::Read { source, .. } => source.hint(),
        }
    }
}
