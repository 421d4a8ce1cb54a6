//! Images into a repository, over HTTP.
//!
//! OCI Distribution Specification v1.1, "Push", and the token scopes of the
//! distribution project. Like pulling, each call is one attempt; who calls
//! decides on trying again, and in which order things go.
//!
//! Invariants:
//! - What goes out has the digest under which it goes: a blob's last byte is
//!   held back until all of them have been hashed.
//! - Uploads may lead to another host; no credentials go there, and TLS is not
//!   left.
//! - Mirrors are for pulling: a push goes to the host that the reference names.

mod body;
mod layout;
mod upload;

use std::collections::BTreeMap;

use ureq::http::header;

pub use body::Payload;
pub use layout::{Blobs, ImageLayout};
pub use upload::{CHUNK_BYTES, Pieces, Session, WHOLE_BYTES};

use super::auth::Auth;
use super::endpoint::Endpoint;
use super::exchange;
use super::http::DIGEST_HEADER;
use super::transport::{Body, Call, Method, Reply, Transport};
use super::url::{ShownUrl, encode};
use super::{Client, checked_length};
use crate::Error;
use crate::manifest::{Descriptor, Manifest};
use crate::media::MANIFEST_TYPES;
use crate::reference::Reference;
use isoforge_base::digest::Digest;
use isoforge_base::error::Class;

/// One repository to push to.
#[derive(Debug)]
pub struct Target {
    base_url: String,
    transport: Transport,
    auth: Auth,
    /// By reference without tag, as given: what blobs can be mounted from.
    mounts: BTreeMap<String, MountSource>,
}

/// Another repository of the same registry.
#[derive(Debug)]
struct MountSource {
    repository: String,
    base_url: String,
    /// For both repositories. Apart from the target's, because some token
    /// services give nothing where one of several scopes is refused.
    auth: Auth,
}

/// How a blob gets into the repository.
#[derive(Debug)]
pub enum Begun {
    /// It is there: the registry took it over from another repository.
    Mounted,
    /// It has to be sent.
    Upload(Session),
}

impl Client {
    /// The repository of `reference`, whose tag does not matter. Blobs can be
    /// mounted from those `bases` that the same registry has, be it under their
    /// own name or as a mirror. The registry is not asked anything yet.
    ///
    /// # Errors
    /// On malformed mirror settings.
    pub fn target(&self, reference: &Reference, bases: &[Reference]) -> Result<Target, Error> {
        let config = &self.config;
        let itself = |reference: &Reference| {
            let repository = reference.repository().to_owned();
            config.endpoint(reference.registry(), repository, false)
        };
        let endpoint = itself(reference);
        let scope = format!("repository:{}:pull,push", endpoint.repository);
        let mut mounts = BTreeMap::new();
        for base in bases {
            let (first, others) = config.endpoints(base)?;
            let mut places = [itself(base), first].into_iter().chain(others);
            let Some(place) = places.find(|place| {
                place.host == endpoint.host && place.repository != endpoint.repository
            }) else {
                continue;
            };
            let both = vec![
                scope.clone(),
                format!("repository:{}:pull", place.repository),
            ];
            let source = MountSource {
                base_url: place.base_url(),
                repository: place.repository,
                auth: Auth::new(endpoint.clone(), config).with_scopes(both),
            };
            mounts.insert(base.name(), source);
        }
        Ok(Target {
            base_url: Endpoint::base_url(&endpoint),
            transport: self.transport.clone(),
            auth: Auth::new(endpoint, config).with_scopes(vec![scope]),
            mounts,
        })
    }
}

