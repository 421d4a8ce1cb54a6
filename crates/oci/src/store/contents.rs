//! What is in the store: every file of it with its size and last use.
//!
//! Listing is no use: it leaves the recorded times as they are.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::facts::FACT_SUFFIX;
use super::{Result, Store, last_use};
use isoforge_base::digest::Digest;
use isoforge_base::progress::Task;

/// What a file of the store is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A blob by its digest.
    Blob(Digest),
    /// A slab by its key.
    Slab(String),
    /// A fact.
    Fact {
        /// Its kind.
        kind: String,
        /// The name that its key gave.
        name: String,
    },
    /// A blob that is not complete, by its digest.
    Partial(Digest),
    /// Something that no isoforge puts there.
    Stranger,
}

/// A file of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last used, in seconds since 1970-01-01 UTC; exact to a day.
    pub last_use: u64,
    /// How long that is ago.
    pub unused_for: Duration,
}

impl Store {
    /// All files of the store but those being written, sorted by kind and name.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub fn contents(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (folder, kind) in [
            ("blobs", blob as fn(&Path) -> EntryKind),
            ("slabs", slab),
            ("facts", fact),
            ("partial", partial),
        ] {
            let folder = self.base.join(folder);
            if folder.try_exists()? {
                walk(&folder, kind, &mut entries)?;
            }
        }
        entries.sort_by(|a, b| (&a.kind, &a.path).cmp(&(&b.kind, &b.path)));
        Ok(entries)
    }

    /// The digest that a blob's bytes have now, which is not the one that it is
    /// called by where it was damaged; `task` advances by what is read. It does not count
    /// as a use.
    ///
    /// # Errors
    /// What reading the file gives.
    pub fn rehash(&self, digest: &Digest, task: &Task) -> std::io::Result<Digest> {
        let file = fs_err::File::open(self.blob_path(digest))?;
        Ok(Digest::of_reader(task.reader(file))?.0)
    }
}

fn walk(folder: &Path, kind: fn(&Path) -> EntryKind, entries: &mut Vec<Entry>) -> Result<()> {
    for found in walkdir::WalkDir::new(folder) {
        let found = match found {
            Ok(found) => found,
            // A blob of a process that renames or removes meanwhile.
            Err(error) if is_gone(error.io_error()) => continue,
            Err(error) => return Err(std::io::Error::from(error).into()),
        };
        if found.file_type().is_dir() {
            continue;
        }
        let metadata = match found.metadata() {
            Ok(metadata) => metadata,
            Err(error) if is_gone(error.io_error()) => continue,
            Err(error) => return Err(std::io::Error::from(error).into()),
        };
        let relative = found.path().strip_prefix(folder).unwrap_or(found.path());
        entries.push(Entry {
            kind: if found.file_type().is_file() {
                kind(relative)
            } else {
                EntryKind::Stranger
            },
            path: found.path().to_owned(),
            size: metadata.len(),
            last_use: seconds(&metadata),
            unused_for: last_use::unused_for(&metadata),
        });
    }
    Ok(())
}

fn is_gone(error: Option<&std::io::Error>) -> bool {
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn seconds(metadata: &Metadata) -> u64 {
    let time = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The parts of a relative path, where all of them are text.
fn parts(path: &Path) -> Vec<&str> {
    path.iter()
        .map(|part| part.to_str().unwrap_or(""))
        .collect()
}

fn digest(hex: &str) -> Option<Digest> {
    format!("sha256:{hex}").parse().ok()
}

fn blob(path: &Path) -> EntryKind {
    match parts(path)[..] {
        ["sha256", prefix, hex] if hex.starts_with(prefix) && prefix.len() == 2 => {
            digest(hex).map_or(EntryKind::Stranger, EntryKind::Blob)
        }
        _ => EntryKind::Stranger,
    }
}

fn slab(path: &Path) -> EntryKind {
    match parts(path)[..] {
        [key] if !key.is_empty() => EntryKind::Slab(key.to_owned()),
        _ => EntryKind::Stranger,
    }
}

fn fact(path: &Path) -> EntryKind {
    if let [kind, file] = parts(path)[..]
        && let Some(name) = file.strip_suffix(FACT_SUFFIX)
        && !kind.is_empty()
    {
        return EntryKind::Fact {
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
    }
    EntryKind::Stranger
}

fn partial(path: &Path) -> EntryKind {
    match parts(path)[..] {
        [hex] => digest(hex).map_or(EntryKind::Stranger, EntryKind::Partial),
        _ => EntryKind::Stranger,
    }
}
