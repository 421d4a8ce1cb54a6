//! A registry in this process that can be told to misbehave.
//!
//! It speaks just enough HTTP/1.1 for a client that pulls or pushes: one request
//! per connection. Every request is recorded. `uploads` has what a push needs.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use isoforge_base::digest::Digest;
use isoforge_oci::layer::LayerCompression;

use super::layers::{Blob, Image, compress};
use super::uploads::{self, Uploads};

/// What goes wrong with an answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The connection ends after so many bytes of the body.
    Truncate(usize),
    /// The body is other bytes of the same length.
    Garble,
    /// `Content-Length` and body have this much more.
    TooLong(usize),
    /// The connection ends without an announced length, so many bytes early.
    NoLength(usize),
    /// An error status, with further header lines.
    Status(u16, &'static str),
    /// Half of the body comes, then nothing.
    Stall,
    /// So many bytes of the body come, then nothing.
    StallAfter(usize),
    /// The body comes, but slowly: a byte each 10 ms.
    Trickle,
    /// The connection is reset before any answer.
    Reset,
    /// A redirect to this URL with the request's path behind it.
    Redirect(String),
    /// Another content type.
    ContentType(&'static str),
    /// The body comes in this content coding, with or without its length.
    Coded(&'static str, bool),
    /// The body comes as it is and is called coded so.
    Called(&'static str),
    /// `Content-Length` and body have this much less.
    TooShort(usize),
    /// A request for a range is answered as if it were none.
    IgnoreRange,
    /// A request for a range is refused (416).
    RefuseRange,
    /// Another range than the one asked for comes, and says so.
    WrongRange,
    /// Nothing goes wrong this time.
    Nothing,
    /// So many bytes of an upload are taken, then the connection is reset.
    BreakUpload(usize),
}

/// How clients must authenticate.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// `user:password`.
    Basic(String),
    /// Tokens from `/token` at this or another server; with `user:password`
    /// only against these credentials. Each token is good for `uses` requests.
    Token {
        service: Option<String>,
        login: Option<String>,
        uses: usize,
    },
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// The body, whatever it is.
    pub(crate) bytes: Vec<u8>,
}

impl Request {
    /// The first byte wanted, where the request is for a range.
    pub(crate) fn offset(&self) -> Option<usize> {
        let range = self.headers.get("range")?.strip_prefix("bytes=")?;
        range.strip_suffix('-')?.parse().ok()
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization").map(String::as_str)
    }
}

#[derive(Default)]
pub(super) struct State {
    /// By path.
    pub(super) manifests: BTreeMap<String, Blob>,
    /// By path.
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    pub(super) uploads: Uploads,
    /// Target of a page of a list to that of the next.
    next_pages: BTreeMap<String, String>,
    faults: Vec<(String, Fault, usize)>,
    requests: Vec<Request>,
    access: Option<Access>,
    tokens: BTreeMap<String, usize>,
    token_count: usize,
    identity_token: Option<String>,
    stopped: bool,
}

/// The registry; it ends when it is dropped.
pub(crate) struct FakeRegistry {
    address: SocketAddr,
    pub(super) state: Arc<Mutex<State>>,
    server: Option<JoinHandle<()>>,
}

impl FakeRegistry {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().stopped {
                    return;
                }
                let shared = Arc::clone(&shared);
                // A client that hangs up is part of the game.
                std::thread::spawn(move || stream.map(|stream| serve(stream, &shared, address)));
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

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves a manifest or index under a tag and its digest.
    pub(crate) fn put_manifest(&self, repository: &str, tag: &str, manifest: &Blob) {
        let mut state = self.state.lock().unwrap();
        for name in [tag.to_owned(), manifest.digest().to_string()] {
            let path = format!("/v2/{repository}/manifests/{name}");
            state.manifests.insert(path, manifest.clone());
        }
    }

    /// Serves a list of referrers, one page after the other.
    pub(crate) fn put_referrers(&self, repository: &str, subject: &Digest, pages: &[Blob]) {
        let mut state = self.state.lock().unwrap();
        let target = |page: usize| match page {
            0 => format!("/v2/{repository}/referrers/{subject}"),
            page => format!("/v2/{repository}/referrers/{subject}?page={page}"),
        };
        for (page, blob) in pages.iter().enumerate() {
            state.manifests.insert(target(page), blob.clone());
            if page + 1 < pages.len() {
                state.next_pages.insert(target(page), target(page + 1));
            }
        }
    }

    /// Serves a manifest at a path, whatever the path promises.
    pub(crate) fn put_at(&self, path: &str, manifest: &Blob) {
        let mut state = self.state.lock().unwrap();
        state.manifests.insert(path.to_owned(), manifest.clone());
    }

    pub(crate) fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let path = format!("/v2/{repository}/blobs/{}", Digest::of(bytes));
        self.state
            .lock()
            .unwrap()
            .blobs
            .insert(path, bytes.to_vec());
    }

    /// Serves an image with its blobs.
    pub(crate) fn put_image(&self, repository: &str, tag: &str, image: &Image) {
        self.put_manifest(repository, tag, &image.manifest);
        for blob in image.blobs() {
            self.put_blob(repository, &blob.bytes);
        }
    }

    /// The next `times` requests whose method and target contain `target` go
    /// wrong.
    pub(crate) fn fault(&self, target: &str, times: usize, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        state.faults.push((target.to_owned(), fault, times));
    }

    /// Nothing goes wrong any more, and everybody may read.
    pub(crate) fn behave(&self) {
        let mut state = self.state.lock().unwrap();
        state.faults.clear();
        state.access = None;
    }

    pub(crate) fn require(&self, access: Access) {
        self.state.lock().unwrap().access = Some(access);
    }

    /// The token service also takes this identity token.
    pub(crate) fn accept_identity(&self, token: &str) {
        self.state.lock().unwrap().identity_token = Some(token.to_owned());
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Requests whose target contains `target`.
    pub(crate) fn count(&self, target: &str) -> usize {
        let requests = self.requests();
        requests
            .iter()
            .filter(|r| r.target.contains(target))
            .count()
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.state.lock().unwrap().stopped = true;
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(server) = self.server.take() {
            server.join().unwrap();
        }
    }
}

pub(super) struct Response {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Response {
    pub(super) fn new(status: u16, headers: &[String], body: &[u8]) -> Self {
        Self {
            status,
            headers: headers.to_vec(),
            body: body.to_vec(),
        }
    }

    pub(super) fn error(status: u16, code: &str) -> Self {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"as told"}}]}}"#);
        Self::new(status, &[], body.as_bytes())
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, address: SocketAddr) -> std::io::Result<()> {
    let Some(head_length) = wait_for_head(&stream)? else {
        return Ok(());
    };
    let mut head = vec![0; head_length];
    stream.peek(&mut head)?;
    let mut request = parse_head(&String::from_utf8_lossy(&head));
    let fault = {
        let mut state = state.lock().unwrap();
        let target = format!("{} {}", request.method, request.target);
        let found = state
            .faults
            .iter_mut()
            .find(|(part, _, left)| *left > 0 && target.contains(part.as_str()));
        found.map(|(_, fault, left)| {
            *left -= 1;
            fault.clone()
        })
    };
    if matches!(fault, Some(Fault::Reset)) {
        state.lock().unwrap().requests.push(request);
        // Closing with unread input makes the kernel send a reset.
        return Ok(());
    }
    stream.read_exact(&mut head)?;
    if let Some(Fault::BreakUpload(bytes)) = fault {
        let mut taken = vec![0; bytes];
        stream.read_exact(&mut taken)?;
        let mut state = state.lock().unwrap();
        uploads::keep(&mut state, &request, &taken);
        state.requests.push(request);
        return Ok(());
    }
    let length = request
        .headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    request.bytes = body;
    let told = change_range(&request, fault.as_ref());
    let response = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        answer(&mut state, &told, address)
    };
    send(stream, &request, response, fault)
}

