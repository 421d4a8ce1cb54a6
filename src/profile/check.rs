//! The forms of texts that keys take. Each function gives the value, or says what is
//! wrong with the text and what would have been right.

mod machine;
mod network;

use std::net::IpAddr;
use std::path::PathBuf;

use globset::Glob;

use super::Document;
use super::keys::At;
use super::placeholder::{self, ImageTemplate, PathTemplate};
use super::problem::{Bad, did_you_mean};
use isoforge_base::digest::Digest;
use isoforge_base::error::Diagnose;
use isoforge_formats::squashfs::Compressor;
use isoforge_oci::reference::Reference;

use isoforge_oci::registry::Secret;

pub(crate) use network::{domain, interface, ip_address, link, mac, prefix};

pub(crate) use machine::{
    account, device, directory_of_etc, disk_glob, is_password_hash, kept_directory, label, mib,
    module, mount_point, rule_of_guide, unit,
};

/// Longest name of an appliance; with version, architecture and suffix it has
/// to fit a file name of 255 bytes.
const MAX_NAME_BYTES: usize = 100;
/// Longest version; with distribution and Kubernetes version it has to fit an
/// OCI tag of 128 characters.
const MAX_VERSION_BYTES: usize = 40;
/// SquashFS 4.0: blocks of 4 KiB to 1 MiB.
const BLOCK_SIZES: std::ops::RangeInclusive<u64> = 4096..=1 << 20;

/// `text` where it is `fine`; else it `is` something wrong, such as `is not a suite`.
fn given(text: &str, fine: bool, is: &str, expected: impl Into<String>) -> Result<String, Bad> {
    match fine {
        true => Ok(text.to_owned()),
        false => Err(Bad::new(format!("'{text}' {is}"), expected)),
    }
}

pub(crate) fn name(text: &str) -> Result<String, Bad> {
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if text.len() <= MAX_NAME_BYTES && text.split(['.', '_', '-']).all(word) {
        return Ok(text.to_owned());
    }
    let bad = Bad::new(
        format!("'{text}' can't be a name in files and repositories"),
        format!(
            "lower-case letters and digits with single '.', '_' or '-' between them, at most {MAX_NAME_BYTES}"
        ),
    );
    let lower: String = text.to_lowercase().replace(' ', "-");
    Err(match name_is_fine(&lower) && lower != text {
        true => bad.help(format!("write '{lower}'")),
        false => bad,
    })
}

fn name_is_fine(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

/// A version that goes into tags and file names.
pub(crate) fn version(text: &str) -> Result<String, Bad> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let fine = first
        && text.len() <= MAX_VERSION_BYTES
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
    let expected = format!(
        "a letter or digit, then letters, digits, '.', '_', '-' and '+', at most {MAX_VERSION_BYTES}"
    );
    given(text, fine, "can't be a version", expected)
}

/// A version of Kubernetes: three numbers and what a distribution appends.
pub(crate) fn kubernetes_version(text: &str) -> Result<String, Bad> {
    let numbers = text.split(['+', '-']).next().unwrap_or_default();
    let three = numbers.split('.').count() == 3
        && numbers
            .split('.')
            .all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if three && version(text).is_ok() {
        return Ok(text.to_owned());
    }
    let bad = Bad::new(
        format!("'{text}' is not a version of Kubernetes"),
        "three numbers such as 1.32.3, optionally with a suffix such as +k3s1",
    );
    Err(match text.strip_prefix('v') {
        Some(rest) if kubernetes_version(rest).is_ok() => bad.help(format!("write '{rest}'")),
        _ => bad,
    })
}

/// A text that is looked at elsewhere.
pub(crate) fn any(text: &str) -> Result<String, Bad> {
    Ok(text.to_owned())
}

pub(crate) fn not_empty(text: &str) -> Result<String, Bad> {
    if text.trim().is_empty() {
        return Err(Bad::new(
            "the string is empty",
            "a string with something in it",
        ));
    }
    Ok(text.to_owned())
}

/// A value that ends up on one line of a configuration.
pub(crate) fn one_line(text: &str) -> Result<String, Bad> {
    if text.chars().any(char::is_control) {
        return Err(Bad::new(
            "the string has a line break or another control character",
            "one line of text",
        ));
    }
    not_empty(text)
}

