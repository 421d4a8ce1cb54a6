//! PAX extended headers: `LENGTH KEYWORD=VALUE\n` records (POSIX.1-2017 `pax`,
//! "pax Extended Header") and the vendors' keywords that matter to layers.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use percent_encoding::percent_decode;

use isoforge_base::tree::{Xattrs, display};

/// libarchive writes base64 without padding.
const BASE64_ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Keywords that change an entry.
const ENTRY_KEYWORDS: [&str; 6] = ["path", "linkpath", "size", "uid", "gid", "mtime"];
const ENTRY_KEYWORD_PREFIXES: [&str; 5] = [
    "GNU.sparse.",
    "SCHILY.xattr.",
    "SCHILY.realsize",
    "LIBARCHIVE.xattr.",
    "RHT.security.",
];

/// What an extended header says about the next entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<i64>,
    pub(super) xattrs: Xattrs,
    pub(super) sparse: SparseRecords,
}

/// The `GNU.sparse.*` records; which are there depends on the version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SparseRecords {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    /// Version 0.1 and later: the file's name, `path` being a stand-in.
    pub(super) name: Option<Vec<u8>>,
    /// `GNU.sparse.size` (0.0, 0.1) or `GNU.sparse.realsize` (1.0).
    pub(super) real_size: Option<u64>,
    /// `GNU.sparse.numblocks`.
    pub(super) segment_count: Option<u64>,
    /// Numbers of the map, offsets and lengths in turn.
    pub(super) map: Vec<u64>,
}

impl SparseRecords {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Parses the records of a header for one entry.
pub(super) fn parse(data: &[u8]) -> Result<Pax, String> {
    let mut pax = Pax::default();
    // libarchive writes both spellings; the plain one wins.
    let mut encoded = Xattrs::new();
    for record in Records(data) {
        let (key, value) = record?;
        take(&mut pax, &mut encoded, key, value)
            .map_err(|problem| format!("'{}' is {problem}", display(key)))?;
    }
    for (name, value) in encoded {
        pax.xattrs.entry(name).or_insert(value);
    }
    Ok(pax)
}

/// Checks a global header: readers differ in whether they apply it, so it may
/// hold nothing that changes an entry (Git's `comment` is fine).
pub(super) fn check_global(data: &[u8]) -> Result<(), String> {
    for record in Records(data) {
        let (key, _) = record?;
        let key = display(key);
        if ENTRY_KEYWORDS.contains(&key.as_str())
            || ENTRY_KEYWORD_PREFIXES.iter().any(|p| key.starts_with(p))
        {
            return Err(format!("'{key}' is not supported for all entries at once"));
        }
    }
    Ok(())
}

fn take(pax: &mut Pax, encoded: &mut Xattrs, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
    let non_empty = |value: &[u8]| (!value.is_empty()).then(|| value.to_vec());
    let id = |value| number(value).and_then(|n| u32::try_from(n).map_err(|_| "out of range"));
    match key {
        b"path" => pax.path = non_empty(value),
        b"linkpath" => pax.link = non_empty(value),
        b"size" => pax.size = Some(number(value)?),
        b"uid" => pax.uid = Some(id(value)?),
        b"gid" => pax.gid = Some(id(value)?),
        b"mtime" => pax.mtime = Some(seconds(value)?),
        b"SCHILY.realsize" => return Err("not supported"),
        _ => {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                pax.xattrs.insert(unescape_keyword(name), value.to_vec());
            } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                // Container runtimes read none of these, so one that can't be read here
                // is no reason to refuse the layer.
                if let Ok(value) = BASE64_ANY_PADDING.decode(value) {
                    encoded.insert(percent_decode(name).collect(), value);
                }
            } else if key == b"RHT.security.selinux" {
                pax.xattrs
                    .insert(b"security.selinux".to_vec(), value.to_vec());
            } else if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
                take_sparse(&mut pax.sparse, name, value)?;
            }
        }
    }
    Ok(())
}

fn take_sparse(sparse: &mut SparseRecords, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
    match name {
        b"major" => sparse.major = Some(number(value)?),
        b"minor" => sparse.minor = Some(number(value)?),
        b"name" => sparse.name = Some(value.to_vec()),
        b"size" | b"realsize" => sparse.real_size = Some(number(value)?),
        b"numblocks" => sparse.segment_count = Some(number(value)?),
        b"offset" if sparse.map.len().is_multiple_of(2) => sparse.map.push(number(value)?),
        b"numbytes" if sparse.map.len() % 2 == 1 => sparse.map.push(number(value)?),
        b"offset" | b"numbytes" => return Err("out of turn"),
        b"map" if value.is_empty() => {}
        b"map" => {
            sparse.map = value
                .split(|&byte| byte == b',')
                .map(number)
                .collect::<Result<_, _>>()?;
        }
        _ => return Err("not known"),
    }
    Ok(())
}

/// A decimal number.
pub(super) fn number(text: &[u8]) -> Result<u64, &'static str> {
    if text.is_empty() {
        return Err("empty");
    }
    text.iter().try_fold(0_u64, |value, &byte| match byte {
        b'0'..=b'9' => value
            .checked_mul(10)
            .and_then(|v| v.checked_add(u64::from(byte - b'0')))
            .ok_or("out of range"),
        _ => Err("not a decimal number"),
    })
}

/// A time in seconds with an optional fraction, rounded down.
fn seconds(text: &[u8]) -> Result<i64, &'static str> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            text.get(at + 1..).unwrap_or_default(),
        ),
        None => (text, &b""[..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err("not a time");
    }
    let whole = i64::try_from(number(whole)?).map_err(|_| "out of range")?;
    let below = i64::from(fraction.iter().any(|&byte| byte != b'0'));
    Ok(if negative { -whole - below } else { whole })
}