/// The request as a server sees it that has its own idea of ranges.
fn change_range(request: &Request, fault: Option<&Fault>) -> Request {
    let mut told = request.clone();
    let Some(offset) = request.offset() else {
        return told;
    };
    let range = match fault {
        Some(Fault::IgnoreRange) => None,
        Some(Fault::RefuseRange) => Some(format!("bytes={}-", usize::MAX)),
        Some(Fault::WrongRange) => Some(format!("bytes={}-", offset - 1)),
        _ => return told,
    };
    told.headers.remove("range");
    told.headers
        .extend(range.map(|range| ("range".to_owned(), range)));
    told
}

/// Length of the request's head, once all of it is there.
fn wait_for_head(stream: &TcpStream) -> std::io::Result<Option<usize>> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = stream.peek(&mut buffer)?;
        if let Some(at) = buffer[..n].windows(4).position(|w| w == b"\r\n\r\n") {
            return Ok(Some(at + 4));
        }
        // Whoever speaks TLS is not answered.
        let speaks_http = buffer[..n].first().is_some_and(u8::is_ascii_uppercase);
        if !speaks_http || n == buffer.len() {
            return Ok(None);
        }
    }
}

fn parse_head(head: &str) -> Request {
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    Request {
        method: first.next().unwrap_or_default().to_owned(),
        target: first.next().unwrap_or_default().to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
        body: String::new(),
        bytes: Vec::new(),
    }
}

