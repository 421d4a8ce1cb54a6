//! HTTP/1.1 for a server that is read from, on the loopback interface.
//!
//! RFC 9112 as far as GET and HEAD need it: a request's head is read, never a body;
//! every answer has its length; a connection is kept for the next request. `httparse`
//! reads the heads. What is no HTTP is answered and closed at once: clients that try
//! TLS first would wait for their time-out otherwise.
//!
//! Limits: [`MAX_HEAD_BYTES`], [`MAX_HEADERS`], [`MAX_CONNECTIONS`], [`TIMEOUT`]. A
//! client beyond them is told to come again.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Largest head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Most header fields of a request.
const MAX_HEADERS: usize = 64;
/// Connections open at once.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// Connections beyond those that are told so; further ones are closed.
const MAX_REFUSED: usize = 16;
/// How long such a one may be silent.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client may be silent, or not take what it is sent.
const TIMEOUT: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 256 * 1024;

/// A request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    /// The field `Range`.
    pub(super) range: Option<String>,
    /// Whether the connection ends after the answer.
    closes: bool,
}

/// What is answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    /// Bytes of the body.
    pub(super) length: u64,
    pub(super) body: Box<dyn Read + Send>,
}

impl Answer {
    pub(super) fn new(status: u16, media_type: &str, bytes: Vec<u8>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            length: bytes.len() as u64,
            body: Box::new(io::Cursor::new(bytes)),
        }
        .with("Content-Type", media_type)
    }

    /// Adds a field; a value that would break the head is left out.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            self.headers.push((name, value));
        }
        self
    }
}

/// Listens, and has requests answered.
#[derive(Debug)]
pub(super) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    stopped: AtomicBool,
    /// Open connections by number.
    open: Mutex<BTreeMap<u64, TcpStream>>,
}

