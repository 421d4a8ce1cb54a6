//! What can go wrong between isoforge and an image's source.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::places::Trail;
use super::url::ShownUrl;
use crate::manifest;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};

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
    /// The registry does not take the credentials of a login.
    #[error("{host} does not accept this user name and password{answer}")]
    Login {
        /// The registry's host.
        host: String,
        /// What the registry says about it.
        answer: Answer,
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
    /// A file with certificates or a key can't be used.
    #[error("{}: {problem}", path.display())]
    Certificate {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The last of several places that were asked, or a mirror, failed.
    #[error("{last}{trail}")]
    Elsewhere {
        /// What happened there.
        last: Box<Error>,
        /// What was asked before.
        trail: Trail,
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
    /// A list goes on and on.
    #[error("{url}: more than {limit} pages")]
    TooManyPages {
        /// The first page.
        url: ShownUrl,
        /// The limit.
        limit: usize,
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
    /// An upload that the registry does not know any more, or holds to be at
    /// another byte. One begun anew may succeed.
    #[error("{url}: the registry gave up the upload (HTTP status {status}{answer})")]
    UploadLost {
        /// The upload.
        url: ShownUrl,
        /// The HTTP status.
        status: u16,
        /// What the registry says about it.
        answer: Answer,
    },
    /// An answer to an upload without what the specification asks for.
    #[error("{url}: the registry's answer can't be used: {problem}")]
    Protocol {
        /// What was asked for.
        url: ShownUrl,
        /// What is wrong with it.
        problem: String,
    },
    /// The registry stored a manifest under another digest than it has.
    #[error("{url}: the registry stored {found}, but was sent {expected}")]
    Stored {
        /// Where it was stored.
        url: ShownUrl,
        /// The digest of what was sent.
        expected: Digest,
        /// The digest that the registry says.
        found: String,
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
    /// Says through which proxy it happened.
    pub(super) fn through(mut self, proxy: Option<&str>) -> Self {
        let said = match &mut self {
            Self::Transport { problem, .. } => problem,
            Self::Timeout { phase, .. } => phase,
            _ => return self,
        };
        if let Some(proxy) = proxy {
            said.push_str(" (through the proxy ");
            said.push_str(proxy);
            said.push(')');
        }
        self
    }

    /// Whether the same request may succeed when it is made again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. }
            | Self::Timeout { .. }
            | Self::Truncated { .. }
            | Self::UploadLost { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502..=504),
            Self::Elsewhere { last, .. } => last.is_transient(),
            _ => false,
        }
    }

    /// Whether another place that has the same may be asked instead: whatever a
    /// server, its absence or its refusal is the reason of. Wrong bytes are not,
    /// since going on would hide who sends them.
    #[must_use]
    pub fn is_elsewhere_better(&self) -> bool {
        matches!(
            self,
            Self::Transport { .. }
                | Self::Timeout { .. }
                | Self::Status { .. }
                | Self::Denied { .. }
                | Self::NotFound { .. }
                | Self::Challenge { .. }
                | Self::Redirect { .. }
                | Self::Truncated { .. }
        )
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
            | Self::Login { .. }
            | Self::Redirect { .. }
            | Self::Truncated { .. }
            | Self::UploadLost { .. }
            | Self::Protocol { .. }
            | Self::Offline { .. } => Class::Network,
            Self::Length { .. }
            | Self::TooLarge { .. }
            | Self::TooManyPages { .. }
            | Self::Digest { .. }
            | Self::Stored { .. } => Class::Verification,
            Self::Manifest { source, .. } => source.class(),
            Self::Elsewhere { last, .. } => last.class(),
            Self::Io(error) => match error.kind() {
                // What was to be decompressed.
                io::ErrorKind::InvalidData => Class::Verification,
                _ => Class::Io,
            },
            Self::Format { .. }
            | Self::NoSource { .. }
            | Self::Choice { .. }
            | Self::Certificate { .. }
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
                "log in with 'isoforge login {host}', or check the image's name: some registries answer so for images that do not exist"
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
                "check that file, and by hand that its credential helper works".into(),
            ),
            Self::Manifest { source, .. } => source.hint(),
            Self::Elsewhere { last, .. } => last.hint(),
            Self::Login { .. } => Some(
                "some registries want an access token in place of the password".into(),
            ),
            Self::Certificate { .. } => Some(
                "check 'ca', 'client_cert' and 'client_key' of the host, SSL_CERT_FILE and SSL_CERT_DIR"
                    .into(),
            ),
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
