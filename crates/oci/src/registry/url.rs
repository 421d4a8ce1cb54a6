//! The little about URLs that a registry client needs.

use std::fmt;

use ureq::http::Uri;

/// A URL for messages: without query, which may hold a signature, and without
/// user information.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownUrl(String);

impl ShownUrl {
    /// Strips `url` of what must not be shown.
    #[must_use]
    pub fn of(url: &str) -> Self {
        let bare = url.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = bare.split_once("://").unwrap_or(("", bare));
        let (authority, path) = rest
            .find('/')
            .and_then(|at| rest.split_at_checked(at))
            .unwrap_or((rest, ""));
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        Self(if scheme.is_empty() {
            format!("{host}{path}")
        } else {
            format!("{scheme}://{host}{path}")
        })
    }
}

impl ShownUrl {
    /// Host and port.
    #[must_use]
    pub fn host(&self) -> &str {
        let rest = self
            .0
            .split_once("://")
            .map_or(self.0.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for ShownUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Scheme, host and port: credentials for one origin are for no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) https: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    pub(super) fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self {
            https,
            host: uri.host()?.to_ascii_lowercase(),
            port: uri.port_u16().unwrap_or(if https { 443 } else { 80 }),
        })
    }
}

/// The URL that a `Location` header of an answer to `base` means (RFC 9110,
/// 10.2.2; RFC 3986, 5.2), without its fragment.
pub(super) fn resolve(base: &str, location: &str) -> Option<String> {
    let location = location.split('#').next()?.trim();
    if has_scheme(location) {
        return location.contains("://").then(|| location.to_owned());
    }
    let (scheme, rest) = base.split_once("://")?;
    if location.starts_with("//") {
        return Some(format!("{scheme}:{location}"));
    }
    let rest = rest.split('#').next()?;
    let (authority, _) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))?;
    let path = rest.strip_prefix(authority)?.split('?').next()?;
    let query = location.find('?').unwrap_or(location.len());
    let (relative, query) = location.split_at_checked(query)?;
    let merged = if location.is_empty() {
        return None;
    } else if relative.is_empty() {
        path.to_owned()
    } else if relative.starts_with('/') {
        relative.to_owned()
    } else {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        without_dots(&format!("{folder}/{relative}"))
    };
    Some(format!("{scheme}://{authority}{merged}{query}"))
}

/// Whether a reference begins with a scheme (RFC 3986, 3.1), so that it is not relative.
fn has_scheme(location: &str) -> bool {
    let Some((scheme, _)) = location.split_once(':') else {
        return false;
    };
    let is_of_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(is_of_scheme)
}

/// A path without `.` and `..`, which never lead above its root (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let all: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    for (n, part) in all.iter().enumerate() {
        let is_last = n + 1 == all.len();
        match *part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => {
                parts.push(part);
                continue;
            }
        }
        if is_last {
            parts.push("");
        }
    }
    format!("/{}", parts.join("/"))
}

/// Percent-encodes a value of a query or form (RFC 3986, 2.3: only unreserved
/// characters stay).
pub(super) fn encode(value: &str) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Whether a `host[:port]` is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_urls_have_no_query_and_no_user() {
        let shown = |url: &str| ShownUrl::of(url).to_string();
        assert_eq!(shown("https://u:p@h:1/a/b?sig=x#f"), "https://h:1/a/b");
        assert_eq!(shown("https://h?sig=x@y"), "https://h");
        assert_eq!(shown("u:p@h/a"), "h/a");
    }

    #[test]
    fn origins_differ_by_scheme_host_and_port() {
        let origin = |url| Origin::of(url).unwrap();
        assert_eq!(origin("https://A.io/x"), origin("https://a.io:443/y"));
        assert_ne!(origin("https://a.io"), origin("http://a.io"));
        assert_ne!(origin("http://a.io"), origin("http://a.io:5000"));
        assert_ne!(origin("http://a.io"), origin("http://b.a.io"));
        assert!(Origin::of("ftp://a.io").is_none());
    }

    #[test]
    fn locations_are_resolved() {
        let base = "http://h:5000/v2/a?x=1";
        assert_eq!(resolve(base, "/b?c").unwrap(), "http://h:5000/b?c");
        assert_eq!(resolve(base, "https://s3/b").unwrap(), "https://s3/b");
        assert_eq!(resolve(base, "//s3/b").unwrap(), "http://s3/b");
        // What is not whole is meant from the URL that answered.
        assert_eq!(resolve(base, "b").unwrap(), "http://h:5000/v2/b");
        assert_eq!(
            resolve(base, "b?u=http://x#f").unwrap(),
            "http://h:5000/v2/b?u=http://x"
        );
        assert_eq!(resolve(base, "?y=2").unwrap(), "http://h:5000/v2/a?y=2");
        assert_eq!(
            resolve(base, "../../b/./c/.").unwrap(),
            "http://h:5000/b/c/"
        );
        assert_eq!(resolve("http://h", "b").unwrap(), "http://h/b");
        assert_eq!(
            resolve(base, "/b//c/../d").unwrap(),
            "http://h:5000/b//c/../d"
        );
        assert_eq!(resolve(base, ""), None);
        assert_eq!(resolve(base, "mailto:b"), None);
    }

    #[test]
    fn loopback_is_recognized() {
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:80",
            "127.3.2.1",
            "[::1]:5",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "128.0.0.1", "quay.io", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
        assert_eq!(encode("repository:a/b:pull"), "repository%3Aa%2Fb%3Apull");
    }
}
