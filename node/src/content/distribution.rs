//! The storage of distribution (the CNCF's, `docs/.../storagedriver`, layout v2), for
//! reading: `docker/registry/v2/blobs/sha256/<2 digits>/<hex>/data`, and below
//! `repositories/<repository>/_manifests/tags/<tag>/current/link` the digest that a
//! tag leads to. It is filled over HTTP.

use std::path::{Path, PathBuf};

use fs_err as fs;
use isoforge::oci::digest::{Digest, HashingReader};
use isoforge::progress::Progress;

use super::inspect::{Listed, Listing};
use super::storage::names_in;
use super::verify::{Damage, Verified};
use super::{Error, names};

/// Below the storage's root.
const TOP: &str = "docker/registry/v2";

/// Longest link.
const LINK_MAX_BYTES: u64 = 128;

/// How deep repositories are looked for.
const DEPTH_MAX: usize = 64;

/// The images of the storage below `root`; sizes are of manifests alone.
///
/// # Errors
/// [`Error`] where it can't be read or is damaged.
pub fn list(root: &Path) -> Result<Listing, Error> {
    let mut images = Vec::new();
    look(root, &repositories_folder(root), "", 0, &mut images)?;
    let bytes = blobs(root)?
        .iter()
        .fold(0_u64, |sum, (_, _, size)| sum.saturating_add(*size));
    Ok(Listing { images, bytes })
}

/// Where the storage below `root` has its repositories.
pub(super) fn repositories_folder(root: &Path) -> PathBuf {
    root.join(TOP).join("repositories")
}

fn look(
    root: &Path,
    folder: &Path,
    name: &str,
    depth: usize,
    images: &mut Vec<Listed>,
) -> Result<(), Error> {
    let tags = folder.join("_manifests/tags");
    for tag in names_in(&tags)? {
        let link = tags.join(&tag).join("current/link");
        let Some(text) = super::storage::read(&link, LINK_MAX_BYTES)? else {
            continue;
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        let digest: Digest = text.trim().parse().map_err(|_| Error::Record {
            path: link.clone(),
            problem: format!("it names '{}'", text.trim().escape_default()),
        })?;
        images.push(Listed {
            reference: names::reference(name, &tag, &digest),
            stored: format!("{name}:{tag}"),
            digest,
            kind: String::new(),
            platforms: Vec::new(),
            bytes: fs::metadata(data(root, &digest)).map_or(0, |metadata| metadata.len()),
        });
    }
    if depth >= DEPTH_MAX {
        return Ok(());
    }
    for below in names_in(folder)? {
        let path = folder.join(&below);
        if !below.starts_with('_') && path.is_dir() {
            let name = match name {
                "" => below,
                name => format!("{name}/{below}"),
            };
            look(root, &path, &name, depth.saturating_add(1), images)?;
        }
    }
    Ok(())
}

fn data(root: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    let first = hex.get(..2).unwrap_or_default().to_owned();
    root.join(TOP)
        .join("blobs/sha256")
        .join(first)
        .join(hex)
        .join("data")
}

/// All blobs: digest, file, size in bytes.
fn blobs(root: &Path) -> Result<Vec<(Digest, PathBuf, u64)>, Error> {
    let mut found = Vec::new();
    let top = root.join(TOP).join("blobs/sha256");
    for first in names_in(&top)? {
        for hex in names_in(&top.join(&first))? {
            let path = top.join(&first).join(&hex).join("data");
            let Ok(digest) = format!("sha256:{hex}").parse() else {
                continue;
            };
            if let Ok(metadata) = fs::metadata(&path) {
                found.push((digest, path, metadata.len()));
            }
        }
    }
    Ok(found)
}

/// Hashes every blob, and sees whether each tag leads to one.
///
/// # Errors
/// [`Error`] where the storage can't be read; damage is no error.
pub fn verify(root: &Path, progress: &Progress) -> Result<Verified, Error> {
    let blobs = blobs(root)?;
    let listing = list(root)?;
    let mut verified = Verified {
        blobs: blobs.len() as u64,
        bytes: listing.bytes,
        ..Verified::default()
    };
    let task = progress.task("verifying", Some(verified.bytes));
    for (digest, path, _) in &blobs {
        let file = fs::File::open(path).map_err(Error::file(path, "read"))?;
        let mut reader = HashingReader::new(task.reader(file));
        std::io::copy(&mut reader, &mut std::io::sink()).map_err(Error::file(path, "read"))?;
        let (found, bytes) = reader.finish();
        if found != *digest {
            verified.damage.push(Damage {
                repository: "blobs".to_owned(),
                digest: Some(*digest),
                problem: format!("its content is {found} ({bytes} bytes)"),
                images: Vec::new(),
            });
        }
    }
    let mut repositories = std::collections::BTreeSet::new();
    for image in listing.images {
        let repository = image.stored.rsplit_once(':').map_or("", |(name, _)| name);
        repositories.insert(repository.to_owned());
        if !blobs.iter().any(|(digest, _, _)| *digest == image.digest) {
            verified.damage.push(Damage {
                repository: repository.to_owned(),
                digest: Some(image.digest),
                problem: "it is missing".to_owned(),
                images: vec![image.reference],
            });
        }
    }
    verified.repositories = repositories.len() as u64;
    Ok(verified)
}
