//! Where images come from: registries over HTTP, OCI image layouts in folders
//! and archives, archives of `docker save`. The only module that opens a network
//! connection.
//!
//! Invariants:
//! - A [`Manifest`] that comes out of here has the digest that was asked for.
//! - A blob's stream has exactly the size of its descriptor, or ends in an
//!   error; its digest is checked by who writes it.
//! - Credentials go to the registry's own origin and to its token service, never
//!   after a redirect, never into an error or a log.
//! - Each call is one attempt; [`retry`] is the one place that tries again.

mod auth;
mod challenge;
pub mod config;
mod credentials;
mod docker_archive;
mod download;
pub mod error;
mod files;
mod http;
mod layout;
mod offline;
pub mod retry;
mod secret;
mod tar_index;
mod transport;
mod url;

use std::fmt;
use std::io::Read;
use std::path::Path;

pub use config::{HostConfig, RegistryConfig, RetryPolicy};
pub use error::Error;
pub use files::MAX_UNPACKED_BYTES;
pub use layout::WholeLayout;
pub use tar_index::{MAX_ARCHIVE_MEMBERS, MAX_EXTENSION_BYTES};
pub use transport::{MAX_REDIRECTS, USER_AGENT};
pub use url::ShownUrl;

use crate::oci::digest::Digest;
use crate::oci::manifest::{Descriptor, Manifest};
use crate::oci::media::MediaType;
use crate::oci::reference::ImageSource;
use docker_archive::DockerArchive;
use files::Files;
use http::HttpRegistry;
use layout::LayoutRegistry;
use offline::Offline;
use transport::Transport;

/// One image at its source, and all that its manifests lead to.
pub trait Registry: Send + Sync + fmt::Debug {
    /// The manifest or index that the source names.
    ///
    /// # Errors
    /// See [`Error`].
    fn resolve(&self) -> Result<Manifest, Error>;

    /// A manifest that an index names.
    ///
    /// # Errors
    /// See [`Error`].
    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Error>;

    /// A stream of a blob's bytes, exactly as many as the descriptor says. An
    /// error while reading carries an [`Error`], see [`Error::from_read`].
    ///
    /// # Errors
    /// See [`Error`].
    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send + '_>, Error>;
}

/// Opens sources of images. Connections are shared by all that it opens.
#[derive(Debug)]
pub struct Client {
    config: RegistryConfig,
    transport: Transport,
    offline: bool,
}

impl Client {
    /// A client with these settings.
    #[must_use]
    pub fn new(config: RegistryConfig) -> Self {
        Self {
            transport: Transport::new(&config),
            config,
            offline: false,
        }
    }

    /// The same client, which never opens a connection: what it would ask a
    /// server for is [`Error::Offline`].
    #[must_use]
    pub fn offline(self) -> Self {
        Self {
            offline: true,
            ..self
        }
    }

    /// When to try again.
    #[must_use]
    pub fn retry_policy(&self) -> &RetryPolicy {
        &self.config.retry
    }

    /// Opens the source of an image. A registry is not asked anything yet;
    /// `scratch` is a folder for temporary files.
    ///
    /// # Errors
    /// On folders and archives that are missing or malformed, and on malformed
    /// mirror settings.
    pub fn open(&self, source: &ImageSource, scratch: &Path) -> Result<Box<dyn Registry>, Error> {
        Ok(match source {
            ImageSource::Registry(reference) if self.offline => Box::new(Offline {
                reference: reference.clone(),
            }),
            ImageSource::Registry(reference) => Box::new(HttpRegistry::new(
                reference,
                &self.config,
                self.transport.clone(),
            )?),
            ImageSource::OciDir { dir, tag } => {
                let files = Files::folder(dir, source)?;
                Box::new(LayoutRegistry::open(files, tag.as_deref())?)
            }
            ImageSource::OciArchive { file, tag } => {
                let files = Files::archive(file, source, scratch)?;
                Box::new(LayoutRegistry::open(files, tag.as_deref())?)
            }
            ImageSource::DockerArchive { file, name } => {
                let files = Files::archive(file, source, scratch)?;
                Box::new(DockerArchive::open(files, name.as_deref())?)
            }
        })
    }
}

/// What is known of a manifest before it is read.
#[derive(Debug, Clone, Copy, Default)]
struct Expected<'a> {
    digest: Option<Digest>,
    size: Option<u64>,
    media_type: Option<&'a MediaType>,
}

impl<'a> From<&'a Descriptor> for Expected<'a> {
    fn from(descriptor: &'a Descriptor) -> Self {
        Self {
            digest: Some(descriptor.digest),
            size: Some(descriptor.size),
            media_type: Some(&descriptor.media_type),
        }
    }
}

/// Reads a manifest after its size and digest held.
fn checked_manifest(
    place: String,
    raw: Vec<u8>,
    expected: Expected<'_>,
) -> Result<Manifest, Error> {
    let size = raw.len() as u64;
    if let Some(expected) = expected.size.filter(|&expected| expected != size) {
        return Err(Error::Length {
            place,
            expected,
            found: size,
        });
    }
    if let Some(expected) = expected.digest {
        let found = Digest::of(&raw);
        if found != expected {
            return Err(Error::Digest {
                place,
                expected,
                found,
            });
        }
    }
    Manifest::parse(raw, expected.media_type).map_err(|source| Error::Manifest { place, source })
}
