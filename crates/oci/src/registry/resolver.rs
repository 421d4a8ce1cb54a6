//! Names of hosts become addresses by [`resolve`], not by the C library: a program
//! that is linked statically would load parts of one that may be another.

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc;

use isoforge_base::{parallel, resolve};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;

/// What agents use.
#[derive(Debug)]
pub(super) struct System;

impl Resolver for System {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let port = port(uri).ok_or(ureq::Error::HostNotFound)?;
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match literal.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => within(host.to_owned(), timeout)?,
        };
        let mut found = self.empty();
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            found.push(SocketAddr::new(address, port));
        }
        Ok(found)
    }
}

/// Asks in a thread: nobody who is asked is told how long there is.
fn within(host: String, timeout: NextTimeout) -> Result<Vec<IpAddr>, ureq::Error> {
    let (tell, told) = mpsc::sync_channel(1);
    let asked = host.clone();
    if parallel::detached(move || tell.send(resolve::addresses(&asked))).is_err() {
        // Without a limit, but not without an answer.
        return Ok(resolve::addresses(&host)?);
    }
    match told.recv_timeout(*timeout.after) {
        Ok(addresses) => Ok(addresses?),
        Err(_) => Err(ureq::Error::Timeout(timeout.reason)),
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
