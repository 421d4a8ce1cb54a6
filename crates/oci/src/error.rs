//! What can go wrong with references, manifests, registries, the store, pulling and
//! pushing.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::registry::ShownUrl;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose, is_full};

/// Why an image can't be named, had, kept or pushed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// What nobody has to tell from other errors.
    #[error("{message}")]
    Other {
        message: String,
        class: Class,
        hint: Option<String>,
    },
    /// A text that names no image.
    #[error("'{text}' is not an image reference: {problem}")]
    Reference {
        /// Without credentials.
        text: String,
        problem: String,
        /// Instead of the grammar.
        hint: Option<String>,
    },
    /// What happened to an image.
    #[error("{image} can't be {step}")]
    Image {
        /// The source as the user would write it, or the reference that it gets.
        image: String,
        step: Step,
        source: Box<Self>,
    },
    /// A layer can't be taken out of the store.
    #[error("{image}: layer {layer} can't be read")]
    Unreadable {
        image: String,
        /// Its blob.
        layer: Digest,
        source: Box<Self>,
    },
    /// A layer can't be decompressed.
    #[error("{image}: layer {layer} can't be decompressed")]
    Compression {
        image: String,
        /// Its blob.
        layer: Digest,
        source: io::Error,
    },
    /// Another thread failed first.
    #[error("{image}: given up after another failure")]
    Cancelled { image: String },

    /// No server may be asked.
    #[error("{what} is not in the store, and no connection may be opened")]
    Offline { what: String },
    /// The connection failed or broke, or nothing came in time.
    #[error("{url}: {problem}")]
    Transport { url: ShownUrl, problem: String },
    /// A status that is no success.
    #[error("{url}: HTTP status {status}{answer}")]
    Status {
        url: ShownUrl,
        status: u16,
        answer: Answer,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The registry wants credentials that it was not given, or refuses them.
    #[error("{url}: access denied ({}{}){answer}", if *.authenticated { "credentials were sent" } else { "there are no credentials for it" }, Besides(unavailable.as_deref()))]
    Denied {
        url: ShownUrl,
        host: String,
        /// Whether credentials were sent.
        authenticated: bool,
        /// Why others could not be had: a file, and what is wrong with it or with the
        /// credential helper that it names.
        unavailable: Option<String>,
        answer: Answer,
    },
    /// The registry has no such image.
    #[error("{url}: not found{answer}")]
    NotFound { url: ShownUrl, answer: Answer },
    /// A challenge, redirect or other answer that can't or must not be followed.
    #[error("{url}: {problem}")]
    BadAnswer { url: ShownUrl, problem: String },
    /// The last of several hosts that were asked failed, too.
    #[error("{last}{}", Earlier(earlier))]
    AllFailed {
        last: Box<Self>,
        /// What each of the others said.
        earlier: Vec<String>,
    },
    /// The body ended early.
    #[error("{url}: ended after {got} of {expected} bytes")]
    Truncated {
        url: ShownUrl,
        expected: u64,
        got: u64,
    },
    /// Another size than the manifest gives.
    #[error("{place}: the size should be {expected} bytes, but is {found}")]
    Length {
        /// URL or path.
        place: String,
        expected: u64,
        /// Announced or sent.
        found: u64,
    },
    /// Another digest than the one asked for.
    #[error("{place}: digest mismatch: expected {expected}, got {found}")]
    Digest {
        /// URL or path.
        place: String,
        expected: Digest,
        found: Digest,
    },
    /// An upload that the registry does not know any more, or holds to be at
    /// another byte. One begun anew may succeed.
    #[error("{url}: the registry gave up the upload (HTTP status {status}{answer})")]
    UploadLost {
        url: ShownUrl,
        status: u16,
        answer: Answer,
    },
    /// A manifest can't be used.
    #[error("{place}: the manifest can't be used")]
    Manifest {
        /// URL or path.
        place: String,
        source: Box<Self>,
    },
    /// A folder or archive is not what its prefix says.
    #[error("{}: {problem}", path.display())]
    Format { path: PathBuf, problem: String },
    /// A file of an image could not be read; the source names it.
    #[error("an image can't be read")]
    Read(#[source] io::Error),

    /// A file of the store could not be read or written; the source names it.
    #[error("the store can't be read or written")]
    Store(#[from] io::Error),
    /// What was stored is not what was announced.
    #[error("digest mismatch: expected {expected}, got {found}")]
    DigestMismatch { expected: Digest, found: Digest },
    /// What was stored has another size than announced.
    #[error("{digest} should have {expected} bytes, but has {found}")]
    SizeMismatch {
        /// As announced.
        digest: Digest,
        expected: u64,
        found: u64,
    },
    /// A blob is not in the store.
    #[error("{digest} is not in the store ({} is missing)", path.display())]
    Missing { digest: Digest, path: PathBuf },
    /// A blob in the store was damaged after it was written.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged { path: PathBuf, problem: String },
}

/// What can't be done with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The source did not deliver.
    Pull,
    /// The store did not take it, or what came has the wrong digest or size.
    Store,
    /// A manifest or configuration is no usable one.
    Use,
    /// The registry did not take it, or the layout is damaged.
    Push,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pull => "pulled",
            Self::Store => "stored",
            Self::Use => "used",
            Self::Push => "pushed",
        })
    }
}

