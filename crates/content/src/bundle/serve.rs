//! A bundle as a registry that can be read, for this machine alone.
//!
//! OCI Distribution Specification v1.1: pulling, listing tags and referrers; and
//! `_catalog` of Docker's registry API. Images are under `<upstream
//! host>/<repository>`, a port's `:` as `_`, since a repository's name has none; what a
//! layout by others lists under a bare tag is in [`LOCAL`]. Nothing is unpacked or
//! copied: blobs go from where they lie to the client, ranges too.
//!
//! Non-goals: pushing, TLS, credentials, being reached from elsewhere.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;

use percent_encoding::percent_decode_str;
use serde_json::json;

use super::http::{Answer, Listener, Request};
use super::{Bundle, Root};
use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Failure};
use isoforge_oci::layout::descriptor_json;
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::{Family, MediaType};
use isoforge_oci::reference::{self, Reference};

/// The repository of roots that have a bare tag for a name.
pub const LOCAL: &str = "local";
/// Most names in one answer, where the client does not ask for fewer.
const MAX_NAMES: usize = 10_000;

/// A bundle that is served.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    bundle: Bundle,
    /// Tags by repository.
    repositories: BTreeMap<String, BTreeMap<String, Descriptor>>,
    /// All manifests and indexes.
    manifests: BTreeMap<Digest, Descriptor>,
    /// By subject.
    referrers: BTreeMap<Digest, Vec<Descriptor>>,
}

