//! HTTP requests: time limits, redirects, and bodies that are exactly as long as
//! announced. Nothing here tries again or authenticates.

mod coding;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::header::{self, HeaderMap, HeaderValue};
use ureq::http::{Request, Response, StatusCode, Uri};
use ureq::{AsSendBody, SendBody};

use super::BlobRest;
use super::agents::{Agents, Chosen};
use super::config::{MAX_CONNECTIONS, RegistryConfig};
use super::gate::Gate;
use super::helper::{Broken, Helpers};
use super::limiter::{Limiter, Permit};
use super::secret::Secret;
use super::url::{Origin, ShownUrl, resolve};
use crate::media::MediaType;
use crate::{Answer, Error};
pub(super) use coding::Coding;
use isoforge_base::error::Class;
use isoforge_base::limit::read_within;
use stream::{Pace, Stream};

/// The program's name and version, as registries see it.
pub const USER_AGENT: &str = concat!("isoforge/", env!("CARGO_PKG_VERSION"));
/// How many redirects are followed.
pub const MAX_REDIRECTS: usize = 5;
const FORM_TYPE: &str = "application/x-www-form-urlencoded";
/// What pages for people are announced as.
const WEB_PAGES: [&str; 2] = ["text/html", "application/xhtml+xml"];
/// How much of an error document is read.
const MAX_ERROR_BYTES: u64 = 64 * 1024;
/// How much of a registry's message is shown.
const MAX_MESSAGE_CHARS: usize = 200;

/// Makes requests; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    agents: Arc<Agents>,
    gate: Gate,
    limiter: Arc<Limiter>,
    /// Credential helpers that failed.
    broken_helpers: Arc<Broken>,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }

    /// Whether it leaves the server as it is.
    fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// Bytes to be sent, opened anew for each request that is made.
pub(super) trait Body: fmt::Debug + Sync {
    fn media_type(&self) -> &str;

    /// Exactly this many bytes are read, or reading ends in an error.
    fn length(&self) -> u64;

    /// # Errors
    /// Where the bytes can't be had; the request is not made then.
    fn open(&self) -> Result<Box<dyn Read + '_>, Error>;
}

/// A request to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: &'a str,
    /// Value of `Accept`.
    pub(super) accept: &'a str,
    /// Value of `Authorization`; sent to the URL's origin only.
    pub(super) authorization: Option<&'a Secret>,
    /// Further header fields.
    pub(super) headers: &'a [(header::HeaderName, String)],
    /// A form to be posted, whatever the method says.
    pub(super) form: Option<&'a Secret>,
    /// The first byte wanted; above 0 the request asks for a range, which the
    /// server may ignore (RFC 9110, 14.2).
    pub(super) offset: u64,
    /// What a POST, PUT or PATCH carries; nothing where there is none.
    pub(super) body: Option<&'a dyn Body>,
    /// How long the answer may take to begin, where not as the settings say.
    pub(super) patience: Option<Duration>,
}

impl Default for Call<'_> {
    fn default() -> Self {
        Self {
            method: Method::Get,
            url: "",
            accept: "*/*",
            authorization: None,
            headers: &[],
            form: None,
            offset: 0,
            body: None,
            patience: None,
        }
    }
}

/// An answer, whatever its status.
pub(super) struct Reply {
    /// The URL that answered, after redirects.
    pub(super) url: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: ureq::Body,
    permit: Permit,
    pace: Pace,
}

impl Transport {
    pub(super) fn new(config: &RegistryConfig) -> Self {
        Self {
            gate: Gate::new(&config.retry),
            limiter: Arc::default(),
            broken_helpers: Arc::default(),
            agents: Arc::new(Agents::new(config.clone())),
        }
    }

