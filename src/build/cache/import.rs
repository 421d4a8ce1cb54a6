//! An export's content into the store.
//!
//! Invariants:
//! - Nothing of the layout is believed: a blob enters the store only when its
//!   digest and size hold, a slab only when its format and all hashes do and it
//!   is one of the lock's layers. Facts are not carried at all.
//! - What the archive says of its own sizes and counts is bounded before memory
//!   or time is spent on it.
//! - Taking in the same export again changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use isoforge_base::error::Result;
use serde::Serialize;

use super::artifact::{self, INPUT_TYPE, LOCK_TYPE, NAME, SLABS_TYPE};
use super::error::Error;
use super::{SCHEMA, inputs, parallel};
use crate::lock::{self, Lock, MAX_LOCK_BYTES};
use isoforge_base::digest::{Digest, HashingReader};
use isoforge_base::human::size;
use isoforge_base::output;
use isoforge_base::progress::{Progress, Task};
use isoforge_oci::manifest::{self, Descriptor, Document, MAX_INDEX_DEPTH, Manifest};
use isoforge_oci::registry::WholeLayout;
use isoforge_oci::store::{self, Store};
use isoforge_system::slab::{self, Slab};

/// Most manifests and indexes of an export.
const MAX_DOCUMENTS: usize = 10_000;
/// Most blobs and slabs of an export.
const MAX_BLOBS: usize = 100_000;
/// Bytes copied at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// What to take in.
#[derive(Debug, Clone)]
pub struct Import<'a> {
    /// The store's folder.
    pub store: &'a Path,
    /// The archive or folder.
    pub from: &'a Path,
    /// Where the lock shall be written.
    pub lock_to: Option<&'a Path>,
    /// How many threads copy.
    pub threads: NonZeroUsize,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Version of this format.
    pub schema: u32,
    /// The archive or folder.
    pub path: PathBuf,
    /// File name of the profile whose lock it is.
    pub profile: String,
    /// References of the images in it.
    pub images: BTreeSet<String>,
    /// How many blobs were new.
    pub new_blobs: u64,
    /// Their bytes.
    pub new_bytes: u64,
    /// How many blobs the store had.
    pub known_blobs: u64,
    /// How many slabs were new.
    pub new_slabs: u64,
    /// How many slabs the store had.
    pub known_slabs: u64,
    /// How many slabs were left out, as those of another version of isoforge.
    pub unfit_slabs: u64,
    /// Where the lock was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<PathBuf>,
}

/// Takes an export into the store.
///
/// # Errors
/// What is missing, damaged or not as it should be; blobs that were right are in
/// the store all the same.
pub fn import(request: &Import<'_>, progress: &Progress) -> Result<Imported> {
    let store = Store::open_noting(request.store, || {
        progress.note("waiting: another isoforge removes from the store");
    })?;
    Ok(take(request, &store, progress)?)
}

fn take(request: &Import<'_>, store: &Store, progress: &Progress) -> Result<Imported, Error> {
    let layout = WholeLayout::open(request.from, store.temp_dir())?;
    let mut contents = Contents::new(request.from, &layout, store);
    for entry in layout.entries()? {
        contents.root(&entry)?;
    }
    let (text, lock) = contents.lock()?;
    if let Some(to) = request.lock_to {
        check_place(to, &text)?;
    }
    let new = contents.missing_in_store()?;
    copy_blobs(request, &layout, store, &new, progress)?;
    let found = inputs::find(store, &lock)?;
    if !found.missing.is_empty() {
        return Err(Error::Incomplete {
            path: request.from.to_owned(),
            blobs: found.missing.into_values().collect(),
        });
    }
    let slabs = copy_slabs(request, &contents, &lock, progress)?;
    let mut images = BTreeSet::new();
    for image in &lock.images {
        // It is shown on terminals, and nobody has looked at it.
        if image.reference.contains(char::is_control) {
            continue;
        }
        for root in image.index.iter().chain(image.manifests.values()).take(1) {
            store.add_origin(root, &image.reference)?;
        }
        images.insert(image.reference.clone());
    }
    if let Some(to) = request.lock_to {
        output::replace(to, &text)?;
    }
    Ok(Imported {
        schema: SCHEMA,
        path: request.from.to_owned(),
        profile: lock.profile,
        images,
        new_blobs: new.len() as u64,
        new_bytes: new.iter().map(|blob| blob.size).sum(),
        known_blobs: (contents.blobs.len() - new.len()) as u64,
        new_slabs: slabs.new,
        known_slabs: slabs.known,
        unfit_slabs: slabs.unfit,
        lock: request.lock_to.map(Path::to_owned),
    })
}

/// What a layout holds, before any of it is taken.
struct Contents<'a> {
    path: &'a Path,
    layout: &'a WholeLayout,
    store: &'a Store,
    documents: BTreeSet<Digest>,
    /// Manifests, indexes, configurations, layers, parts.
    blobs: BTreeMap<Digest, Descriptor>,
    slabs: Vec<(String, Descriptor)>,
    lock: Option<Descriptor>,
}

