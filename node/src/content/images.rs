//! A registry's storage, for reading: what listing, checking and handing out need
//! of it, whichever registry's it is.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use anyhow::Result;
use fs_err as fs;
use isoforge_base::digest::Digest;
use isoforge_oci::manifest::{MAX_MANIFEST_BYTES, Manifest};

use super::BadRecord;
use super::error::at;
use super::files::read;
use super::index::Entry;

/// A file of the storage: blobs that are hard links of each other share it.
#[derive(Debug, Default)]
pub struct BlobFile {
    /// Its size in bytes.
    pub bytes: u64,
    /// The blobs, by repository.
    pub blobs: Vec<(String, Digest)>,
}

/// A registry's storage, for reading.
pub trait Images {
    /// All repositories, sorted.
    fn repositories(&self) -> Result<Vec<String>>;

    /// The manifests of a repository, by tag and without one. Whether they are there
    /// and whole is not looked at.
    fn entries(&self, repository: &str) -> Result<Vec<Entry>>;

    /// The blobs of a repository that are there, and their sizes in bytes.
    fn blobs_of(&self, repository: &str) -> Result<BTreeMap<Digest, u64>>;

    /// Where a blob of a repository is, or would be.
    fn blob_path(&self, repository: &str, digest: &Digest) -> PathBuf;

    /// The files of all blobs.
    ///
    /// # Errors
    /// Where one can't be looked at.
    fn files(&self) -> Result<Vec<BlobFile>> {
        let mut files: BTreeMap<(u64, u64), BlobFile> = BTreeMap::new();
        for repository in self.repositories()? {
            for digest in self.blobs_of(&repository)?.into_keys() {
                let path = self.blob_path(&repository, &digest);
                let metadata = fs::metadata(&path).map_err(at(&path, "read"))?;
                let file = files.entry((metadata.dev(), metadata.ino())).or_default();
                file.bytes = metadata.len();
                file.blobs.push((repository.clone(), digest));
            }
        }
        Ok(files.into_values().collect())
    }

    /// A manifest of a repository; `None` where it is not there. Its digest is
    /// checked.
    ///
    /// # Errors
    /// Where it can\'t be read; [`BadRecord`] on damage.
    fn manifest(&self, repository: &str, entry: &Entry) -> Result<Option<Manifest>> {
        let path = self.blob_path(repository, &entry.digest);
        let Some(bytes) = read(&path, MAX_MANIFEST_BYTES)? else {
            return Ok(None);
        };
        let found = Digest::of(&bytes);
        if found != entry.digest {
            return Err(BadRecord::of(&path, format!("its content is {found}")));
        }
        Manifest::parse(bytes, Some(&entry.media_type))
            .map(Some)
            .map_err(|error| BadRecord::of(&path, error))
    }
}
