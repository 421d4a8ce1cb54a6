//! What an overlay's files can't say by themselves.
//!
//! ```toml
//! delete = ["etc/ssh/ssh_host_*"]        # patterns, looked up in the layers below
//!
//! [[attributes]]                         # later ones win
//! paths = ["etc/sudoers.d/*"]            # patterns, matched against the overlay
//! owner = "0:0"                          # uid:gid
//! mode = "0440"
//! xattrs = { "user.note" = "text", "security.capability" = { base64 = "…" } }
//!
//! [[directories]]
//! path = "var/lib/thing"
//! mode = "0700"
//! owner = "100:100"
//!
//! [[links]]
//! path = "etc/localtime"
//! target = "/usr/share/zoneinfo/UTC"
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::Error;
use crate::error::unfit;

/// A manifest as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// Patterns of what is removed from the layers below.
    #[serde(default)]
    pub(super) delete: Vec<String>,
    /// Owners, modes and extended attributes.
    #[serde(default)]
    pub(super) attributes: Vec<Attributes>,
    /// Directories to be made.
    #[serde(default)]
    pub(super) directories: Vec<Directory>,
    /// Symbolic links to be made.
    #[serde(default)]
    pub(super) links: Vec<Link>,
}

/// What is set on all that matches.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attributes {
    /// Patterns, matched against the overlay's paths.
    pub(super) paths: Vec<String>,
    /// `uid:gid`.
    pub(super) owner: Option<String>,
    /// Octal digits.
    pub(super) mode: Option<String>,
    /// Extended attributes by full name.
    #[serde(default)]
    pub(super) xattrs: BTreeMap<String, XattrValue>,
}

/// A text, or bytes in base64.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum XattrValue {
    /// The value itself.
    Text(String),
    /// The value in base64.
    Base64 {
        /// RFC 4648 base64.
        base64: String,
    },
}

/// A directory to be made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Directory {
    /// Where.
    pub(super) path: String,
    /// Octal digits; 0755 if not given.
    pub(super) mode: Option<String>,
    /// `uid:gid`; root's if not given.
    pub(super) owner: Option<String>,
}

/// A symbolic link to be made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    /// Where.
    pub(super) path: String,
    /// Where it leads, as written.
    pub(super) target: String,
}

/// Parses a manifest; `name` is its path in messages.
///
/// # Errors
/// With line and column.
pub(super) fn parse(name: &str, text: &str) -> Result<Manifest, Error> {
    toml::from_str(text).map_err(|e| {
        let before = e
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let message = e.message();
        unfit(format!("{name}:{line}:{column}: {message}"))
            .with_hint("docs/overlays.md describes the manifest")
            .into()
    })
}

/// Parses `uid:gid`.
pub(super) fn owner(manifest: &str, text: &str) -> Result<(u32, u32), Error> {
    text.split_once(':')
        .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)))
        .ok_or_else(|| {
            let expected = "two numbers, uid:gid (names mean nothing before there is a system)";
            wrong_value(manifest, "owner", text, expected)
        })
}

/// Parses a mode.
pub(super) fn mode(manifest: &str, text: &str) -> Result<u16, Error> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u16::from_str_radix(digits, 8)
        .ok()
        .filter(|&mode| mode <= isoforge_base::tree::MODE_MASK && !digits.starts_with('+'))
        .ok_or_else(|| wrong_value(manifest, "mode", text, "an octal mode such as \"0644\""))
}

/// The bytes of an extended attribute.
pub(super) fn xattr(manifest: &str, value: &XattrValue) -> Result<Vec<u8>, Error> {
    match value {
        XattrValue::Text(text) => Ok(text.as_bytes().to_vec()),
        XattrValue::Base64 { base64 } => STANDARD
            .decode(base64)
            .map_err(|_| wrong_value(manifest, "base64", base64, "base64")),
    }
}

/// A value in the manifest is none of its kind.
pub(super) fn wrong_value(manifest: &str, key: &str, value: &str, expected: &str) -> Error {
    unfit(format!("{manifest}: {key} = '{value}' is not {expected}")).into()
}
