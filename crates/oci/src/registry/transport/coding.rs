//! Content codings that nobody asked for (RFC 9110, 8.4): every request says that it
//! wants none, and some servers and proxies compress all the same.
//!
//! A digest is of what was asked for, so a coding is undone before anything is hashed,
//! as container runtimes do. But servers also send what *is* a gzip file as it is and
//! call it coded: then there is nothing to undo, which its length or name tells.

use std::io::{self, BufReader, Read};

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use ureq::http::header::{CONTENT_ENCODING, HeaderMap};

use crate::Error;
use crate::compression::{self, sniff};
use crate::layer::LayerCompression;
use crate::registry::url::ShownUrl;

/// A coding that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Coding {
    Gzip,
    Zstd,
    /// RFC 1950, which HTTP calls deflate.
    Zlib,
}

impl Coding {
    /// What the header fields say.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] on a coding that isoforge does not know, and on several.
    pub(in crate::registry) fn of(headers: &HeaderMap, url: &str) -> Result<Option<Self>, Error> {
        let texts = headers.get_all(CONTENT_ENCODING).iter();
        let texts: Vec<String> = texts
            .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
            .collect();
        let mut named = texts
            .iter()
            .flat_map(|text| text.split(','))
            .map(str::trim)
            .filter(|name| !matches!(*name, "" | "identity"));
        let coding = match named.next() {
            None => return Ok(None),
            Some("gzip" | "x-gzip") => Self::Gzip,
            Some("zstd") => Self::Zstd,
            Some("deflate") => Self::Zlib,
            Some(other) => return Err(unknown(url, other)),
        };
        match named.next() {
            None => Ok(Some(coding)),
            Some(further) => Err(unknown(url, further)),
        }
    }

    /// Whether a file of this name is what the coding makes: it is sent as it is.
    pub(in crate::registry) fn is_of_name(self, url: &str) -> bool {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let endings: &[&str] = match self {
            Self::Gzip => &[".gz", ".tgz"],
            Self::Zstd => &[".zst", ".tzst"],
            Self::Zlib => &[],
        };
        let path = path.to_ascii_lowercase();
        endings.iter().any(|ending| path.ends_with(ending))
    }

    /// Whether bytes may be what the coding makes of a document in JSON.
    pub(super) fn may_have_made(self, document: &[u8]) -> bool {
        match self {
            Self::Gzip => sniff(document) == LayerCompression::Gzip,
            Self::Zstd => sniff(document) == LayerCompression::Zstd,
            Self::Zlib => !matches!(
                document.trim_ascii_start().first(),
                Some(b'{' | b'[' | b'<')
            ),
        }
    }

    /// A reader over what `body` is without the coding; of `expected` bytes, where that
    /// is known.
    pub(super) fn undo<'a>(
        self,
        url: &str,
        body: impl Read + Send + 'a,
        expected: Option<u64>,
    ) -> Result<Box<dyn Read + Send + 'a>, Error> {
        let inner: io::Result<Box<dyn Read + Send + 'a>> = match self {
            Self::Gzip => Ok(Box::new(MultiGzDecoder::new(BufReader::new(body)))),
            Self::Zstd => compression::decompress(body, LayerCompression::Zstd),
            Self::Zlib => Ok(Box::new(ZlibDecoder::new(BufReader::new(body)))),
        };
        Ok(Box::new(Undone {
            url: url.to_owned(),
            inner: inner.map_err(Error::Read)?,
            expected,
            got: 0,
        }))
    }
}

fn unknown(url: &str, coding: &str) -> Error {
    Error::BadAnswer {
        url: ShownUrl::of(url),
        problem: format!(
            "the answer has the content coding '{}', which nobody asked for",
            coding.escape_debug()
        ),
    }
}

/// A body without its coding.
struct Undone<'a> {
    url: String,
    inner: Box<dyn Read + Send + 'a>,
    expected: Option<u64>,
    got: u64,
}

impl Read for Undone<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let url = || ShownUrl::of(&self.url);
        let n = match self.inner.read(buf) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                // What went wrong with the transfer says so itself.
                let error = error.downcast::<Error>().unwrap_or_else(|error| {
                    let problem = format!("its content coding can't be undone: {error}");
                    Error::BadAnswer {
                        url: url(),
                        problem,
                    }
                });
                return Err(io::Error::other(error));
            }
        };
        self.got = self.got.saturating_add(n as u64);
        let got = self.got;
        match self.expected {
            Some(expected) if n == 0 && got < expected => Err(io::Error::other(Error::Truncated {
                url: url(),
                expected,
                got,
            })),
            Some(expected) if got > expected => Err(io::Error::other(Error::Length {
                place: url().to_string(),
                expected,
                found: got,
            })),
            _ => Ok(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<Option<Coding>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, value.parse().unwrap());
        }
        Coding::of(&headers, "https://r.example/x?s=1").map_err(|error| error.to_string())
    }

    #[test]
    fn codings_are_read_as_headers_write_them() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["identity"]), Ok(None));
        assert_eq!(of(&["", "Identity , GZIP"]), Ok(Some(Coding::Gzip)));
        assert_eq!(of(&["x-gzip"]), Ok(Some(Coding::Gzip)));
        assert_eq!(of(&["zstd"]), Ok(Some(Coding::Zstd)));
        assert_eq!(of(&["deflate"]), Ok(Some(Coding::Zlib)));
        let said = |coding: &str| {
            Err(format!(
                "https://r.example/x: the answer has the content coding '{coding}', which nobody asked for"
            ))
        };
        assert_eq!(of(&["br"]), said("br"));
        assert_eq!(of(&["gzip, gzip"]), said("gzip"));
        assert_eq!(of(&["gzip", "zstd"]), said("zstd"));
    }

    #[test]
    fn names_tell_what_is_compressed_by_itself() {
        assert!(Coding::Gzip.is_of_name("https://h/a.tar.gz?x=y.txt"));
        assert!(Coding::Gzip.is_of_name("https://h/a.TGZ"));
        assert!(!Coding::Gzip.is_of_name("https://h/a.yaml?x=y.gz"));
        assert!(Coding::Zstd.is_of_name("https://h/a.zst"));
        assert!(!Coding::Zlib.is_of_name("https://h/a.gz"));
    }
}
