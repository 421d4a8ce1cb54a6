//! Settings of the registry client. Where they come from (file, flags,
//! environment) is the command line's business.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::secret::Secret;
use super::{endpoint, proxy};

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
/// Longest wait between two attempts, even where the server asks for more.
pub const MAX_DELAY: Duration = Duration::from_secs(60);

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

/// Settings for one registry host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// `host[:port][/prefix]`s that are asked in the host's place, in this
    /// order.
    pub mirrors: Vec<String>,
    /// Whether the host itself is asked where its mirrors fail. Without, a build
    /// whose mirrors lack an image fails instead of going elsewhere.
    pub fallback: bool,
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
    /// Waits; replaced where waiting is observed instead.
    pub wait: Arc<dyn Fn(Duration) + Send + Sync>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: ATTEMPTS,
            first_delay: FIRST_DELAY,
            max_delay: MAX_DELAY,
            wait: Arc::new(std::thread::sleep),
        }
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("attempts", &self.attempts)
            .field("first_delay", &self.first_delay)
            .field("max_delay", &self.max_delay)
            .finish_non_exhaustive()
    }
}

impl RetryPolicy {
    /// The wait after attempt number `attempt` (from 1) failed, the server
    /// asking for `retry_after`.
    #[must_use]
    pub fn delay(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        retry_after
            .unwrap_or_else(|| self.first_delay.saturating_mul(doubled))
            .min(self.max_delay)
    }
}

impl RegistryConfig {
    /// Whether every mirror and proxy can be understood, those too that nothing
    /// is asked of.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that can't.
    pub fn check(&self) -> Result<(), Error> {
        for host in self.hosts.values() {
            for mirror in &host.mirrors {
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
    fn delays_double_up_to_the_cap_and_servers_may_ask_for_their_own() {
        let policy = RetryPolicy {
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(5),
            ..RetryPolicy::default()
        };
        let seconds = |attempt, asked: Option<u64>| {
            policy
                .delay(attempt, asked.map(Duration::from_secs))
                .as_secs()
        };
        assert_eq!([1, 2, 3, 4, 99].map(|n| seconds(n, None)), [1, 2, 4, 5, 5]);
        assert_eq!(
            [
                seconds(1, Some(3)),
                seconds(1, Some(900)),
                seconds(3, Some(0))
            ],
            [3, 5, 0]
        );
    }
}
