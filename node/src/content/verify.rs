//! Whether the storage is sound.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;
use fs_err as fs;
use isoforge_base::digest::Digest;
use isoforge_base::human;
use isoforge_base::progress::Progress;
use isoforge_base::regular;
use isoforge_oci::manifest::Document;
use isoforge_oci::media::MediaType;
use serde::Serialize;

use super::images::{BlobFile, Images};
use super::index::Entry;
use super::{BadRecord, names};
use isoforge_base::shown::Line;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Damage {
    pub repository: String,
    /// The blob; none where the index itself is damaged.
    pub digest: Option<Digest>,
    /// What is wrong.
    pub problem: String,
    /// Images that need it.
    pub images: Vec<String>,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Repositories that were checked.
    pub repositories: u64,
    /// Blobs that were hashed, hard links once.
    pub blobs: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// What is damaged.
    pub damage: Vec<Damage>,
}

/// Hashes every blob, and sees whether all that the indexes lead to is there.
///
/// # Errors
/// Where the storage can't be read; damage is no error.
pub fn verify(storage: &dyn Images, progress: &Progress) -> Result<Verified> {
    let repositories = storage.repositories()?;
    let mut verified = Verified {
        repositories: repositories.len() as u64,
        ..Verified::default()
    };
    let bad = hash_all(storage, &mut verified, progress)?;
    for repository in &repositories {
        verified.damage.extend(check(storage, repository, &bad)?);
    }
    verified.damage.sort();
    Ok(verified)
}

/// Blobs that are not what their names say: repository, digest and what they are.
type Bad = BTreeMap<(String, Digest), String>;

fn hash_all(storage: &dyn Images, verified: &mut Verified, progress: &Progress) -> Result<Bad> {
    let files = storage.files()?;
    verified.blobs = files.len() as u64;
    verified.bytes = files.iter().map(|file| file.bytes).sum();
    let task = progress.task("verifying", Some(verified.bytes));
    let mut bad = Bad::new();
    for BlobFile { blobs, .. } in files {
        let Some((repository, digest)) = blobs.first() else {
            continue;
        };
        let path = storage.blob_path(repository, digest);
        let file = regular::open_unlinked(&path);
        let hashed = file.and_then(|file| Digest::of_reader(task.reader(file)));
        for (repository, digest) in blobs {
            let problem = match &hashed {
                Ok((found, _)) if *found == digest => continue,
                Ok((found, bytes)) => format!("its content is {found} ({bytes} bytes)"),
                Err(error) => format!("it can't be read: {error}"),
            };
            bad.insert((repository, digest), problem);
        }
    }
    Ok(bad)
}

/// What is damaged in a repository.
fn check(storage: &dyn Images, repository: &str, bad: &Bad) -> Result<Vec<Damage>> {
    let entries = match storage.entries(repository) {
        Ok(entries) => entries,
        Err(error) if error.is::<BadRecord>() => {
            return Ok(vec![Damage {
                repository: repository.to_owned(),
                digest: None,
                problem: error.to_string(),
                images: Vec::new(),
            }]);
        }
        Err(error) => return Err(error),
    };
    let mut found: BTreeMap<Digest, (String, BTreeSet<String>)> = BTreeMap::new();
    for ((_, digest), problem) in bad.iter().filter(|((of, _), _)| of == repository) {
        found.insert(*digest, (problem.clone(), BTreeSet::new()));
    }
    let named = named(storage, repository, &entries);
    for entry in &entries {
        let names = named.get(&entry.digest);
        for (digest, problem) in needed(storage, repository, entry, bad) {
            let (_, images) = found.entry(digest).or_insert((problem, BTreeSet::new()));
            match names {
                Some(names) => images.extend(names.iter().cloned()),
                None => drop(images.insert(format!("{repository}@{}", entry.digest))),
            }
        }
    }
    let damage = found.into_iter().map(|(digest, (problem, images))| Damage {
        repository: repository.to_owned(),
        digest: Some(digest),
        problem,
        images: images.into_iter().collect(),
    });
    Ok(damage.collect())
}

/// Names of the images that a manifest belongs to: its own, and those of the indexes
/// that it is in.
fn named(
    storage: &dyn Images,
    repository: &str,
    entries: &[Entry],
) -> BTreeMap<Digest, BTreeSet<String>> {
    let mut named: BTreeMap<Digest, BTreeSet<String>> = BTreeMap::new();
    for entry in entries {
        let Some(tag) = &entry.tag else { continue };
        let name = names::reference(repository, tag, &entry.digest);
        named.entry(entry.digest).or_default().insert(name.clone());
        // What is damaged is told elsewhere.
        if let Ok(Some(manifest)) = storage.manifest(repository, entry)
            && let Document::Index(children) = manifest.document
        {
            for child in children {
                named.entry(child.digest).or_default().insert(name.clone());
            }
        }
    }
    named
}

/// What an entry needs that is damaged or missing.
fn needed(
    storage: &dyn Images,
    repository: &str,
    entry: &Entry,
    bad: &Bad,
) -> Vec<(Digest, String)> {
    let mut problems = Vec::new();
    let mut look = |digest: &Digest, size: Option<u64>| {
        let path = storage.blob_path(repository, digest);
        let known = bad.get(&(repository.to_owned(), *digest)).cloned();
        let problem = known.or_else(|| match fs::symlink_metadata(&path) {
            Err(_) => Some("it is missing".to_owned()),
            Ok(metadata) if size.is_some_and(|size| size != metadata.len()) => {
                Some(format!("it has {} bytes", metadata.len()))
            }
            Ok(_) => None,
        });
        let sound = problem.is_none();
        problems.extend(problem.map(|problem| (*digest, problem)));
        sound
    };
    if look(&entry.digest, Some(entry.size)) {
        match storage.manifest(repository, entry) {
            Ok(Some(manifest)) => {
                // The images of an index are entries of their own.
                if let Document::Image(image) = &manifest.document {
                    for blob in std::iter::once(&image.config).chain(&image.layers) {
                        if !matches!(blob.media_type, MediaType::ForeignLayer(_)) {
                            look(&blob.digest, Some(blob.size));
                        }
                    }
                }
            }
            Ok(None) => {}
            Err(error) => problems.push((entry.digest, error.to_string())),
        }
    }
    problems
}

impl Verified {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for damage in &self.damage {
            let what = match &damage.digest {
                Some(digest) => format!("{}: {digest}: ", Line(&damage.repository)),
                None => format!("{}: ", Line(&damage.repository)),
            };
            let _ = writeln!(text, "{what}{}", Line(&damage.problem));
            for image in &damage.images {
                let _ = writeln!(text, "    needed by {}", Line(image));
            }
        }
        let _ = writeln!(
            text,
            "{} of {} ({}): {}",
            human::count(self.blobs, "blob"),
            human::count(self.repositories, "repository"),
            human::size(self.bytes),
            match self.damage.len() {
                0 => "sound".to_owned(),
                1 => "1 is damaged".to_owned(),
                several => format!("{several} are damaged"),
            }
        );
        text
    }
}
