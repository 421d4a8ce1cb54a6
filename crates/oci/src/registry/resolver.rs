//! Names of hosts become addresses: by the system's resolver, or by one that the
//! settings bring. A program that is linked statically has no use of the
//! system's: it would load parts of a C library that may be another.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;

/// Finds the addresses of hosts.
pub trait Resolve: Debug + Send + Sync {
    /// The addresses of `host`, which is a name; the best first.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where there is no such host, others where
    /// nobody could be asked.
    fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// What agents use.
#[derive(Debug)]
pub(super) struct Chosen(pub(super) Option<Arc<dyn Resolve>>);

impl Resolver for Chosen {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let Some(resolver) = &self.0 else {
            return DefaultResolver::default().resolve(uri, config, timeout);
        };
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let port = port(uri).ok_or(ureq::Error::HostNotFound)?;
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match literal.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => resolver.addresses(host).map_err(|error| {
                if error.kind() == io::ErrorKind::NotFound {
                    ureq::Error::HostNotFound
                } else {
                    ureq::Error::Io(error)
                }
            })?,
        };
        let mut found = self.empty();
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            found.push(SocketAddr::new(address, port));
        }
        if found.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(found)
    }
}

fn port(uri: &Uri) -> Option<u16> {
    uri.port_u16().or(match uri.scheme_str()? {
        "http" => Some(80),
        "https" => Some(443),
        "socks4" | "socks4a" | "socks5" | "socks" => Some(1080),
        _ => None,
    })
}