impl<'a> Contents<'a> {
    fn new(path: &'a Path, layout: &'a WholeLayout, store: &'a Store) -> Self {
        Self {
            path,
            layout,
            store,
            documents: BTreeSet::new(),
            blobs: BTreeMap::new(),
            slabs: Vec::new(),
            lock: None,
        }
    }

    /// Takes in an entry of `index.json`.
    fn root(&mut self, entry: &Descriptor) -> Result<(), Error> {
        let Some(manifest) = self.layout.manifest(entry)? else {
            return Err(self.lacks(entry.digest, "which index.json names"));
        };
        match artifact::type_of(&manifest.raw).as_deref() {
            Some(INPUT_TYPE) => self.input(&manifest),
            Some(SLABS_TYPE) => self.slabs(&manifest),
            _ => self.document(manifest, 0),
        }
    }

    fn document(&mut self, manifest: Manifest, depth: usize) -> Result<(), Error> {
        if !self.documents.insert(manifest.digest) {
            return Ok(());
        }
        self.bound(self.documents.len(), MAX_DOCUMENTS, "manifests")?;
        self.blob(&manifest.descriptor())?;
        match &manifest.document {
            Document::Image(image) => {
                for blob in std::iter::once(&image.config).chain(&image.layers) {
                    self.blob(blob)?;
                }
            }
            Document::Index(entries) => {
                self.bound(depth, MAX_INDEX_DEPTH, "levels of indexes")?;
                for entry in entries {
                    // An export has the platforms of its lock alone.
                    if let Some(child) = self.layout.manifest(entry)? {
                        self.document(child, depth + 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn input(&mut self, manifest: &Manifest) -> Result<(), Error> {
        let Document::Image(artifact) = &manifest.document else {
            return Ok(());
        };
        for part in &artifact.layers {
            if part.media_type.as_str() == LOCK_TYPE {
                self.lock = Some(part.clone());
            } else {
                self.blob(part)?;
            }
        }
        Ok(())
    }

    fn slabs(&mut self, manifest: &Manifest) -> Result<(), Error> {
        let Document::Image(artifact) = &manifest.document else {
            return Ok(());
        };
        self.bound(artifact.layers.len(), MAX_BLOBS, "slabs")?;
        for part in &artifact.layers {
            let key = part.annotations.get(NAME).cloned().unwrap_or_default();
            self.slabs.push((key, part.clone()));
        }
        Ok(())
    }

    fn blob(&mut self, blob: &Descriptor) -> Result<(), Error> {
        self.blobs.insert(blob.digest, blob.clone());
        self.bound(self.blobs.len(), MAX_BLOBS, "blobs")
    }

    /// The lock's text, its digest checked, and what it says.
    fn lock(&self) -> Result<(Vec<u8>, Lock), Error> {
        let descriptor = self.lock.as_ref().ok_or_else(|| Error::NoLock {
            path: self.path.to_owned(),
        })?;
        let place = self.path.join(lock::FILE_NAME);
        manifest::check_size(descriptor.size, MAX_LOCK_BYTES).map_err(|source| {
            Error::Manifest {
                digest: descriptor.digest,
                source: Box::new(source),
            }
        })?;
        let reader = self
            .layout
            .blob(descriptor)?
            .ok_or_else(|| self.lacks(descriptor.digest, "the lock"))?;
        let mut text = Vec::new();
        reader
            .take(MAX_LOCK_BYTES)
            .read_to_end(&mut text)
            .map_err(store::Error::from)?;
        let found = Digest::of(&text);
        if found != descriptor.digest {
            return Err(self.refused(
                "its lock",
                store::Error::DigestMismatch {
                    expected: descriptor.digest,
                    found,
                },
            ));
        }
        let shown = String::from_utf8_lossy(&text);
        let lock = lock::parse(&shown, &place)?;
        Ok((text, lock))
    }

    /// The blobs that the store lacks, which then the layout must have; largest
    /// first.
    fn missing_in_store(&self) -> Result<Vec<Descriptor>, Error> {
        let mut new = Vec::new();
        for blob in self.blobs.values() {
            if self.store.blob_size(&blob.digest)? != Some(blob.size) {
                if self.layout.blob(blob)?.is_none() {
                    return Err(self.lacks(blob.digest, "which a manifest in it names"));
                }
                new.push(blob.clone());
            }
        }
        new.sort_by_key(|blob| (std::cmp::Reverse(blob.size), blob.digest));
        Ok(new)
    }

    fn bound(&self, found: usize, limit: usize, what: &'static str) -> Result<(), Error> {
        if found > limit {
            return Err(Error::TooMany {
                path: self.path.to_owned(),
                what,
                limit,
            });
        }
        Ok(())
    }

    fn lacks(&self, digest: Digest, what: &str) -> Error {
        Error::Lacks {
            path: self.path.to_owned(),
            digest,
            what: what.to_owned(),
        }
    }

    fn refused(&self, what: &str, source: store::Error) -> Error {
        Error::Refused {
            path: self.path.to_owned(),
            what: what.to_owned(),
            source: Box::new(source),
        }
    }
}

/// A lock is written to a free place, or over the same one.
fn check_place(path: &Path, text: &[u8]) -> Result<(), Error> {
    match fs_err::read(path) {
        Ok(found) if found == text => Ok(()),
        Ok(_) => Err(Error::OtherLock {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(store::Error::from(error).into()),
    }
}

fn copy_blobs(
    request: &Import<'_>,
    layout: &WholeLayout,
    store: &Store,
    blobs: &[Descriptor],
    progress: &Progress,
) -> Result<(), Error> {
    let total = blobs.iter().map(|blob| blob.size).sum();
    let task = progress.task("take in blobs", Some(total));
    let failed = AtomicBool::new(false);
    let results = parallel::map(blobs, request.threads, |blob| {
        if failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let copied = copy_blob(request, layout, store, blob, &task);
        if copied.is_err() {
            failed.store(true, Ordering::Relaxed);
        }
        copied
    });
    results.into_iter().collect()
}

fn copy_blob(
    request: &Import<'_>,
    layout: &WholeLayout,
    store: &Store,
    blob: &Descriptor,
    task: &Task,
) -> Result<(), Error> {
    let Some(reader) = layout.blob(blob)? else {
        return Ok(());
    };
    let write = || -> store::Result<()> {
        let mut writer = store.blob_writer()?;
        copy(&mut task.reader(reader), &mut writer)?;
        writer.commit(Some((&blob.digest, blob.size)))?;
        Ok(())
    };
    write().map_err(|source| Error::Refused {
        path: request.from.to_owned(),
        what: format!("the blob {}", blob.digest),
        source: Box::new(source),
    })
}

fn copy(from: &mut dyn Read, to: &mut dyn io::Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(()),
            n => to.write_all(chunk.get(..n).unwrap_or_default())?,
        }
    }
}

/// How many slabs were of which fate.
#[derive(Default)]
struct Slabs {
    new: u64,
    known: u64,
    unfit: u64,
}

fn copy_slabs(
    request: &Import<'_>,
    contents: &Contents<'_>,
    lock: &Lock,
    progress: &Progress,
) -> Result<Slabs, Error> {
    let mut counts = Slabs::default();
    if contents.slabs.is_empty() {
        return Ok(counts);
    }
    let diff_ids = inputs::diff_ids(contents.store, lock)?;
    let total = contents.slabs.iter().map(|(_, slab)| slab.size).sum();
    let task = progress.task("take in slabs", Some(total));
    for (key, descriptor) in &contents.slabs {
        let fits = slab::diff_id(key).is_some_and(|diff_id| diff_ids.contains(&diff_id));
        if !fits {
            counts.unfit += 1;
        } else if contents.store.slab(key).is_some() {
            counts.known += 1;
        } else if copy_slab(request, contents, key, descriptor, &task)? {
            counts.new += 1;
        } else {
            counts.unfit += 1;
        }
    }
    Ok(counts)
}

/// Takes in a slab; `false` where it is another version's.
fn copy_slab(
    request: &Import<'_>,
    contents: &Contents<'_>,
    key: &str,
    descriptor: &Descriptor,
    task: &Task,
) -> Result<bool, Error> {
    let wrong = |problem: String| Error::Slab {
        path: request.from.to_owned(),
        key: key.to_owned(),
        problem,
    };
    let reader = contents
        .layout
        .blob(descriptor)?
        .ok_or_else(|| contents.lacks(descriptor.digest, "a slab"))?;
    let mut writer = contents.store.slab_writer(key)?;
    let mut reader = HashingReader::new(task.reader(reader));
    copy(&mut reader, writer.file()).map_err(store::Error::from)?;
    let (found, _) = reader.finish();
    if found != descriptor.digest {
        return Err(wrong(format!(
            "its digest should be {}, but is {found}",
            descriptor.digest
        )));
    }
    let slab = Slab::open(writer.path()).map_err(|error| wrong(error.to_string()))?;
    if !slab.has_key(key) {
        return Ok(false);
    }
    slab.check(&mut |_| {})
        .map_err(|error| wrong(error.to_string()))?;
    drop(slab);
    writer.commit()?;
    Ok(true)
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  the input of {}", self.path.display(), self.profile)?;
        for image in &self.images {
            writeln!(f, "  image {image}")?;
        }
        writeln!(
            f,
            "  {} new blobs, {}; {} were there",
            self.new_blobs,
            size(self.new_bytes),
            self.known_blobs
        )?;
        if self.new_slabs + self.known_slabs + self.unfit_slabs > 0 {
            writeln!(
                f,
                "  {} new slabs; {} were there, {} are another version's",
                self.new_slabs, self.known_slabs, self.unfit_slabs
            )?;
        }
        if let Some(lock) = &self.lock {
            writeln!(f, "  lock {}", lock.display())?;
        }
        Ok(())
    }
}
