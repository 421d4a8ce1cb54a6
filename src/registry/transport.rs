//! HTTP requests: time limits, redirects, and bodies that are exactly as long as
//! announced. Nothing here tries again or authenticates.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::header::{self, HeaderMap, HeaderValue};
use ureq::http::{Request, Response, StatusCode, Uri};

use super::agents::Agents;
use super::config::{MAX_CONNECTIONS, RegistryConfig};
use super::error::{Answer, Error};
use super::limiter::{Limiter, Permit};
use super::secret::Secret;
use super::url::{Origin, ShownUrl, resolve};

/// The program's name and version, as registries see it.
pub const USER_AGENT: &str = concat!("isoforge/", env!("CARGO_PKG_VERSION"));
/// How many redirects are followed.
pub const MAX_REDIRECTS: usize = 5;
/// How much of an error document is read.
const MAX_ERROR_BYTES: u64 = 64 * 1024;
/// How much of a registry's message is shown.
const MAX_MESSAGE_CHARS: usize = 200;

/// Makes requests; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    agents: Arc<Agents>,
    limiter: Arc<Limiter>,
}

/// A request to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) url: &'a str,
    /// Value of `Accept`.
    pub(super) accept: &'a str,
    /// Value of `Authorization`; sent to the URL's origin only.
    pub(super) authorization: Option<&'a Secret>,
    /// A form to be posted; without one the request is a GET.
    pub(super) form: Option<&'a Secret>,
}

/// An answer, whatever its status.
pub(super) struct Reply {
    /// The URL that answered, after redirects.
    pub(super) url: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: ureq::Body,
    permit: Permit,
}

