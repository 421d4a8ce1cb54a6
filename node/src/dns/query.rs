//! One question to one name server (RFC 1035, 4.2): over UDP, and over TCP where the
//! answer does not fit into a packet.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE, header_buffer};

use super::same;

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

/// What came over UDP.
enum Heard {
    Whole(Answer),
    /// It had more to say than fits. What of it was understood.
    Truncated(Option<Answer>),
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
    match query.over_udp(server, timeout)? {
        Heard::Whole(answer) => Ok(answer),
        Heard::Truncated(some) => match (query.over_tcp(server, timeout), some) {
            (Ok(answer), _) => Ok(answer),
            // Some of a host's addresses are enough to reach it.
            (Err(_), Some(Answer::Addresses(some))) if !some.is_empty() => {
                Ok(Answer::Addresses(some))
            }
            (Err(error), _) => {
                let problem = format!("over TCP, as the answer is long: {error}");
                Err(io::Error::new(error.kind(), problem))
            }
        },
    }
}

impl<'a> Query<'a> {
    fn new(name: &'a str, kind: TYPE) -> io::Result<Self> {
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
        Ok(Self {
            number,
            name,
            kind,
            bytes: packet.build_bytes_vec().map_err(invalid)?,
        })
    }

    fn over_udp(&self, server: SocketAddr, timeout: Duration) -> io::Result<Heard> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // The port is the system's choice; connected, only the server is heard.
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.send(&self.bytes)?;
        let until = Instant::now() + timeout;
        let mut buffer = [0; MAX_PACKET_BYTES];
        loop {
            socket.set_read_timeout(Some(left(until)?))?;
            let count = match socket.recv(&mut buffer) {
                Ok(count) => count,
                Err(error) if again(&error) => continue,
                Err(error) => return Err(error),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            // Something else than an answer to this question is somebody else's, or
            // forged: wait on.
            if !self.is_answered_by(bytes) {
                continue;
            }
            let truncated = header_buffer::has_flags(bytes, PacketFlag::TRUNCATION);
            match (Packet::parse(bytes), truncated.unwrap_or_default()) {
                (Ok(answer), false) if self.is_repeated_by(&answer) => {
                    return self.read(&answer).map(Heard::Whole);
                }
                (Ok(answer), true) if self.is_repeated_by(&answer) => {
                    return Ok(Heard::Truncated(self.read(&answer).ok()));
                }
                // It may end within a record.
                (Err(_), true) => return Ok(Heard::Truncated(None)),
                _ => {}
            }
        }
    }

    /// The same question and answer, each with its length before it (4.2.2).
    fn over_tcp(&self, server: SocketAddr, timeout: Duration) -> io::Result<Answer> {
        let until = Instant::now() + timeout;
        let mut stream = TcpStream::connect_timeout(&server, timeout)?;
        stream.set_write_timeout(Some(left(until)?))?;
        let length = u16::try_from(self.bytes.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &self.bytes].concat())?;
        let mut length = [0; 2];
        fill(&mut stream, &mut length, until)?;
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        fill(&mut stream, &mut bytes, until)?;
        match Packet::parse(&bytes) {
            Ok(answer) if self.is_answered_by(&bytes) && self.is_repeated_by(&answer) => {
                self.read(&answer)
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it answers something else",
            )),
        }
    }

    fn is_answered_by(&self, bytes: &[u8]) -> bool {
        header_buffer::id(bytes).is_ok_and(|id| id == self.number)
            && header_buffer::has_flags(bytes, PacketFlag::RESPONSE).unwrap_or_default()
    }

    fn is_repeated_by(&self, answer: &Packet<'_>) -> bool {
        answer.questions.iter().any(|asked| {
            asked.qtype == QTYPE::TYPE(self.kind) && same(&asked.qname.to_string(), self.name)
        })
    }

    fn read(&self, answer: &Packet<'_>) -> io::Result<Answer> {
        match answer.rcode() {
            RCODE::NoError => Ok(Answer::Addresses(self.addresses(answer))),
            RCODE::NameError => Ok(Answer::NoName),
            code => Err(io::Error::other(format!("it answers {code:?}"))),
        }
    }

    /// The addresses of the name, aliases followed.
    fn addresses(&self, answer: &Packet<'_>) -> Vec<IpAddr> {
        let mut name = self.name.to_owned();
        for _ in 0..MAX_ALIASES {
            let owned =
                |record: &&simple_dns::ResourceRecord<'_>| same(&record.name.to_string(), &name);
            let found: Vec<IpAddr> = answer
                .answers
                .iter()
                .filter(owned)
                .filter_map(|record| match (&record.rdata, self.kind) {
                    (RData::A(a), TYPE::A) => Some(Ipv4Addr::from(a.address).into()),
                    (RData::AAAA(a), TYPE::AAAA) => Some(Ipv6Addr::from(a.address).into()),
                    _ => None,
                })
                .collect();
            if !found.is_empty() {
                return found;
            }
            let alias =
                answer
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
}

/// Reads until `buffer` is full.
fn fill(stream: &mut TcpStream, buffer: &mut [u8], until: Instant) -> io::Result<()> {
    let mut rest = buffer;
    while !rest.is_empty() {
        // A server that sends byte by byte must not hold it up either.
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
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

fn invalid(error: simple_dns::SimpleDnsError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
}
