//! A lock's whole input as a bundle.
//!
//! The bytes depend on the lock and on what it names alone. Every blob is hashed on
//! its way out. What is no image travels as the layers of one artifact: OCI Image
//! Specification v1.1, "Guidelines for Artifact Usage". `docs/cache.md` documents its
//! types and annotations.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use isoforge_base::error::{Class, Context as _, Failure, Result};
use serde::Serialize;
use serde_json::json;

use super::inputs::{self, Inputs};
use super::{INPUT_NAME, LOCK_TYPE, SCHEMA};
use crate::lock::{self, BlobKind, Lock, LockedBlob};
use isoforge_base::digest::Digest;
use isoforge_base::human::size;
use isoforge_base::output;
use isoforge_base::progress::Progress;
use isoforge_content::bundle::{self, Composer, Kind};
use isoforge_content::chart;
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::layout::{OciLayout, descriptor_json};
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::{Family, MediaType};
use isoforge_oci::store::Store;

/// What the artifact is among a bundle's roots.
const INPUT_KIND: &str = "input";
/// The artifact's type.
const INPUT_TYPE: &str = "application/vnd.isoforge.input.v1";
const CORE_IMAGE_TYPE: &str = "application/vnd.isoforge.grub-core-image.v1";
const FILE_TYPE: &str = "application/octet-stream";
/// The empty configuration of artifacts.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// Annotation of a part: `lock`, `archive`, `bootstrap`, `chart`, `core-image` or
/// `file`.
const KIND: &str = "io.isoforge.kind";
/// Annotation of a part: URL, path or architecture.
const NAME: &str = "io.isoforge.name";

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Exported {
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
}

/// Writes the input of the lock at `lock` from the store in the folder `store`: to a
/// folder, or to an archive where the name of `to` ends with `.tar`.
///
/// # Errors
/// Where the lock can't be read, the store lacks something (all of it is named),
/// or the output can't be written; then there is none.
pub(crate) fn export(
    store: &Path,
    lock: &Path,
    to: &Path,
    progress: &Progress,
) -> Result<Exported> {
    let content = lock::read(lock)?;
    let text = fs_err::read(lock)?;
    let store = Store::open_noting(store, || {
        progress.note("waiting: another isoforge removes from the store");
    })?;
    let found = inputs::find(&store, &content)?;
    if !found.missing.is_empty() {
        let message = format!(
            "the store lacks {} of what '{}' names:{}",
            found.missing.len(),
            lock.display(),
            found.missing_list()
        );
        return Err(Failure::new(Class::Io, message)
            .with_hint("bring it into the store with `isoforge pull PROFILE`"));
    }
    let layout = layout(&content, text, &found)?;
    let digest = write(&layout, &store, to, progress)?;
    let mut images: Vec<String> = found.images.into_iter().map(|(name, _)| name).collect();
    images.dedup();
    Ok(Exported {
        schema: SCHEMA,
        path: to.to_owned(),
        digest,
        bytes: layout.size(),
        images,
        parts: found.others.len() as u64,
    })
}

fn layout(lock: &Lock, text: Vec<u8>, found: &Inputs) -> Result<OciLayout> {
    let mut composer = Composer::new(&lock.profile, &lock.inputs.short());
    for (&digest, &size) in &found.blobs {
        composer.blob(digest, size);
    }
    for (name, descriptor) in &found.images {
        composer.root(name, &Kind::Image, descriptor.clone())?;
    }
    let size = text.len() as u64;
    let digest = composer.bytes(text);
    let mut parts = vec![part(LOCK_TYPE, "lock", lock::FILE_NAME, digest, size)];
    for (blob, size) in &found.others {
        composer.blob(blob.digest, *size);
        parts.push(described(blob, *size, lock));
    }
    let input = artifact(&mut composer, &parts);
    composer.root(INPUT_NAME, &Kind::Other(INPUT_KIND.to_owned()), input)?;
    Ok(composer.build())
}

/// The manifest of the artifact with these parts.
fn artifact(composer: &mut Composer, parts: &[Descriptor]) -> Descriptor {
    let mut add = |media_type, bytes: Vec<u8>| {
        let size = bytes.len() as u64;
        Descriptor::new(media_type, composer.bytes(bytes), size)
    };
    let config = add(MediaType::parse(EMPTY_TYPE), EMPTY.to_vec());
    let media_type = MediaType::Manifest(Family::Oci);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type.as_str(),
        "artifactType": INPUT_TYPE,
        "config": descriptor_json(&config),
        "layers": parts.iter().map(descriptor_json).collect::<Vec<_>>(),
    });
    add(media_type, manifest.to_string().into_bytes())
}

fn part(media_type: &str, kind: &str, name: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        annotations: BTreeMap::from([
            (KIND.to_owned(), kind.to_owned()),
            (NAME.to_owned(), name.to_owned()),
        ]),
        ..Descriptor::new(MediaType::parse(media_type), digest, size)
    }
}

fn described(blob: &LockedBlob, size: u64, lock: &Lock) -> Descriptor {
    let layer = |compression| MediaType::Layer(Family::Oci, compression).to_string();
    let (media_type, kind) = match blob.kind {
        BlobKind::Archive => {
            let mut archives = lock.archives.iter();
            let archive = archives.find(|archive| archive.layer.digest == blob.digest);
            let compression = archive.map(|archive| archive.layer.compression);
            (
                layer(compression.unwrap_or(LayerCompression::Plain)),
                "archive",
            )
        }
        BlobKind::Bootstrap => (layer(LayerCompression::Plain), "bootstrap"),
        BlobKind::Chart => (chart::CONTENT_TYPE.to_owned(), "chart"),
        BlobKind::CoreImage => (CORE_IMAGE_TYPE.to_owned(), "core-image"),
        BlobKind::File => (FILE_TYPE.to_owned(), "file"),
    };
    part(&media_type, kind, &blob.name, blob.digest, size)
}

/// Writes the layout and gives the digest of an archive.
fn write(
    layout: &OciLayout,
    store: &Store,
    to: &Path,
    progress: &Progress,
) -> Result<Option<Digest>> {
    let name = to.file_name().unwrap_or(to.as_os_str());
    let task = format!("write {}", name.to_string_lossy());
    let task = progress.task(&task, Some(layout.size()));
    if to.extension().is_none_or(|extension| extension != "tar") {
        output::new_folder(to, |folder| {
            bundle::write_folder(layout, store, folder, &task)
        })?;
        return Ok(None);
    }
    let mut digest = None;
    output::replace_with(to, |file| {
        digest = Some(bundle::write_tar(layout, store, file, &task)?);
        Ok::<_, Failure>(())
    })?;
    Ok(Some(digest.context("the archive was not written")?))
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
        writeln!(f, "  the lock, {} further parts", self.parts)
    }
}