fn basic(login: &str) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(login);
    format!("Basic {encoded}")
}

fn answer(state: &mut State, request: &Request, address: SocketAddr) -> Response {
    if request.target.starts_with("/token") {
        return token(state, request);
    }
    if let Some(challenge) = refused(state, request, address) {
        let mut response = Response::error(401, "UNAUTHORIZED");
        response
            .headers
            .push(format!("WWW-Authenticate: {challenge}"));
        return response;
    }
    if let Some(response) = uploads::answer(state, request, address) {
        return response;
    }
    if request.target == "/v2/" {
        return Response::new(200, &[], b"{}");
    }
    if let Some(manifest) = state.manifests.get(&request.target) {
        let mut headers = vec![
            format!("Content-Type: {}", manifest.media_type),
            format!("Docker-Content-Digest: {}", manifest.digest()),
        ];
        if let Some(next) = state.next_pages.get(&request.target) {
            headers.push(format!("Link: <{next}>; rel=\"next\""));
        }
        return Response::new(200, &headers, &manifest.bytes);
    }
    if let Some(blob) = state.blobs.get(&request.target) {
        return part(blob, request.offset());
    }
    Response::error(404, "MANIFEST_UNKNOWN")
}

/// A blob from `offset` on (RFC 9110, 14).
fn part(blob: &[u8], offset: Option<usize>) -> Response {
    let mut headers = vec!["Content-Type: application/octet-stream".to_owned()];
    let Some(offset) = offset else {
        return Response::new(200, &headers, blob);
    };
    let total = blob.len();
    let Some(rest) = blob.get(offset..).filter(|rest| !rest.is_empty()) else {
        headers.push(format!("Content-Range: bytes */{total}"));
        return Response::new(416, &headers, b"");
    };
    headers.push(format!(
        "Content-Range: bytes {offset}-{}/{total}",
        total - 1
    ));
    Response::new(206, &headers, rest)
}