/// What a registry's error document says (OCI Distribution Specification v1.1,
/// "Error Codes").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// As `MANIFEST_UNKNOWN`.
    pub code: Option<String>,
    /// For people, in a line.
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

/// What to do where credentials can't be had.
pub(crate) const CHECK_PLACE: &str =
    "check that file, and by hand that its credential helper works";

/// A further reason, behind another.
struct Besides<'a>(Option<&'a str>);

impl fmt::Display for Besides<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |reason| write!(f, "; {reason}"))
    }
}

/// What was said by those that were asked before, behind another message.
pub(crate) struct Earlier<'a>(pub(crate) &'a [String]);

impl fmt::Display for Earlier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.iter();
        said.try_for_each(|said| write!(f, "; asked before: {said}"))
    }
}

impl Error {
    /// An error that nobody has to tell from others.
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Self::Other {
            message: message.into(),
            class,
            hint: None,
        }
    }

    /// What to do about an error of [`new`](Self::new) or a reference.
    pub(crate) fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Other { hint, .. } | Self::Reference { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// The error for an authentication challenge that can't be met.
    pub(crate) fn challenge(url: &str, problem: &str) -> Self {
        Self::BadAnswer {
            url: ShownUrl::of(url),
            problem: format!("the authentication challenge can't be met: {problem}"),
        }
    }

    /// The same, where it is a refusal, with the reason why credentials could not be had.
    pub(crate) fn without_credentials(mut self, problem: Option<String>) -> Self {
        if let Self::Denied { unavailable, .. } = &mut self {
            *unavailable = problem;
        }
        self
    }

    /// The error for a setting that is not what is `wanted`.
    pub(crate) fn setting(setting: impl fmt::Display, wanted: &str) -> Self {
        Self::new(Class::Profile, format!("'{setting}' is not {wanted}"))
    }

    /// The same, of `image`.
    pub(crate) fn of_image(self, image: &str, step: Step) -> Self {
        Self::Image {
            image: image.to_owned(),
            step,
            source: Box::new(self),
        }
    }

    /// The error that a reader of a blob carries inside an [`io::Error`], or
    /// that `io::Error` itself.
    #[must_use]
    pub fn from_read(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(Self::Read)
    }

    /// What is wrong with a reference, without its text; other errors in full.
    #[must_use]
    pub fn into_problem(self) -> String {
        match self {
            Self::Reference { problem, .. } => problem,
            other => other.to_string(),
        }
    }

    /// Whether it is the store's, not the source's.
    #[must_use]
    pub fn is_of_store(&self) -> bool {
        matches!(
            self,
            Self::Store(_)
                | Self::DigestMismatch { .. }
                | Self::SizeMismatch { .. }
                | Self::Missing { .. }
                | Self::Damaged { .. }
        )
    }

    /// What happened, without the image that it happened to.
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::Image { source, .. } => source,
            other => other,
        }
    }

    /// Whether the source, or the last of several, says that it has no such thing.
    pub(crate) fn is_absence(&self) -> bool {
        match self.cause() {
            Self::NotFound { .. } => true,
            Self::AllFailed { last, .. } => last.is_absence(),
            _ => false,
        }
    }

    /// Whether the same request may succeed when it is made again.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Truncated { .. } | Self::UploadLost { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502..=504),
            Self::AllFailed { last, .. } => last.is_transient(),
            _ => false,
        }
    }

    /// Whether another host that has the same may be asked instead: whatever a
    /// server, its absence or its refusal is the reason of. Wrong bytes are not,
    /// since going on would hide who sends them.
    pub(crate) fn is_elsewhere_better(&self) -> bool {
        matches!(
            self,
            Self::Transport { .. }
                | Self::Status { .. }
                | Self::Denied { .. }
                | Self::NotFound { .. }
                | Self::BadAnswer { .. }
                | Self::Truncated { .. }
        )
    }

    /// What the hints of a source, which are about pulling, would say of a push.
    fn hint_for_push(&self) -> Option<String> {
        let hint = match self {
            Self::Transport { .. } => {
                "check the network and the host's name, and push again: what is there is not sent twice"
            }
            Self::Denied {
                unavailable: Some(_),
                ..
            } => CHECK_PLACE,
            Self::Denied {
                host,
                authenticated,
                ..
            } => {
                return Some(if *authenticated {
                    format!(
                        "check that the account for {host} may push to the repository, and that it exists"
                    )
                } else {
                    format!("log in with 'isoforge login {host}'")
                });
            }
            Self::NotFound { .. } => "check the repository's name",
            Self::Status { status: 429, .. } => {
                "the registry limits requests: wait, then push again"
            }
            Self::Status { .. } | Self::UploadLost { .. } | Self::Truncated { .. } => {
                "push again later: what is there is not sent twice"
            }
            Self::Digest { .. } | Self::Length { .. } => {
                "what is to be pushed is damaged, or the registry holds damaged bytes: build it again or copy it again"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Other { class, .. } => *class,
            Self::Image { source, .. }
            | Self::Unreadable { source, .. }
            | Self::Manifest { source, .. }
            | Self::AllFailed { last: source, .. } => source.class(),
            Self::Reference { .. } | Self::Format { .. } => Class::Profile,
            Self::Offline { .. }
            | Self::Transport { .. }
            | Self::Status { .. }
            | Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::BadAnswer { .. }
            | Self::Truncated { .. }
            | Self::UploadLost { .. } => Class::Network,
            Self::Compression { .. }
            | Self::Length { .. }
            | Self::Digest { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Damaged { .. } => Class::Verification,
            // What was to be decompressed.
            Self::Read(error) if error.kind() == io::ErrorKind::InvalidData => Class::Verification,
            Self::Read(error) | Self::Store(error) => error.class(),
            Self::Missing { .. } => Class::Io,
            Self::Cancelled { .. } => Class::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Other { hint, .. } => return hint.clone(),
            Self::Image {
                step: Step::Push,
                source,
                ..
            } => return source.hint_for_push().or_else(|| source.hint()),
            Self::Image { source, .. }
            | Self::Unreadable { source, .. }
            | Self::Manifest { source, .. }
            | Self::AllFailed { last: source, .. } => return source.hint(),
            Self::Reference { hint, .. } => {
                let grammar = "a reference is [host[:port]/]repository[:tag][@digest]";
                hint.as_deref().unwrap_or(grammar)
            }
            Self::Offline { .. } => "run once without --offline",
            Self::Transport { .. } => {
                "check the network and the host's name; a mirror for the host can be set"
            }
            Self::Status { status: 429, .. } => {
                "the registry limits requests: log in, wait, or set a mirror"
            }
            Self::Denied {
                unavailable: Some(_),
                ..
            } => CHECK_PLACE,
            Self::Denied {
                host,
                authenticated,
                ..
            } => {
                return Some(if *authenticated {
                    format!("check that the account for {host} may read the image")
                } else {
                    format!(
                        "log in with 'isoforge login {host}', or check the image's name: some registries answer so for images that do not exist"
                    )
                });
            }
            Self::NotFound { .. } => "check the image's name and tag",
            Self::Truncated { .. } | Self::Length { .. } => {
                "the registry or something on the way to it is at fault: build again later, or set a mirror"
            }
            Self::Digest { .. } | Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => {
                "do not trust this source: push the image again, or pull it from elsewhere"
            }
            Self::Store(error) if is_full(error) => {
                "free disk space, or put the store on another file system"
            }
            Self::Store(error) if is_in_the_way(error) => {
                "name another folder with --cache-dir, or correct its owner and mode"
            }
            Self::Damaged { .. } => {
                "run `isoforge cache verify --repair`, which removes it and what was made of it, \
                 and build again: it is then fetched or made anew"
            }
            Self::Read(error) | Self::Store(error) => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Whether the store's place is not one that can be written to.
fn is_in_the_way(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
    )
}
