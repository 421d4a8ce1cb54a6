//! Reading and writing a lock's text.

use std::io::{self, Read as _};
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::{Lock, MAX_LOCK_BYTES, REVISION, VERSION};
use isoforge_base::error::{Class, Context as _, Failure, Result};

/// The first line, for who opens the file.
const HEADER: &str = "# Written by `isoforge lock`. Review it and commit it; do not edit it.\n";

const LOCK_ANEW: &str = "restore it from version control, or remove it and lock anew";

/// What is read before anything else of a lock is understood.
#[derive(Deserialize)]
struct Versions {
    version: u64,
    #[serde(default)]
    revision: u32,
}

/// Reads the lock at `path`.
///
/// # Errors
/// [`missing`] where there is none, and those of [`read_if_there`].
pub fn read(path: &Path) -> Result<Lock> {
    read_if_there(path)?.ok_or_else(|| missing(path))
}

/// There is no lock at `path` where one is needed.
#[must_use]
pub fn missing(path: &Path) -> Failure {
    let message = format!("there is no lock file '{}'", path.display());
    Failure::new(Class::LockDrift, message).with_hint("write one with `isoforge lock`")
}

/// Reads the lock at `path`, where there is one.
///
/// # Errors
/// It can't be read or is too large, and those of [`parse`].
pub fn read_if_there(path: &Path) -> Result<Option<Lock>> {
    let unreadable = || format!("can't read the lock file '{}'", path.display());
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.with_context(unreadable)?,
    };
    let mut text = String::new();
    let read = file.take(MAX_LOCK_BYTES + 1).read_to_string(&mut text);
    if read.with_context(unreadable)? as u64 > MAX_LOCK_BYTES {
        let message = format!(
            "'{}' has more than {MAX_LOCK_BYTES} bytes, too many for a lock file",
            path.display()
        );
        return Err(Failure::new(Class::Profile, message));
    }
    parse(&text, path).map(Some)
}

/// Understands a lock's text; `path` is its name in errors. Of a later revision
/// of the same version what is known is read.
///
/// # Errors
/// Of another version, no lock, or a damaged one.
pub fn parse(text: &str, path: &Path) -> Result<Lock> {
    let shown = path.display();
    let malformed = |problem: String| {
        let message = format!("'{shown}' is no sound lock file: {problem}");
        Failure::new(Class::Profile, message).with_hint(LOCK_ANEW)
    };
    let placed = |error: &toml::de::Error| malformed(with_line(text, error));
    let table: Table = toml::from_str(text).map_err(|error| placed(&error))?;
    let versions: Versions = toml::from_str(text).map_err(|error| placed(&error))?;
    if versions.version != u64::from(VERSION) {
        let found = versions.version;
        let message = format!(
            "'{shown}' is a lock file of version {found}; this isoforge reads version {VERSION}"
        );
        let hint = if found > u64::from(VERSION) {
            "use a newer isoforge, or remove the file and lock anew"
        } else {
            LOCK_ANEW
        };
        return Err(Failure::new(Class::Profile, message).with_hint(hint));
    }
    let lock: Lock = toml::from_str(text).map_err(|error| placed(&error))?;
    if !is_newer(versions.revision) {
        let known = Value::try_from(&lock).map_err(|error| malformed(error.to_string()))?;
        if let Some(key) = unknown_key(&Value::Table(table), &known) {
            return Err(malformed(format!("unknown key '{key}'")));
        }
    }
    Ok(lock)
}

/// Whether a revision has what this program does not know.
fn is_newer(revision: u32) -> bool {
    revision > REVISION
}

/// The message with the number of the line, counted from 1.
fn with_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim();
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message.to_owned(),
    }
}

/// The first key of `found` that `known` has not, what is empty left aside.
fn unknown_key(found: &Value, known: &Value) -> Option<String> {
    match (found, known) {
        (Value::Table(found), Value::Table(known)) => {
            found.iter().find_map(|(key, value)| match known.get(key) {
                Some(other) => unknown_key(value, other).map(|inner| format!("{key}.{inner}")),
                None if is_empty(value) => None,
                None => Some(key.clone()),
            })
        }
        (Value::Array(found), Value::Array(known)) => found
            .iter()
            .zip(known)
            .find_map(|(value, other)| unknown_key(value, other)),
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Table(table) => table.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

impl Lock {
    /// The text: sorted, the same for equal locks, a line feed at its end.
    ///
    /// # Errors
    /// Never for a lock that this program made: all its values are TOML's.
    pub fn to_toml(&self) -> Result<String> {
        let mut sorted = self.clone();
        sorted.sort();
        let text = toml::to_string_pretty(&sorted);
        let text = text.map_err(|error| Failure::new(Class::Bug, error.to_string()))?;
        Ok(format!("{HEADER}{text}"))
    }

    /// Whether this program may write over the lock that was read from `path`.
    ///
    /// # Errors
    /// It is of a later revision.
    pub fn check_rewritable(&self, path: &Path) -> Result<()> {
        if !is_newer(self.revision) {
            return Ok(());
        }
        let message = format!(
            "'{}' is a lock file of revision {}, of which this isoforge knows {REVISION}; writing \
             it would lose what is new in it",
            path.display(),
            self.revision
        );
        Err(Failure::new(Class::Profile, message)
            .with_hint("use a newer isoforge to change this lock"))
    }
}
