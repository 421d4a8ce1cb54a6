//! Where a repository is asked for: its registry, or the mirrors set for it.

use super::config::RegistryConfig;
use super::url;
use crate::Error;
use crate::reference::{DEFAULT_REGISTRY, Reference};

/// Host that serves what `docker.io` names.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// Where a repository is really asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `host[:port]` to connect to.
    pub(super) host: String,
    /// The name under which credentials are stored.
    pub(super) credential_host: String,
    /// The repository there.
    pub(super) repository: String,
    /// Without TLS.
    pub(super) plain_http: bool,
    /// Whether it stands in for another host.
    pub(super) mirror: bool,
}

impl Endpoint {
    /// `scheme://host[:port]/v2/`, without repository.
    pub(super) fn api_url(&self) -> String {
        let scheme = if self.plain_http { "http" } else { "https" };
        format!("{scheme}://{}/v2/", self.host)
    }

    pub(super) fn base_url(&self) -> String {
        format!("{}{}", self.api_url(), self.repository)
    }
}

/// The name by which references mean the host `authority` that is connected to.
pub(super) fn reference_host(authority: &str) -> &str {
    if authority == DOCKER_HUB_HOST {
        return DEFAULT_REGISTRY;
    }
    authority
}

impl RegistryConfig {
    /// Where the repository of `reference` is asked for: first, and then.
    pub(super) fn endpoints(
        &self,
        reference: &Reference,
    ) -> Result<(Endpoint, Vec<Endpoint>), Error> {
        let (registry, repository) = (reference.registry(), reference.repository());
        let itself = self.endpoint(registry, repository.to_owned(), false);
        let set = self.hosts.get(registry);
        let mut mirrors = Vec::new();
        for mirror in set
            .into_iter()
            .filter_map(|host| host.mirrors.as_ref())
            .flatten()
        {
            let (name, repository) = mirrored(mirror, repository)?;
            mirrors.push(self.endpoint(&name, repository, true));
        }
        if set.is_some_and(|host| host.fallback == Some(true)) {
            mirrors.push(itself.clone());
        }
        let mut places = mirrors.into_iter();
        match places.next() {
            Some(first) => Ok((first, places.collect())),
            None => Ok((itself, Vec::new())),
        }
    }

    /// The registry `name` itself.
    pub(super) fn endpoint(&self, name: &str, repository: String, mirror: bool) -> Endpoint {
        let plain_http = self
            .hosts
            .get(name)
            .and_then(|host| host.plain_http)
            .unwrap_or_else(|| url::is_loopback(name));
        let host = if name == DEFAULT_REGISTRY {
            DOCKER_HUB_HOST
        } else {
            name
        };
        Endpoint {
            host: host.to_owned(),
            credential_host: name.to_owned(),
            repository,
            plain_http,
            mirror,
        }
    }
}

/// Host and repository of `repository` at a mirror `host[:port][/prefix]`.
pub(super) fn mirrored(mirror: &str, repository: &str) -> Result<(String, String), Error> {
    let wrong = || {
        let wanted =
            "a mirror of the form host[:port][/prefix], without http:// and without credentials";
        Error::setting(url::ShownUrl::of(mirror), wanted)
    };
    if mirror.contains("://") || mirror.contains('@') {
        return Err(wrong());
    }
    let trimmed = mirror.trim_end_matches('/');
    let (host, prefix) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    let repository = if prefix.is_empty() {
        repository.to_owned()
    } else {
        format!("{prefix}/{repository}")
    };
    // A host without dot and port would be read as a folder of Docker Hub.
    let host_and_port = if host.contains(['.', ':']) || host == "localhost" {
        host.to_owned()
    } else {
        format!("{host}:443")
    };
    let checked: Reference = format!("{host_and_port}/{repository}")
        .parse()
        .map_err(|_| wrong())?;
    Ok((host.to_owned(), checked.repository().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::config::HostConfig;
    use super::*;

    fn endpoints(config: &RegistryConfig, reference: &str) -> String {
        let (first, others) = config.endpoints(&reference.parse().unwrap()).unwrap();
        std::iter::once(&first)
            .chain(&others)
            .map(|endpoint| format!("{} as {}", endpoint.base_url(), endpoint.credential_host))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn with_hosts(hosts: &[(&str, &[&str], Option<bool>)]) -> RegistryConfig {
        let host = |&(host, mirrors, plain_http): &(&str, &[&str], Option<bool>)| {
            let config = HostConfig {
                mirrors: Some(mirrors.iter().map(|&mirror| mirror.to_owned()).collect()),
                plain_http,
                ..HostConfig::default()
            };
            (host.to_owned(), config)
        };
        RegistryConfig {
            hosts: hosts.iter().map(host).collect(),
            ..RegistryConfig::default()
        }
    }

    #[test]
    fn registries_are_asked_over_tls_except_on_loopback() {
        let config = RegistryConfig::default();
        assert_eq!(
            endpoints(&config, "debian:12"),
            "https://registry-1.docker.io/v2/library/debian as docker.io"
        );
        assert_eq!(
            endpoints(&config, "localhost:5000/a"),
            "http://localhost:5000/v2/a as localhost:5000"
        );
        let config = with_hosts(&[
            ("reg.lan:5000", &[], Some(true)),
            ("localhost:1", &[], Some(false)),
        ]);
        assert!(endpoints(&config, "reg.lan:5000/a").starts_with("http://"));
        assert!(endpoints(&config, "localhost:1/a").starts_with("https://"));
    }

    #[test]
    fn mirrors_take_the_place_of_host_and_prefix_and_the_host_comes_last_if_at_all() {
        let mut config = with_hosts(&[
            ("quay.io", &["127.0.0.1:5000/quay/", "two.example"], None),
            ("docker.io", &["mirror.example"], None),
            ("registry.k8s.io", &["cache/k8s"], None),
            ("mirror.example", &[], Some(true)),
        ]);
        let quay = "http://127.0.0.1:5000/v2/quay/kairos/ubuntu as 127.0.0.1:5000, \
                    https://two.example/v2/kairos/ubuntu as two.example";
        assert_eq!(endpoints(&config, "quay.io/kairos/ubuntu:1"), quay);
        assert_eq!(
            endpoints(&config, "debian"),
            "http://mirror.example/v2/library/debian as mirror.example"
        );
        assert_eq!(
            endpoints(&config, "registry.k8s.io/pause:3.10"),
            "https://cache/v2/k8s/pause as cache"
        );
        config.hosts.get_mut("quay.io").unwrap().fallback = Some(true);
        assert_eq!(
            endpoints(&config, "quay.io/kairos/ubuntu:1"),
            format!("{quay}, https://quay.io/v2/kairos/ubuntu as quay.io")
        );
    }

    #[test]
    fn malformed_mirrors_are_refused_without_repeating_credentials() {
        for mirror in ["http://h/x", "u:hunter2@h.io/x", "h.io/UPPER", "", "/x"] {
            let config = with_hosts(&[("quay.io", &[mirror], None)]);
            for error in [
                config.endpoints(&"quay.io/a".parse().unwrap()).unwrap_err(),
                config.check().unwrap_err(),
            ] {
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
        }
    }
}