impl Listener {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            stopped: AtomicBool::new(false),
            open: Mutex::default(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests, each connection in a thread of its own, until
    /// [`stop`](Self::stop) is called.
    pub(super) fn run(&self, answer: &(dyn Fn(&Request) -> Answer + Sync)) {
        std::thread::scope(|scope| {
            for (number, stream) in (0_u64..).zip(self.listener.incoming()) {
                if self.stopped.load(Ordering::Relaxed) {
                    break;
                }
                // One that the client gave up already.
                let Ok(stream) = stream else { continue };
                let Ok(handle) = stream.try_clone() else {
                    continue;
                };
                let is_busy = {
                    let mut open = self.lock();
                    if open.len() >= MAX_CONNECTIONS + MAX_REFUSED {
                        continue;
                    }
                    let is_busy = open.len() >= MAX_CONNECTIONS;
                    open.insert(number, handle);
                    is_busy
                };
                let talk = move || {
                    // A client that went away has nobody to be told.
                    let _ = match is_busy {
                        false => converse(&stream, TIMEOUT, answer),
                        true => converse(&stream, REFUSED_TIMEOUT, &|_| busy()),
                    };
                    let _ = stream.shutdown(Shutdown::Both);
                    self.lock().remove(&number);
                };
                let thread = std::thread::Builder::new().name(format!("connection {number}"));
                if thread.spawn_scoped(scope, talk).is_err() {
                    self.lock().remove(&number);
                }
            }
            for stream in self.lock().values() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        // So that the listener sees it.
        let _ = TcpStream::connect(self.address);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client is told where too many others are connected. Its request is read
/// before: it would not see the answer where bytes of it were left.
fn busy() -> Answer {
    let text = b"too many connections\n".to_vec();
    Answer::new(503, "text/plain", text).with("Retry-After", "1")
}

/// Answers the requests of one connection.
fn converse(
    mut stream: &TcpStream,
    timeout: Duration,
    answer: &dyn Fn(&Request) -> Answer,
) -> io::Result<()> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.set_nodelay(true)?;
    // What the client sent behind the head that was read.
    let mut received = Vec::new();
    loop {
        let request = match read_head(&mut stream, &mut received)? {
            Head::Request(request) => request,
            Head::End => return Ok(()),
            Head::NoHttp => {
                let refused = Answer::new(400, "text/plain", b"this is plain HTTP\n".to_vec());
                return send(stream, refused, true, true);
            }
        };
        let has_body = request.method != "HEAD";
        let answer = answer(&request);
        let closes = request.closes || answer.status == 503;
        send(stream, answer, has_body, closes)?;
        if closes {
            return Ok(());
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Head {
    Request(Request),
    /// The client has no further one.
    End,
    NoHttp,
}

fn read_head(stream: &mut impl Read, received: &mut Vec<u8>) -> io::Result<Head> {
    let mut chunk = [0; 4096];
    loop {
        // No method begins with another byte; TLS does.
        if received
            .first()
            .is_some_and(|byte| !byte.is_ascii_uppercase())
        {
            return Ok(Head::NoHttp);
        }
        match parse(received) {
            Ok(Some((request, end))) => {
                received.drain(..end);
                return Ok(Head::Request(request));
            }
            Ok(None) if received.len() < MAX_HEAD_BYTES => {}
            _ => return Ok(Head::NoHttp),
        }
        let n = stream.read(&mut chunk)?;
        if n == 0 {
            return Ok(Head::End);
        }
        received.extend(chunk.iter().take(n));
    }
}

/// A request and the length of its head; `None` where there is more to come.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(end) = head.parse(bytes)? else {
        return Ok(None);
    };
    let field = |name: &str| {
        let mut fields = head.headers.iter();
        let found = fields.find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).trim().to_owned())
    };
    let connection = field("Connection").unwrap_or_default();
    // A body is not read, so nothing can follow it.
    let has_body = field("Content-Length").is_some_and(|length| length != "0")
        || field("Transfer-Encoding").is_some();
    let kept = head.version == Some(1) && !connection.eq_ignore_ascii_case("close");
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        range: field("Range"),
        closes: has_body || !kept,
    };
    Ok(Some((request, end)))
}

fn send(stream: &TcpStream, answer: Answer, has_body: bool, closes: bool) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, stream);
    let reason = match answer.status {
        200 => "OK",
        206 => "Partial Content",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    write!(out, "HTTP/1.1 {} {reason}\r\n", answer.status)?;
    for (name, value) in &answer.headers {
        write!(out, "{name}: {value}\r\n")?;
    }
    write!(out, "Content-Length: {}\r\n", answer.length)?;
    if closes {
        write!(out, "Connection: close\r\n")?;
    }
    write!(out, "\r\n")?;
    if has_body {
        let mut body = io::BufReader::with_capacity(BUFFER_BYTES, answer.body.take(answer.length));
        let sent = io::copy(&mut body, &mut out)?;
        if sent != answer.length {
            // The client sees that the connection ends too early.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(bytes: &[u8]) -> Vec<Head> {
        let (mut stream, mut received, mut found) = (bytes, Vec::new(), Vec::new());
        loop {
            let head = read_head(&mut stream, &mut received).unwrap();
            let goes_on = matches!(head, Head::Request(_));
            found.push(head);
            if !goes_on {
                return found;
            }
        }
    }

    fn request(method: &str, target: &str, range: Option<&str>, closes: bool) -> Head {
        Head::Request(Request {
            method: method.to_owned(),
            target: target.to_owned(),
            range: range.map(str::to_owned),
            closes,
        })
    }

    #[test]
    fn requests_follow_each_other_on_one_connection() {
        let two = b"GET /a HTTP/1.1\r\nrange: bytes=0-1\r\n\r\nHEAD /b?n=1 HTTP/1.0\r\n\r\n";
        let expected = [
            request("GET", "/a", Some("bytes=0-1"), false),
            request("HEAD", "/b?n=1", None, true),
            Head::End,
        ];
        assert_eq!(heads(two), expected);
        let put = b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(heads(put)[0], request("PUT", "/", None, true));
        assert_eq!(heads(b"GET / HTTP/1.1\r\nHo"), [Head::End]);
    }

    #[test]
    fn what_is_no_http_and_what_never_ends_is_refused() {
        assert_eq!(heads(&[0x16, 3, 1, 2, 0, 1]), [Head::NoHttp]);
        assert_eq!(heads(b"GET\r\n\r\n"), [Head::NoHttp]);
        let long = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 100_000]].concat();
        assert_eq!(heads(&long), [Head::NoHttp]);
        let many = "X: y\r\n".repeat(MAX_HEADERS + 1);
        let many = format!("GET / HTTP/1.1\r\n{many}\r\n");
        assert_eq!(heads(many.as_bytes()), [Head::NoHttp]);
    }

    #[test]
    fn a_value_can_not_add_fields() {
        let answer = Answer::new(200, "a\r\nX: y", Vec::new()).with("Link", "good");
        assert_eq!(answer.headers, [("Link", "good".to_owned())]);
    }
}