/// GNU tar writes `=` in a keyword as `%3D` and `%` as `%25`.
fn unescape_keyword(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match rest {
            [b'%', b'3', b'D', tail @ ..] => (b'=', tail),
            [b'%', b'2', b'5', tail @ ..] => (b'%', tail),
            _ => (first, tail),
        };
        out.push(byte);
        rest = tail;
    }
    out
}

/// A name as part of a keyword: `=` as `%3D`, `%` as `%25`, as GNU tar writes them.
pub fn escape_keyword(name: &[u8]) -> Vec<u8> {
    name.iter().fold(Vec::new(), |mut out, &byte| {
        match byte {
            b'=' => out.extend_from_slice(b"%3D"),
            b'%' => out.extend_from_slice(b"%25"),
            _ => out.push(byte),
        }
        out
    })
}

/// Gives keyword and value of each record.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        // Some writers pad the data with NULs.
        if self.0.iter().all(|&byte| byte == 0) {
            return None;
        }
        let record = split_record(self.0);
        self.0 = record.as_ref().map_or(&[], |(_, rest)| *rest);
        Some(record.map(|(record, _)| record).map_err(str::to_owned))
    }
}

type Record<'a> = (&'a [u8], &'a [u8]);

fn split_record(data: &[u8]) -> Result<(Record<'_>, &[u8]), &'static str> {
    let space = data
        .iter()
        .position(|&byte| byte == b' ')
        .ok_or("a record has no length")?;
    let length = number(data.get(..space).unwrap_or_default())
        .ok()
        .and_then(|n| usize::try_from(n).ok())
        .ok_or("a record's length is no number")?;
    let (record, rest) = data
        .split_at_checked(length)
        .ok_or("a record is longer than the header")?;
    let record = record
        .get(space + 1..)
        .and_then(|r| r.strip_suffix(b"\n"))
        .ok_or("a record does not end where its length says")?;
    let equals = record
        .iter()
        .position(|&byte| byte == b'=')
        .ok_or("a record has no '='")?;
    let key = record.get(..equals).unwrap_or_default();
    if key.is_empty() || key.contains(&0) {
        return Err("a record has no keyword");
    }
    Ok(((key, record.get(equals + 1..).unwrap_or_default()), rest))
}

/// The record `LENGTH KEY=VALUE\n`, its length counting itself.
pub fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length.to_string().len() + rest != length {
        length = length.to_string().len() + rest;
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_newlines_and_nul() {
        let value = b"a\n7 b=c\n\0";
        let data = [record(b"SCHILY.xattr.user.x", value), record(b"uid", b"7")].concat();
        let pax = parse(&data).unwrap();
        assert_eq!(pax.xattrs[&b"user.x"[..]], value);
        assert_eq!(pax.uid, Some(7));
    }

    #[test]
    fn record_lengths_count_themselves() {
        for length in 0..2000 {
            let value = vec![b'v'; length];
            let data = record(b"path", &value);
            let (parsed, rest) = split_record(&data).unwrap();
            assert_eq!((parsed, rest), ((&b"path"[..], &value[..]), &b""[..]));
        }
    }

    #[test]
    fn malformed_records_are_errors() {
        for data in [
            &b"x"[..],
            b"6 a=b",
            b"99 a=b\n",
            b"6 ab c\n",
            b"5 =b\n",
            b"0 a=b\n",
            b"3 a=b\n",
            b"18446744073709551616 a=b\n",
            b"12 size=1x\n",
            b"11 size=-1\n",
        ] {
            assert!(parse(data).is_err(), "{}", data.escape_ascii());
        }
    }

    #[test]
    fn times_are_rounded_down() {
        for (text, value) in [
            ("1350244992.023960108", 1_350_244_992),
            ("0", 0),
            ("-1", -1),
            ("-1.5", -2),
            ("-1.000", -1),
            ("7.", 7),
        ] {
            assert_eq!(seconds(text.as_bytes()), Ok(value), "{text}");
        }
        for text in ["", "-", ".5", "1.x", "1e3", "9223372036854775808"] {
            assert!(seconds(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn xattr_names_in_both_spellings() {
        let data = [
            record(b"LIBARCHIVE.xattr.user.a%20b", b"AAE"),
            record(b"LIBARCHIVE.xattr.user.both", b"eA=="),
            record(b"LIBARCHIVE.xattr.user.raw", b"not base64!"),
            record(b"LIBARCHIVE.xattr.user.url", b"_-8"),
            record(b"SCHILY.xattr.user.both", b"y"),
            record(b"SCHILY.xattr.user.p%25%3Dq", b""),
        ]
        .concat();
        let xattrs = parse(&data).unwrap().xattrs;
        assert_eq!(xattrs[&b"user.a b"[..]], [0, 1]);
        assert_eq!(xattrs[&b"user.both"[..]], *b"y");
        assert_eq!(xattrs[&b"user.p%=q"[..]], *b"");
        assert_eq!(xattrs.len(), 3, "what is not base64 is left out");
        assert_eq!(unescape_keyword(&escape_keyword(b"%25=%")), b"%25=%");
    }

    #[test]
    fn global_headers_may_hold_comments_only() {
        assert!(check_global(&record(b"comment", b"0123abcd")).is_ok());
        for key in [
            "path",
            "size",
            "mtime",
            "SCHILY.xattr.user.x",
            "GNU.sparse.major",
        ] {
            assert!(
                check_global(&record(key.as_bytes(), b"1")).is_err(),
                "{key}"
            );
        }
    }
}
