//! Addresses of hosts, without the system's C library: a static program can't
//! load the parts that it would ask.
//!
//! `/etc/hosts` comes first. Then the system is asked: systemd-resolved over its
//! varlink socket, or `getent`, which is the C library's own way. Where there is
//! neither, the name servers of `/etc/resolv.conf` are (RFC 1035, RFC 3596), as
//! resolv.conf(5) says: in their order, some attempts each, with the search list.
//! No cache, no DNSSEC: what is looked up is a registry, once for a connection.

mod files;
mod query;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use simple_dns::TYPE;

use crate::process::{Error, Program};
use files::Settings;
use query::Answer;

/// Port of name servers.
const PORT: u16 = 53;

/// Most bytes of a configuration file, and of what a resolver answers.
const MAX_BYTES: u64 = 1 << 20;

/// How long systemd-resolved may take. It asks servers for so long at the most.
const RESOLVED_TIMEOUT: Duration = Duration::from_secs(30);

/// The addresses of `host`, which is a name; the best first.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where there is no such host, others where nobody
/// could be asked.
pub fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    Resolver::default().addresses(host)
}

/// Where the system is asked. All of it is read anew each time: it changes with the
/// network.
struct Resolver {
    hosts: PathBuf,
    resolved: PathBuf,
    getent: String,
    settings: PathBuf,
    port: u16,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            hosts: "/etc/hosts".into(),
            resolved: "/run/systemd/resolve/io.systemd.Resolve".into(),
            getent: "getent".to_owned(),
            settings: "/etc/resolv.conf".into(),
            port: PORT,
        }
    }
}

impl Resolver {
    fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let known = files::hosts(&text(&self.hosts)?, host);
        if !known.is_empty() {
            return Ok(known);
        }
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        // Whatever it says else, getent may know better: it asks all that the system
        // is told to ask.
        if let Ok(found) = by_resolved(&self.resolved, host)
            && !found.is_empty()
        {
            return Ok(usable_first(found));
        }
        match by_getent(&self.getent, host) {
            Some(found) => found,
            None => self.by_servers(host).map(usable_first),
        }
    }

    fn by_servers(&self, host: &str) -> io::Result<Vec<IpAddr>> {
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
        Err(failed.unwrap_or_else(not_found))
    }

    /// Asks the servers in turn until one answers.
    fn ask(&self, settings: &Settings, name: &str, kind: TYPE) -> io::Result<Answer> {
        let mut last = "no name server is configured in /etc/resolv.conf".to_owned();
        for _ in 0..settings.attempts {
            for &server in &settings.servers {
                let address = SocketAddr::new(server, self.port);
                match query::ask(address, name, kind, settings.timeout) {
                    Ok(answer) => return Ok(answer),
                    Err(error) => {
                        last = format!("name server {server}, asked for {name}: {error}");
                    }
                }
            }
        }
        // Not 'not found': nobody said that.
        Err(io::Error::other(last))
    }
}

/// systemd-resolved's `io.systemd.Resolve.ResolveHostname` (varlink: JSON, each
/// message ended by a zero byte).
fn by_resolved(socket: &Path, host: &str) -> io::Result<Vec<IpAddr>> {
    #[derive(Deserialize)]
    struct Reply {
        parameters: Parameters,
    }
    #[derive(Deserialize)]
    struct Parameters {
        // Without it, it is an error.
        addresses: Vec<Address>,
    }
    #[derive(Deserialize)]
    struct Address {
        address: Vec<u8>,
    }
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(RESOLVED_TIMEOUT))?;
    stream.set_write_timeout(Some(RESOLVED_TIMEOUT))?;
    let call = serde_json::json!({
        "method": "io.systemd.Resolve.ResolveHostname",
        "parameters": { "name": host },
    });
    stream.write_all(format!("{call}\0").as_bytes())?;
    let mut bytes = Vec::new();
    BufReader::new(stream.take(MAX_BYTES)).read_until(0, &mut bytes)?;
    let message = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    let reply: Reply = serde_json::from_slice(message)?;
    let addresses = reply.parameters.addresses.into_iter();
    Ok(addresses.filter_map(|it| address(&it.address)).collect())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    let six = || <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from);
    four().or_else(six)
}

/// What the C library says; none where it can't be asked.
fn by_getent(program: &str, host: &str) -> Option<io::Result<Vec<IpAddr>>> {
    let asked = Program::new(program, "libc-bin")
        .args(["ahosts", host])
        .output(MAX_BYTES);
    match asked {
        Ok(bytes) => {
            let mut found = Vec::new();
            // A line for each address and kind of socket, the best first.
            for line in String::from_utf8_lossy(&bytes).lines() {
                let word = line.split_whitespace().next().unwrap_or_default();
                found.extend(word.parse::<IpAddr>().ok().filter(|it| !found.contains(it)));
            }
            Some(if found.is_empty() {
                Err(not_found())
            } else {
                Ok(found)
            })
        }
        // As getent(1) has it: the key could not be found.
        Err(Error::Failed { status, .. }) if status.code() == Some(2) => Some(Err(not_found())),
        Err(_) => None,
    }
}

/// The C library's own words.
fn not_found() -> io::Error {
    let text = "failed to lookup address information: Name or service not known";
    io::Error::new(io::ErrorKind::NotFound, text)
}

/// Those first that a route leads to (RFC 6724, rule 1). Connecting a UDP socket
/// sends nothing.
fn usable_first(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses.sort_by_key(|address| {
        let connected = UdpSocket::bind((unspecified(*address), 0))
            .and_then(|socket| socket.connect((*address, PORT)));
        connected.is_err()
    });
    addresses
}

/// Any address of the kind of `address`.
fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('.')
        .eq_ignore_ascii_case(other.trim_end_matches('.'))
}

/// A configuration file; one that is missing is empty.
fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    match fs_err::File::open(path) {
        Ok(file) => file.take(MAX_BYTES).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