impl Target {
    /// Whether the repository has the blob.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Length`] where it has one of another size.
    pub fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        self.blob_at(&self.base_url, &self.auth, blob)
    }

    /// Whether the blob could be mounted from `base`, which is only asked.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn could_mount(&self, blob: &Descriptor, base: &Reference) -> Result<bool, Error> {
        let Some(source) = self.mounts.get(&base.name()) else {
            return Ok(false);
        };
        match self.blob_at(&source.base_url, &source.auth, blob) {
            // What may not be read can't be mounted either.
            Err(Error::Denied { .. }) => Ok(false),
            other => other,
        }
    }

    fn blob_at(&self, base_url: &str, auth: &Auth, blob: &Descriptor) -> Result<bool, Error> {
        let url = format!("{base_url}/blobs/{}", blob.digest);
        let call = Call {
            method: Method::Head,
            url: &url,
            ..Call::default()
        };
        match found(exchange::send(&self.transport, auth, call)?)? {
            None => Ok(false),
            Some(reply) => {
                // With a coding it would be the length of something else.
                let is_plain = matches!(reply.coding(), Ok(None));
                let length = reply.content_length().filter(|_| is_plain);
                checked_length(&url, length, blob.size)?;
                Ok(true)
            }
        }
    }

    /// Whether the repository has a manifest of this digest.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn has_manifest(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self.head_manifest(&digest.to_string())?.is_some())
    }

    /// Whether a tag leads to the manifest of this digest. A registry that does
    /// not say where its tags lead gives `false`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn has_tag(&self, tag: &str, digest: &Digest) -> Result<bool, Error> {
        let reply = self.head_manifest(tag)?;
        let said = reply
            .as_ref()
            .and_then(|reply| reply.header(&DIGEST_HEADER));
        Ok(said.and_then(|text| text.trim().parse().ok()) == Some(*digest))
    }

    fn head_manifest(&self, name: &str) -> Result<Option<Reply>, Error> {
        let call = Call {
            method: Method::Head,
            url: &format!("{}/manifests/{name}", self.base_url),
            accept: &MANIFEST_TYPES.join(", "),
            ..Call::default()
        };
        found(exchange::send(&self.transport, &self.auth, call)?)
    }

    /// Puts a manifest in its place, under a tag or under its digest. All that
    /// it names must be there.
    ///
    /// # Errors
    /// See [`Error`]; also where the registry says that it stored something else.
    pub fn put_manifest(&self, manifest: &Manifest, tag: Option<&str>) -> Result<(), Error> {
        let name = tag.map_or_else(|| manifest.digest.to_string(), str::to_owned);
        let url = format!("{}/manifests/{name}", self.base_url);
        let call = Call {
            method: Method::Put,
            url: &url,
            body: Some(&Document(manifest)),
            patience: Some(upload::COMMIT_TIMEOUT),
            ..Call::default()
        };
        let reply = exchange::send(&self.transport, &self.auth, call)?;
        if !reply.status.is_success() {
            return Err(reply.into_error());
        }
        match reply.header(&DIGEST_HEADER).map(str::trim) {
            Some(said) if said.parse() != Ok(manifest.digest) => {
                let problem = format!(
                    "{}: the registry stored {}, but was sent {}",
                    ShownUrl::of(&url),
                    said.escape_default(),
                    manifest.digest
                );
                Err(Error::new(Class::Verification, problem)
                    .with_hint("something between here and the registry changes what is sent"))
            }
            _ => Ok(()),
        }
    }

    /// Begins to bring a blob in: by mounting it from `base`, where that can be
    /// done, else as an upload.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn begin(&self, blob: &Descriptor, base: Option<&Reference>) -> Result<Begun, Error> {
        let url = format!("{}/blobs/uploads/", self.base_url);
        if let Some(source) = base.and_then(|base| self.mounts.get(&base.name())) {
            let url = format!(
                "{url}?mount={}&from={}",
                encode(&blob.digest.to_string()),
                encode(&source.repository)
            );
            match self.post(&url, &source.auth) {
                Ok(begun) => return Ok(begun),
                Err(error) if error.is_transient() => return Err(error),
                // A registry that does not mount, or not from there, is sent it.
                Err(_) => {}
            }
        }
        self.post(&url, &self.auth)
    }

    fn post(&self, url: &str, auth: &Auth) -> Result<Begun, Error> {
        let call = Call {
            method: Method::Post,
            url,
            ..Call::default()
        };
        let reply = exchange::send(&self.transport, auth, call)?;
        match reply.status.as_u16() {
            201 => Ok(Begun::Mounted),
            202 => Session::begin(&self.base_url, &reply).map(Begun::Upload),
            _ => Err(reply.into_error()),
        }
    }
}

/// An answer of success, `None` where there is nothing.
fn found(reply: Reply) -> Result<Option<Reply>, Error> {
    match reply.status.as_u16() {
        // Whoever answers every path with a page for people has nothing of it.
        200 => match reply.web_page("a registry's answer") {
            Some(page) => Err(page),
            None => Ok(Some(reply)),
        },
        404 => Ok(None),
        _ => Err(reply.into_error()),
    }
}

/// A manifest to be sent.
#[derive(Debug)]
struct Document<'a>(&'a Manifest);

impl Body for Document<'_> {
    fn media_type(&self) -> &str {
        self.0.media_type.as_str()
    }

    fn length(&self) -> u64 {
        self.0.raw.len() as u64
    }

    fn open(&self) -> Result<Box<dyn std::io::Read + '_>, Error> {
        Ok(Box::new(self.0.raw.as_slice()))
    }
}

/// `Range: 0-<last byte>` of an upload, as the number of bytes that are there.
fn received(reply: &Reply) -> Option<u64> {
    let (first, last) = reply.header(&header::RANGE)?.trim().split_once('-')?;
    // `bytes=` before it is not in the specification, but in some registries.
    let first: u64 = first.trim_start_matches("bytes=").trim().parse().ok()?;
    let last: u64 = last.trim().parse().ok()?;
    match (first, last) {
        // Said of an upload without any byte too. If there is one, the registry
        // refuses another first byte, and the upload is begun anew.
        (0, 0) => Some(0),
        (0, last) => last.checked_add(1),
        _ => None,
    }
}
