//! The files of a pack or chart, whether it is a folder or an archive.
//!
//! Archives are tar (POSIX.1-2017 ustar and pax, GNU), plain or compressed with
//! gzip (RFC 1952) or Zstandard (RFC 8878). All is read into memory, within
//! limits that the largest packs stay far below.
//!
//! Invariants: paths are relative, with `/`, without `.` and `..`; files stand
//! in their order. What is neither file nor folder is left out and said so.
//!
//! Non-goals: modes, owners, times: nothing in a pack or chart is executed.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::{Component, Path};
use std::sync::Arc;

use crate::error::{Error, read};
use isoforge_base::digest::Digest;
use isoforge_base::limit::read_within;
use isoforge_base::yaml::Refused;
use isoforge_oci::compression::{Bounds, decompress_within, sniff};

/// Most files of a pack or chart.
const MAX_FILES: u64 = 20_000;
/// Most bytes of all files of a pack or chart together.
pub(crate) const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Bytes that come out of an archive for each that went in.
const MAX_RATIO: u64 = 400;
/// Bytes below which that ratio is not looked at.
const RATIO_FLOOR_BYTES: u64 = 32 * 1024 * 1024;

/// Files by path.
#[derive(Clone)]
pub struct Files {
    /// The folder or archive, as messages name it.
    place: String,
    entries: BTreeMap<String, Arc<[u8]>>,
    skipped: Vec<Skipped>,
    archive: Option<(Digest, Arc<[u8]>)>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("place", &self.place)
            .field("paths", &self.entries.keys())
            .finish_non_exhaustive()
    }
}

/// What was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Path within.
    pub(crate) path: String,
    /// What it is: `a symbolic link`.
    pub(crate) what: &'static str,
}

/// Takes files in and counts them against the limits.
struct Reader {
    files: Files,
    count: u64,
    bytes: u64,
}

impl Reader {
    fn new(place: &str) -> Self {
        Self {
            files: Files {
                place: place.to_owned(),
                entries: BTreeMap::new(),
                skipped: Vec::new(),
                archive: None,
            },
            count: 0,
            bytes: 0,
        }
    }

    /// One more file; `what` it is, where that is nothing to be read.
    fn skips(&mut self, path: &str, what: Option<&'static str>) -> Result<bool, Error> {
        self.count += 1;
        if self.count > MAX_FILES {
            return Err(self.exceeded(MAX_FILES, "files"));
        }
        let path = path.to_owned();
        self.files
            .skipped
            .extend(what.map(|what| Skipped { path, what }));
        Ok(what.is_some())
    }

    /// Reads what is left of the room for bytes.
    fn read(
        &mut self,
        from: impl Read,
        failed: impl Fn(io::Error) -> Error,
    ) -> Result<Vec<u8>, Error> {
        let room = MAX_BYTES.saturating_sub(self.bytes);
        let bytes = read_within(from, room).map_err(failed)?;
        let bytes = bytes.ok_or_else(|| self.exceeded(MAX_BYTES, "bytes"))?;
        self.bytes += bytes.len() as u64;
        Ok(bytes)
    }

    fn exceeded(&self, limit: u64, unit: &'static str) -> Error {
        Error::TooLarge {
            place: self.files.place.clone(),
            limit,
            unit,
        }
    }
}

