//! Reading and writing a lock's text.

use std::io::{self, Read as _};
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::{Error, Lock, MAX_LOCK_BYTES, REVISION, VERSION};

/// The first line, for who opens the file.
const HEADER: &str = "# Written by `isoforge lock`. Review it and commit it; do not edit it.\n";

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
/// [`Error::Missing`] where there is none, and those of [`read_if_there`].
pub fn read(path: &Path) -> Result<Lock, Error> {
    read_if_there(path)?.ok_or_else(|| Error::Missing {
        path: path.to_owned(),
    })
}

/// Reads the lock at `path`, where there is one.
///
/// # Errors
/// [`Error::Read`], [`Error::TooLarge`], and those of [`parse`].
pub fn read_if_there(path: &Path) -> Result<Option<Lock>, Error> {
    let read_error = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read_error(error)),
    };
    let mut text = String::new();
    let read = file.take(MAX_LOCK_BYTES + 1).read_to_string(&mut text);
    if read.map_err(read_error)? as u64 > MAX_LOCK_BYTES {
        return Err(Error::TooLarge {
            path: path.to_owned(),
        });
    }
    parse(&text, path).map(Some)
}

/// Understands a lock's text; `path` is its name in errors. Of a later revision
/// of the same version what is known is read.
///
/// # Errors
/// [`Error::Version`], [`Error::Malformed`].
pub fn parse(text: &str, path: &Path) -> Result<Lock, Error> {
    let malformed = |problem: String| Error::Malformed {
        path: path.to_owned(),
        problem,
    };
    let placed = |error: &toml::de::Error| malformed(with_line(text, error));
    let table: Table = toml::from_str(text).map_err(|error| placed(&error))?;
    let versions: Versions = toml::from_str(text).map_err(|error| placed(&error))?;
    if versions.version != u64::from(VERSION) {
        return Err(Error::Version {
            path: path.to_owned(),
            found: versions.version,
        });
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
    pub fn to_toml(&self) -> Result<String, Error> {
        let mut sorted = self.clone();
        sorted.sort();
        Ok(format!("{HEADER}{}", toml::to_string_pretty(&sorted)?))
    }

    /// Whether this program may write over the lock that was read from `path`.
    ///
    /// # Errors
    /// [`Error::NewerRevision`].
    pub fn check_rewritable(&self, path: &Path) -> Result<(), Error> {
        if !is_newer(self.revision) {
            return Ok(());
        }
        Err(Error::NewerRevision {
            path: path.to_owned(),
            found: self.revision,
        })
    }
}
