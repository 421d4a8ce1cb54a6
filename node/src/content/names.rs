//! Where a reference lies in the registry: repository `<host>/<repository>`, and a
//! tag.
//!
//! Repositories of a registry have no colons (OCI Distribution Specification v1.1,
//! "Pulling manifests"), so a port is parted by `_`, which no host name has.
//!
//! A reference by digest alone gets a tag too: Zot's garbage collection removes
//! manifests that no tag leads to. It can't be `sha256-<hex>`: that is the list of
//! what refers to an image, for registries that can't be asked ("Referrers Tag
//! Schema"), and with `.sig` and the like behind it cosign's.

use anyhow::Result;
use isoforge_base::digest::Digest;
use isoforge_oci::reference::Reference;

use super::BadSource;

/// What a tag begins with that stands for a digest.
const BY_DIGEST: &str = "digest-sha256-";

/// The folder of a host in the registry.
///
/// # Errors
/// Where a repository can't be called so.
pub fn folder_of_host(host: &str) -> Result<String> {
    if host.contains(['[', ']']) {
        let problem = "an IPv6 address can't be part of a repository";
        return Err(BadSource::name(host, problem));
    }
    Ok(host.to_ascii_lowercase().replace(':', "_"))
}

/// The host whose folder this is.
#[must_use]
pub fn host_of_folder(folder: &str) -> String {
    match folder.rsplit_once('_') {
        Some((host, port)) => format!("{host}:{port}"),
        None => folder.to_owned(),
    }
}

/// The repository of a reference in the registry.
///
/// # Errors
/// Where a repository can't be called so.
pub fn repository(reference: &Reference) -> Result<String> {
    let folder = folder_of_host(reference.registry())?;
    Ok(format!("{folder}/{}", reference.repository()))
}

/// The reference that a repository and its tag stand for; none where the tag
/// stands for a digest alone.
#[must_use]
pub fn reference(repository: &str, tag: &str, digest: &Digest) -> String {
    let name = match repository.split_once('/') {
        Some((folder, rest)) => format!("{}/{rest}", host_of_folder(folder)),
        None => repository.to_owned(),
    };
    if tag == digest_tag(digest) {
        format!("{name}@{digest}")
    } else {
        format!("{name}:{tag}")
    }
}

/// The tag that stands for a digest.
#[must_use]
pub fn digest_tag(digest: &Digest) -> String {
    format!("{BY_DIGEST}{}", digest.hex())
}

/// A root's name as a reference. A layout of another tool may have a bare tag
/// there, which names no repository.
///
/// # Errors
/// Where a repository can't be called so.
pub fn parse(text: &str) -> Result<Reference> {
    if !text.contains('/') {
        let problem = "it names no registry and repository; content is named as in docker.io/library/nginx:1.29";
        return Err(BadSource::name(text, problem));
    }
    text.parse()
        .map_err(|wrong: isoforge_oci::Error| BadSource::name(text, wrong.into_problem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_parted_by_what_no_host_name_has() {
        for (text, expected) in [
            ("docker.io/calico/node:v3.29.2", "docker.io/calico/node"),
            ("nginx/nginx", "docker.io/nginx/nginx"),
            ("r.example:5000/a/b:1", "r.example_5000/a/b"),
            ("R.example:5000/a/b:1", "r.example_5000/a/b"),
        ] {
            assert_eq!(repository(&parse(text).unwrap()).unwrap(), expected);
        }
        assert_eq!(host_of_folder("r.example_5000"), "r.example:5000");
        assert_eq!(host_of_folder("docker.io"), "docker.io");
        assert!(folder_of_host("[::1]:5000").is_err());
    }

    #[test]
    fn a_digest_has_a_tag_that_is_nobody_elses() {
        let digest = Digest::of(b"x");
        let tag = digest_tag(&digest);
        // The tag's grammar, and neither of the two schemes.
        let full: Reference = format!("r.example/a:{tag}").parse().unwrap();
        assert_eq!(full.tag(), Some(tag.as_str()));
        assert!(!tag.starts_with("sha256-"));
        assert_eq!(
            reference("r.example_5000/a", &tag, &digest),
            format!("r.example:5000/a@{digest}")
        );
        assert_eq!(reference("docker.io/a/b", "1", &digest), "docker.io/a/b:1");
    }

    #[test]
    fn a_bare_tag_names_nothing() {
        let error = parse("v1").unwrap_err();
        insta::assert_snapshot!(error, @"'v1' can't be stored: it names no registry and repository; content is named as in docker.io/library/nginx:1.29");
        assert!(parse("r.example/A").is_err());
    }
}
