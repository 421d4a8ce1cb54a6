//! Which bundles were imported: by this a delta finds its base, and two different
//! bundles of one name are told apart.

use std::path::PathBuf;

use isoforge_base::digest::Digest;
use serde::{Deserialize, Serialize};

use super::Error;
use super::files::read;
use super::source::Source;
use super::storage::Storage;

/// The file within the storage's folder for what the program notes.
const FILE: &str = "bundles.json";

/// Largest file that is read.
const MAX_BYTES: u64 = 16 << 20;

/// The bundles that were imported, in the order of their imports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// All of them.
    pub bundles: Vec<Bundle>,
}

/// A bundle that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Its name; none where it has none, as a layout of another tool.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The digest of its `index.json`.
    pub index: Digest,
}

impl Imported {
    /// What is noted in the storage.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Record`].
    pub fn read(storage: &Storage) -> Result<Self, Error> {
        let path = path(storage);
        match read(&path, MAX_BYTES)? {
            None => Ok(Self::default()),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::Record {
                path,
                problem: error.to_string(),
            }),
        }
    }

    /// Whether `source` may be imported beside what was.
    ///
    /// # Errors
    /// [`Error::SameName`] unless `replace` is set, [`Error::WrongBase`].
    pub fn check(&self, source: &dyn Source, replace: bool) -> Result<(), Error> {
        let annotations = source.annotations();
        if let Some(base) = annotations.base
            && !self.bundles.iter().any(|bundle| bundle.index == base)
        {
            return Err(Error::WrongBase {
                name: source.name(),
                base,
            });
        }
        let (Some(name), Some(version)) = (&annotations.name, &annotations.version) else {
            return Ok(());
        };
        let same = self.bundles.iter().find(|bundle| {
            bundle.name.as_ref() == Some(name) && bundle.version.as_ref() == Some(version)
        });
        match same {
            Some(before) if before.index != source.digest() && !replace => Err(Error::SameName {
                bundle: name.clone(),
                version: version.clone(),
                before: before.index,
                now: source.digest(),
            }),
            _ => Ok(()),
        }
    }

    /// Notes `source`, in the place of one with its name and version.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn add(mut self, storage: &Storage, source: &dyn Source) -> Result<(), Error> {
        let annotations = source.annotations();
        let new = Bundle {
            name: annotations.name.clone(),
            version: annotations.version.clone(),
            index: source.digest(),
        };
        self.bundles.retain(|old| {
            let renamed = new.name.is_some() && old.name == new.name && old.version == new.version;
            old.index != new.index && !renamed
        });
        self.bundles.push(new);
        let path = path(storage);
        let mut bytes = serde_json::to_vec_pretty(&self).map_err(|error| Error::Record {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        bytes.push(b'\n');
        storage.write(&path, &bytes)
    }
}

fn path(storage: &Storage) -> PathBuf {
    storage.work().join(FILE)
}
