//! A lock's whole input as one OCI layout.
//!
//! The bytes depend on the lock and on what it names alone: everything is sorted
//! and has the lock's time. Every blob is hashed on its way out.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use isoforge_base::error::{Context as _, Failure, Result};
use serde::Serialize;

use super::artifact::{self, CORE_IMAGE_TYPE, FILE_TYPE, INPUT_NAME, INPUT_TYPE, LOCK_TYPE};
use super::artifact::{SLAB_TYPE, SLABS_NAME, SLABS_TYPE};
use super::error::Error;
use super::inputs::{self, Inputs, StoredBlob};
use super::{SCHEMA, parallel};
use crate::lock::{self, BlobKind, Lock};
use isoforge_base::digest::{Digest, HashingReader, Sha256};
use isoforge_base::human::size;
use isoforge_base::output;
use isoforge_base::progress::{Progress, Task};
use isoforge_content::chart;
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::layout::{Builder, OciLayout};
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::{Family, MediaType};
use isoforge_oci::store::{EntryKind, Store};
use isoforge_system::slab::{self, Slab};

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Version of this format.
    pub schema: u32,
    /// The archive or folder.
    pub path: PathBuf,
    /// Digest of the archive; none of a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Bytes of all files in it.
    pub bytes: u64,
    /// References of the images in it.
    pub images: Vec<String>,
    /// How many bootstraps, archives, core images and files.
    pub parts: u64,
    /// How many slabs.
    pub slabs: u64,
}

/// What to export, and where to.
#[derive(Debug, Clone)]
pub struct Export<'a> {
    /// The store's folder.
    pub store: &'a Path,
    /// The lock.
    pub lock: &'a Path,
    /// A folder, or an archive where the name ends with `.tar`.
    pub to: &'a Path,
    /// Slabs too.
    pub slabs: bool,
    /// How many threads hash.
    pub threads: std::num::NonZeroUsize,
}

/// Writes the input of a lock from the store.
///
/// # Errors
/// Where the lock can't be read, the store lacks something (all of it is named),
/// or the output can't be written; then there is none.
pub fn export(request: &Export<'_>, progress: &Progress) -> Result<Exported> {
    let lock = lock::read(request.lock)?;
    let text = fs_err::read(request.lock)?;
    let store = Store::open_noting(request.store, || {
        progress.note("waiting: another isoforge removes from the store");
    })?;
    let found = inputs::find(&store, &lock).map_err(Failure::from)?;
    if !found.missing.is_empty() {
        return Err(Error::Missing {
            lock: request.lock.to_owned(),
            blobs: found.missing.into_values().collect(),
        }
        .into());
    }
    let slabs = if request.slabs {
        slabs(&store, &lock, request.threads, progress)?
    } else {
        Vec::new()
    };
    let layout = layout(&lock, text, &found, &slabs);
    let digest = write(&layout, &store, request.to, lock.time.epoch, progress)?;
    let mut images: Vec<String> = found.images.into_iter().map(|(name, _)| name).collect();
    images.dedup();
    Ok(Exported {
        schema: SCHEMA,
        path: request.to.to_owned(),
        digest,
        bytes: layout.size(),
        images,
        parts: found.others.len() as u64,
        slabs: slabs.len() as u64,
    })
}

/// A slab on its way out.
struct SlabFile {
    key: String,
    path: PathBuf,
    digest: Digest,
    size: u64,
}

fn layout(lock: &Lock, text: Vec<u8>, found: &Inputs, slabs: &[SlabFile]) -> OciLayout {
    let mut builder = Builder::new();
    for (&digest, &size) in &found.blobs {
        builder.blob(digest, size);
    }
    for (name, descriptor) in &found.images {
        builder.reference(name, descriptor.clone());
    }
    let size = text.len() as u64;
    let digest = builder.bytes(text);
    let mut parts = vec![artifact::part(
        LOCK_TYPE,
        "lock",
        lock::FILE_NAME,
        digest,
        size,
    )];
    for part in &found.others {
        builder.blob(part.digest, part.size);
        parts.push(described(part, lock));
    }
    artifact::add(&mut builder, INPUT_TYPE, INPUT_NAME, &parts);
    if !slabs.is_empty() {
        let mut parts = Vec::with_capacity(slabs.len());
        for slab in slabs {
            builder.file(slab.path.clone(), slab.digest, slab.size);
            parts.push(artifact::part(
                SLAB_TYPE,
                "slab",
                &slab.key,
                slab.digest,
                slab.size,
            ));
        }
        artifact::add(&mut builder, SLABS_TYPE, SLABS_NAME, &parts);
    }
    builder.build()
}

