//! Names of images: registry references and the local forms
//! `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` and `docker-archive:FILE[:NAME]`.
//!
//! The grammar of references is the one of the OCI Distribution Specification
//! v1.1 ("Pulling manifests") with the domain and default rules that all
//! container tools share: without a domain the registry is `docker.io`, there
//! without a folder the folder is `library`, and without tag and digest the tag
//! is `latest`. The local forms are those of containers-transports(5): the first
//! colon after the prefix parts path and name.

mod source;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;
use isoforge_base::digest::Digest;
pub use source::ImageSource;

/// The registry of references without a domain.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The folder of `docker.io` that holds images named without one.
pub const DEFAULT_FOLDER: &str = "library";
/// The tag of references without tag and digest.
pub const DEFAULT_TAG: &str = "latest";
/// Longest repository name that registries accept, domain included.
pub const MAX_NAME_BYTES: usize = 255;
/// Longest tag (OCI Distribution Specification v1.1).
pub const MAX_TAG_BYTES: usize = 128;

/// A reference to an image in a registry, in full form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry's host, with its port where one was given; `docker.io` for
    /// Docker Hub.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry, as in `library/debian`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag. A reference with neither tag nor digest has [`DEFAULT_TAG`].
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, which decides where both are given.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Registry and repository without tag and digest.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same repository, pinned to `digest`, the tag kept.
    #[must_use]
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse_reference(text)
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

/// The error for a text that is no reference.
pub(crate) fn unfit(text: &str, problem: impl Into<String>) -> Error {
    Error::Reference {
        text: text.to_owned(),
        problem: problem.into(),
        hint: None,
    }
}

fn parse_reference(text: &str) -> Result<Reference, Error> {
    if let Some((scheme, _)) = text.split_once("://") {
        let shown = match text.split_once('@') {
            Some((before, rest)) if !rest.starts_with("sha256:") => {
                let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
                format!("{scheme}://<credentials>@{rest}")
            }
            _ => text.to_owned(),
        };
        let problem = format!("a reference has no '{scheme}://' in front");
        let hint = "write the host, the repository and the tag, as in quay.io/kairos/ubuntu:22.04";
        return Err(unfit(&shown, problem).with_hint(hint));
    }
    let (rest, digest) = match text.split_once('@') {
        None => (text, None),
        Some((rest, digest)) => match digest.parse::<Digest>() {
            Ok(digest) => (rest, Some(digest)),
            // `user:password@host/…` has its slash after the `@`.
            Err(_) if !digest.starts_with("sha") && digest.contains(['/', '.']) => {
                let shown = format!("<credentials>@{digest}");
                let hint = "credentials come from the docker configuration (docker login) or a credential helper";
                return Err(
                    unfit(&shown, "credentials do not belong into a reference").with_hint(hint)
                );
            }
            Err(error) => return Err(unfit(text, error.to_string())),
        },
    };
    let name_start = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest.get(name_start..).and_then(|last| last.rfind(':')) {
        Some(at) => (
            rest.get(..name_start + at).unwrap_or_default(),
            rest.get(name_start + at + 1..),
        ),
        None => (rest, None),
    };
    if let Some(tag) = tag
        && !is_tag(tag)
    {
        return Err(unfit(text, format!("'{tag}' is not a valid tag")));
    }
    let (registry, repository) = split_domain(text, name)?;
    check_repository(text, &repository)?;
    if registry.len() + 1 + repository.len() > MAX_NAME_BYTES {
        let problem = format!("the name is longer than {MAX_NAME_BYTES} bytes");
        return Err(unfit(text, problem));
    }
    let tag = match (tag, digest) {
        (Some(tag), _) => Some(tag.to_owned()),
        (None, None) => Some(DEFAULT_TAG.to_owned()),
        (None, Some(_)) => None,
    };
    Ok(Reference {
        registry,
        repository,
        tag,
        digest,
    })
}

/// Parts the registry from the repository in the name of `text`, with the defaults of
/// Docker Hub.
fn split_domain(text: &str, name: &str) -> Result<(String, String), Error> {
    // Other tools take it for the id of a local image.
    if name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(unfit(text, "64 hex digits alone name no repository")
            .with_hint("name the image by repository and digest, as in name@sha256:…"));
    }
    let (domain, repository) = match name.split_once('/') {
        Some((first, rest)) if looks_like_domain(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    if !is_domain(domain) {
        let problem = format!("'{domain}' is not a registry's host name with an optional port");
        return Err(unfit(text, problem));
    }
    let lower = domain.to_ascii_lowercase();
    let domain = match lower.as_str() {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY,
        lower if looks_like_domain(lower) => lower,
        // Its case alone tells it from a folder of Docker Hub.
        _ => domain,
    };
    if repository.is_empty() {
        return Err(unfit(text, "the name is empty"));
    }
    let repository = if domain == DEFAULT_REGISTRY && !repository.contains('/') {
        format!("{DEFAULT_FOLDER}/{repository}")
    } else {
        repository.to_owned()
    };
    Ok((domain.to_owned(), repository))
}

/// Whether a repository is written with its registry's host, not left to the
/// default.
#[must_use]
pub fn names_registry(repository: &str) -> bool {
    let first = repository.split_once('/').map(|(first, _)| first);
    first.is_some_and(looks_like_domain)
}

fn looks_like_domain(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':', '['])
        || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                return port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            }
            _ => return false,
        },
        None => domain
            .split_once(':')
            .map_or((domain, None), |(host, port)| (host, Some(port))),
    };
    port.is_none_or(is_port)
        && host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether a text can be a tag (OCI Distribution Specification v1.1, "Pull").
#[must_use]
pub fn is_tag(tag: &str) -> bool {
    tag.len() <= MAX_TAG_BYTES
        && tag
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && tag
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn check_repository(text: &str, repository: &str) -> Result<(), Error> {
    for component in repository.split('/') {
        if component.bytes().any(|b| b.is_ascii_uppercase()) {
            let problem = format!("repository names are lower-case, '{component}' is not");
            return Err(unfit(text, problem)
                .with_hint("only the host and the tag may have upper-case letters"));
        }
        if !is_path_component(component) {
            let problem = format!("'{component}' is not a valid part of a repository name");
            return Err(unfit(text, problem));
        }
    }
    Ok(())
}

/// Runs of lower-case letters and digits, parted by `.`, `_`, `__` or dashes.
fn is_path_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    is_word(first)
        && is_word(last)
        && bytes.split(|&b| is_word(b)).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&b| b == b'-')
        })
}

#[cfg(test)]
mod tests;
