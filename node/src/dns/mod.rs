//! Addresses of hosts, without the system's C library: a static program can't
//! load the parts that it would ask.
//!
//! `/etc/hosts` first, then the name servers of `/etc/resolv.conf` over UDP
//! (RFC 1035, RFC 3596), as resolv.conf(5) says: in their order, some attempts
//! each, with the search list. No cache, no TCP, no DNSSEC, no other source of
//! names: what is looked up is a registry, a few times for each upgrade.

mod files;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use isoforge::registry::Resolve;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE};

use files::Settings;

/// Port of name servers.
const PORT: u16 = 53;

/// Largest answer that is taken (RFC 1035, 4.2.1, without extensions 512).
const MAX_ANSWER_BYTES: usize = 4096;

/// Most bytes of a configuration file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Longest chain of aliases that is followed within one answer.
const MAX_ALIASES: usize = 16;

/// Finds hosts by the machine's own configuration, which is read anew each time:
/// it changes with the network.
#[derive(Debug, Clone)]
pub struct Dns {
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

/// What a name server said.
enum Answer {
    /// These addresses; none: the name has none of the kind.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoName,
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
                match query(
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

fn query(server: SocketAddr, name: &str, kind: TYPE, timeout: Duration) -> io::Result<Answer> {
    let mut number = [0; 2];
    rustix::rand::getrandom(&mut number, rustix::rand::GetRandomFlags::empty())?;
    let number = u16::from_ne_bytes(number);
    let mut packet = Packet::new_query(number);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let question = Name::new(name).map_err(invalid)?.into_owned();
    packet.questions.push(Question::new(
        question,
        QTYPE::TYPE(kind),
        CLASS::IN.into(),
        false,
    ));
    let bytes = packet.build_bytes_vec().map_err(invalid)?;
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // The port is the system's choice; connected, only the server is heard.
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.send(&bytes)?;
    let until = Instant::now() + timeout;
    let mut buffer = [0; MAX_ANSWER_BYTES];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"));
        }
        socket.set_read_timeout(Some(left))?;
        let count = match socket.recv(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        let Ok(answer) = Packet::parse(buffer.get(..count).unwrap_or_default()) else {
            continue;
        };
        // Something else than an answer to this question is somebody else's, or
        // forged: wait on.
        if answer.id() != number || !answer.has_flags(PacketFlag::RESPONSE) {
            continue;
        }
        let repeats = |asked: &Question<'_>| {
            asked.qtype == QTYPE::TYPE(kind) && same(&asked.qname.to_string(), name)
        };
        if !answer.questions.iter().any(repeats) {
            continue;
        }
        return match answer.rcode() {
            RCODE::NoError => Ok(Answer::Addresses(addresses(&answer, name, kind))),
            RCODE::NameError => Ok(Answer::NoName),
            code => Err(io::Error::other(format!("it answers {code:?}"))),
        };
    }
}

/// The addresses of `name`, aliases followed.
fn addresses(answer: &Packet<'_>, name: &str, kind: TYPE) -> Vec<IpAddr> {
    let mut name = name.to_owned();
    for _ in 0..MAX_ALIASES {
        let owned =
            |record: &&simple_dns::ResourceRecord<'_>| same(&record.name.to_string(), &name);
        let found: Vec<IpAddr> = answer
            .answers
            .iter()
            .filter(owned)
            .filter_map(|record| match (&record.rdata, kind) {
                (RData::A(a), TYPE::A) => Some(Ipv4Addr::from(a.address).into()),
                (RData::AAAA(a), TYPE::AAAA) => Some(Ipv6Addr::from(a.address).into()),
                _ => None,
            })
            .collect();
        if !found.is_empty() {
            return found;
        }
        let alias = answer
            .answers
            .iter()
            .filter(owned)
            .find_map(|record| match &record.rdata {
                RData::CNAME(alias) => Some(alias.0.to_string()),
                _ => None,
            });
        match alias {
            Some(alias) => name = alias,
            None => break,
        }
    }
    Vec::new()
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('.')
        .eq_ignore_ascii_case(other.trim_end_matches('.'))
}

fn invalid(error: simple_dns::SimpleDnsError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
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
