//! Addresses of hosts, without the system's C library: a static program can't
//! load the parts that it would ask.
//!
//! `/etc/hosts` first, then the name servers of `/etc/resolv.conf` (RFC 1035,
//! RFC 3596), as resolv.conf(5) says: in their order, some attempts each, with the
//! search list. No cache, no DNSSEC, no other source of names: what is looked up is a
//! registry, a few times for each upgrade.

mod files;
mod query;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use isoforge_oci::registry::Resolve;
use simple_dns::TYPE;

use files::Settings;
use query::Answer;

/// Port of name servers.
const PORT: u16 = 53;

/// Most bytes of a configuration file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Finds hosts by the machine's own configuration, which is read anew each time:
/// it changes with the network.
#[derive(Debug, Clone)]
pub(crate) struct Dns {
    hosts: PathBuf,
    settings: PathBuf,
    port: u16,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            hosts: "/etc/hosts".into(),
            settings: "/etc/resolv.conf".into(),
            port: PORT,
        }
    }
}

impl Resolve for Dns {
    fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let known = files::hosts(&text(&self.hosts)?, host);
        if !known.is_empty() {
            return Ok(known);
        }
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let settings = Settings::parse(&text(&self.settings)?);
        let mut failed = None;
        for name in settings.names(host) {
            let mut found = Vec::new();
            for kind in [TYPE::A, TYPE::AAAA] {
                match self.ask(&settings, &name, kind) {
                    Ok(Answer::Addresses(addresses)) => found.extend(addresses),
                    Ok(Answer::NoName) => break,
                    Err(error) => failed = Some(error),
                }
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Err(failed.unwrap_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("there is no host {host}"))
        }))
    }
}

impl Dns {
    /// Asks the servers in turn until one answers.
    fn ask(&self, settings: &Settings, name: &str, kind: TYPE) -> io::Result<Answer> {
        let mut last = io::Error::other("no name server is configured in /etc/resolv.conf");
        for _ in 0..settings.attempts {
            for &server in &settings.servers {
                match query::ask(
                    SocketAddr::new(server, self.port),
                    name,
                    kind,
                    settings.timeout,
                ) {
                    Ok(answer) => return Ok(answer),
                    Err(error) => {
                        let problem = format!("name server {server}, asked for {name}: {error}");
                        last = io::Error::new(error.kind(), problem);
                    }
                }
            }
        }
        // Not 'not found': nobody said that.
        Err(io::Error::other(last.to_string()))
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('.')
        .eq_ignore_ascii_case(other.trim_end_matches('.'))
}

/// A configuration file; one that is missing is empty.
fn text(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    match fs_err::File::open(path) {
        Ok(file) => file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
