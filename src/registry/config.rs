//! Settings of the registry client. Where they come from (file, flags,
//! environment) is the command line's business.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::Error;
use super::url;
use crate::oci::reference::{DEFAULT_REGISTRY, Reference};

/// How long connecting may take, name resolution and TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a server may take to begin its answer.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server may send nothing in the middle of an answer.
pub const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a request is made at most.
pub const ATTEMPTS: u32 = 4;
/// Wait before the second attempt; it doubles with each.
pub const FIRST_DELAY: Duration = Duration::from_millis(500);
/// Longest wait before an attempt, even where the server asks for more.
pub const MAX_DELAY: Duration = Duration::from_secs(60);

/// Blobs with fewer bytes are not kept in part, and an attempt that brought this
/// many new bytes is not counted against [`ATTEMPTS`].
pub const RESUME_BYTES: u64 = 1024 * 1024;

/// Host that serves what `docker.io` names.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// Settings for one registry host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// `host[:port][/prefix]` that is asked instead, and alone: a build whose
    /// mirror lacks an image fails instead of silently going elsewhere.
    pub mirror: Option<String>,
    /// Whether to speak HTTP without TLS. Unset: on loopback only.
    pub plain_http: Option<bool>,
}

/// Settings of the registry client.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// By host as references name it (`quay.io`, `localhost:5000`). A mirror's
    /// own host may be a key too, for its `plain_http`.
    pub hosts: BTreeMap<String, HostConfig>,
    /// Docker `config.json` and podman `auth.json` files, most important first;
    /// missing ones are passed over.
    pub credential_files: Vec<PathBuf>,
    /// See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// See [`RESPONSE_TIMEOUT`].
    pub response_timeout: Duration,
    /// See [`READ_TIMEOUT`].
    pub read_timeout: Duration,
    /// When to try again.
    pub retry: RetryPolicy,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            hosts: BTreeMap::new(),
            credential_files: Vec::new(),
            connect_timeout: CONNECT_TIMEOUT,
            response_timeout: RESPONSE_TIMEOUT,
            read_timeout: READ_TIMEOUT,
            retry: RetryPolicy::default(),
        }
    }
}

/// How transient failures are tried again.
#[derive(Clone)]
pub struct RetryPolicy {
    /// See [`ATTEMPTS`]; 0 counts as 1.
    pub attempts: u32,
    /// See [`FIRST_DELAY`].
    pub first_delay: Duration,
    /// See [`MAX_DELAY`].
    pub max_delay: Duration,
    /// See [`RESUME_BYTES`]; 0 counts as 1.
    pub resume_bytes: u64,
    /// Draws the waits, so that clients that failed together do not come back
    /// together. It never reaches an output.
    pub random: Arc<Mutex<fastrand::Rng>>,
    /// Waits; replaced where waiting is observed instead.
    pub wait: Arc<dyn Fn(Duration) + Send + Sync>,
    /// The clock that `wait` moves.
    pub now: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: ATTEMPTS,
            first_delay: FIRST_DELAY,
            max_delay: MAX_DELAY,
            resume_bytes: RESUME_BYTES,
            random: Arc::new(Mutex::new(fastrand::Rng::new())),
            wait: Arc::new(std::thread::sleep),
            now: Arc::new(Instant::now),
        }
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("attempts", &self.attempts)
            .field("first_delay", &self.first_delay)
            .field("max_delay", &self.max_delay)
            .field("resume_bytes", &self.resume_bytes)
            .finish_non_exhaustive()
    }
}

impl RetryPolicy {
    /// The wait after attempt number `attempt` (from 1) failed: drawn evenly
    /// from nothing up to a bound that doubles with each attempt ("full
    /// jitter").
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        self.longest_delay(attempt).mul_f64(random.f64())
    }

    /// The longest that [`delay`](Self::delay) gives.
    #[must_use]
    pub fn longest_delay(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.first_delay.saturating_mul(doubled).min(self.max_delay)
    }
}

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
}

impl Endpoint {
    pub(super) fn base_url(&self) -> String {
        let scheme = if self.plain_http { "http" } else { "https" };
        format!("{scheme}://{}/v2/{}", self.host, self.repository)
    }
}

impl RegistryConfig {
    /// Whether every mirror can be understood, those too that nothing is asked
    /// of.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that can't.
    pub fn check(&self) -> Result<(), Error> {
        for mirror in self
            .hosts
            .values()
            .filter_map(|host| host.mirror.as_deref())
        {
            mirrored(mirror, "repository")?;
        }
        Ok(())
    }