/// One argument that GRUB and the kernel take as it is.
pub(crate) fn kernel_argument(text: &str) -> Result<String, Bad> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'\\".contains(c);
    if text.is_empty() || text.contains(odd) {
        return Err(Bad::new(
            format!("'{text}' is not one argument of the kernel"),
            "one argument without white space, quotes and backslashes, such as console=ttyS0",
        )
        .help("write each argument as an element of its own: [\"quiet\", \"splash\"]"));
    }
    Ok(text.to_owned())
}

pub(crate) fn glob(text: &str) -> Result<String, Bad> {
    let text = text.strip_prefix('/').unwrap_or(text);
    match Glob::new(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        Ok(_) => Err(Bad::new("the glob is empty", "a glob such as usr/bin/*")),
        Err(error) => Err(Bad::new(
            format!("'{text}' is not a glob: {}", error.kind()),
            "a glob such as usr/bin/* or **/*.ko",
        )),
    }
}

impl From<isoforge_oci::Error> for Bad {
    fn from(error: isoforge_oci::Error) -> Self {
        Self {
            message: error.to_string(),
            expected: "an image reference such as registry.example/folder/name:tag".to_owned(),
            help: error.hint(),
        }
    }
}

pub(crate) fn repository(text: &str) -> Result<String, Bad> {
    let expected = "a repository without a tag, such as registry.example/edge/ubuntu";
    // A tag or digest that is there already makes the reference invalid.
    let tagged: Result<Reference, _> = format!("{text}:tag").parse();
    match tagged {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Bad {
            message: format!("'{text}' is not a repository: {}", error.into_problem()),
            expected: expected.to_owned(),
            help: text
                .rsplit_once(':')
                .filter(|(_, tag)| !tag.contains('/'))
                .map(|(name, _)| format!("write '{name}'; the tag is made from the versions")),
        }),
    }
}

/// `host[:port]`.
pub(crate) fn registry_host(text: &str) -> Result<String, Bad> {
    let parsed: Result<Reference, _> = format!("{text}/name:tag").parse();
    let fine = !text.contains('/') && parsed.is_ok_and(|r| r.registry() == text);
    let expected = "a host name with an optional port, such as quay.io or localhost:5000";
    given(text, fine, "is not the host of a registry", expected)
}

/// `host[:port][/path]`.
pub(crate) fn mirror(text: &str) -> Result<String, Bad> {
    let host = text.split('/').next().unwrap_or_default();
    let parsed: Result<Reference, _> = format!("{text}/name:tag").parse();
    match parsed {
        Ok(reference) if reference.registry() == host => Ok(text.to_owned()),
        other => Err(Bad {
            message: format!("'{text}' is not a mirror"),
            expected: "a host with an optional port and path, such as mirror.example/quay"
                .to_owned(),
            help: other.err().and_then(|e| e.hint()),
        }),
    }
}

/// A proxy's URL, or `none`; a password is for the user's settings alone.
pub(crate) fn proxy(text: &str, at: &At<'_>) -> Result<Secret, Bad> {
    match at.context.document {
        Document::Settings => Ok(Secret::new(text.to_owned())),
        _ => without_password(text).map(Secret::new),
    }
}

fn without_password(text: &str) -> Result<String, Bad> {
    let expected =
        "'none' or a URL such as http://proxy.example:3128 or socks5h://proxy.example:1080";
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    if rest.contains('@') {
        return Err(Bad::new(
            "the proxy has a user name or password in it",
            expected,
        )
        .help("put the proxy with its password into the user's settings file, or into HTTPS_PROXY"));
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/?#".contains(c);
    let known = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"].contains(&scheme);
    let fine = text == "none" || (known && !rest.is_empty() && !rest.contains(odd));
    given(text, fine, "is not a proxy", expected)
}

pub(crate) fn url(text: &str) -> Result<String, Bad> {
    placeholder::check(text, &["version", "arch"])?;
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|r| r.split('/').next()).unwrap_or_default();
    let expected = "an http or https URL";
    if host.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Bad::new(format!("'{text}' is not a URL"), expected));
    }
    without_userinfo(text, expected)
}

