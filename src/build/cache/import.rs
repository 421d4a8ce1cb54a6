//! An export's content into the store.
//!
//! Invariants:
//! - Nothing of the bundle is believed: a blob enters the store only when its digest
//!   and size hold. Facts and slabs are not carried at all.
//! - Of the bundle's roots those are taken that its lock names.
//! - Taking in the same export again changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use isoforge_base::error::{Class, Failure, Result};
use serde::Serialize;

use super::{INPUT_NAME, LOCK_TYPE, SCHEMA, inputs};
use crate::lock::{self, Lock, MAX_LOCK_BYTES};
use isoforge_base::digest::Digest;
use isoforge_base::human::size;
use isoforge_base::progress::{Progress, Task};
use isoforge_base::shown::Line;
use isoforge_base::{output, parallel};
use isoforge_content::bundle::Bundle;
use isoforge_oci::manifest::{Descriptor, Document};
use isoforge_oci::store::{self, Store};

/// Bytes copied at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// What to take in.
#[derive(Debug, Clone)]
pub(crate) struct Import<'a> {
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
pub(crate) struct Imported {
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
    /// Where the lock was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<PathBuf>,
}

/// Takes an export into the store.
///
/// # Errors
/// What is missing, damaged or not as it should be; blobs that were right are in
/// the store all the same.
pub(crate) fn import(request: &Import<'_>, progress: &Progress) -> Result<Imported> {
    let store = Store::open_noting(request.store, || {
        progress.note("waiting: another isoforge removes from the store");
    })?;
    let bundle = Bundle::open(request.from)?;
    let (text, lock, parts) = input(&bundle)?;
    if let Some(to) = request.lock_to {
        check_place(to, &text)?;
    }
    let blobs = with_images(&bundle, &lock, parts)?;
    let new = missing_in_store(&store, &blobs)?;
    copy_blobs(&bundle, &store, &new, request.threads, progress)?;
    let found = inputs::find(&store, &lock)?;
    if !found.missing.is_empty() {
        let message = format!(
            "'{}' is not complete; {} of what its lock names are missing:{}",
            request.from.display(),
            found.missing.len(),
            found.missing_list()
        );
        return Err(Failure::new(Class::Verification, message)
            .with_hint("export it again, and copy all of it"));
    }
    let images = add_origins(&store, &lock)?;
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
        known_blobs: (blobs.len() - new.len()) as u64,
        lock: request.lock_to.map(Path::to_owned),
    })
}

/// By digest, so that each is there once.
type Blobs = BTreeMap<Digest, Descriptor>;

/// The lock's text, its digest checked, what it says, and the artifact's other parts.
fn input(bundle: &Bundle) -> Result<(Vec<u8>, Lock, Blobs)> {
    let path = bundle.path();
    let no_lock = || {
        let message = format!(
            "'{}' holds no lock: it is not what `isoforge cache export` writes",
            path.display()
        );
        Failure::new(Class::Profile, message).with_hint("name the archive or folder of an export")
    };
    let mut roots = bundle.roots().iter();
    let root = roots
        .find(|root| root.reference == INPUT_NAME)
        .ok_or_else(no_lock)?;
    // Whether all of it is there.
    bundle.walk(root)?;
    let manifest = bundle.manifest(&root.descriptor)?.ok_or_else(no_lock)?;
    let Document::Image(artifact) = manifest.document else {
        return Err(no_lock());
    };
    let (locks, parts): (Vec<_>, Vec<_>) = artifact
        .layers
        .into_iter()
        .partition(|part| part.media_type.as_str() == LOCK_TYPE);
    let lock = locks.first().ok_or_else(no_lock)?;
    let text = bundle.read_blob(&lock.digest, MAX_LOCK_BYTES)?;
    let text = text.ok_or_else(no_lock)?;
    let found = Digest::of(&text);
    if found != lock.digest {
        let expected = lock.digest;
        let mismatch = isoforge_oci::Error::DigestMismatch { expected, found };
        return Err(refused("its lock", path, mismatch));
    }
    let shown = String::from_utf8_lossy(&text);
    let lock = lock::parse(&shown, &path.join(lock::FILE_NAME))?;
    Ok((text, lock, by_digest(parts)))
}

