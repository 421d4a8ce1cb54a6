//! Small JSON documents on what was found out once, such as the diffID of a
//! blob. A fact can always be found out again, so one that can't be read counts
//! as unknown.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Result, Store, last_use, make_folder};
use isoforge_base::digest::Digest;

/// Kind of the facts that say what a blob was asked for as: its digest's hex
/// digits give a list of references and URLs. People read them; nothing else
/// depends on them.
pub const ORIGIN_FACT: &str = "origin";

/// How the name of a fact's file ends.
pub(super) const FACT_SUFFIX: &str = ".json";

/// Longest name taken as it is, in bytes; file systems take 255 with the suffix.
pub(super) const MAX_NAME_BYTES: usize = 200;

impl Store {
    /// The fact of this kind and key, where it is known.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub fn fact<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Result<Option<T>> {
        let path = self.fact_path(kind, key);
        match fs_err::read(&path) {
            Ok(text) => {
                if let Ok(metadata) = fs_err::metadata(&path) {
                    last_use::record(&path, &metadata);
                }
                Ok(serde_json::from_slice(&text).ok())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Records a fact, replacing what was known.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub fn put_fact<T: Serialize>(&self, kind: &str, key: &str, value: &T) -> Result<()> {
        let path = self.fact_path(kind, key);
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let bytes = serde_json::to_vec(value).map_err(std::io::Error::from)?;
        self.session.write_file(&path, &bytes)
    }

    /// Remembers what a blob was asked for as, beside what is known already.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub fn add_origin(&self, digest: &Digest, name: &str) -> Result<()> {
        let key = digest.hex();
        let mut names: BTreeSet<String> = self.fact(ORIGIN_FACT, &key)?.unwrap_or_default();
        if names.insert(name.to_owned()) {
            self.put_fact(ORIGIN_FACT, &key, &names)?;
        }
        Ok(())
    }

    pub(super) fn fact_path(&self, kind: &str, key: &str) -> PathBuf {
        let name = format!("{}{FACT_SUFFIX}", file_name(key));
        self.base.join("facts").join(file_name(kind)).join(name)
    }
}

/// The key itself where it is letters, digits, `.`, `_`, `-` and `+`, the first
/// no dot; else its digest.
pub(super) fn file_name(key: &str) -> String {
    let plain = key
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+'));
    if plain && !key.is_empty() && !key.starts_with('.') && key.len() <= MAX_NAME_BYTES {
        key.to_owned()
    } else {
        format!("key-{}", Digest::of(key.as_bytes()).hex())
    }
}
