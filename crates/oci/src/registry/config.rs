//! Settings of the registry client. Where they come from (file, flags,
//! environment) is the command line's business.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::secret::Secret;
use super::{endpoint, proxy};
use crate::Error;
use isoforge_base::limit;

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

/// How many requests one host answers at once at most, bodies included.
pub const MAX_CONNECTIONS: NonZeroU32 = match NonZeroU32::new(6) {
    Some(number) => number,
    None => NonZeroU32::MIN,
};
/// How long a credential helper may take. It may ask the user to unlock
/// something.
pub const HELPER_TIMEOUT: Duration = Duration::from_secs(60);
/// In place of a proxy: none, whatever the environment says.
pub const NO_PROXY: &str = "none";

/// Settings for one registry host, as the settings file and the profile have them;
/// what is unset is another one's to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HostConfig {
    /// `host[:port][/prefix]`s that are asked in the host's place, in this
    /// order. In files `mirror` with one or `mirrors` with several.
    pub mirrors: Option<Vec<String>>,
    /// Whether the host itself is asked where its mirrors fail. Without, a build
    /// whose mirrors lack an image fails instead of going elsewhere.
    pub fallback: Option<bool>,
    /// Whether to speak HTTP without TLS. Unset: on loopback only.
    pub plain_http: Option<bool>,
    /// A PEM file with certificates of authorities that are trusted for this
    /// host, beside the others.
    pub ca: Option<PathBuf>,
    /// A PEM file with the certificate that is shown to this host, and those
    /// that lead from it to its authority.
    pub client_cert: Option<PathBuf>,
    /// A PEM file with the key of `client_cert`; unset: it is in that file.
    pub client_key: Option<PathBuf>,
    /// `SCHEME://[USER:PASSWORD@]HOST[:PORT]`, or [`NO_PROXY`]. Unset: what
    /// [`RegistryConfig::proxies`] says.
    pub proxy: Option<Secret>,
    /// See [`MAX_CONNECTIONS`].
    pub max_connections: Option<NonZeroU32>,
}

impl HostConfig {
    /// These settings, and where they say nothing those of `other`. A certificate
    /// goes with its key: the two come from one of them.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        let (client_cert, client_key) = match self.client_cert {
            Some(cert) => (Some(cert), self.client_key),
            None => (
                other.client_cert.clone(),
                self.client_key.or_else(|| other.client_key.clone()),
            ),
        };
        Self {
            mirrors: self.mirrors.or_else(|| other.mirrors.clone()),
            fallback: self.fallback.or(other.fallback),
            plain_http: self.plain_http.or(other.plain_http),
            ca: self.ca.or_else(|| other.ca.clone()),
            client_cert,
            client_key,
            proxy: self.proxy.or_else(|| other.proxy.clone()),
            max_connections: self.max_connections.or(other.max_connections),
        }
    }
}

/// Settings of the registry client.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// By host as references name it (`quay.io`, `localhost:5000`). Mirrors,
    /// token services and hosts that redirects lead to may be keys too: each host
    /// is talked to as its own entry says.
    pub hosts: BTreeMap<String, HostConfig>,
    /// Docker `config.json` and podman `auth.json` files, most important first;
    /// missing ones are passed over.
    pub credential_files: Vec<PathBuf>,
    /// `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` with their values.
    pub proxies: Vec<(String, Secret)>,
    /// A PEM file with certificates that are trusted beside the system's
    /// (`SSL_CERT_FILE`).
    pub extra_cert_file: Option<PathBuf>,
    /// Folders of such files (`SSL_CERT_DIR`).
    pub extra_cert_dirs: Vec<PathBuf>,
    /// See [`HELPER_TIMEOUT`].
    pub helper_timeout: Duration,
    /// See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// See [`RESPONSE_TIMEOUT`].
    pub response_timeout: Duration,
    /// See [`READ_TIMEOUT`].
    pub read_timeout: Duration,
    /// How long an answer may bring less than [`limit::RATE_BYTES`] a second.
    pub rate_window: Duration,
    /// When to try again.
    pub retry: RetryPolicy,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            hosts: BTreeMap::new(),
            credential_files: Vec::new(),
            proxies: Vec::new(),
            extra_cert_file: None,
            extra_cert_dirs: Vec::new(),
            helper_timeout: HELPER_TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            response_timeout: RESPONSE_TIMEOUT,
            read_timeout: READ_TIMEOUT,
            rate_window: limit::RATE_WINDOW,
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
    pub(crate) fn longest_delay(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.first_delay.saturating_mul(doubled).min(self.max_delay)
    }
}

impl RegistryConfig {
    /// Whether every mirror and proxy can be understood, those too that nothing
    /// is asked of.
    ///
    /// # Errors
    /// For the first that can't.
    pub fn check(&self) -> Result<(), Error> {
        for host in self.hosts.values() {
            for mirror in host.mirrors.iter().flatten() {
                endpoint::mirrored(mirror, "repository")?;
            }
            if let Some(proxy) = host.proxy.as_ref().filter(|said| said.reveal() != NO_PROXY) {
                proxy::parse(proxy)?;
            }
        }
        proxy::check_environment(&self.proxies)
    }

    /// The settings for a `host[:port]` that is connected to.
    pub(super) fn host(&self, authority: &str) -> Option<&HostConfig> {
        self.hosts
            .get(endpoint::reference_host(authority))
            .or_else(|| self.hosts.get(authority))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