impl Transport {
    pub(super) fn new(config: &RegistryConfig) -> Self {
        Self {
            limiter: Arc::new(Limiter::new(Arc::clone(&config.retry.wait))),
            agents: Arc::new(Agents::new(config.clone())),
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
                });
            }
            let refuse = |problem: &str| Error::Redirect {
                url: ShownUrl::of(&url),
                problem: problem.to_owned(),
            };
            if call.form.is_some() {
                return Err(refuse("of a token request"));
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
        Err(Error::Redirect {
            url: ShownUrl::of(call.url),
            problem: format!("number {}", MAX_REDIRECTS + 1),
        })
    }

    fn send_once(
        &self,
        url: &str,
        call: Call<'_>,
        authorization: Option<&Secret>,
    ) -> Result<(Response<ureq::Body>, Permit), Error> {
        let failed = |problem: String| Error::Transport {
            url: ShownUrl::of(url),
            problem,
        };
        let uri: Uri = url.parse().map_err(|_| failed("no URL".to_owned()))?;
        let chosen = self.agents.of(&uri)?;
        let method = if call.form.is_some() { "POST" } else { "GET" };
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::ACCEPT, call.accept);
        if let Some(secret) = authorization {
            let mut value =
                HeaderValue::from_str(secret.reveal()).map_err(|_| Error::Challenge {
                    url: ShownUrl::of(url),
                    problem: "the credentials have characters that no header can have".into(),
                })?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let host = self.agents.config().host(authority);
        let limit = host.and_then(|host| host.max_connections);
        let permit = self
            .limiter
            .acquire(authority, limit.unwrap_or(MAX_CONNECTIONS));
        let result = match call.form {
            None => chosen.agent.run(
                request
                    .body(())
                    .map_err(|error| failed(error.to_string()))?,
            ),
            Some(form) => chosen.agent.run(
                request
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form.reveal())
                    .map_err(|error| failed(error.to_string()))?,
            ),
        };
        let response =
            result.map_err(|error| from_ureq(url, &error).through(chosen.proxy.as_deref()))?;
        self.heed(authority, &response);
        Ok((response, permit))
    }

    /// Leaves the host alone, with all threads, where it asks for it.
    fn heed(&self, authority: &str, response: &Response<ureq::Body>) {
        let busy = matches!(response.status().as_u16(), 429 | 503);
        if let Some(length) = retry_after(response.headers()).filter(|_| busy) {
            let longest = self.agents.config().retry.max_delay;
            self.limiter.pause(authority, length.min(longest));
        }
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

    /// The body as a stream. With `expected` it has exactly this many bytes or
    /// reading ends in an error, which carries an [`Error`].
    pub(super) fn into_stream(self, expected: Option<u64>) -> Stream {
        let expected = expected.or_else(|| self.content_length());
        Stream {
            url: self.url,
            inner: self.body.into_reader(),
            expected,
            got: 0,
            _permit: self.permit,
        }
    }

    /// The whole body, which may have `limit` bytes.
    pub(super) fn into_bytes(self, limit: u64) -> Result<Vec<u8>, Error> {
        let too_large = Error::TooLarge {
            url: ShownUrl::of(&self.url),
            limit,
        };
        if self.content_length().is_some_and(|length| length > limit) {
            return Err(too_large);
        }
        let mut bytes = Vec::new();
        self.into_stream(None)
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(Error::from_read)?;
        if bytes.len() as u64 > limit {
            return Err(too_large);
        }
        Ok(bytes)
    }

    /// What the error document says; an unreadable one says nothing.
    pub(super) fn into_answer(self) -> Answer {
        let mut bytes = Vec::new();
        // An error document that breaks off is as good as none.
        let _ = self
            .into_stream(None)
            .take(MAX_ERROR_BYTES)
            .read_to_end(&mut bytes);
        parse_answer(&bytes)
    }

    /// The error that an answer without success stands for.
    pub(super) fn into_error(self) -> Error {
        let url = ShownUrl::of(&self.url);
        let (status, retry_after) = (self.status, retry_after(&self.headers));
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

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
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

fn from_ureq(url: &str, error: &ureq::Error) -> Error {
    let url = ShownUrl::of(url);
    match error {
        ureq::Error::Timeout(phase) => Error::Timeout {
            url,
            phase: phase.to_string(),
        },
        other => Error::Transport {
            url,
            problem: other.to_string(),
        },
    }
}

/// A body that is read.
pub(super) struct Stream {
    url: String,
    inner: ureq::BodyReader<'static>,
    expected: Option<u64>,
    got: u64,
    _permit: Permit,
}

impl Stream {
    fn truncated(&self, expected: u64) -> io::Error {
        io::Error::other(Error::Truncated {
            url: ShownUrl::of(&self.url),
            expected,
            got: self.got,
        })
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let n = match self.inner.read(buf) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                if let (Some(expected), io::ErrorKind::UnexpectedEof) =
                    (self.expected, error.kind())
                {
                    return Err(self.truncated(expected));
                }
                let error = match error.downcast::<ureq::Error>() {
                    Ok(inner) => from_ureq(&self.url, &inner),
                    Err(error) => from_ureq(&self.url, &ureq::Error::Io(error)),
                };
                return Err(io::Error::other(error));
            }
        };
        self.got += n as u64;
        match self.expected {
            Some(expected) if n == 0 && self.got < expected => Err(self.truncated(expected)),
            Some(expected) if self.got > expected => Err(io::Error::other(Error::Length {
                place: ShownUrl::of(&self.url).to_string(),
                expected,
                found: self.got,
            })),
            _ => Ok(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_against_the_servers_own() {
        let delay = |pairs: &[(header::HeaderName, &str)]| {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| (name.clone(), value.parse().unwrap()))
                .collect();
            retry_after(&headers).map(|delay| delay.as_secs())
        };
        let date = (header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        let until = (header::RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT");
        let past = (header::RETRY_AFTER, "Sun, 06 Nov 1994 08:00:00 GMT");
        assert_eq!(delay(&[(header::RETRY_AFTER, " 7 ")]), Some(7));
        assert_eq!(delay(&[date.clone(), until.clone()]), Some(30));
        assert_eq!(delay(&[date, past]), None);
        assert_eq!(delay(&[until]), None);
        assert_eq!(delay(&[(header::RETRY_AFTER, "soon")]), None);
    }

    #[test]
    fn error_documents_are_shown_clean_and_short() {
        let answer = parse_answer(
            br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m\nway","detail":{}},{"code":"X"}]}"#,
        );
        assert_eq!(
            answer.to_string(),
            ", the registry says DENIED: no [31m way"
        );
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(5000));
        assert!(parse_answer(long.as_bytes()).to_string().len() < 300);
        for text in ["<html>", r#"{"errors":[]}"#, r#"{"errors":[{"code":""}]}"#] {
            assert_eq!(parse_answer(text.as_bytes()), Answer::default(), "{text}");
        }
    }
}