    /// The user's credential helpers.
    pub(super) fn helpers(&self) -> Helpers<'_> {
        Helpers {
            time_limit: self.agents.config().helper_timeout,
            broken: &self.broken_helpers,
        }
    }

    /// Makes a request and follows redirects. Credentials and forms never go to
    /// another origin, and TLS is never left.
    pub(super) fn send(&self, call: Call<'_>) -> Result<Reply, Error> {
        let mut url = call.url.to_owned();
        let asked = Origin::of(&url);
        for _ in 0..=MAX_REDIRECTS {
            let origin = Origin::of(&url);
            let same_origin = origin.is_some() && origin == asked;
            let authorization = call.authorization.filter(|_| same_origin);
            let (response, permit) = self.send_once(&url, call, authorization)?;
            let (parts, body) = response.into_parts();
            if !parts.status.is_redirection() {
                return Ok(Reply {
                    url,
                    status: parts.status,
                    headers: parts.headers,
                    body,
                    permit,
                    pace: Pace::new(self.agents.config().rate_window),
                });
            }
            let refuse = |problem: &str| Error::BadAnswer {
                url: ShownUrl::of(&url),
                problem: format!("redirect {problem}"),
            };
            if call.form.is_some() {
                return Err(refuse("of a token request"));
            }
            // The others make a GET of it (RFC 9110, 15.4).
            if !call.method.is_safe() && !matches!(parts.status.as_u16(), 307 | 308) {
                return Err(refuse("of a request that writes"));
            }
            let next = text(&parts.headers, &header::LOCATION)
                .and_then(|location| resolve(&url, location))
                .ok_or_else(|| refuse("without a usable location"))?;
            match (&asked, Origin::of(&next)) {
                (_, None) => return Err(refuse("to something that is no HTTP")),
                (Some(from), Some(to)) if from.https && !to.https => {
                    return Err(refuse("from TLS to plain HTTP"));
                }
                _ => {}
            }
            url = next;
        }
        Err(Error::BadAnswer {
            url: ShownUrl::of(call.url),
            problem: format!("redirect number {}", MAX_REDIRECTS + 1),
        })
    }

    fn send_once(
        &self,
        url: &str,
        call: Call<'_>,
        authorization: Option<&Secret>,
    ) -> Result<(Response<ureq::Body>, Permit), Error> {
        let uri: Uri = url.parse().map_err(|_| Error::Transport {
            url: ShownUrl::of(url),
            problem: "no URL".to_owned(),
        })?;
        let chosen = self.agents.of(&uri)?;
        let method = if call.form.is_some() {
            Method::Post
        } else {
            call.method
        };
        let mut request = Request::builder()
            .method(method.as_str())
            .uri(url)
            .header(header::ACCEPT, call.accept)
            // Without it a server may compress what it likes (RFC 9110, 12.5.3).
            .header(header::ACCEPT_ENCODING, "identity");
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        if let Some(secret) = authorization {
            let mut value = HeaderValue::from_str(secret.reveal()).map_err(|_| {
                let problem = "the credentials have characters that no header can have";
                Error::challenge(url, problem)
            })?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if call.offset > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", call.offset));
        }
        // A host that wants to be left alone is left so without a permit, so that
        // it is asked nothing more than before as soon as it may be.
        self.gate.pass(url);
        let permit = self.permit(&uri);
        let run = Run {
            url,
            chosen: &chosen,
            patience: call.patience,
        };
        let response = if let Some(form) = call.form {
            let request = request.header(header::CONTENT_TYPE, FORM_TYPE);
            run.with(request.body(form.reveal()))
        } else if let Some(body) = call.body {
            let mut reader = body.open()?;
            let request = request
                .header(header::CONTENT_TYPE, body.media_type())
                .header(header::CONTENT_LENGTH, body.length());
            run.with(request.body(SendBody::from_reader(&mut reader)))
        } else if method.is_safe() {
            run.with(request.body(()))
        } else {
            run.with(request.body(&[][..]))
        }?;
        if let Some(delay) = asked_to_wait(response.status(), response.headers()) {
            self.gate.close(url, delay);
        }
        Ok((response, permit))
    }

    fn permit(&self, uri: &Uri) -> Permit {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let host = self.agents.config().host(authority);
        let limit = host.and_then(|host| host.max_connections);
        self.limiter
            .acquire(authority, limit.unwrap_or(MAX_CONNECTIONS))
    }
}

/// How one request is made.
struct Run<'a> {
    url: &'a str,
    chosen: &'a Chosen,
    patience: Option<Duration>,
}

