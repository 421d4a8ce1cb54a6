//! The storage of distribution (the CNCF's, `docs/.../storagedriver`, layout v2), for
//! reading; it is filled over HTTP. Below `docker/registry/v2`:
//!
//! ```text
//! blobs/sha256/<2 digits>/<hex>/data                                     a blob
//! repositories/<repository>/_manifests/tags/<tag>/current/link           what a tag leads to
//! repositories/<repository>/_manifests/revisions/sha256/<hex>/link       its manifests
//! repositories/<repository>/_layers/sha256/<hex>/link                    its other blobs
//! ```
//!
//! A link is a digest as text. What was deleted has none any more. Nothing but a
//! manifest itself tells its media type.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;
use isoforge_base::digest::Digest;
use isoforge_base::process::Program;
use isoforge_oci::manifest::{MAX_MANIFEST_BYTES, Manifest};
use isoforge_oci::media::{Family, MediaType};
use isoforge_oci::referrer;

use super::commit::{Service, while_stopped};
use super::files::{names_in, read, repositories};
use super::images::Images;
use super::index::Entry;
use super::{BadRecord, names};

/// Below the storage's root.
const TOP: &str = "docker/registry/v2";

/// Most that the program prints.
const OUTPUT_MAX_BYTES: u64 = 64 << 20;

/// Longest link.
const LINK_MAX_BYTES: u64 = 128;

#[derive(Debug)]
pub struct Storage {
    root: PathBuf,
}

impl Storage {
    /// The storage below `root`; nothing was pushed yet where there is none.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Whether a repository has a manifest that was not deleted.
    ///
    /// # Errors
    /// Where the storage can't be read.
    pub fn is_used(&self, repository: &str) -> Result<bool> {
        Ok(!self.manifests(repository)?.is_empty())
    }

    fn top(&self) -> PathBuf {
        self.root.join(TOP).join("repositories")
    }

    fn folder(&self, repository: &str) -> PathBuf {
        self.top().join(repository)
    }

    fn data(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let first = hex.get(..2).unwrap_or_default().to_owned();
        let blobs = self.root.join(TOP).join("blobs/sha256");
        blobs.join(first).join(hex).join("data")
    }

    /// The digests that have a link below `folder`.
    fn linked(&self, folder: &Path) -> Result<Vec<Digest>> {
        let mut found = Vec::new();
        for hex in names_in(folder)? {
            let Ok(digest) = format!("sha256:{hex}").parse() else {
                continue;
            };
            if folder.join(hex).join("link").is_file() {
                found.push(digest);
            }
        }
        Ok(found)
    }

    fn manifests(&self, repository: &str) -> Result<Vec<Digest>> {
        let folder = self.folder(repository).join("_manifests/revisions/sha256");
        self.linked(&folder)
    }

    /// What a tag leads to; none where it was deleted.
    fn target(&self, repository: &str, tag: &str) -> Result<Option<Digest>> {
        let folder = self.folder(repository).join("_manifests/tags").join(tag);
        let path = folder.join("current/link");
        let Some(text) = read(&path, LINK_MAX_BYTES)? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        text.trim().parse().map(Some).map_err(|_| {
            BadRecord::of(
                &path,
                format!("it names '{}'", text.trim().escape_default()),
            )
        })
    }

