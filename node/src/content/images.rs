//! A registry's storage, for reading: what listing, checking and handing out need
//! of it, whichever registry's it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use isoforge_base::digest::Digest;
use isoforge_oci::manifest::{MAX_MANIFEST_BYTES, Manifest};

use super::Error;
use super::files::read;
use super::index::Entry;

/// A registry's storage, for reading.
pub trait Images {
    /// All repositories, sorted.
    fn repositories(&self) -> Result<Vec<String>, Error>;

    /// The manifests of a repository, by tag and without one. Whether they are there
    /// and whole is not looked at.
    fn entries(&self, repository: &str) -> Result<Vec<Entry>, Error>;

    /// The blobs of a repository that are there, and their sizes in bytes.
    fn blobs_of(&self, repository: &str) -> Result<BTreeMap<Digest, u64>, Error>;

    /// Where a blob of a repository is, or would be.
    fn blob_path(&self, repository: &str, digest: &Digest) -> PathBuf;

    /// A manifest of a repository; `None` where it is not there. Its digest is
    /// checked.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Record`] on damage.
    fn manifest(&self, repository: &str, entry: &Entry) -> Result<Option<Manifest>, Error> {
        let path = self.blob_path(repository, &entry.digest);
        let Some(bytes) = read(&path, MAX_MANIFEST_BYTES)? else {
            return Ok(None);
        };
        let found = Digest::of(&bytes);
        if found != entry.digest {
            let problem = format!("its content is {found}");
            return Err(Error::Record { path, problem });
        }
        Manifest::parse(bytes, Some(&entry.media_type))
            .map(Some)
            .map_err(|error| Error::Record {
                path,
                problem: error.to_string(),
            })
    }
}