/// The challenge for a request that lacks what is required.
fn refused(state: &mut State, request: &Request, address: SocketAddr) -> Option<String> {
    let sent = request.authorization().unwrap_or_default();
    match state.access.clone()? {
        Access::Basic(login) => (sent != basic(&login)).then(|| r#"Basic realm="fake""#.to_owned()),
        Access::Token { service, .. } => {
            let left = sent
                .strip_prefix("Bearer ")
                .and_then(|token| state.tokens.get_mut(token));
            if let Some(left) = left.filter(|left| **left > 0) {
                *left -= 1;
                return None;
            }
            let realm = service.unwrap_or_else(|| format!("http://{address}/token"));
            if request.target == "/v2/" {
                return Some(format!(r#"Bearer realm="{realm}",service="fake.example""#));
            }
            let path = request.target.strip_prefix("/v2/").unwrap_or_default();
            let repository = path.split("/manifests/").next().unwrap_or_default();
            let repository = repository.split("/blobs/").next().unwrap_or_default();
            Some(format!(
                r#"Bearer realm="{realm}",service="fake.example",scope="repository:{repository}:pull""#
            ))
        }
    }
}

fn token(state: &mut State, request: &Request) -> Response {
    let Some(Access::Token { login, uses, .. }) = state.access.clone() else {
        return Response::error(404, "UNSUPPORTED");
    };
    let by_identity = match &state.identity_token {
        Some(token) => request.body.contains(&format!("refresh_token={token}")),
        None => false,
    };
    let allowed = match login {
        None => true,
        Some(login) => by_identity || request.authorization() == Some(&basic(&login)),
    };
    if !allowed {
        return Response::error(401, "UNAUTHORIZED");
    }
    state.token_count += 1;
    let token = format!("secret-token-{}", state.token_count);
    state.tokens.insert(token.clone(), uses);
    let body = format!(r#"{{"access_token":"{token}","expires_in":300}}"#);
    Response::new(200, &[], body.as_bytes())
}

/// `body` in a content coding (RFC 9110, 8.4.1).
fn code(body: &[u8], coding: &str) -> Vec<u8> {
    let level = flate2::Compression::fast();
    match coding {
        "gzip" => compress(body, LayerCompression::Gzip),
        "zstd" => compress(body, LayerCompression::Zstd),
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        _ => body.iter().map(|byte| byte ^ 0x55).collect(),
    }
}

fn send(
    mut stream: TcpStream,
    request: &Request,
    mut response: Response,
    fault: Option<Fault>,
) -> std::io::Result<()> {
    let mut announced = Some(response.body.len());
    let (mut stall, mut trickle) = (false, false);
    match fault {
        None
        | Some(
            Fault::Reset
            | Fault::Nothing
            | Fault::IgnoreRange
            | Fault::RefuseRange
            | Fault::WrongRange
            | Fault::BreakUpload(_),
        ) => {}
        Some(Fault::Truncate(bytes)) => response.body.truncate(bytes),
        Some(Fault::Garble) => response.body.iter_mut().for_each(|byte| *byte ^= 0x55),
        Some(Fault::TooLong(more)) => {
            response.body.extend(std::iter::repeat_n(b'x', more));
            announced = Some(response.body.len());
        }
        Some(Fault::TooShort(less)) => {
            let length = response.body.len().saturating_sub(less);
            response.body.truncate(length);
            announced = Some(length);
        }
        Some(Fault::NoLength(early)) => {
            announced = None;
            let length = response.body.len().saturating_sub(early);
            response.body.truncate(length);
        }
        Some(Fault::Status(status, headers)) => {
            response = Response::error(status, "TOLD_TO");
            response.headers.extend(headers.lines().map(str::to_owned));
            announced = Some(response.body.len());
        }
        Some(Fault::Stall) => {
            response.body.truncate(response.body.len() / 2);
            stall = true;
        }
        Some(Fault::Trickle) => trickle = true,
        Some(Fault::StallAfter(bytes)) => {
            response.body.truncate(bytes);
            stall = true;
        }
        Some(Fault::Redirect(to)) => {
            let location = format!("Location: {to}{}", request.target);
            response = Response::new(307, &[location], b"");
            announced = Some(0);
        }
        Some(Fault::Coded(coding, with_length)) => {
            response.body = code(&response.body, coding);
            let length = response.body.len();
            response.headers.push(format!("Content-Encoding: {coding}"));
            announced = with_length.then_some(length);
        }
        Some(Fault::Called(coding)) => {
            response.headers.push(format!("Content-Encoding: {coding}"));
        }
        Some(Fault::ContentType(media_type)) => {
            response
                .headers
                .retain(|line| !line.starts_with("Content-Type"));
            response.headers.push(format!("Content-Type: {media_type}"));
        }
    }
    let mut head = format!("HTTP/1.1 {} Told\r\nConnection: close\r\n", response.status);
    if let Some(length) = announced {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    for line in &response.headers {
        head.push_str(&format!("{line}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        let step = if trickle {
            1
        } else {
            response.body.len().max(1)
        };
        for part in response.body.chunks(step) {
            stream.write_all(part)?;
            if trickle {
                stream.flush()?;
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
    stream.flush()?;
    if stall {
        // Ends when the client hangs up.
        while stream.read(&mut [0; 1024])? > 0 {}
    }
    Ok(())
}