/// `text` unless a URL in it has a user name or password: errors, logs, the lock and
/// arguments of programs show URLs.
fn without_userinfo(text: &str, expected: &str) -> Result<String, Bad> {
    if names_user(text) {
        return Err(Bad::new(
            "the URL has a user name or password in it",
            expected,
        ));
    }
    Ok(text.to_owned())
}

/// Whether a URL in `text` has a user name or password.
pub(crate) fn names_user(text: &str) -> bool {
    let is_end = |c: char| "/?#".contains(c) || c.is_whitespace();
    let authority = |rest: &str| rest.split(is_end).next().unwrap_or_default().contains('@');
    text.split("://").skip(1).any(authority)
}

/// The URL of an archive of packages, or a line of sources.list.
pub(crate) fn archive_line(text: &str) -> Result<String, Bad> {
    let expected = "a URL, or a line such as deb http://deb.debian.org/debian trixie main";
    without_userinfo(&one_line(text)?, expected).map_err(|bad| {
        bad.help(
            "mmdebstrap gets it as an argument, which every account of this machine can see: \
             take a mirror that asks for no password",
        )
    })
}

/// A host name, or an https URL.
pub(crate) fn endpoint(text: &str) -> Result<String, Bad> {
    let host = text.strip_prefix("https://").unwrap_or(text);
    let fine = |c: char| c.is_ascii_alphanumeric() || "-._:/[]".contains(c);
    let fine = !host.is_empty() && !host.contains("://") && host.chars().all(fine);
    let expected = "a host name such as api.example.com, or an https URL";
    given(text, fine, "is not an endpoint", expected)
}

/// An address that a server can listen on wherever it is.
pub(crate) fn listen_address(text: &str) -> Result<IpAddr, Bad> {
    let expected = "an address of the machine, such as 127.0.0.1 or 10.0.0.5";
    let bad = |why: &str| Err(Bad::new(format!("'{text}' {why}"), expected));
    match text.parse::<IpAddr>() {
        Err(_) => bad("is no IP address"),
        Ok(address) if address.is_multicast() => bad("is no address of a machine"),
        Ok(IpAddr::V6(address)) if address.is_unicast_link_local() => {
            bad("is good on one link alone")
        }
        Ok(address) => Ok(address),
    }
}

/// With or without the algorithm in front.
pub(crate) fn sha256(text: &str) -> Result<Digest, Bad> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    format!("sha256:{}", hex.to_ascii_lowercase())
        .parse()
        .map_err(|_| {
            Bad::new(
                format!("'{text}' is not a SHA-256 digest of {} hex digits", 64),
                "64 hex digits, as sha256sum prints them",
            )
        })
}

/// An absolute path in the root file system.
pub(crate) fn root_path(text: &str) -> Result<String, Bad> {
    let expected = "an absolute path without '.' and '..', such as /usr/bin/kubelet";
    let fine = text.strip_prefix('/').is_some_and(|rest| {
        let mut parts = rest.split('/');
        !parts.any(|p| matches!(p, "" | "." | "..")) && !rest.contains(char::is_control)
    });
    given(text, fine, "is not a path of a file in the root", expected)
}

/// Debian Policy, section 5.6.7, with an optional `:arch`, `=version` or `/suite`
/// that apt understands.
pub(crate) fn package(text: &str) -> Result<String, Bad> {
    let name = text.split([':', '=', '/']).next().unwrap_or_default();
    let name_fine = name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    let rest_fine = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "+-.:=/~_".contains(c));
    let fine = name_fine && rest_fine && !name.ends_with('-');
    let expected = "lower-case letters, digits, '+', '-' and '.', such as containerd";
    given(text, fine, "is not the name of a Debian package", expected)
}

/// Code name or suite of a Debian-like archive.
pub(crate) fn suite(text: &str) -> Result<String, Bad> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    let fine = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fine);
    let expected = "a code name such as trixie or noble";
    given(text, fine, "is not a suite", expected)
}

