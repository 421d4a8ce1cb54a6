//! One question to one name server (RFC 1035, 4.2): over UDP, and over TCP where the
//! answer does not fit into a packet.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE, header_buffer};

use super::{same, unspecified};

/// Largest answer that is taken over UDP (4.2.1, without extensions 512).
const MAX_PACKET_BYTES: usize = 4096;

/// Longest chain of aliases that is followed within one answer.
const MAX_ALIASES: usize = 16;

/// What a name server said.
pub(super) enum Answer {
    /// These addresses; none: the name has none of the kind.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoName,
}

/// A question, as it is sent.
struct Query<'a> {
    number: u16,
    name: &'a str,
    kind: TYPE,
    bytes: Vec<u8>,
}

/// Asks `server` for addresses of `name`; `timeout` holds for each way of asking.
///
/// # Errors
/// Where it does not answer, or answers that something failed.
pub(super) fn ask(
    server: SocketAddr,
    name: &str,
    kind: TYPE,
    timeout: Duration,
) -> io::Result<Answer> {
    let query = Query::new(name, kind)?;
    let (bytes, truncated) = query.over_udp(server, timeout)?;
    let heard = query.read(&bytes);
    if !truncated {
        return heard;
    }
    match (query.over_tcp(server, timeout), heard) {
        (Ok(bytes), _) => query.read(&bytes),
        // Some of a host's addresses are enough to reach it.
        (Err(_), Ok(Answer::Addresses(some))) if !some.is_empty() => Ok(Answer::Addresses(some)),
        (Err(error), _) => {
            let problem = format!("over TCP, as the answer is long: {error}");
            Err(io::Error::new(error.kind(), problem))
        }
    }
}

impl<'a> Query<'a> {
    fn new(name: &'a str, kind: TYPE) -> io::Result<Self> {
        let mut number = [0; 2];
        rustix::rand::getrandom(&mut number, rustix::rand::GetRandomFlags::empty())?;
        let number = u16::from_ne_bytes(number);
        let mut packet = Packet::new_query(number);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let asked = Name::new(name).map_err(invalid)?.into_owned();
        let question = Question::new(asked, QTYPE::TYPE(kind), CLASS::IN.into(), false);
        packet.questions.push(question);
        Ok(Self {
            number,
            name,
            kind,
            bytes: packet.build_bytes_vec().map_err(invalid)?,
        })
    }

    /// The answer, and whether it has more to say than fits.
    fn over_udp(&self, server: SocketAddr, timeout: Duration) -> io::Result<(Vec<u8>, bool)> {
        // The port is the system's choice; connected, only the server is heard.
        let socket = UdpSocket::bind((unspecified(server.ip()), 0))?;
        socket.connect(server)?;
        socket.send(&self.bytes)?;
        let until = Instant::now() + timeout;
        let mut buffer = [0; MAX_PACKET_BYTES];
        loop {
            socket.set_read_timeout(Some(left(until)?))?;
            let count = match socket.recv(&mut buffer) {
                Err(error) if again(&error) => continue,
                count => count?,
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            // Something else than an answer to this question is somebody else's, or
            // forged: wait on.
            if let Some(truncated) = self.is_answered_by(bytes) {
                return Ok((bytes.to_vec(), truncated));
            }
        }
    }

    /// The same question and answer, each with its length before it (4.2.2).
    fn over_tcp(&self, server: SocketAddr, timeout: Duration) -> io::Result<Vec<u8>> {
        let until = Instant::now() + timeout;
        let mut stream = TcpStream::connect_timeout(&server, timeout)?;
        stream.set_write_timeout(Some(left(until)?))?;
        let length = u16::try_from(self.bytes.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &self.bytes].concat())?;
        let mut length = [0; 2];
        fill(&mut stream, &mut length, until)?;
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        fill(&mut stream, &mut bytes, until)?;
        if self.is_answered_by(&bytes).is_none() {
            let text = "it answers something else";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(bytes)
    }

    /// Whether it is the answer to this question, and whether it is truncated; then it
    /// may end within a record.
    fn is_answered_by(&self, bytes: &[u8]) -> Option<bool> {
        let has = |flag| header_buffer::has_flags(bytes, flag).unwrap_or_default();
        let truncated = has(PacketFlag::TRUNCATION);
        let repeated = match Packet::parse(bytes) {
            Ok(answer) => answer.questions.iter().any(|asked| {
                asked.qtype == QTYPE::TYPE(self.kind) && same(&asked.qname.to_string(), self.name)
            }),
            Err(_) => truncated,
        };
        let number = header_buffer::id(bytes).ok()?;
        let answers = number == self.number && has(PacketFlag::RESPONSE) && repeated;
        answers.then_some(truncated)
    }

    fn read(&self, bytes: &[u8]) -> io::Result<Answer> {
        let answer = Packet::parse(bytes).map_err(invalid)?;
        match answer.rcode() {
            RCODE::NoError => Ok(Answer::Addresses(self.addresses(&answer))),
            RCODE::NameError => Ok(Answer::NoName),
            code => Err(io::Error::other(format!("it answers {code:?}"))),
        }
    }

    /// The addresses of the name that was asked for, or of what it is an alias of.
    fn addresses(&self, answer: &Packet<'_>) -> Vec<IpAddr> {
        let mut name = self.name.to_owned();
        for _ in 0..MAX_ALIASES {
            let mut found = Vec::new();
            let mut alias = None;
            let records = answer.answers.iter();
            for record in records.filter(|record| same(&record.name.to_string(), &name)) {
                match (&record.rdata, self.kind) {
                    (RData::A(a), TYPE::A) => found.push(Ipv4Addr::from(a.address).into()),
                    (RData::AAAA(a), TYPE::AAAA) => found.push(Ipv6Addr::from(a.address).into()),
                    (RData::CNAME(of), _) => alias = Some(of.0.to_string()),
                    _ => {}
                }
            }
            match alias.filter(|_| found.is_empty()) {
                Some(alias) => name = alias,
                None => return found,
            }
        }
        Vec::new()
    }
}

/// Reads until `buffer` is full. A server that sends byte by byte must not hold it up
/// either.
fn fill(stream: &mut TcpStream, buffer: &mut [u8], until: Instant) -> io::Result<()> {
    let mut rest = buffer;
    while !rest.is_empty() {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(rest) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
            Err(error) if again(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How much time is left; none is an error.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"));
    }
    Ok(left)
}

fn again(error: &io::Error) -> bool {
    let kind = error.kind();
    matches!(kind, io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

fn invalid(error: simple_dns::SimpleDnsError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
}
