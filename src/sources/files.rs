//! Single files by URL and digest, laid at their paths as one layer.
//!
//! A file is downloaded over HTTP or HTTPS like a layer: tried again, resumed
//! where it broke, a blob of the store only when its digest holds. A blob that is
//! there is not downloaded again, wherever it came from.

use std::io::{self, Read};
use std::sync::atomic::AtomicBool;

use crate::profile::FileSpec;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Context as _, Failure, Result};
use isoforge_base::progress::{Counted, Progress};
use isoforge_base::tree::{self, FileData, Inode, Kind, LayerId, MODE_MASK, Meta, ReadFile, Tree};
use isoforge_contract::manifest;
use isoforge_oci::layer::Layer;
use isoforge_oci::pull::Download;
use isoforge_oci::registry::{Client, ShownUrl};
use isoforge_oci::store::Store;
use isoforge_system::tar_out::{self, Over};

/// Kind of the store's facts on layers of files.
const FACT: &str = "file-layer";

/// Counts up when equal input no longer gives equal bytes.
const VERSION: u32 = 1;

/// Largest file that is downloaded, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 << 30;

/// Files that were laid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laid {
    /// The layer, in the store.
    pub layer: Layer,
    /// What went in; names are URLs as far as they may be shown.
    pub inputs: Vec<manifest::File>,
}

/// Downloads what the store lacks of `files` and lays them as one plain layer.
/// Everything in it has the time `mtime`, in seconds since 1970-01-01 UTC.
///
/// # Errors
/// The server, the store; a path can't be used.
pub fn lay(
    store: &Store,
    client: &Client,
    files: &[FileSpec],
    role: manifest::Role,
    mtime: u32,
    progress: &Progress,
) -> Result<Laid> {
    let mut inputs = Vec::with_capacity(files.len());
    for file in files {
        let size = fetch(store, client, file, progress)?;
        inputs.push(manifest::File {
            role,
            name: ShownUrl::of(&file.url).to_string(),
            digest: file.sha256,
            size,
        });
    }
    let layer = layer(store, files, &inputs, mtime)?;
    Ok(Laid { layer, inputs })
}

/// Brings a file into the store and gives its size in bytes.
///
/// # Errors
/// The server, the store; a path can't be used.
pub fn fetch(store: &Store, client: &Client, file: &FileSpec, progress: &Progress) -> Result<u64> {
    let url = ShownUrl::of(&file.url);
    if let Some(size) = store.blob_size(&file.sha256)? {
        progress.count(Counted::Stored, file.sha256, size);
        progress.detail(format!("{url}: in the store"));
        return Ok(size);
    }
    let download = Download {
        store,
        policy: client.retry_policy(),
        progress,
        cancelled: &AtomicBool::new(false),
        label: &format!("download {url}"),
        digest: file.sha256,
        size: None,
        limit: MAX_FILE_BYTES,
    };
    let size = download
        .run(&|offset| client.download(&file.url, offset))
        .map_err(|error| not_fetched(file, error))?;
    store.add_origin(&file.sha256, &ShownUrl::of(&file.url).to_string())?;
    progress.count(Counted::Downloaded, file.sha256, size);
    Ok(size)
}

fn not_fetched(file: &FileSpec, error: isoforge_oci::Error) -> Failure {
    let url = ShownUrl::of(&file.url);
    match error {
        isoforge_oci::Error::DigestMismatch { expected, found } => {
            let message = format!("{url}: digest mismatch: expected {expected}, got {found}");
            Failure::new(Class::Verification, message).with_hint(format!(
                "the file was exchanged or damaged; if its publisher gives sha256 {}, correct the profile",
                found.hex()
            ))
        }
        isoforge_oci::Error::SizeMismatch { .. } => {
            let message = format!("{url}: more than {MAX_FILE_BYTES} bytes");
            Failure::new(Class::Verification, message)
        }
        error if error.is_of_store() => error.into(),
        error => Failure::from(error).context("can't download a file"),
    }
}

fn layer(
    store: &Store,
    files: &[FileSpec],
    inputs: &[manifest::File],
    mtime: u32,
) -> Result<Layer> {
    let placed: Vec<(&str, u32, Digest)> = files
        .iter()
        .map(|file| (file.path.as_str(), file.mode, file.sha256))
        .collect();
    let key = serde_json::to_vec(&(VERSION, mtime, placed))?;
    let key = Digest::of(&key).hex();
    if let Some(known) = store.fact::<Layer>(FACT, &key)?
        && store.has_blob(&known.digest)
    {
        return Ok(known);
    }
    let no_path = |error: tree::Error| {
        Failure::caused(Class::Profile, "a file can't be laid at its path", error)
    };
    let mut tree = Tree::new();
    for (number, (file, input)) in (0_u32..).zip(files.iter().zip(inputs)) {
        let path = tree::normalize(file.path.as_bytes()).map_err(no_path)?;
        let mode = u16::try_from(file.mode & u32::from(MODE_MASK)).unwrap_or_default();
        let inode = Inode {
            meta: Meta {
                mtime: i64::from(mtime),
                ..Meta::with_mode(mode)
            },
            kind: Kind::File(FileData::Layer {
                layer: LayerId(0),
                file: number,
                size: input.size,
            }),
        };
        tree.insert(&path, inode).map_err(no_path)?;
    }
    let data = Blobs { store, inputs };
    let layer = Layer::write(store, |blob| {
        tar_out::write_over(&tree, &Over::default(), &data, blob)
            .context("the layer of files can't be written")
    })?;
    store.put_fact(FACT, &key, &layer)?;
    Ok(layer)
}

/// Gives the bytes of file number n from the n-th input's blob.
struct Blobs<'a> {
    store: &'a Store,
    inputs: &'a [manifest::File],
}

impl ReadFile for Blobs<'_> {
    fn open<'a>(&'a self, data: &FileData) -> io::Result<Box<dyn Read + 'a>> {
        let FileData::Layer { file, size, .. } = data else {
            return Err(io::Error::other("a file of this layer is always a blob"));
        };
        let input = usize::try_from(*file)
            .ok()
            .and_then(|number| self.inputs.get(number))
            .ok_or_else(|| io::Error::other(format!("there is no file {file}")))?;
        let blob = self
            .store
            .open_checked_sized(&input.digest, *size)
            .map_err(Failure::from)?;
        Ok(Box::new(blob))
    }
}

#[cfg(test)]
mod tests;