/// `blobs`, and all that the lock's images consist of.
fn with_images(bundle: &Bundle, lock: &Lock, mut blobs: Blobs) -> Result<Blobs> {
    let images = lock.images.iter();
    let named: BTreeSet<&Digest> = images
        .flat_map(|image| image.index.iter().chain(image.manifests.values()))
        .collect();
    for root in bundle.roots() {
        if named.contains(&root.descriptor.digest) {
            blobs.append(&mut by_digest(bundle.walk(root)?));
        }
    }
    Ok(blobs)
}

fn by_digest(blobs: Vec<Descriptor>) -> Blobs {
    blobs.into_iter().map(|blob| (blob.digest, blob)).collect()
}

/// The blobs that the store lacks, largest first.
fn missing_in_store(store: &Store, blobs: &Blobs) -> Result<Vec<Descriptor>> {
    let mut new = Vec::new();
    for blob in blobs.values() {
        if store.blob_size(&blob.digest)? != Some(blob.size) {
            new.push(blob.clone());
        }
    }
    new.sort_by_key(|blob| (std::cmp::Reverse(blob.size), blob.digest));
    Ok(new)
}

/// A lock is written to a free place, or over the same one.
fn check_place(path: &Path, text: &[u8]) -> Result<()> {
    match fs_err::read(path) {
        Ok(found) if found == text => Ok(()),
        Ok(_) => {
            let message = format!(
                "'{}' is there already, and it is another lock",
                path.display()
            );
            Err(Failure::new(Class::Io, message).with_hint("name another file with --lock-to"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(isoforge_oci::Error::from(error).into()),
    }
}

fn copy_blobs(
    bundle: &Bundle,
    store: &Store,
    blobs: &[Descriptor],
    threads: NonZeroUsize,
    progress: &Progress,
) -> Result<()> {
    let total = blobs.iter().map(|blob| blob.size).sum();
    let task = progress.task("take in blobs", Some(total));
    parallel::for_each(
        blobs,
        threads,
        |_| false,
        |blob, _| copy_blob(bundle, store, blob, &task),
    )
}

fn copy_blob(bundle: &Bundle, store: &Store, blob: &Descriptor, task: &Task) -> Result<()> {
    let Some((_, reader)) = bundle.open_blob(&blob.digest)? else {
        return Ok(());
    };
    let mut reader = io::BufReader::with_capacity(CHUNK_BYTES, task.reader(reader));
    let mut write = || -> store::Result<()> {
        let mut writer = store.blob_writer()?;
        io::copy(&mut reader, &mut writer)?;
        writer.commit(Some((&blob.digest, blob.size)))?;
        Ok(())
    };
    let what = format!("the blob {}", blob.digest);
    write().map_err(|error| refused(&what, bundle.path(), error))
}

/// Something of the bundle is not what it says.
fn refused(what: &str, path: &Path, source: isoforge_oci::Error) -> Failure {
    let is_changed = matches!(
        source,
        isoforge_oci::Error::DigestMismatch { .. } | isoforge_oci::Error::SizeMismatch { .. }
    );
    let message = format!("{what} in '{}' can't be taken", path.display());
    let failure = Failure::from(source).context(message);
    match is_changed {
        true => failure.with_hint("the export was changed or damaged: copy it again"),
        false => failure,
    }
}

/// Has the store know what its images are called, and gives their names.
fn add_origins(store: &Store, lock: &Lock) -> Result<BTreeSet<String>> {
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
    Ok(images)
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, profile) = (Line(self.path.display()), Line(&self.profile));
        writeln!(f, "{path}  the input of {profile}")?;
        for image in &self.images {
            writeln!(f, "  image {}", Line(image))?;
        }
        writeln!(
            f,
            "  {} new blobs, {}; {} were there",
            self.new_blobs,
            size(self.new_bytes),
            self.known_blobs
        )?;
        if let Some(lock) = &self.lock {
            writeln!(f, "  lock {}", lock.display())?;
        }
        Ok(())
    }
}