pub(crate) fn compression(text: &str) -> Result<Compressor, Bad> {
    let name = text.split_once(':').map_or(text, |(name, _)| name);
    text.parse().map_err(|_| {
        let mut bad = Bad::new(
            format!("'{text}' is not a compression"),
            "'zstd' or 'zstd:1' to 'zstd:22', 'gzip' or 'gzip:1' to 'gzip:9', or 'xz'",
        );
        bad.help = did_you_mean(name, ["zstd", "gzip", "xz"])
            .filter(|_| !["zstd", "gzip", "xz"].contains(&name));
        bad
    })
}

/// A number of bytes with an optional suffix.
pub(crate) fn size(text: &str) -> Result<u64, Bad> {
    let (digits, factor) = match text.strip_suffix(['K', 'M', 'G']) {
        Some(digits) if text.ends_with('K') => (digits, 1 << 10),
        Some(digits) if text.ends_with('M') => (digits, 1 << 20),
        Some(digits) => (digits, 1 << 30),
        None => (text, 1),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .ok_or_else(|| {
            Bad::new(
                format!("'{text}' is not a number of bytes"),
                "digits with an optional K, M or G, such as 256K",
            )
        })
}

/// A number of bytes that is right as it is.
pub(crate) fn any_size(bytes: u64, _: &At<'_>) -> Result<u64, Bad> {
    Ok(bytes)
}

pub(crate) fn block_size(bytes: u64, _: &At<'_>) -> Result<u32, Bad> {
    match u32::try_from(bytes) {
        Ok(size) if bytes.is_power_of_two() && BLOCK_SIZES.contains(&bytes) => Ok(size),
        _ => Err(Bad::new(
            format!("a SquashFS block can't have {bytes} bytes"),
            "a power of two from 4K to 1M",
        )),
    }
}

/// The name of an environment variable.
pub(crate) fn variable(text: &str) -> Result<String, Bad> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fine = !text.is_empty() && text.chars().all(fine);
    let expected = "letters, digits and '_', such as EDGE_TOKEN";
    given(
        text,
        fine,
        "is not the name of an environment variable",
        expected,
    )
}

/// A path, joined to the directory of the file that wrote it.
pub(crate) fn path(text: &str, at: &At<'_>) -> Result<PathBuf, Bad> {
    Ok(at.directory().join(one_line(text)?))
}

/// A path that starts from the current directory.
pub(crate) fn path_as_it_is(text: &str) -> Result<PathBuf, Bad> {
    Ok(PathBuf::from(text))
}

/// A URL, or else a path, which is joined.
pub(crate) fn url_or_path(text: &str, at: &At<'_>) -> Result<String, Bad> {
    match text.contains("://") {
        true => without_userinfo(
            &one_line(text)?,
            "a URL without them; registries are logged in to with `isoforge login`",
        ),
        false => Ok(path(text, at)?.display().to_string()),
    }
}

/// A path with placeholders.
pub(crate) fn path_template(text: &str, at: &At<'_>) -> Result<PathTemplate, Bad> {
    placeholder::check(text, placeholders(at))?;
    Ok(PathTemplate {
        text: one_line(text)?,
        directory: at.directory().to_owned(),
    })
}

/// The name of an image with placeholders.
pub(crate) fn image(text: &str, at: &At<'_>) -> Result<ImageTemplate, Bad> {
    placeholder::image(text, placeholders(at), at.context.targets)?;
    Ok(ImageTemplate {
        text: text.to_owned(),
        directory: at.directory().to_owned(),
    })
}

/// The reference of an image with placeholders, right for every target.
pub(crate) fn reference(text: &str, at: &At<'_>) -> Result<String, Bad> {
    placeholder::reference(text, placeholders(at), at.context.targets)?;
    Ok(text.to_owned())
}

/// The placeholders that a text may have: only what is of Kubernetes, of the ISO or
/// in a catalog has a version to fill in.
fn placeholders(at: &At<'_>) -> &'static [&'static str] {
    match at.context.document == Document::Catalog || at.is_in("kubernetes") || at.is_in("content")
    {
        true => &["version", "arch"],
        false => &["arch"],
    }
}

/// A version, or a glob over versions.
pub(crate) fn version_or_glob(text: &str) -> Result<String, Bad> {
    version(text).or_else(|bad| match text.contains(['*', '?']) {
        true => glob(text),
        false => Err(bad),
    })
}