impl Files {
    /// Reads a folder or an archive.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Read`], and those of archives.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if std::fs::metadata(path).map_err(read(path))?.is_dir() {
            return Self::folder(path);
        }
        let place = path.display().to_string();
        let file = std::fs::File::open(path).map_err(read(path))?;
        let bytes = Reader::new(&place).read(file, read(path))?;
        Self::archive(&place, &bytes)
    }

    /// Reads a folder. Links are not followed.
    fn folder(root: &Path) -> Result<Self, Error> {
        let mut reader = Reader::new(&root.display().to_string());
        let walk = walkdir::WalkDir::new(root).sort_by_file_name();
        for entry in walk
            .into_iter()
            .filter_entry(|entry| !is_leftover(entry.path()))
        {
            let entry = entry.map_err(|error| Error::Read {
                path: error.path().unwrap_or(root).to_owned(),
                source: error.into(),
            })?;
            let kind = entry.file_type();
            let Some(path) = relative(root, entry.path()).filter(|_| !kind.is_dir()) else {
                continue;
            };
            let what = match (kind.is_file(), kind.is_symlink()) {
                (true, _) => None,
                (false, true) => Some("a symbolic link"),
                (false, false) => Some("no regular file"),
            };
            if !reader.skips(&path, what)? {
                let failed = |source| Error::Read {
                    path: entry.path().to_owned(),
                    source,
                };
                let file = std::fs::File::open(entry.path()).map_err(failed)?;
                let bytes = reader.read(file, failed)?;
                reader.files.entries.insert(path, bytes.into());
            }
        }
        Ok(reader.files)
    }

    /// Reads the bytes of an archive; `place` is what messages call it.
    ///
    /// # Errors
    /// [`Error::Archive`], [`Error::Escapes`], [`Error::TooLarge`].
    pub(crate) fn archive(place: &str, bytes: &[u8]) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::archive(place, innermost(&error));
        let bounds = Bounds {
            // Headers and padding beside the files.
            bytes: MAX_BYTES + MAX_FILES * 2048,
            ratio: MAX_RATIO,
            ratio_floor_bytes: RATIO_FLOOR_BYTES,
        };
        let stream = decompress_within(bytes, sniff(bytes), bounds)
            .map_err(|error| Error::archive(place, error))?;
        let mut reader = Reader::new(place);
        let mut archive = tar::Archive::new(stream);
        for member in archive.entries().map_err(failed)? {
            let member = member.map_err(failed)?;
            let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
            let kind = member.header().entry_type();
            if kind.is_dir() || kind.is_pax_global_extensions() {
                continue;
            }
            let path = normal(&name).ok_or_else(|| Error::Escapes {
                place: place.to_owned(),
                path: name.clone(),
            })?;
            if is_leftover(Path::new(&path)) {
                continue;
            }
            let what = if kind.is_symlink() || kind.is_hard_link() {
                Some("a link")
            } else if kind.is_file() || kind.is_contiguous() {
                None
            } else {
                Some("no regular file")
            };
            if !reader.skips(&path, what)? {
                let bytes = reader.read(member, failed)?;
                reader.files.entries.insert(path, bytes.into());
            }
        }
        if reader.files.entries.is_empty() {
            return Err(Error::archive(place, "it holds no file"));
        }
        reader.files.archive = Some((Digest::of(bytes), bytes.into()));
        Ok(reader.files)
    }

    /// Digest over paths and contents: the same for a folder and for any archive
    /// of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut all = String::new();
        for (path, bytes) in self.iter() {
            all.push_str(&Digest::of(bytes).hex());
            all.push(' ');
            all.push_str(path);
            all.push('\0');
        }
        Digest::of(all.as_bytes())
    }

    /// The folder or archive, as messages name it.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The archive's digest and bytes; none of a folder.
    pub(crate) fn packed(&self) -> Option<&(Digest, Arc<[u8]>)> {
        self.archive.as_ref()
    }

    /// What was left out.
    pub(crate) fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Paths and bytes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let entries = self.entries.iter();
        entries.map(|(path, bytes)| (path.as_str(), &**bytes))
    }

    /// The bytes of a file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.entries.get(path).map(|bytes| &**bytes)
    }

    /// The name of a file for messages.
    #[must_use]
    pub fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.place.trim_end_matches('/'))
    }

    /// The text of a file; `None` where it is not there.
    ///
    /// # Errors
    /// [`Error::NotText`].
    pub fn text(&self, path: &str) -> Result<Option<&str>, Error> {
        let Some(bytes) = self.get(path) else {
            return Ok(None);
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.strip_prefix('\u{feff}').unwrap_or(text))),
            Err(_) => Err(Error::NotText(self.name(path))),
        }
    }

    /// What a file is as `parse` has it; `None` where it is not there.
    pub(crate) fn parsed<T>(
        &self,
        path: &str,
        parse: impl Fn(&str) -> Result<T, Refused>,
    ) -> Result<Option<T>, Error> {
        let parsed = self.text(path)?.map(parse).transpose();
        parsed.map_err(|refused| Error::syntax(&self.name(path), refused))
    }

    /// That a file is not there.
    pub(crate) fn lacks(&self, file: &str) -> Error {
        Error::NoFile {
            place: self.place.clone(),
            file: file.to_owned(),
        }
    }

    /// Whether there are files below the folder `path`.
    pub(crate) fn has_folder(&self, path: &str) -> bool {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        self.iter().any(|(name, _)| name.starts_with(&prefix))
    }

    /// The files below the folder `path`, as files of their own.
    pub(crate) fn below(&self, path: &str) -> Self {
        let path = path.trim_end_matches('/');
        let prefix = format!("{path}/");
        let inside = |name: &str| name.strip_prefix(&prefix).map(str::to_owned);
        let entries = self.entries.iter();
        let skipped = self.skipped.iter();
        Self {
            place: self.name(path),
            entries: entries
                .filter_map(|(name, bytes)| Some((inside(name)?, Arc::clone(bytes))))
                .collect(),
            skipped: skipped
                .filter_map(|&Skipped { ref path, what }| {
                    Some(Skipped {
                        path: inside(path)?,
                        what,
                    })
                })
                .collect(),
            archive: None,
        }
    }

    /// The same without the one folder that all files of an archive lie in, where
    /// `marker` is in that folder and not at the top; archives of packs and charts
    /// have one. A folder stays as it is: it may hold several.
    pub(crate) fn rooted_at(self, marker: &str) -> Self {
        if self.archive.is_none() || self.entries.contains_key(marker) {
            return self;
        }
        let suffix = format!("/{marker}");
        let folder = self.entries.keys().find_map(|path| {
            let folder = path.strip_suffix(&suffix)?;
            (!folder.contains('/')).then(|| folder.to_owned())
        });
        match folder {
            Some(folder) => Self {
                place: self.place.clone(),
                archive: self.archive.clone(),
                ..self.below(&folder)
            },
            None => self,
        }
    }
}

/// What an archive's reader says at its core.
fn innermost(error: &io::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// What version control, desktops and editors leave, no part of a pack.
fn is_leftover(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    matches!(name, ".git" | ".hg" | ".svn" | ".DS_Store" | "__MACOSX")
        || name.starts_with("._")
        || name.ends_with('~')
        || name.ends_with(".swp")
}

/// The path below `root`, with slashes.
fn relative(root: &Path, path: &Path) -> Option<String> {
    let below = path.strip_prefix(root).ok()?;
    normal(&below.to_string_lossy()).filter(|path| !path.is_empty())
}

/// A path without `.`; none where it leads out.
fn normal(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::CurDir => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests;