impl Server {
    /// Reads the bundle's manifests and begins to listen. With port 0 the system
    /// chooses one.
    ///
    /// # Errors
    /// Where others can reach the address, or it can't be listened on, and what walking the roots gives.
    pub fn new(bundle: Bundle, address: SocketAddr) -> Result<Self, Error> {
        if !address.ip().is_loopback() {
            let failure = Error::asked(format!("{address} is no address of this machine alone"));
            let hint = "the server has no access control: listen on 127.0.0.1 or [::1]";
            return Err(failure.with_hint(hint).into());
        }
        let (mut repositories, mut manifests) = (BTreeMap::new(), BTreeMap::new());
        let mut referrers: BTreeMap<Digest, Vec<Descriptor>> = BTreeMap::new();
        for root in bundle.roots() {
            for found in bundle.walk(root)? {
                if found.media_type.is_manifest() {
                    manifests.insert(found.digest, found);
                }
            }
            if let Some(subject) = bundle.subject(root)? {
                let mut descriptor = root.descriptor.clone();
                descriptor.annotations.clear();
                referrers.entry(subject).or_default().push(descriptor);
            }
            place(root, &mut repositories);
        }
        let listener = Listener::bind(address).map_err(|error| {
            let text = format!("can't listen on {address}: {error}");
            Failure::new(Class::Environment, text)
        })?;
        Ok(Self {
            listener,
            bundle,
            repositories,
            manifests,
            referrers,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The repositories and their tags.
    pub fn repositories(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.repositories
            .iter()
            .map(|(name, tags)| (name.as_str(), tags.keys().map(String::as_str).collect()))
    }

    /// Answers until [`stop`](Self::stop) is called.
    pub fn run(&self) {
        self.listener.run(&|request| self.answer(request));
    }

    /// Ends [`run`](Self::run) and all connections.
    pub fn stop(&self) {
        self.listener.stop();
    }

    fn answer(&self, request: &Request) -> Answer {
        let answer = match request.method.as_str() {
            "GET" | "HEAD" => self.read(request),
            _ => refuse(405, "UNSUPPORTED", "a bundle can only be read"),
        };
        answer.with("Docker-Distribution-Api-Version", "registry/2.0")
    }

    fn read(&self, request: &Request) -> Answer {
        let target = request.target.as_str();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = &decoded(path);
        match path.as_str() {
            "/v2" | "/v2/" => return document("application/json", b"{}".to_vec()),
            "/v2/_catalog" => {
                let names = self.repositories.keys();
                return page(
                    "/v2/_catalog",
                    query,
                    names,
                    |names| json!({ "repositories": names }),
                );
            }
            _ => {}
        }
        let parts = path.strip_prefix("/v2/").and_then(|path| {
            let (rest, last) = path.rsplit_once('/')?;
            let (name, kind) = rest.rsplit_once('/')?;
            Some((name, kind, last))
        });
        let Some((name, kind, last)) = parts else {
            return refuse(404, "NAME_UNKNOWN", "there is nothing here");
        };
        let Some(tags) = self.repositories.get(name) else {
            return refuse(404, "NAME_UNKNOWN", "the bundle has no such repository");
        };
        match (kind, last) {
            ("tags", "list") => page(
                path,
                query,
                tags.keys(),
                |tags| json!({ "name": name, "tags": tags }),
            ),
            ("manifests", reference) => self.manifest(tags, reference),
            ("blobs", digest) => self.blob(digest, request),
            ("referrers", digest) => self.referrers(digest),
            _ => refuse(404, "NAME_UNKNOWN", "there is nothing here"),
        }
    }

    fn manifest(&self, tags: &BTreeMap<String, Descriptor>, reference: &str) -> Answer {
        let descriptor = match reference.parse::<Digest>() {
            Ok(digest) => self.manifests.get(&digest),
            Err(_) => tags.get(reference),
        };
        let unknown = || refuse(404, "MANIFEST_UNKNOWN", "the bundle has no such manifest");
        let Some(descriptor) = descriptor else {
            return unknown();
        };
        match self.bundle.manifest(descriptor) {
            Ok(Some(manifest)) => {
                let digest = manifest.digest.to_string();
                document(manifest.media_type.as_str(), manifest.raw)
                    .with("Docker-Content-Digest", digest)
            }
            Ok(None) => unknown(),
            Err(error) => refuse(500, "UNKNOWN", &error.to_string()),
        }
    }

    fn blob(&self, digest: &str, request: &Request) -> Answer {
        let Ok(digest) = digest.parse::<Digest>() else {
            return refuse(400, "DIGEST_INVALID", "this is no sha256 digest");
        };
        let size = match self.bundle.open_blob(&digest) {
            Ok(Some((size, _))) => size,
            Ok(None) => return refuse(404, "BLOB_UNKNOWN", "the bundle has no such blob"),
            Err(error) => return refuse(500, "UNKNOWN", &error.to_string()),
        };
        let range = request.range.as_deref().and_then(|text| range(text, size));
        let (status, start, end) = match range {
            None => (200, 0, size),
            Some(Ok((start, end))) => (206, start, end),
            Some(Err(Unsatisfiable)) => {
                let answer = refuse(416, "RANGE_INVALID", "the blob has no such range");
                return answer.with("Content-Range", format!("bytes */{size}"));
            }
        };
        let reader = match self.bundle.open_blob_from(&digest, start) {
            Ok(Some((_, reader))) => reader,
            Ok(None) => return refuse(404, "BLOB_UNKNOWN", "the bundle has no such blob"),
            Err(error) => return refuse(500, "UNKNOWN", &error.to_string()),
        };
        let answer = Answer {
            status,
            headers: Vec::new(),
            length: end - start,
            body: Box::new(reader.take(end - start)),
        }
        .with("Content-Type", "application/octet-stream")
        .with("Docker-Content-Digest", digest.to_string())
        .with("Accept-Ranges", "bytes");
        match status {
            206 => {
                let last = end.saturating_sub(1);
                answer.with("Content-Range", format!("bytes {start}-{last}/{size}"))
            }
            _ => answer,
        }
    }

    fn referrers(&self, subject: &str) -> Answer {
        let Ok(subject) = subject.parse::<Digest>() else {
            return refuse(400, "DIGEST_INVALID", "this is no sha256 digest");
        };
        let found = self.referrers.get(&subject).into_iter().flatten();
        let media_type = MediaType::Index(Family::Oci);
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type.as_str(),
            "manifests": found.map(descriptor_json).collect::<Vec<_>>(),
        });
        document(media_type.as_str(), index.to_string().into_bytes())
    }
}

/// Puts a root where clients look for it.
fn place(root: &Root, repositories: &mut BTreeMap<String, BTreeMap<String, Descriptor>>) {
    let (repository, tag) = match root.parsed() {
        Some(reference) => (repository(&reference), reference.tag().map(str::to_owned)),
        None if reference::is_tag(&root.reference) => {
            (LOCAL.to_owned(), Some(root.reference.clone()))
        }
        None => return,
    };
    let tags = repositories.entry(repository).or_default();
    if let Some(tag) = tag {
        tags.insert(tag, root.descriptor.clone());
    }
}

/// Where an image is on a registry that holds those of several.
#[must_use]
pub fn repository(reference: &Reference) -> String {
    let host = reference.registry().replace(':', "_");
    format!("{host}/{}", reference.repository())
}

/// The text of a target's part whose bytes may stand as `%2F` or `%2f` (RFC 3986,
/// section 2.1).
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn document(media_type: &str, bytes: Vec<u8>) -> Answer {
    Answer::new(200, media_type, bytes)
}

fn refuse(status: u16, code: &str, message: &str) -> Answer {
    let errors = json!({ "errors": [{ "code": code, "message": message }] });
    Answer::new(status, "application/json", errors.to_string().into_bytes())
}

/// A sorted list as the client asks for it: `n` names behind `last`.
fn page<'a>(
    path: &str,
    query: &str,
    names: impl Iterator<Item = &'a String>,
    answer: impl FnOnce(&[&String]) -> serde_json::Value,
) -> Answer {
    let value = |key: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let most = value("n").and_then(|n| n.parse().ok()).unwrap_or(MAX_NAMES);
    let most: usize = most.min(MAX_NAMES);
    let last = decoded(value("last").unwrap_or_default());
    let rest: Vec<&String> = names.filter(|name| **name > last).collect();
    let (shown, left) = rest.split_at(most.min(rest.len()));
    let page = document("application/json", answer(shown).to_string().into_bytes());
    match shown.last() {
        Some(last) if !left.is_empty() => {
            let next = format!("<{path}?n={most}&last={last}>; rel=\"next\"");
            page.with("Link", next)
        }
        _ => page,
    }
}

