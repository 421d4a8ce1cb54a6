//! What can go wrong between isoforge and an image's source.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::url::ShownUrl;
use crate::error::{Class, Diagnose};
use crate::oci::digest::Digest;
use crate::oci::manifest;

/// An error of a registry or of another source of images.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server may be asked.
    #[error("{what} is not in the store, and no connection may be opened")]
    Offline {
        /// What a server would be asked for.
        what: String,
    },
    /// The connection failed or broke.
    #[error("{url}: {problem}")]
    Transport {
        /// What was asked for.
        url: ShownUrl,
        /// What the transport says.
        problem: String,
    },
    /// The server did not answer, or stopped sending, in time.
    #[error("{url}: no answer in time ({phase})")]
    Timeout {
        /// What was asked for.
        url: ShownUrl,
        /// What took too long.
        phase: String,
    },
    /// The server answered with a status that is no success.
    #[error("{url}: HTTP status {status}{answer}")]
    Status {
        /// What was asked for.
        url: ShownUrl,
        /// The HTTP status.
        status: u16,
        /// What the registry says about it.
        answer: Answer,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The registry wants credentials that it was not given, or refuses them.
    #[error("{url}: access denied ({}){answer}", if *.authenticated { "credentials were sent" } else { "there are no credentials for it" })]
    Denied {
        /// What was asked for.
        url: ShownUrl,
        /// The registry's host.
        host: String,
        /// Whether credentials were sent.
        authenticated: bool,
        /// What the registry says about it.
        answer: Answer,
    },
    /// The registry has no such image.
    #[error("{url}: not found{answer}")]
    NotFound {
        /// What was asked for.
        url: ShownUrl,
        /// What the registry says about it.
        answer: Answer,
    },
    /// The way to authenticate is none that isoforge knows.
    #[error("{url}: the authentication challenge can't be met: {problem}")]
    Challenge {
        /// What was asked for.
        url: ShownUrl,
        /// What is wrong with it.
        problem: String,
    },
    /// Credentials could not be looked up.
    #[error("the credentials for {host} can't be had: {problem}")]
    Credentials {
        /// The registry's host.
        host: String,
        /// What is wrong, without any secret.
        problem: String,
    },
    /// A redirect that must not or can't be followed.
    #[error("{url}: redirect {problem}")]
    Redirect {
        /// What was asked for.
        url: ShownUrl,
        /// Why it is not followed.
        problem: String,
    },
    /// A mirror or proxy in the settings is malformed.
    #[error("'{setting}' is not {wanted}")]
    Setting {
        /// The value, without credentials.
        setting: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The body ended early.
    #[error("{url}: ended after {got} of {expected} bytes")]
    Truncated {
        /// What was asked for.
        url: ShownUrl,
        /// Bytes that should have come.
        expected: u64,
        /// Bytes that came.
        got: u64,
    },
    /// The server announces or sends another size than the manifest gives.
    #[error("{place}: the size should be {expected} bytes, but is {found}")]
    Length {
        /// URL or path.
        place: String,
        /// The size that the manifest gives.
        expected: u64,
        /// The size announced or sent.
        found: u64,
    },
    /// More bytes than a document of its kind may have.
    #[error("{url}: more than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: ShownUrl,
        /// The limit.
        limit: u64,
    },
    /// A manifest's digest is not the one asked for.
    #[error("{place}: digest mismatch: expected {expected}, got {found}")]
    Digest {
        /// URL or path.
        place: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// A manifest can't be used.
    #[error("{place}: the manifest can't be used")]
    Manifest {
        /// URL or path.
        place: String,
        /// What is wrong with it.
        source: manifest::Error,
    },
    /// A file could not be read; the source names it.
    #[error("an image can't be read")]
    Io(#[from] io::Error),
    /// A folder or archive is not what its prefix says.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The folder or archive.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A folder or archive is not there.
    #[error("{} does not exist", path.display())]
    NoSource {
        /// The folder or archive.
        path: PathBuf,
        /// What the user may have meant.
        instead: Option<String>,
    },
    /// A folder or archive does not say which of its images is meant.
    #[error("{}: {wanted}; there are: {}", path.display(), if names.is_empty() { "none with a name".to_owned() } else { names.join(", ") })]
    Choice {
        /// The folder or archive.
        path: PathBuf,
        /// What is looked for.
        wanted: String,
        /// The names that there are.
        names: Vec<String>,
    },
}

/// What a registry's error document says (OCI Distribution Specification v1.1,
/// "Error Codes").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The code, as `MANIFEST_UNKNOWN`.
    pub code: Option<String>,
    /// The message.
    pub message: Option<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.message) {
            (None, None) => Ok(()),
            (Some(text), None) | (None, Some(text)) => write!(f, ", the registry says {text}"),
            (Some(code), Some(message)) => write!(f, ", the registry says {code}: {message}"),
        }
    }
}

impl Error {
    /// Whether the same request may succeed when it is made again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Timeout { .. } | Self::Truncated { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502..=504),
            _ => false,
        }
    }

    /// How long the server wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The error that a reader of a blob carries inside an [`io::Error`], or
    /// that `io::Error` itself.
    #[must_use]
    pub fn from_read(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) => Self::Io(error),
        }
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Transport { .. }
            | Self::Timeout { .. }
            | Self::Status { .. }
            | Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::Challenge { .. }
            | Self::Credentials { .. }
            | Self::Redirect { .. }
            | Self::Truncated { .. }
            | Self::Offline { .. } => Class::Network,
            Self::Length { .. } | Self::TooLarge { .. } | Self::Digest { .. } => {
                Class::Verification
            }
            Self::Manifest { source, .. } => source.class(),
            Self::Io(_) => Class::Io,
            Self::Format { .. }
            | Self::NoSource { .. }
            | Self::Choice { .. }
            | Self::Setting { .. } => Class::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Offline { .. } => Some("run once without --offline".into()),
            Self::Transport { .. } | Self::Timeout { .. } => Some(
                "check the network and the host's name; a mirror for the host can be set".into(),
            ),
            Self::Status { status: 429, .. } => {
                Some("the registry limits requests: log in, wait, or set a mirror".into())
            }
            Self::Denied {
                host,
                authenticated: false,
                ..
            } => Some(format!(
                "log in with 'docker login {host}', or check the image's name: some registries answer so for images that do not exist"
            )),
            Self::Denied { host, .. } => Some(format!(
                "check that the account for {host} may read the image"
            )),
            Self::Truncated { .. } | Self::Length { .. } => Some(
                "the registry or something on the way to it is at fault: build again later, or set a mirror"
                    .into(),
            ),
            Self::Digest { .. } => Some(
                "do not trust this source: push the image again, or pull it from elsewhere".into(),
            ),
            Self::NotFound { .. } => Some("check the image's name and tag".into()),
            Self::Credentials { .. } => Some(
                "check the docker configuration and that its credential helper is installed".into(),
            ),
            Self::Manifest { source, .. } => source.hint(),
            Self::NoSource {
                instead: Some(reference),
                ..
            } => Some(format!(
                "if an image in a registry is meant, write {reference}"
            )),
            Self::Choice { .. } => Some("add the name after a colon".into()),
            _ => None,
        }
    }
}
