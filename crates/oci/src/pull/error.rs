//! What can go wrong while an image is pulled.

use crate::manifest;
use crate::registry::places::{AtPlace, Trail};
use crate::registry::{self, retry::Retry};
use crate::store;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};

/// An error of a pull. `image` is the source as the user would write it; where a
/// layer is checked after that, it may be what the layer is for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source did not deliver.
    #[error("{image} can't be pulled")]
    Source {
        /// The image.
        image: String,
        /// What happened.
        source: Box<registry::Error>,
    },
    /// The store did not take it, or what came has the wrong digest or size.
    #[error("{image} can't be stored")]
    Store {
        /// The image.
        image: String,
        /// What happened.
        source: Box<store::Error>,
    },
    /// A manifest or configuration can't be used.
    #[error("{image} can't be used")]
    Unusable {
        /// The image.
        image: String,
        /// What is wrong with it.
        source: Box<manifest::Error>,
    },
    /// A layer's uncompressed bytes are not those of the configuration.
    #[error("{image}: layer {layer} unpacks to {found}, but the configuration gives {expected}")]
    DiffId {
        /// The image.
        image: String,
        /// The layer's blob.
        layer: Digest,
        /// The diffID of the configuration.
        expected: Digest,
        /// The digest of the uncompressed bytes.
        found: Digest,
    },
    /// A layer can't be taken out of the store.
    #[error("{image}: layer {layer} can't be read")]
    Unreadable {
        /// The image.
        image: String,
        /// The layer's blob.
        layer: Digest,
        /// What happened.
        source: Box<store::Error>,
    },
    /// A layer can't be decompressed.
    #[error("{image}: layer {layer} can't be decompressed")]
    Compression {
        /// The image.
        image: String,
        /// The layer's blob.
        layer: Digest,
        /// What the decoder says.
        source: std::io::Error,
    },
    /// An image or layer is larger than its limit.
    #[error("{image}: {what} has {found} {unit}; the limit {limit} is {allowed}")]
    Limit {
        /// The image.
        image: String,
        /// The thing that is too large.
        what: String,
        /// How much it has at least.
        found: u64,
        /// What is counted.
        unit: &'static str,
        /// The name of the limit.
        limit: &'static str,
        /// The limit's value.
        allowed: u64,
    },
    /// Indexes within indexes.
    #[error("{image}: its indexes nest deeper than {}", manifest::MAX_INDEX_DEPTH)]
    TooDeep {
        /// The image.
        image: String,
    },
    /// More is about an image than is kept.
    #[error("{image} has more than {} referrers", super::MAX_REFERRERS)]
    TooManyReferrers {
        /// The image.
        image: String,
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
            Self::Source { source, .. } => source.class(),
            Self::Store { source, .. } | Self::Unreadable { source, .. } => source.class(),
            Self::Unusable { source, .. } => source.class(),
            Self::DiffId { .. }
            | Self::Compression { .. }
            | Self::Limit { .. }
            | Self::TooDeep { .. }
            | Self::TooManyReferrers { .. } => Class::Verification,
            Self::Cancelled { .. } => Class::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Source { source, .. } => source.hint(),
            Self::Store { source, .. } | Self::Unreadable { source, .. } => source.hint(),
            Self::Unusable { source, .. } => source.hint(),
            Self::DiffId { .. } => {
                Some("the image was built or changed wrongly; build and push it again".into())
            }
            Self::Limit { limit, .. } => Some(format!(
                "if the image can be trusted, raise '{limit}' under [limits] in the profile"
            )),
            Self::TooManyReferrers { .. } => Some(
                "leave out --with-referrers, or have the registry's owner remove old ones".into(),
            ),
            _ => None,
        }
    }
}

impl Retry for Error {
    fn registry_error(&self) -> Option<&registry::Error> {
        match self {
            Self::Source { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl AtPlace for Error {
    fn at(self, trail: Trail) -> Self {
        match self {
            Self::Source { image, source } => Self::Source {
                image,
                source: Box::new(source.at(trail)),
            },
            // Wrong bytes: whoever sent them is named.
            Self::Store { image, source } => Self::Store {
                image: format!("{image} (from {}{trail})", trail.place),
                source,
            },
            other => other,
        }
    }
}
