//! Content out of the storage: an OCI image layout with the images under their
//! full names, which is a bundle.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use anyhow::{Result, bail};
use fs_err as fs;
use isoforge_base::progress::{Progress, Task};
use isoforge_oci::layout::{Builder, IMAGE_NAME, LayoutFile, OciLayout};
use isoforge_oci::manifest::Descriptor;
use serde::Serialize;

use super::error::at;
use super::files::copy_verified;
use super::images::Images;
use super::index::Entry;
use super::inspect::ImageBlobs;
use super::{BadRecord, names};

/// What errors call where the blobs come from.
const STORAGE: &str = "the registry's storage";

/// What was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The images, by their names in full.
    pub images: Vec<String>,
    /// Bytes of the layout.
    pub bytes: u64,
}

/// Writes the images of the storage, or those that `wanted` names, into the new
/// folder `target`. Each blob is hashed on the way.
///
/// # Errors
/// Where an image is not there, or the storage can't be read or is damaged; the folder
/// is not there then.
pub fn export(
    storage: &dyn Images,
    target: &Path,
    wanted: &[String],
    progress: &Progress,
) -> Result<Exported> {
    let (layout, images) = layout(storage, wanted)?;
    let bytes = layout.size();
    if fs_err::exists(target)? {
        let there = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(at(target, "written")(there));
    }
    // Beside it, so that it is there as a whole.
    let parent = target.parent().filter(|path| !path.as_os_str().is_empty());
    let folder = tempfile::Builder::new()
        .prefix(".appliance-")
        .suffix(".partial")
        .tempdir_in(parent.unwrap_or(Path::new(".")))
        .map_err(at(target, "made"))?;
    let task = progress.task("exporting", Some(bytes));
    for (path, file) in &layout.files {
        write(&folder.path().join(path), file, &task)?;
    }
    let opened = fs::File::open(folder.path()).map_err(at(target, "opened"))?;
    rustix::fs::syncfs(&opened).map_err(|errno| at(target, "written")(errno.into()))?;
    fs::rename(folder.path(), target).map_err(at(target, "written"))?;
    // It has another name now.
    let _ = folder.keep();
    Ok(Exported { images, bytes })
}

fn layout(storage: &dyn Images, wanted: &[String]) -> Result<(OciLayout, Vec<String>)> {
    let mut builder = Builder::new();
    let mut images = BTreeSet::new();
    for repository in storage.repositories()? {
        let entries = storage.entries(&repository)?;
        let mut chosen = ImageBlobs::default();
        for entry in &entries {
            let Some(tag) = &entry.tag else { continue };
            let name = names::reference(&repository, tag, &entry.digest);
            let stored = format!("{repository}:{tag}");
            let asked = |it: &String| *it == name || *it == stored;
            if !wanted.is_empty() && !wanted.iter().any(asked) {
                continue;
            }
            chosen.add(storage, &repository, entry)?;
            if !chosen.manifests.contains_key(&entry.digest) {
                return Err(BadRecord::of(
                    &storage.blob_path(&repository, &entry.digest),
                    format!("it is missing, and {name} needs it"),
                ));
            }
            let mut descriptor =
                Descriptor::new(entry.media_type.clone(), entry.digest, entry.size);
            descriptor
                .annotations
                .insert(IMAGE_NAME.to_owned(), name.clone());
            builder.reference(&name, descriptor);
            images.insert(name);
        }
        add_referrers(storage, &repository, &entries, &mut chosen, &mut builder)?;
        for (digest, size) in chosen.blobs {
            builder.file(storage.blob_path(&repository, &digest), digest, size);
        }
    }
    let missing = wanted.iter().find(|name| {
        !images.contains(*name)
            && !images.iter().any(|it| {
                names::parse(it).is_ok_and(|reference| {
                    let tag = reference.tag().unwrap_or_default();
                    names::repository(&reference)
                        .is_ok_and(|repository| format!("{repository}:{tag}") == **name)
                })
            })
    });
    if let Some(missing) = missing {
        bail!("the storage has no '{missing}'");
    }
    Ok((builder.build(), images.into_iter().collect()))
}

/// What refers to an image that goes along goes along.
fn add_referrers(
    storage: &dyn Images,
    repository: &str,
    entries: &[Entry],
    chosen: &mut ImageBlobs,
    builder: &mut Builder,
) -> Result<()> {
    loop {
        let before = chosen.manifests.len();
        for entry in entries.iter().filter(|entry| entry.tag.is_none()) {
            let Some(manifest) = storage.manifest(repository, entry)? else {
                continue;
            };
            let subject = isoforge_oci::referrer::subject(&manifest.raw);
            if subject.is_some_and(|subject| chosen.manifests.contains_key(&subject))
                && !chosen.manifests.contains_key(&entry.digest)
            {
                chosen.add(storage, repository, entry)?;
                builder.referrer(manifest.descriptor());
            }
        }
        if chosen.manifests.len() == before {
            return Ok(());
        }
    }
}

fn write(path: &Path, file: &LayoutFile, task: &Task) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at(parent, "made"))?;
    }
    let LayoutFile::File(from, digest, size) = file else {
        let bytes = match file {
            LayoutFile::Bytes(bytes) => bytes.as_slice(),
            _ => &[],
        };
        return fs::write(path, bytes).map_err(at(path, "written"));
    };
    copy_verified(from, path, digest, Some(*size), STORAGE, task)
}
