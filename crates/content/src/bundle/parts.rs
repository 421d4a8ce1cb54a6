//! A bundle in several files, for media whose file system limits their size.
//!
//! `name.001`, `name.002` and so on are the bytes of `name`, one behind the other.
//! `name.parts.json` lists them with sizes and digests, so that a part that is missing
//! or cut short is named. [`PartsList`] has its shape. Sizes are checked when the bundle is
//! opened, digests when it is verified.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, read_bundle};
use isoforge_base::digest::Digest;
use isoforge_base::limit::read_within;
use isoforge_base::read_at::{FileAt, Joined, ReadAt as _};
use isoforge_base::{output, regular};

/// What the list's name adds to the bundle's.
pub(super) const PARTS_SUFFIX: &str = ".parts.json";
/// Largest list accepted, in bytes.
const MAX_LIST_BYTES: u64 = 4 * 1024 * 1024;
/// Digits at the end of a part's name.
const DIGITS: usize = 3;
/// Most parts: what their names can count.
pub(super) const MAX_PARTS: usize = 999;

/// The list of a split file's parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartsList {
    /// Version of this format: 1.
    pub(super) schema: u32,
    /// Name of the file that the parts are.
    pub(super) name: String,
    /// Its size in bytes.
    pub(super) size: u64,
    pub(super) digest: Digest,
    /// The parts in their order.
    pub(super) parts: Vec<ArchivePart>,
}

/// A part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivePart {
    /// Its file name, beside the list.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
}

/// Name of the part with this number, from 1 on.
pub(super) fn part_name(name: &str, number: usize) -> String {
    format!("{name}.{number:0DIGITS$}")
}

/// The list that `path` stands for: itself, beside the part that it is, beside the
/// file that it would be, or the only one in the folder that it is.
pub(super) fn list_of(path: &Path) -> Result<Option<PathBuf>, Error> {
    let io = read_bundle(path);
    if path.is_dir() {
        let mut found = Vec::new();
        for entry in fs_err::read_dir(path).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            if name.to_string_lossy().ends_with(PARTS_SUFFIX) {
                found.push(path.join(name));
            }
        }
        return match found.len() {
            0 | 1 => Ok(found.pop()),
            n => Err(Error::not_bundle(
                path,
                format!("it has {n} lists of parts (*{PARTS_SUFFIX}): name one of them"),
            )),
        };
    }
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Ok(None);
    };
    if name.ends_with(PARTS_SUFFIX) {
        return Ok(Some(path.to_owned()));
    }
    let whole = name.rsplit_once('.').filter(|(_, digits)| {
        digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let list = match whole {
        Some((whole, _)) => path.with_file_name(format!("{whole}{PARTS_SUFFIX}")),
        None if !fs_err::exists(path).map_err(io)? => {
            path.with_file_name(format!("{name}{PARTS_SUFFIX}"))
        }
        None => return Ok(None),
    };
    Ok(fs_err::exists(&list).map_err(io)?.then_some(list))
}

impl PartsList {
    /// Reads a list.
    ///
    /// # Errors
    /// [`Error::NotBundle`] where it is malformed, [`Error::ReadBundle`].
    pub(super) fn read(list: &Path) -> Result<Self, Error> {
        let wrong = |problem: String| Error::not_bundle(list, problem);
        let io = read_bundle(list);
        let file = regular::open(list).map_err(io)?;
        let text = read_within(file, MAX_LIST_BYTES).map_err(io)?;
        let text = text.ok_or_else(|| wrong(format!("it has more than {MAX_LIST_BYTES} bytes")))?;
        let parts: Self = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("the list of its parts is malformed: {error}")))?;
        if parts.schema != 1 {
            return Err(Error::later_bundle(list, parts.schema));
        }
        let mut sum = 0_u64;
        for part in &parts.parts {
            output::check_name(&part.name)
                .map_err(|_| wrong(format!("'{}' is no name of a part", part.name)))?;
            sum = sum.saturating_add(part.size);
        }
        if parts.parts.is_empty() || parts.parts.len() > MAX_PARTS || sum != parts.size {
            return Err(wrong("the list of its parts contradicts itself".to_owned()));
        }
        Ok(parts)
    }

    /// Joins the parts, which lie beside their list. None is read.
    ///
    /// # Errors
    /// [`Error`] on one that is missing or of another size.
    pub(super) fn join(&self, list: &Path) -> Result<Joined, Error> {
        let mut files = Vec::with_capacity(self.parts.len());
        for (at, part) in self.parts.iter().enumerate() {
            let path = list.with_file_name(&part.name);
            let wrong = |problem: String| {
                let (number, count) = (at + 1, self.parts.len());
                Error::unfit(format!(
                    "part {number} of {count} of a split bundle, {}: {problem}",
                    path.display()
                ))
                .with_hint("copy the part again from where the bundle comes from")
            };
            let file = FileAt::open(&path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => wrong("it is missing".to_owned()),
                _ => wrong(format!("it can't be read: {error}")),
            })?;
            if file.size() != part.size {
                let (found, expected) = (file.size(), part.size);
                return Err(wrong(format!("it has {found} bytes, not {expected}")).into());
            }
            files.push(file);
        }
        Joined::new(files).map_err(read_bundle(list))
    }
}
