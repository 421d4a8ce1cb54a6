//! Images in a registry, over HTTP.
//!
//! OCI Distribution Specification v1.1, "Pull". One request is one attempt; who
//! calls decides on trying again. Manifests are checked against the digest asked
//! for, blobs against their size; their digest is checked where they are
//! written.

use std::io::Read;

use ureq::http::header;

use super::auth::Auth;
use super::challenge;
use super::config::RegistryConfig;
use super::endpoint::Endpoint;
use super::error::Error;
use super::transport::{Call, Reply, Transport};
use super::url::{Origin, ShownUrl};
use super::{Expected, Registry, checked_manifest};
use crate::oci::manifest::{Descriptor, MAX_MANIFEST_BYTES, Manifest};
use crate::oci::media::{MANIFEST_TYPES, MediaType};
use crate::oci::reference::{DEFAULT_TAG, Reference};

const DIGEST_HEADER: header::HeaderName = header::HeaderName::from_static("docker-content-digest");

/// One repository of a registry.
#[derive(Debug)]
pub(super) struct HttpRegistry {
    reference: Reference,
    base_url: String,
    transport: Transport,
    auth: Auth,
}

impl HttpRegistry {
    pub(super) fn new(
        reference: &Reference,
        endpoint: Endpoint,
        config: &RegistryConfig,
        transport: Transport,
    ) -> Self {
        Self {
            reference: reference.clone(),
            base_url: endpoint.base_url(),
            transport,
            auth: Auth::new(endpoint, config),
        }
    }

    /// Makes a request, answers a challenge once, and gives an answer of
    /// success.
    fn get(&self, url: &str, accept: &str) -> Result<Reply, Error> {
        let used = self.auth.header();
        let reply = self.request(url, accept, used.as_deref())?;
        // Whoever a redirect leads to is not the registry, and gets no answer to
        // a challenge.
        let own = Origin::of(&reply.url) == Origin::of(url);
        if reply.status.as_u16() != 401 || !own {
            return self.success(reply);
        }
        let challenges = reply.headers.get_all(header::WWW_AUTHENTICATE);
        let texts = challenges.iter().filter_map(|value| value.to_str().ok());
        let challenge = challenge::parse(texts);
        // Read to its end before anything else is asked: see `limiter`.
        let (shown, said) = (ShownUrl::of(&reply.url), reply.into_answer());
        let header = match &challenge {
            Some(challenge) => self
                .auth
                .answer(&self.transport, url, challenge, used.as_ref())?,
            None => None,
        };
        match header {
            Some(header) => self.success(self.request(url, accept, Some(&header))?),
            None => Err(self.auth.refused(shown, said)),
        }
    }

    fn request(
        &self,
        url: &str,
        accept: &str,
        authorization: Option<&super::secret::Secret>,
    ) -> Result<Reply, Error> {
        self.transport.send(Call {
            url,
            accept,
            authorization,
            form: None,
        })
    }

    fn success(&self, reply: Reply) -> Result<Reply, Error> {
        match reply.status.as_u16() {
            200 => Ok(reply),
            401 | 403 => Err(self.auth.denied(reply)),
            _ => Err(reply.into_error()),
        }
    }

    /// Gets a manifest by tag or digest. `expected` is what is known of it.
    fn get_manifest(&self, name: &str, expected: Expected<'_>) -> Result<Manifest, Error> {
        let url = format!("{}/manifests/{name}", self.base_url);
        let reply = self.get(&url, &MANIFEST_TYPES.join(", "))?;
        let announced = reply.header(&header::CONTENT_TYPE).map(MediaType::parse);
        let promised = reply
            .header(&DIGEST_HEADER)
            .and_then(|text| text.trim().parse().ok());
        let raw = reply.into_bytes(MAX_MANIFEST_BYTES)?;
        let expected = Expected {
            digest: expected.digest.or(promised),
            size: expected.size,
            media_type: expected.media_type.or(announced.as_ref()),
        };
        checked_manifest(ShownUrl::of(&url).to_string(), raw, expected)
    }
}

impl Registry for HttpRegistry {
    fn resolve(&self) -> Result<Manifest, Error> {
        let digest = self.reference.digest();
        let name = match digest {
            Some(digest) => digest.to_string(),
            None => self.reference.tag().unwrap_or(DEFAULT_TAG).to_owned(),
        };
        let expected = Expected {
            digest,
            ..Expected::default()
        };
        self.get_manifest(&name, expected)
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Error> {
        self.get_manifest(&descriptor.digest.to_string(), descriptor.into())
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send + '_>, Error> {
        let url = format!("{}/blobs/{}", self.base_url, descriptor.digest);
        let reply = self.get(&url, "*/*")?;
        match reply.content_length() {
            Some(length) if length != descriptor.size => Err(Error::Length {
                place: ShownUrl::of(&url).to_string(),
                expected: descriptor.size,
                found: length,
            }),
            _ => Ok(Box::new(reply.into_stream(Some(descriptor.size)))),
        }
    }
}
