//! Content out of the storage: an OCI image layout with the images under their
//! full names, which is a bundle.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Result, bail};
use isoforge_base::progress::{Progress, Task};
use isoforge_oci::layout::{Builder, IMAGE_NAME, LayoutFile, OciLayout};
use isoforge_oci::manifest::Descriptor;
use serde::Serialize;

use super::error::at;
use super::files::copy_into;
use super::images::Images;
use super::index::Entry;
use super::inspect::ImageBlobs;
use super::{BadRecord, names};
use crate::random;
use crate::rooted::{Folder, Root};

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
    let (parent, name) = place(target)?;
    if parent.stat(&name)?.is_some() {
        let there = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(at(target, "written")(there));
    }
    // Beside it, so that it is there as a whole.
    let partial = Partial::make(&parent)?;
    let task = progress.task("exporting", Some(bytes));
    for (path, file) in &layout.files {
        write(&partial.folder, path, file, &task)?;
    }
    rustix::fs::syncfs(partial.folder.fd()).map_err(|errno| at(target, "written")(errno.into()))?;
    parent.rename_new(&partial.name, &name)?;
    partial.keep();
    Ok(Exported { images, bytes })
}

/// The folder that `target` is to be in, and its name there. The folder may be another
/// account's: no link of its says where root writes.
fn place(target: &Path) -> Result<(Folder, String)> {
    let absolute = std::path::absolute(target).map_err(at(target, "written"))?;
    let text = |path: Option<&Path>| path.and_then(Path::to_str).map(str::to_owned);
    let parent = text(absolute.parent());
    let name = text(absolute.file_name().map(Path::new));
    let (Some(parent), Some(name)) = (parent, name) else {
        bail!("'{}' names no folder that can be made", target.display());
    };
    let found = Root::open(Path::new("/"))?.dir(&parent)?;
    let missing = || at(Path::new(&parent), "opened")(io::ErrorKind::NotFound.into());
    Ok((found.ok_or_else(missing)?, name))
}

/// The layout as long as it is not whole; removed where it never is.
struct Partial<'a> {
    parent: &'a Folder,
    name: String,
    folder: Folder,
    is_whole: bool,
}

impl<'a> Partial<'a> {
    fn make(parent: &'a Folder) -> Result<Self> {
        let mut number = [0; 8];
        random::fill(&mut number)?;
        let name = format!(".appliance-{:016x}.partial", u64::from_ne_bytes(number));
        Ok(Self {
            folder: parent.make_new(&name)?,
            parent,
            name,
            is_whole: false,
        })
    }

    /// It has another name now.
    fn keep(mut self) {
        self.is_whole = true;
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            // What is left of it helps nobody, and what went wrong is said already.
            let _ = self.folder.clear();
            let _ = self.parent.remove_empty(&self.name);
        }
    }
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

/// Writes a file of the layout, and the folders that it is in.
fn write(root: &Folder, path: &str, file: &LayoutFile, task: &Task) -> Result<()> {
    if let Some((folder, rest)) = path.split_once('/') {
        let folder = root.sub_plain(folder)?;
        return write(&folder, rest, file, task);
    }
    let mut target = root.create_new(path, 0o644)?;
    let to = root.path().join(path);
    let bytes = match file {
        LayoutFile::File(from, digest, size) => {
            return copy_into(from, &to, &mut target, digest, Some(*size), STORAGE, task);
        }
        LayoutFile::Bytes(bytes) => bytes.as_slice(),
        _ => &[],
    };
    target.write_all(bytes).map_err(at(&to, "written"))
}
