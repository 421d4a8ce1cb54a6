//! Which bundles were imported: by this a delta finds its base, and two different
//! bundles of one name are told apart.

use std::path::PathBuf;

use anyhow::{Result, bail};
use isoforge_base::digest::Digest;
use serde::{Deserialize, Serialize};

use super::BadRecord;
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
    pub version: Option<String>,
    /// The digest of its `index.json`.
    pub index: Digest,
}

impl Imported {
    /// What is noted in the storage.
    ///
    /// # Errors
    /// Where it can\'t be read; [`BadRecord`].
    pub fn read(storage: &Storage) -> Result<Self> {
        let path = path(storage);
        match read(&path, MAX_BYTES)? {
            None => Ok(Self::default()),
            Some(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| BadRecord::of(&path, error))
            }
        }
    }

    /// Whether `source` may be imported beside what was.
    ///
    /// # Errors
    /// Where a different one of its name is there, unless `replace` is set, or its base
    /// lacks.
    pub fn check(&self, source: &dyn Source, replace: bool) -> Result<()> {
        let annotations = source.annotations();
        if let Some(base) = annotations.base
            && !self.bundles.iter().any(|bundle| bundle.index == base)
        {
            bail!(
                "{} holds only what its base lacks, and that base ({base}) was not imported here; import the base first",
                source.name()
            );
        }
        let (Some(name), Some(version)) = (&annotations.name, &annotations.version) else {
            return Ok(());
        };
        let same = self.bundles.iter().find(|bundle| {
            bundle.name.as_ref() == Some(name) && bundle.version.as_ref() == Some(version)
        });
        let now = source.digest();
        match same.map(|bundle| bundle.index) {
            Some(before) if before != now && !replace => bail!(
                "a different bundle {name} {version} was imported before ({before}, this one is {now}); give the new one another version, or import it with --replace"
            ),
            _ => Ok(()),
        }
    }

    /// Notes `source`, in the place of one with its name and version.
    ///
    /// # Errors
    /// Where the storage can't be written.
    pub fn add(mut self, storage: &Storage, source: &dyn Source) -> Result<()> {
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
        let bytes = serde_json::to_vec_pretty(&self);
        let mut bytes = bytes.map_err(|error| BadRecord::of(&path, error))?;
        bytes.push(b'\n');
        storage.write(&path, &bytes)
    }
}

fn path(storage: &Storage) -> PathBuf {
    storage.work().join(FILE)
}
