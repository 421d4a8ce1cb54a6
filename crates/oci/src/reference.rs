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

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an image reference: {problem}")]
pub struct ParseReferenceError {
    /// The text that was given.
    pub text: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with the text of a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing, or nothing before the tag.
    #[error("the name is empty")]
    Empty,
    /// `https://…`.
    #[error("a reference has no '{scheme}://' in front")]
    Scheme {
        /// The scheme that was given.
        scheme: String,
    },
    /// A transport that other tools have and isoforge has not.
    #[error("there is no source of the kind '{transport}:'")]
    Transport {
        /// The transport without its colon.
        transport: String,
    },
    /// `docker:quay.io/…`: tools differ in what that means.
    #[error("an image in a registry is written without '{transport}:'")]
    RegistryTransport {
        /// The transport without its colon.
        transport: String,
        /// What to write instead.
        instead: String,
    },
    /// A user name or password before the host.
    #[error("credentials do not belong into a reference")]
    Credentials,
    /// Characters that the domain can't have.
    #[error("'{domain}' is not a registry's host name with an optional port")]
    Domain {
        /// The part before the first slash.
        domain: String,
    },
    /// Upper case.
    #[error("repository names are lower-case, '{component}' is not")]
    UpperCase {
        /// The part of the name that is wrong.
        component: String,
    },
    /// Characters that a repository name can't have.
    #[error("'{component}' is not a valid part of a repository name")]
    Component {
        /// The part of the name that is wrong.
        component: String,
    },
    /// 64 hex digits, which other tools take for the id of a local image.
    #[error("64 hex digits alone name no repository")]
    BareId,
    /// Characters that a tag can't have, or too many.
    #[error("'{tag}' is not a valid tag")]
    Tag {
        /// The tag.
        tag: String,
    },
    /// What follows `@` is no sha256 digest.
    #[error("'{digest}' is not a digest of the form sha256:<64 lower-case hex digits>")]
    Digest {
        /// What was given.
        digest: String,
    },
    /// `name@sha256:…` where a place is meant, not an image.
    #[error("a place to push to has no digest")]
    Pinned,
    /// The name is longer than [`MAX_NAME_BYTES`].
    #[error("the name is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// A local form without a path.
    #[error("a path belongs after '{transport}:'")]
    NoPath {
        /// The transport without its colon.
        transport: String,
    },
}

impl isoforge_base::error::Diagnose for ParseReferenceError {
    fn class(&self) -> isoforge_base::error::Class {
        isoforge_base::error::Class::Profile
    }

    fn hint(&self) -> Option<String> {
        Some(match &self.problem {
            Problem::Scheme { .. } => "write the host, the repository and the tag, as in quay.io/kairos/ubuntu:22.04".into(),
            Problem::Transport { .. } => "an image is a registry reference, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE".into(),
            Problem::RegistryTransport { instead, .. } => format!("write {instead}"),
            Problem::Credentials => "credentials come from the docker configuration (docker login) or a credential helper".into(),
            Problem::UpperCase { .. } => "only the host and the tag may have upper-case letters".into(),
            Problem::BareId => "name the image by repository and digest, as in name@sha256:…".into(),
            Problem::NoPath { transport } if transport == "oci" => "write oci:DIR or oci:DIR:TAG".into(),
            Problem::NoPath { transport } => format!("write {transport}:FILE"),
            _ => "a reference is [host[:port]/]repository[:tag][@digest]".into(),
        })
    }
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
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_reference(text).map_err(|problem| ParseReferenceError {
            text: redacted(text, &problem),
            problem,
        })
    }
}

impl TryFrom<String> for Reference {
    type Error = ParseReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

/// The text for the error, without what stands before an `@` that marks
/// credentials.
fn redacted(text: &str, problem: &Problem) -> String {
    match (problem, text.split_once('@')) {
        (Problem::Credentials, Some((_, rest))) => format!("<credentials>@{rest}"),
        (Problem::Scheme { .. }, Some((before, rest))) if !rest.starts_with("sha256:") => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://<credentials>@{rest}")
        }
        _ => text.to_owned(),
    }
}

fn parse_reference(text: &str) -> Result<Reference, Problem> {
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(Problem::Scheme {
            scheme: scheme.to_owned(),
        });
    }
    let (rest, digest) = match text.split_once('@') {
        None => (text, None),
        Some((rest, digest)) => match digest.parse::<Digest>() {
            Ok(digest) => (rest, Some(digest)),
            // `user:password@host/…` has its slash after the `@`.
            Err(_) if !digest.starts_with("sha") && digest.contains(['/', '.']) => {
                return Err(Problem::Credentials);
            }
            Err(_) => {
                return Err(Problem::Digest {
                    digest: digest.to_owned(),
                });
            }
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
        return Err(Problem::Tag {
            tag: tag.to_owned(),
        });
    }
    let (registry, repository) = split_domain(name)?;
    check_repository(&repository)?;
    if registry.len() + 1 + repository.len() > MAX_NAME_BYTES {
        return Err(Problem::TooLong);
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

/// Parts the registry from the repository, with the defaults of Docker Hub.
fn split_domain(name: &str) -> Result<(String, String), Problem> {
    if name.is_empty() {
        return Err(Problem::Empty);
    }
    if name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Problem::BareId);
    }
    let (domain, repository) = match name.split_once('/') {
        Some((first, rest)) if looks_like_domain(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    if !is_domain(domain) {
        return Err(Problem::Domain {
            domain: domain.to_owned(),
        });
    }
    let domain = match domain {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY,
        other => other,
    };
    if repository.is_empty() {
        return Err(Problem::Empty);
    }
    let repository = if domain == DEFAULT_REGISTRY && !repository.contains('/') {
        format!("{DEFAULT_FOLDER}/{repository}")
    } else {
        repository.to_owned()
    };
    Ok((domain.to_ascii_lowercase(), repository))
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

fn check_repository(repository: &str) -> Result<(), Problem> {
    for component in repository.split('/') {
        if component.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(Problem::UpperCase {
                component: component.to_owned(),
            });
        }
        if !is_path_component(component) {
            return Err(Problem::Component {
                component: component.to_owned(),
            });
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