impl Run<'_> {
    fn with(
        &self,
        request: Result<Request<impl AsSendBody>, ureq::http::Error>,
    ) -> Result<Response<ureq::Body>, Error> {
        let agent = &self.chosen.agent;
        let mut request = request.map_err(|error| Error::Transport {
            url: ShownUrl::of(self.url),
            problem: error.to_string(),
        })?;
        if self.patience.is_some() {
            request = agent
                .configure_request(request)
                .timeout_recv_response(self.patience)
                .build();
        }
        agent
            .run(request)
            .map_err(|error| from_ureq(self.url, &error, self.chosen.proxy.as_deref()))
    }
}

impl Reply {
    /// A header's value, where it is text.
    pub(super) fn header(&self, name: &header::HeaderName) -> Option<&str> {
        text(&self.headers, name)
    }

    pub(super) fn content_length(&self) -> Option<u64> {
        self.header(&header::CONTENT_LENGTH)?.trim().parse().ok()
    }

    /// The error for a page for people where `wanted` should be, going by what it is
    /// announced as.
    pub(super) fn web_page(&self, wanted: &str) -> Option<Error> {
        let media_type = MediaType::parse(self.header(&header::CONTENT_TYPE)?);
        WEB_PAGES
            .contains(&media_type.as_str())
            .then(|| page_error(&self.url, media_type.as_str(), wanted))
    }

    /// The coding that the body says it has.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] on one that can't be undone.
    pub(super) fn coding(&self) -> Result<Option<Coding>, Error> {
        Coding::of(&self.headers, &self.url)
    }

    /// The body without its coding, of `expected` bytes where that is known; errors as
    /// of [`into_stream`](Self::into_stream).
    pub(super) fn into_undone(
        self,
        coding: Coding,
        expected: Option<u64>,
    ) -> Result<BlobRest<'static>, Error> {
        let url = self.url.clone();
        Ok(BlobRest {
            start: 0,
            reader: coding.undo(&url, self.into_stream(None), expected)?,
        })
    }

    /// The body as a stream. With `expected` it has exactly this many bytes or
    /// reading ends in an error, which carries an [`Error`].
    pub(super) fn into_stream(self, expected: Option<u64>) -> Stream {
        let expected = expected.or_else(|| self.content_length());
        self.into_rest(0, expected)
    }

    /// Like [`into_stream`](Self::into_stream) for a body that begins at the
    /// byte `start` of what has `expected` bytes altogether.
    fn into_rest(self, start: u64, expected: Option<u64>) -> Stream {
        Stream {
            url: self.url,
            inner: self.body.into_reader(),
            expected,
            got: start,
            pace: self.pace,
            _permit: self.permit,
        }
    }

    /// The body of an answer to a request for the bytes from `offset` on, of
    /// `total` where that is known. `None` where a part came that was not asked
    /// for, or nothing: then all of it has to be asked for.
    pub(super) fn into_part(self, offset: u64, total: Option<u64>) -> Option<BlobRest<'static>> {
        match self.status {
            StatusCode::OK => {
                let reader = Box::new(self.into_stream(total));
                Some(BlobRest { start: 0, reader })
            }
            StatusCode::PARTIAL_CONTENT => {
                let range = ContentRange::parse(text(&self.headers, &header::CONTENT_RANGE)?)?;
                let end = range.last.checked_add(1)?;
                let total = total.or(range.total);
                let length = self.content_length();
                let fits = range.first == offset
                    && (range.total.is_none() || range.total == total)
                    && total.is_none_or(|total| total == end)
                    && length.is_none_or(|length| offset.checked_add(length) == Some(end));
                fits.then(|| BlobRest {
                    start: offset,
                    reader: Box::new(self.into_rest(offset, Some(end))),
                })
            }
            _ => None,
        }
    }

    /// The whole body, a document in JSON, which may have `limit` bytes, without its
    /// coding.
    pub(super) fn into_bytes(self, limit: u64) -> Result<Vec<u8>, Error> {
        let url = self.url.clone();
        let too_large = || {
            let problem = format!("{}: more than {limit} bytes", ShownUrl::of(&url));
            Error::new(Class::Verification, problem)
        };
        if self.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let coding = self.coding()?;
        let read = read_within(self.into_stream(None), limit).map_err(Error::from_read)?;
        let bytes = read.ok_or_else(too_large)?;
        match coding.filter(|coding| coding.may_have_made(&bytes)) {
            None => Ok(bytes),
            Some(coding) => {
                let undone = coding.undo(&url, bytes.as_slice(), None)?;
                let read = read_within(undone, limit).map_err(Error::from_read)?;
                read.ok_or_else(too_large)
            }
        }
    }

    /// What the error document says; an unreadable one says nothing.
    pub(super) fn into_answer(self) -> Answer {
        // One that breaks off, is too large or can't be read is as good as none.
        self.into_bytes(MAX_ERROR_BYTES)
            .map_or_else(|_| Answer::default(), |bytes| parse_answer(&bytes))
    }

    /// The error that an answer without success stands for.
    pub(super) fn into_error(self) -> Error {
        let url = ShownUrl::of(&self.url);
        let (status, retry_after) = (self.status, asked_to_wait(self.status, &self.headers));
        let answer = self.into_answer();
        if status == StatusCode::NOT_FOUND {
            return Error::NotFound { url, answer };
        }
        Error::Status {
            url,
            status: status.as_u16(),
            answer,
            retry_after,
        }
    }
}

