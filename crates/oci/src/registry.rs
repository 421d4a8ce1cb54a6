//! Where images come from: registries over HTTP, OCI image layouts in folders
//! and archives, archives of `docker save`. And where they go: [`push`]. The only
//! module that opens a network connection.
//!
//! Invariants:
//! - A [`Manifest`] that comes out of here has the digest that was asked for.
//! - A blob's stream has exactly the size of its descriptor, or ends in an
//!   error; its digest is checked by who writes it.
//! - Credentials go to the registry's own origin and to its token service, never
//!   after a redirect, never into an error or a log.
//! - Each call is one attempt; [`retry`] is the one place that tries again, and
//!   `failover` the one that asks somewhere else. A host that asks to be left
//!   alone is, by all threads.

mod agents;
mod auth;
mod auth_file;
mod challenge;
pub mod config;
mod credentials;
mod docker_archive;
mod download;
mod endpoint;
mod exchange;
mod failover;
mod files;
mod gate;
mod helper;
mod http;
mod layout;
mod limiter;
pub mod login;
mod offline;
mod proxy;
pub mod push;
mod resolver;
pub mod retry;
mod secret;
mod tls;
mod transport;
mod url;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub use config::{HostConfig, RegistryConfig, RetryPolicy};
pub use failover::Failover;
pub use files::{Files, MAX_UNPACKED_BYTES, Opened, ReadSeek};
pub use layout::WholeLayout;
pub use secret::Secret;
pub use transport::{MAX_REDIRECTS, USER_AGENT};
pub use url::ShownUrl;

use crate::Error;
use crate::manifest::{Descriptor, Manifest};
use crate::media::MediaType;
use crate::reference::{ImageSource, Reference};
use docker_archive::DockerArchive;
use endpoint::Endpoint;
use failover::{Host, Unreachable};
use http::HttpRegistry;
use isoforge_base::digest::Digest;
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

    /// A blob's bytes from `offset` on, or from the first on where the source
    /// can't do that. They end exactly where the descriptor says. An error while
    /// reading carries an [`Error`], see [`Error::from_read`].
    ///
    /// # Errors
    /// See [`Error`].
    fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<BlobRest<'_>, Error>;

    /// The manifests that the source lists as naming `subject` as theirs; `None`
    /// where it has no such list.
    ///
    /// # Errors
    /// See [`Error`].
    fn listed_referrers(&self, _subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        Ok(None)
    }

    /// What another tag of the same repository names; `None` where there is no
    /// such tag.
    ///
    /// # Errors
    /// See [`Error`].
    fn tagged(&self, _tag: &str) -> Result<Option<Manifest>, Error> {
        Ok(None)
    }
}

/// What is left of a blob or file from some byte on.
pub struct BlobRest<'a> {
    /// Number of the first byte that `reader` gives: as asked for, or 0.
    pub start: u64,
    /// The bytes.
    pub reader: Box<dyn Read + Send + 'a>,
}

impl fmt::Debug for BlobRest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobRest")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

/// Opens sources of images. Connections are shared by all that it opens.
#[derive(Debug)]
pub struct Client {
    config: RegistryConfig,
    transport: Transport,
    unreachable: Arc<Unreachable>,
    offline: bool,
}

impl Client {
    /// A client with these settings.
    #[must_use]
    pub fn new(config: RegistryConfig) -> Self {
        Self {
            transport: Transport::new(&config),
            unreachable: Arc::default(),
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
    pub fn open(&self, source: &ImageSource, scratch: &Path) -> Result<Failover, Error> {
        let local = match source {
            ImageSource::Registry(reference) if self.offline => Host::local(Offline {
                reference: reference.clone(),
            }),
            ImageSource::Registry(reference) => return self.registries(reference),
            ImageSource::OciDir { dir, tag } => {
                let files = Files::folder(dir, source)?;
                Host::local(LayoutRegistry::open(files, tag.as_deref())?)
            }
            ImageSource::OciArchive { file, tag } => {
                let files = Files::archive(file, source, scratch)?;
                Host::local(LayoutRegistry::open(files, tag.as_deref())?)
            }
            ImageSource::DockerArchive { file, name } => {
                let files = Files::archive(file, source, scratch)?;
                Host::local(DockerArchive::open(files, name.as_deref())?)
            }
        };
        Ok(Failover::new(local, [], Arc::default()))
    }

    /// The mirrors of an image's registry, or the registry, or both.
    fn registries(&self, reference: &Reference) -> Result<Failover, Error> {
        let (first, others) = self.config.endpoints(reference)?;
        let host = |endpoint: Endpoint| {
            let (name, mirror) = (endpoint.host.clone(), endpoint.mirror);
            let transport = self.transport.clone();
            let registry = HttpRegistry::new(reference, endpoint, &self.config, transport);
            Host::new(&name, mirror, Box::new(registry))
        };
        Ok(Failover::new(
            host(first),
            others.into_iter().map(host),
            Arc::clone(&self.unreachable),
        ))
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
    let parsed = Manifest::parse(raw, expected.media_type);
    parsed.map_err(|error| Error::Manifest {
        place,
        source: Box::new(error),
    })
}

/// Refuses an announced size that is not the expected one.
fn checked_length(url: &str, announced: Option<u64>, expected: u64) -> Result<(), Error> {
    match announced {
        Some(found) if found != expected => Err(Error::Length {
            place: ShownUrl::of(url).to_string(),
            expected,
            found,
        }),
        _ => Ok(()),
    }
}