    /// A manifest's bytes; none where it is missing or no manifest.
    fn raw(&self, digest: &Digest) -> Result<Vec<u8>> {
        match read(&self.data(digest), MAX_MANIFEST_BYTES) {
            Ok(bytes) => Ok(bytes.unwrap_or_default()),
            Err(error) if error.is::<BadRecord>() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// What can't be read as a manifest is taken for an image's, and turns out to be
    /// none where it is used.
    fn entry(&self, digest: Digest, tag: Option<&str>) -> Result<Entry> {
        let media_type = Manifest::parse(self.raw(&digest)?, None)
            .map_or(MediaType::Manifest(Family::Oci), |found| found.media_type);
        let size = fs::metadata(self.data(&digest)).map_or(0, |metadata| metadata.len());
        Ok(Entry::new(digest, media_type, size, tag))
    }

    /// Whether a tag is there for the registry's sake alone: it has no list of what
    /// refers to an image, so clients keep one under a tag, and an import gives what
    /// refers to an image a tag of its own.
    fn is_help(&self, tag: &str, digest: &Digest, manifests: &[Digest]) -> Result<bool> {
        if manifests
            .iter()
            .any(|subject| referrer::tag(subject) == tag)
        {
            return Ok(true);
        }
        if tag != names::digest_tag(digest) {
            return Ok(false);
        }
        let subject = referrer::subject(&self.raw(digest)?);
        Ok(subject.is_some_and(|subject| manifests.contains(&subject)))
    }
}

/// Has distribution's own program remove what no tag leads to from the storage below
/// `root`, while it does not serve; gives what it says. It works on the storage with its
/// owner's rights, which may have left links in it.
///
/// # Errors
/// Where the program fails, or the registry can't be stopped or started.
pub fn collect(
    program: &Path,
    settings: &Path,
    root: &Path,
    service: &dyn Service,
) -> Result<Vec<u8>> {
    let storage = super::storage::Storage::open(root)?;
    let program = Program::new(&program.to_string_lossy(), "the registry")
        .arg("garbage-collect")
        .arg(settings);
    while_stopped(service, || {
        let _owner = storage.as_owner()?;
        Ok(program.output(OUTPUT_MAX_BYTES)?)
    })
}

impl Images for Storage {
    fn repositories(&self) -> Result<Vec<String>> {
        let is_repository = |folder: &Path| folder.join("_manifests").is_dir();
        repositories(&self.top(), is_repository, |below, _| {
            below.starts_with('_')
        })
    }

    fn entries(&self, repository: &str) -> Result<Vec<Entry>> {
        let manifests = self.manifests(repository)?;
        let mut entries = Vec::new();
        let mut tagged = BTreeSet::new();
        for tag in names_in(&self.folder(repository).join("_manifests/tags"))? {
            let Some(digest) = self.target(repository, &tag)? else {
                continue;
            };
            if !self.is_help(&tag, &digest, &manifests)? {
                tagged.insert(digest);
                entries.push(self.entry(digest, Some(&tag))?);
            }
        }
        for digest in manifests.iter().filter(|it| !tagged.contains(it)) {
            entries.push(self.entry(*digest, None)?);
        }
        Ok(entries)
    }

    fn blobs_of(&self, repository: &str) -> Result<BTreeMap<Digest, u64>> {
        let mut blobs = self.manifests(repository)?;
        blobs.extend(self.linked(&self.folder(repository).join("_layers/sha256"))?);
        let there = blobs.into_iter().filter_map(|digest| {
            let metadata = fs::metadata(self.data(&digest)).ok()?;
            Some((digest, metadata.len()))
        });
        Ok(there.collect())
    }

    fn blob_path(&self, _: &str, digest: &Digest) -> PathBuf {
        self.data(digest)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
    use std::time::Duration;

    use super::*;

    /// Tells when it is started again.
    struct TellsOfStart(Sender<&'static str>);

    impl Service for TellsOfStart {
        fn stop(&self) -> Result<bool> {
            Ok(true)
        }

        fn start(&self) -> Result<()> {
            let _ = self.0.send("started");
            Ok(())
        }
    }

    #[test]
    fn an_interrupt_waits_until_the_registry_is_started_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let script = format!(
            "#!/bin/sh\n>{0}/running; while ! [ -e {0}/go ]; do sleep 0.05; done; echo done\n",
            dir.path().display()
        );
        fs::write(path("registry"), script).unwrap();
        fs::set_permissions(path("registry"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let (tell, told) = channel();
        let ends = tell.clone();
        std::thread::scope(|scope| {
            let collected = scope.spawn(|| {
                let service = TellsOfStart(tell);
                collect(&path("registry"), &path("push.json"), dir.path(), &service)
            });
            while !path("running").exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            // What the thread does that ends the process.
            scope.spawn(move || {
                drop(isoforge_base::interrupt::hold());
                let _ = ends.send("ended");
            });
            let early = told.recv_timeout(Duration::from_millis(300));
            assert_eq!(early, Err(RecvTimeoutError::Timeout));
            fs::write(path("go"), "").unwrap();
            assert_eq!(collected.join().unwrap().unwrap(), b"done\n");
        });
        assert_eq!(told.iter().collect::<Vec<_>>(), ["started", "ended"]);
    }
}