/// The error for an answer of `bytes` that is a page for people, where a document in
/// JSON, `wanted`, should be: servers announce both as whatever they like.
pub(super) fn check_no_page(
    url: &str,
    announced: Option<&MediaType>,
    bytes: &[u8],
    wanted: &str,
) -> Result<(), Error> {
    let is_html = announced.is_some_and(|announced| WEB_PAGES.contains(&announced.as_str()));
    let announced = announced.filter(|_| is_html);
    match bytes.trim_ascii_start().first() {
        Some(b'{' | b'[') => Ok(()),
        Some(b'<') => {
            let shown = announced.map_or(WEB_PAGES[0], MediaType::as_str);
            Err(page_error(url, shown, wanted))
        }
        _ => announced.map_or(Ok(()), |shown| Err(page_error(url, shown.as_str(), wanted))),
    }
}

fn page_error(url: &str, media_type: &str, wanted: &str) -> Error {
    Error::BadAnswer {
        url: ShownUrl::of(url),
        problem: format!(
            "a web page ({media_type}) instead of {wanted}; is this a registry? a sign-in page or proxy may answer"
        ),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// How long a server that can't serve now wants to be left alone (RFC 9110,
/// 10.2.3, and RFC 6585, 4).
fn asked_to_wait(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let limited = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    limited
        .contains(&status)
        .then(|| retry_after(headers))
        .flatten()
}

/// The value of `Content-Range` (RFC 9110, 14.4): `bytes 5-9/10`, `bytes 5-9/*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ContentRange {
    first: u64,
    last: u64,
    total: Option<u64>,
}

impl ContentRange {
    fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        let total = match total {
            "*" => None,
            number => Some(number.parse().ok()?),
        };
        (first <= last).then_some(Self { first, last, total })
    }
}

/// `Retry-After` in seconds, or as a date, which is compared with the server's
/// own `Date`, not with the local clock (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, &header::RETRY_AFTER)?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = |text: &str| {
        jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(text)
            .ok()
    };
    let (until, now) = (time(value)?, time(text(headers, &header::DATE)?)?);
    Duration::try_from(until.duration_since(now)).ok()
}

fn parse_answer(bytes: &[u8]) -> Answer {
    #[derive(serde::Deserialize)]
    struct Document {
        errors: Vec<Entry>,
    }
    #[derive(serde::Deserialize)]
    struct Entry {
        code: Option<String>,
        message: Option<String>,
    }
    let Ok(document) = serde_json::from_slice::<Document>(bytes) else {
        return Answer::default();
    };
    let clean = |text: String| -> Option<String> {
        let shown: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_MESSAGE_CHARS)
            .collect();
        Some(shown).filter(|shown| !shown.trim().is_empty())
    };
    match document.errors.into_iter().next() {
        Some(entry) => Answer {
            code: entry.code.and_then(clean),
            message: entry.message.and_then(clean),
        },
        None => Answer::default(),
    }
}

fn from_ureq(url: &str, error: &ureq::Error, proxy: Option<&str>) -> Error {
    let via = proxy.map_or_else(String::new, |proxy| format!(" (through the proxy {proxy})"));
    Error::Transport {
        url: ShownUrl::of(url),
        problem: match error {
            ureq::Error::Timeout(phase) => format!("no answer in time ({phase}{via})"),
            other => format!("{other}{via}"),
        },
    }
}
