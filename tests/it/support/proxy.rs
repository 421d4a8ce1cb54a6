//! A forward proxy on loopback that speaks HTTP CONNECT, SOCKS4, SOCKS4a and
//! SOCKS5, and records what it is asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use base64::Engine as _;

#[derive(Default)]
struct State {
    /// Names that only the proxy knows.
    names: BTreeMap<String, String>,
    login: Option<(String, String)>,
    asked: Vec<String>,
    stopped: bool,
}

/// The proxy; it ends when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().stopped {
                    return;
                }
                let shared = Arc::clone(&shared);
                // Whoever hangs up is no longer interested.
                thread::spawn(move || stream.map(|stream| serve(stream, &shared)));
            }
        });
        Self {
            address,
            state,
            server: Some(server),
        }
    }

    /// `127.0.0.1:<port>`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Connections to `name` (`host:port`) go to `host`.
    pub(crate) fn knows(&self, name: &str, host: &str) {
        let mut state = self.state.lock().unwrap();
        state.names.insert(name.to_owned(), host.to_owned());
    }

    /// Only whoever sends this is served.
    pub(crate) fn require(&self, user: &str, password: &str) {
        self.state.lock().unwrap().login = Some((user.to_owned(), password.to_owned()));
    }

    /// What was asked: `protocol target`, with ` as user` where one was named.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.lock().unwrap().stopped = true;
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(server) = self.server.take() {
            server.join().unwrap();
        }
    }
}

type Reader = BufReader<TcpStream>;

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    match reader.fill_buf()?.first() {
        Some(5) => socks5(&mut reader, stream, state),
        Some(4) => socks4(&mut reader, stream, state),
        Some(_) => http(&mut reader, stream, state),
        None => Ok(()),
    }
}

/// Records the request and connects; `None` where the login is wrong.
fn connect(
    state: &Mutex<State>,
    protocol: &str,
    target: &str,
    login: Option<(String, String)>,
) -> Option<std::io::Result<TcpStream>> {
    let mut state = state.lock().unwrap();
    let user = login.as_ref().map(|(user, _)| format!(" as {user}"));
    let user = user.unwrap_or_default();
    state.asked.push(format!("{protocol} {target}{user}"));
    if state.login.is_some() && state.login != login {
        return None;
    }
    let address = state.names.get(target).cloned();
    Some(TcpStream::connect(address.as_deref().unwrap_or(target)))
}

/// RFC 9110, 9.3.6.
fn http(reader: &mut Reader, mut client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut head = Vec::new();
    for line in reader.by_ref().lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let mut words = head[0].split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let login = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let encoded = value.strip_prefix("Basic ")?;
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded);
        let pair = String::from_utf8(decoded.unwrap()).unwrap();
        let (user, password) = pair.split_once(':')?;
        name.eq_ignore_ascii_case("proxy-authorization")
            .then(|| (user.to_owned(), password.to_owned()))
    });
    match connect(state, method, target, login) {
        None => client.write_all(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n"),
        Some(Err(_)) => client.write_all(b"HTTP/1.1 502 Not there\r\nContent-Length: 0\r\n\r\n"),
        Some(Ok(server)) => {
            client.write_all(b"HTTP/1.1 200 Go ahead\r\n\r\n")?;
            tunnel(reader, client, server)
        }
    }
}

/// RFC 1928 and RFC 1929.
fn socks5(reader: &mut Reader, mut client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let methods = counted(reader, 1)?;
    let mut login = None;
    if methods.contains(&2) {
        client.write_all(&[5, 2])?;
        let user = counted(reader, 1)?;
        let password = counted(reader, 0)?;
        login = Some((text(user), text(password)));
        client.write_all(&[1, 0])?;
    } else {
        client.write_all(&[5, 0])?;
    }
    let head = bytes(reader, 4)?;
    let host = match head[3] {
        1 => dotted(&bytes(reader, 4)?),
        3 => text(counted(reader, 0)?),
        other => panic!("address type {other}"),
    };
    let port = bytes(reader, 2)?;
    let target = format!("{host}:{}", u16::from_be_bytes([port[0], port[1]]));
    let answer = |status: u8| [5, status, 0, 1, 0, 0, 0, 0, 0, 0];
    match connect(state, "SOCKS5", &target, login) {
        Some(Ok(server)) => {
            client.write_all(&answer(0))?;
            tunnel(reader, client, server)
        }
        None => client.write_all(&answer(2)),
        Some(Err(_)) => client.write_all(&answer(5)),
    }
}

/// SOCKS protocol version 4, and its extension 4a for names.
fn socks4(reader: &mut Reader, mut client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let head = bytes(reader, 8)?;
    let mut until_zero = || {
        let mut text = Vec::new();
        reader.read_until(0, &mut text).map(|_| {
            text.pop();
            self::text(text)
        })
    };
    until_zero()?;
    let host = match head[4..8] {
        [0, 0, 0, last] if last > 0 => until_zero()?,
        _ => dotted(&head[4..8]),
    };
    let target = format!("{host}:{}", u16::from_be_bytes([head[2], head[3]]));
    let answer = |status: u8| [0, status, 0, 0, 0, 0, 0, 0];
    match connect(state, "SOCKS4", &target, None) {
        Some(Ok(server)) => {
            client.write_all(&answer(90))?;
            tunnel(reader, client, server)
        }
        _ => client.write_all(&answer(91)),
    }
}

fn bytes(reader: &mut Reader, count: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Bytes with their number in front, `before` which some others stand.
fn counted(reader: &mut Reader, before: usize) -> std::io::Result<Vec<u8>> {
    let head = bytes(reader, before + 1)?;
    bytes(reader, head[before].into())
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn dotted(bytes: &[u8]) -> String {
    let parts: Vec<String> = bytes.iter().map(u8::to_string).collect();
    parts.join(".")
}

/// Carries bytes both ways until both sides have hung up.
fn tunnel(reader: &mut Reader, client: TcpStream, server: TcpStream) -> std::io::Result<()> {
    let (mut to_client, mut from_server) = (client, server.try_clone()?);
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(reader, &mut &server);
    let _ = server.shutdown(Shutdown::Write);
    let _ = back.join();
    Ok(())
}