    /// Where the repository of `reference` is asked for: its registry, or the
    /// mirror set for it.
    pub(super) fn endpoint(&self, reference: &Reference) -> Result<Endpoint, Error> {
        let mirror = self
            .hosts
            .get(reference.registry())
            .and_then(|host| host.mirror.as_deref());
        let (name, repository) = match mirror {
            None => (
                reference.registry().to_owned(),
                reference.repository().to_owned(),
            ),
            Some(mirror) => mirrored(mirror, reference.repository())?,
        };
        let plain_http = self
            .hosts
            .get(&name)
            .and_then(|host| host.plain_http)
            .unwrap_or_else(|| url::is_loopback(&name));
        let host = if name == DEFAULT_REGISTRY {
            DOCKER_HUB_HOST.to_owned()
        } else {
            name.clone()
        };
        Ok(Endpoint {
            host,
            credential_host: name,
            repository,
            plain_http,
        })
    }
}

/// Host and repository of `repository` at a mirror `host[:port][/prefix]`.
fn mirrored(mirror: &str, repository: &str) -> Result<(String, String), Error> {
    let wrong = || Error::Setting {
        setting: url::ShownUrl::of(mirror).to_string(),
        wanted: "a mirror of the form host[:port][/prefix], without http:// and without credentials",
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
    use super::*;

    fn endpoint(config: &RegistryConfig, reference: &str) -> String {
        let endpoint = config.endpoint(&reference.parse().unwrap()).unwrap();
        format!("{} as {}", endpoint.base_url(), endpoint.credential_host)
    }

    fn with_hosts(hosts: &[(&str, Option<&str>, Option<bool>)]) -> RegistryConfig {
        RegistryConfig {
            hosts: hosts
                .iter()
                .map(|&(host, mirror, plain_http)| {
                    let mirror = mirror.map(str::to_owned);
                    (host.to_owned(), HostConfig { mirror, plain_http })
                })
                .collect(),
            ..RegistryConfig::default()
        }
    }

    #[test]
    fn registries_are_asked_over_tls_except_on_loopback() {
        let config = RegistryConfig::default();
        assert_eq!(
            endpoint(&config, "debian:12"),
            "https://registry-1.docker.io/v2/library/debian as docker.io"
        );
        assert_eq!(
            endpoint(&config, "localhost:5000/a"),
            "http://localhost:5000/v2/a as localhost:5000"
        );
        let config = with_hosts(&[
            ("reg.lan:5000", None, Some(true)),
            ("localhost:1", None, Some(false)),
        ]);
        assert!(endpoint(&config, "reg.lan:5000/a").starts_with("http://"));
        assert!(endpoint(&config, "localhost:1/a").starts_with("https://"));
    }

    #[test]
    fn a_mirror_takes_the_place_of_host_and_prefix() {
        let config = with_hosts(&[
            ("quay.io", Some("127.0.0.1:5000/quay/"), None),
            ("docker.io", Some("mirror.example"), None),
            ("registry.k8s.io", Some("cache/k8s"), None),
            ("mirror.example", None, Some(true)),
        ]);
        assert_eq!(
            endpoint(&config, "quay.io/kairos/ubuntu:1"),
            "http://127.0.0.1:5000/v2/quay/kairos/ubuntu as 127.0.0.1:5000"
        );
        assert_eq!(
            endpoint(&config, "debian"),
            "http://mirror.example/v2/library/debian as mirror.example"
        );
        assert_eq!(
            endpoint(&config, "registry.k8s.io/pause:3.10"),
            "https://cache/v2/k8s/pause as cache"
        );
    }

    #[test]
    fn malformed_mirrors_are_refused_without_repeating_credentials() {
        for mirror in ["http://h/x", "u:hunter2@h.io/x", "h.io/UPPER", "", "/x"] {
            let config = with_hosts(&[("quay.io", Some(mirror), None)]);
            let error = config.endpoint(&"quay.io/a".parse().unwrap()).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn delays_are_drawn_below_a_bound_that_doubles_up_to_the_cap() {
        let policy = |seed| RetryPolicy {
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(5),
            random: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
            ..RetryPolicy::default()
        };
        let bounds = [1, 2, 3, 4, 99].map(|n| policy(0).longest_delay(n).as_secs());
        assert_eq!(bounds, [1, 2, 4, 5, 5]);
        let draw = |seed| -> Vec<Duration> {
            let policy = policy(seed);
            (0..1000).map(|_| policy.delay(3)).collect()
        };
        let drawn = draw(7);
        assert_eq!(drawn, draw(7), "a seed gives its waits again");
        assert_ne!(drawn, draw(8));
        assert!(drawn.iter().all(|delay| *delay <= Duration::from_secs(4)));
        // The whole width is used: of 1000 even draws some lie near both ends.
        assert!(drawn.iter().any(|delay| delay.as_millis() < 200));
        assert!(drawn.iter().any(|delay| delay.as_millis() > 3800));
    }
}
