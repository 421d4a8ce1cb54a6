//! Where the members of an archive at rest are.

use std::collections::BTreeMap;

use crate::Error;
use isoforge_base::limit::{self, Budget};
use isoforge_base::read_at::{ReadAt, Window};

use super::header::BLOCK_BYTES;
use super::limits::Limits;
use super::read::{Member, Reader};

/// Most members that an index takes in.
pub(crate) const MAX_INDEXED_MEMBERS: usize = 100_000;

/// A member of an archive.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A regular file: where its bytes start in the archive, and how many.
    File {
        /// Offset in bytes.
        start: u64,
        /// Bytes.
        size: u64,
    },
    /// A link to another member, by that one's path.
    Link(String),
}

impl Found {
    fn target_bytes(&self) -> u64 {
        match self {
            Self::File { .. } => 0,
            Self::Link(target) => target.len() as u64,
        }
    }
}

fn over(limit: u64, what: &str) -> Error {
    Error::damaged(format!("has more than {limit} {what}"))
}

/// Finds all regular files and links of an archive by their normalized paths; of
/// several with one path the last counts. Reads headers alone.
///
/// # Errors
/// What the archive is instead, as in "is no tar archive".
pub fn index(file: &dyn ReadAt) -> Result<BTreeMap<String, Found>, Error> {
    index_within(
        file,
        Budget::new(limit::LISTING_NAME_BYTES),
        Budget::new(limit::LISTING_RECORD_BYTES),
    )
}

/// [`index`] with so many bytes of `names` and of `headers`.
fn index_within(
    file: &dyn ReadAt,
    mut names: Budget,
    mut headers: Budget,
) -> Result<BTreeMap<String, Found>, Error> {
    let (length, mut at, mut members) = (file.size(), 0, BTreeMap::new());
    let limits = Limits {
        layer_bytes: u64::MAX,
        ..Limits::DEFAULT
    };
    while at < length {
        let mut reader = Reader::at(Window::new(file, at, length - at), at, &limits);
        let Some(member) = reader.next_member().map_err(|error| no_tar(error, at))? else {
            break;
        };
        let (start, size) = (reader.offset(), member.stored_bytes());
        headers
            .take(start.saturating_sub(at))
            .map_err(|limit| over(limit, "bytes of headers"))?;
        let end = start.checked_add(size).filter(|&end| end <= length);
        let end = end.ok_or_else(|| truncated(at))?;
        if let Some(found) = describe(&member, start, size)? {
            let path = String::from_utf8_lossy(&member.path).into_owned();
            names
                .take(path.len() as u64 + found.target_bytes())
                .map_err(|limit| over(limit, "bytes of names"))?;
            members.insert(path, found);
        }
        if members.len() > MAX_INDEXED_MEMBERS {
            return Err(over(MAX_INDEXED_MEMBERS as u64, "members"));
        }
        at = end.next_multiple_of(BLOCK_BYTES as u64);
    }
    if members.is_empty() {
        return Err(Error::damaged(NO_TAR));
    }
    Ok(members)
}

const NO_TAR: &str = "is no tar archive";

/// What does not even begin as an archive is none.
fn no_tar(error: Error, at: u64) -> Error {
    match error {
        Error::Checksum { offset: 0 } => Error::damaged(NO_TAR),
        Error::Truncated { .. } if at == 0 => Error::damaged(NO_TAR),
        Error::Truncated { .. } => truncated(at),
        Error::Read { source, .. } => {
            Error::damaged(format!("can't be read: {source}")).because(source)
        }
        error => Error::damaged(format!("is damaged: {error}")).because(error),
    }
}

/// The data end before those of the member whose header is at byte `at`.
fn truncated(at: u64) -> Error {
    Error::damaged(format!("ends within the member at byte {at}"))
}

/// Place and content of a member; `None` for what has neither data nor target.
fn describe(member: &Member, start: u64, size: u64) -> Result<Option<Found>, Error> {
    let name = &member.name;
    Ok(match member.typeflag() {
        _ if member.is_sparse() => {
            return Err(Error::damaged(format!("has the sparse member {name}")));
        }
        b'0' | b'\0' | b'7' => Some(Found::File { start, size }),
        kind @ (b'1' | b'2') => {
            let target = link_target(&member.path, member.link(), kind == b'2');
            let target = target.ok_or_else(|| {
                Error::damaged(format!("has the link {name}, which leads out of it"))
            })?;
            Some(Found::Link(target))
        }
        _ => None,
    })
}

/// What a link names; the older `docker save` shares layers by symbolic links
/// such as `../<id>/layer.tar`.
fn link_target(path: &[u8], target: &[u8], is_symlink: bool) -> Option<String> {
    let (path, target) = (
        String::from_utf8_lossy(path),
        String::from_utf8_lossy(target),
    );
    let mut parts: Vec<&str> = Vec::new();
    if is_symlink && !target.starts_with('/') {
        parts.extend(path.split('/'));
        parts.pop();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests;
