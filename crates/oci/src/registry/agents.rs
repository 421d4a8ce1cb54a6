//! One HTTP agent for each way to talk to a host: proxy, authorities, client
//! certificate. An agent keeps its connections, so each is made once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use ureq::Agent;
use ureq::http::Uri;
use ureq::unversioned::transport::DefaultConnector;

use super::config::{HostConfig, MAX_CONNECTIONS, RegistryConfig};
use super::secret::Secret;
use super::{USER_AGENT, proxy, resolver, tls};
use crate::Error;

/// What makes an agent differ from another.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    proxy: Option<Secret>,
    /// Unset: without TLS.
    tls: Option<TlsFiles>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct TlsFiles {
    ca: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
}

/// The agents, made when they are first needed.
#[derive(Debug)]
pub(super) struct Agents {
    config: RegistryConfig,
    roots: tls::Roots,
    made: Mutex<BTreeMap<Way, Agent>>,
}

/// An agent, and the proxy that it goes through, for messages.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) agent: Agent,
    pub(super) proxy: Option<String>,
}

impl Agents {
    pub(super) fn new(config: RegistryConfig) -> Self {
        Self {
            config,
            roots: tls::Roots::default(),
            made: Mutex::default(),
        }
    }

    pub(super) fn config(&self) -> &RegistryConfig {
        &self.config
    }

    /// The agent for a URL.
    pub(super) fn of(&self, url: &Uri) -> Result<Chosen, Error> {
        let authority = url.authority().map_or("", |authority| authority.as_str());
        let host = self.config.host(authority);
        let proxy = proxy::choose(&self.config, url);
        let parsed = proxy.as_ref().map(proxy::parse).transpose()?;
        let https = url.scheme_str() == Some("https")
            || parsed
                .as_ref()
                .is_some_and(|proxy| proxy.protocol() == ureq::ProxyProtocol::Https);
        let way = Way {
            proxy: proxy.clone(),
            tls: https.then(|| TlsFiles {
                ca: host.and_then(|host| host.ca.clone()),
                client_cert: host.and_then(|host| host.client_cert.clone()),
                client_key: host.and_then(|host| host.client_key.clone()),
            }),
        };
        let shown = proxy.as_ref().map(proxy::shown);
        // Held while an agent is made, so that files are read once.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = made.get(&way) {
            return Ok(Chosen {
                agent: agent.clone(),
                proxy: shown,
            });
        }
        let agent = self.make(host, parsed, https)?;
        made.insert(way, agent.clone());
        Ok(Chosen {
            agent,
            proxy: shown,
        })
    }

    fn make(
        &self,
        host: Option<&HostConfig>,
        proxy: Option<ureq::Proxy>,
        https: bool,
    ) -> Result<Agent, Error> {
        let config = &self.config;
        let tls = if https {
            tls::config(config, &self.roots, host)?
        } else {
            tls::none()
        };
        let idle = config
            .hosts
            .values()
            .filter_map(|host| host.max_connections)
            .fold(MAX_CONNECTIONS, Ord::max);
        let settings = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(USER_AGENT)
            .proxy(proxy)
            .tls_config(tls)
            .max_idle_connections_per_host(usize::try_from(idle.get()).unwrap_or(usize::MAX))
            .timeout_resolve(Some(config.connect_timeout))
            .timeout_connect(Some(config.connect_timeout))
            .timeout_recv_response(Some(config.response_timeout))
            .timeout_per_read(Some(config.read_timeout))
            .timeout_per_write(Some(config.read_timeout))
            .build();
        Ok(Agent::with_parts(
            settings,
            DefaultConnector::default(),
            resolver::System,
        ))
    }
}