/// Nothing of a blob is in the range.
#[derive(Debug, PartialEq, Eq)]
struct Unsatisfiable;

/// First byte and the one behind the last of `bytes=…` (RFC 9110, section 14.1.2);
/// `None` for what may be ignored, as several ranges.
fn range(text: &str, size: u64) -> Option<Result<(u64, u64), Unsatisfiable>> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let n: u64 = last.parse().ok()?;
        return Some(match n {
            0 => Err(Unsatisfiable),
            n => Ok((size.saturating_sub(n), size)),
        });
    }
    let start: u64 = first.parse().ok()?;
    let end = match last {
        "" => size,
        last => last.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    Some(if start >= size {
        Err(Unsatisfiable)
    } else if start >= end {
        return None;
    } else {
        Ok((start, end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_in_either_case() {
        for (text, plain) in [
            ("a%2Fb%2fc%3A1", "a/b/c:1"),
            ("%", "%"),
            ("%2", "%2"),
            ("%+1%zz", "%+1%zz"),
            ("%c3%a4", "ä"),
        ] {
            assert_eq!(decoded(text), plain);
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(range("bytes=0-0", 10), Some(Ok((0, 1))));
        assert_eq!(range("bytes=3-", 10), Some(Ok((3, 10))));
        assert_eq!(range("bytes=3-99", 10), Some(Ok((3, 10))));
        assert_eq!(range("bytes=-4", 10), Some(Ok((6, 10))));
        assert_eq!(range("bytes=-99", 10), Some(Ok((0, 10))));
        assert_eq!(range("bytes=10-", 10), Some(Err(Unsatisfiable)));
        assert_eq!(range("bytes=-0", 10), Some(Err(Unsatisfiable)));
        for text in ["bytes=5-4", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", ""] {
            assert_eq!(range(text, 10), None, "{text}");
        }
    }
}