fn described(part: &StoredBlob, lock: &Lock) -> Descriptor {
    let layer = |compression| MediaType::Layer(Family::Oci, compression).to_string();
    let media_type = match part.kind {
        BlobKind::Archive => {
            let mut archives = lock.archives.iter();
            let archive = archives.find(|archive| archive.layer.digest == part.digest);
            layer(archive.map_or(LayerCompression::Plain, |archive| archive.layer.compression))
        }
        BlobKind::Bootstrap => layer(LayerCompression::Plain),
        BlobKind::Chart => chart::CONTENT_TYPE.to_owned(),
        BlobKind::CoreImage => CORE_IMAGE_TYPE.to_owned(),
        BlobKind::File => FILE_TYPE.to_owned(),
    };
    artifact::part(
        &media_type,
        kind_name(part.kind),
        &part.name,
        part.digest,
        part.size,
    )
}

/// As annotations have it.
fn kind_name(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::Archive => "archive",
        BlobKind::Bootstrap => "bootstrap",
        BlobKind::Chart => "chart",
        BlobKind::CoreImage => "core-image",
        BlobKind::File => "file",
    }
}

/// The sound slabs of the lock's layers, of this version's format, by key.
fn slabs(
    store: &Store,
    lock: &Lock,
    threads: std::num::NonZeroUsize,
    progress: &Progress,
) -> Result<Vec<SlabFile>> {
    let diff_ids = inputs::diff_ids(store, lock).map_err(Failure::from)?;
    let mut wanted = Vec::new();
    for entry in store.contents()? {
        if let EntryKind::Slab(key) = entry.kind
            && let Some(diff_id) = slab::diff_id(&key)
            && diff_ids.contains(&diff_id)
        {
            wanted.push((key, entry.path, entry.size));
        }
    }
    let total = wanted.iter().map(|(_, _, size)| size).sum();
    let task = progress.task("check slabs", Some(total));
    let checked = parallel::map(&wanted, threads, |(key, path, _)| check(key, path, &task));
    let mut found = Vec::new();
    for ((key, path, size), digest) in wanted.into_iter().zip(checked) {
        match digest {
            Ok(Some(digest)) => found.push(SlabFile {
                key,
                path,
                digest,
                size,
            }),
            Ok(None) => {}
            Err(error) => progress.warn(format!("the slab {key} is left out: {error}")),
        }
    }
    Ok(found)
}

/// The digest of a slab; `None` where it is not this version's.
fn check(key: &str, path: &Path, task: &Task) -> io::Result<Option<Digest>> {
    let slab = Slab::open(path)?;
    if !slab.has_key(key) {
        return Ok(None);
    }
    slab.check(&mut |_| {})?;
    let mut reader = HashingReader::new(task.reader(fs_err::File::open(path)?));
    io::copy(&mut reader, &mut io::sink())?;
    Ok(Some(reader.finish().0))
}

/// Writes the layout and gives the digest of an archive.
fn write(
    layout: &OciLayout,
    store: &Store,
    to: &Path,
    epoch: u32,
    progress: &Progress,
) -> Result<Option<Digest>> {
    let name = to.file_name().unwrap_or(to.as_os_str());
    let task = progress.task(
        &format!("write {}", name.to_string_lossy()),
        Some(layout.size()),
    );
    if is_archive(to) {
        let mut digest = None;
        output::replace_with(to, |file| -> Result<(), Error> {
            let mut out = Counted {
                inner: io::BufWriter::with_capacity(1 << 20, file),
                hasher: Sha256::new(),
                task: &task,
            };
            layout.write_tar(store, &mut out, epoch.into())?;
            digest = Some(out.hasher.finish());
            Ok(())
        })?;
        Ok(Some(digest.context("the archive was not written")?))
    } else {
        output::new_folder(to, |folder| -> Result<(), Error> {
            Ok(layout.write_dir(store, folder)?)
        })?;
        Ok(None)
    }
}

/// Whether an export goes into an archive.
fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tar")
}

/// Hashes and counts what is written.
struct Counted<'a, W> {
    inner: W,
    hasher: Sha256,
    task: &'a Task,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.hasher.update(buf.get(..n).unwrap_or_default());
        self.task.advance(n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.path.display(), size(self.bytes))?;
        if let Some(digest) = &self.digest {
            writeln!(f, "  {digest}")?;
        }
        for image in &self.images {
            writeln!(f, "  image {image}")?;
        }
        writeln!(
            f,
            "  the lock, {} further parts, {} slabs",
            self.parts, self.slabs
        )
    }
}
