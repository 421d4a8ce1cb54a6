//! What can go wrong while images are pushed.

use std::path::PathBuf;

use crate::manifest;
use crate::registry::{self, retry::Retry};
use isoforge_base::error::{Class, Diagnose};

/// An error of a push. `image` is the reference that the image gets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry did not take it, or the layout is damaged.
    #[error("{image} can't be pushed")]
    Registry {
        /// The image.
        image: String,
        /// What happened.
        source: Box<registry::Error>,
    },
    /// An image that registries don't take.
    #[error("{image} can't be pushed")]
    Unusable {
        /// The image.
        image: String,
        /// What is wrong with it.
        source: Box<manifest::Error>,
    },
    /// Indexes within indexes.
    #[error("{image}: its indexes nest deeper than {}", manifest::MAX_INDEX_DEPTH)]
    TooDeep {
        /// The image.
        image: String,
    },
    /// The layout can't be read.
    #[error(transparent)]
    Layout(#[from] registry::Error),
    /// There is nothing in it.
    #[error("{} holds no image", path.display())]
    Empty {
        /// The layout.
        path: PathBuf,
    },
    /// There is no image of the name.
    #[error("{} holds no image '{wanted}'; there are: {}", path.display(), names.join(", "))]
    UnknownTag {
        /// The layout.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
        /// What there is.
        names: Vec<String>,
    },
    /// An image without a name, or one whose name is no tag.
    #[error("{} holds an image {}", path.display(), name.as_ref().map_or_else(|| "without a name".to_owned(), |name| format!("'{name}', which is no tag")))]
    NoTag {
        /// The layout.
        path: PathBuf,
        /// The name.
        name: Option<String>,
    },
    /// One tag for several images.
    #[error("'{to}' has a tag, but there are {images} images to push")]
    OneTag {
        /// The target as it was given.
        to: String,
        /// How many there are.
        images: usize,
    },
    /// Nothing says where to push to.
    #[error("{} does not say which repository it is for", path.display())]
    NoRepository {
        /// The layout.
        path: PathBuf,
    },
    /// Its images are for several repositories.
    #[error("{} is for several repositories: {}", path.display(), repositories.join(", "))]
    Repositories {
        /// The layout.
        path: PathBuf,
        /// Which.
        repositories: Vec<String>,
    },
    /// Another thread failed first.
    #[error("{image}: given up after another failure")]
    Cancelled {
        /// The image.
        image: String,
    },
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Registry { source, .. } => source.class(),
            Self::Layout(source) => source.class(),
            Self::Unusable { source, .. } => source.class(),
            Self::TooDeep { .. } => Class::Verification,
            Self::Empty { .. }
            | Self::UnknownTag { .. }
            | Self::NoTag { .. }
            | Self::OneTag { .. }
            | Self::NoRepository { .. }
            | Self::Repositories { .. } => Class::Profile,
            Self::Cancelled { .. } => Class::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Registry { source, .. } => registry_hint(source),
            Self::Layout(source) => source.hint(),
            Self::Unusable { source, .. } => source.hint(),
            Self::UnknownTag { .. } => {
                Some("without --tag all of them are pushed".into())
            }
            Self::NoTag { .. } => {
                Some("give it a tag: --to REPOSITORY:TAG, for one image at a time".into())
            }
            Self::OneTag { .. } => {
                Some("leave the tag out, or choose one image with --tag".into())
            }
            Self::NoRepository { .. } => Some(
                "name one with --to, as in registry.example/edge/ubuntu; a build records provider.repository where it begins with a registry's host"
                    .into(),
            ),
            Self::Repositories { .. } => Some("choose with --tag, or name one with --to".into()),
            _ => None,
        }
    }
}

/// What a registry's own hints, which are about pulling, would say of a push.
fn registry_hint(error: &registry::Error) -> Option<String> {
    use registry::Error;
    match error {
        Error::Transport { .. } | Error::Timeout { .. } => Some(
            "check the network and the host's name, and push again: what is there is not sent twice"
                .into(),
        ),
        Error::Denied {
            host,
            authenticated: false,
            ..
        } => Some(format!("log in with 'docker login {host}'")),
        Error::Denied { host, .. } => Some(format!(
            "check that the account for {host} may push to the repository, and that it exists"
        )),
        Error::NotFound { .. } => Some("check the repository's name".into()),
        Error::Status { status: 429, .. } => {
            Some("the registry limits requests: wait, then push again".into())
        }
        Error::Status { .. } | Error::UploadLost { .. } | Error::Truncated { .. } => {
            Some("push again later: what is there is not sent twice".into())
        }
        Error::Digest { .. } | Error::Length { .. } => Some(
            "what is to be pushed is damaged, or the registry holds damaged bytes: build it again or copy it again"
                .into(),
        ),
        Error::Stored { .. } => {
            Some("something between here and the registry changes what is sent".into())
        }
        other => other.hint(),
    }
}

impl Retry for Error {
    fn registry_error(&self) -> Option<&registry::Error> {
        match self {
            Self::Registry { source, .. } => Some(source),
            _ => None,
        }
    }
}
