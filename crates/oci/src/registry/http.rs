//! Images in a registry, over HTTP.
//!
//! OCI Distribution Specification v1.1, "Pull". One request is one attempt; who
//! calls decides on trying again. Manifests are checked against the digest asked
//! for, blobs against their size; their digest is checked where they are
//! written.

use ureq::http::header;

use super::auth::Auth;
use super::config::RegistryConfig;
use super::endpoint::Endpoint;
use super::exchange;
use super::transport::{Call, Reply, Transport, check_no_page};
use super::url::{Origin, ShownUrl, resolve};
use super::{BlobRest, Expected, Registry, checked_length, checked_manifest};
use crate::Error;
use crate::manifest::{Descriptor, Document, MAX_MANIFEST_BYTES, Manifest};
use crate::media::{MANIFEST_TYPES, MediaType};
use crate::reference::{DEFAULT_TAG, Reference};
use isoforge_base::digest::Digest;
use isoforge_base::error::Class;

/// How many pages of referrers are read.
const MAX_REFERRER_PAGES: usize = 16;

/// Where a registry says what the digest of a manifest is.
pub(super) const DIGEST_HEADER: header::HeaderName =
    header::HeaderName::from_static("docker-content-digest");

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
        let reply = self.get_from(url, accept, 0)?;
        match reply.status.as_u16() {
            200 => Ok(reply),
            _ => Err(reply.into_error()),
        }
    }

    /// Like [`get`](Self::get) from a byte on; the answer may be a part, or say
    /// that there is none (416).
    fn get_from(&self, url: &str, accept: &str, offset: u64) -> Result<Reply, Error> {
        let call = Call {
            url,
            accept,
            offset,
            ..Call::default()
        };
        let reply = exchange::send(&self.transport, &self.auth, call)?;
        match reply.status.as_u16() {
            200 | 206 | 416 => Ok(reply),
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
        let answered = reply.url.clone();
        let raw = reply.into_bytes(MAX_MANIFEST_BYTES)?;
        check_no_page(&answered, announced.as_ref(), &raw, "a manifest")?;
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

    fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<BlobRest<'_>, Error> {
        let url = format!("{}/blobs/{}", self.base_url, descriptor.digest);
        let mut offset = offset;
        loop {
            let reply = match offset {
                0 => self.get(&url, "*/*")?,
                offset => self.get_from(&url, "*/*", offset)?,
            };
            let whole = reply.status.as_u16() == 200;
            let length = reply.content_length().filter(|_| whole);
            // What has the blob's own length is the blob, whatever it is called.
            if whole
                && length != Some(descriptor.size)
                && let Some(coding) = reply.coding()?
            {
                return reply.into_undone(coding, Some(descriptor.size));
            }
            checked_length(&url, length, descriptor.size)?;
            if let Some(part) = reply.into_part(offset, Some(descriptor.size)) {
                return Ok(part);
            }
            offset = 0;
        }
    }

    fn listed_referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        let first = format!("{}/referrers/{subject}", self.base_url);
        let (mut url, mut listed) = (first.clone(), Vec::new());
        for _ in 0..MAX_REFERRER_PAGES {
            let reply = match self.get(&url, MANIFEST_TYPES[0]) {
                Ok(reply) => reply,
                Err(error) if url == first && has_no_referrers_list(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            let next = next_page(&reply, &url);
            let announced = reply.header(&header::CONTENT_TYPE).map(MediaType::parse);
            let raw = reply.into_bytes(MAX_MANIFEST_BYTES)?;
            check_no_page(&url, announced.as_ref(), &raw, "a list of referrers")?;
            let place = ShownUrl::of(&url).to_string();
            let page = checked_manifest(place, raw, Expected::default())?;
            if let Document::Index(entries) = page.document {
                listed.extend(entries);
            }
            match next {
                Some(next) => url = next,
                None => return Ok(Some(listed)),
            }
        }
        let problem = format!(
            "{}: more than {MAX_REFERRER_PAGES} pages",
            ShownUrl::of(&first)
        );
        Err(Error::new(Class::Verification, problem))
    }

    fn tagged(&self, tag: &str) -> Result<Option<Manifest>, Error> {
        match self.get_manifest(tag, Expected::default()) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How registries of before version 1.1 of the specification answer.
fn has_no_referrers_list(error: &Error) -> bool {
    match error {
        Error::NotFound { .. } => true,
        Error::Status { status, .. } => matches!(status, 400 | 405 | 406 | 501),
        _ => false,
    }
}

/// The page after this one (RFC 8288), which must be of the same registry, since
/// it gets the same credentials.
fn next_page(reply: &Reply, url: &str) -> Option<String> {
    let (target, parameters) = reply.header(&header::LINK)?.split_once('>')?;
    if !parameters.replace([' ', '"'], "").contains("rel=next") {
        return None;
    }
    let next = resolve(url, target.trim().strip_prefix('<')?)?;
    (Origin::of(&next) == Origin::of(url)).then_some(next)
}
