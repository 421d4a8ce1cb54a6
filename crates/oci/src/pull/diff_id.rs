//! Whether a layer's uncompressed bytes are those that the configuration claims:
//! its diffID (OCI Image Specification v1.1, "OCI Image Configuration",
//! `rootfs.diff_ids`).
//!
//! To find that out costs as much as to decompress the layer. So it is not done
//! when a blob comes, but by whoever decompresses it anyway, through [`Checking`];
//! and by [`check`] before something is used that was made of a layer earlier.
//!
//! Invariants:
//! - What a blob decompresses to is recorded, and each claim is compared with it: a
//!   blob may be said to be a layer whose results are in the store already.
//! - It is recorded only where the claim held. A blob that was damaged in the store
//!   must not be remembered for what it decompressed to then.
//! - What is recorded is about the blob as it was then. Whoever reads it again hashes it
//!   again: something that was made of bytes that rotted meanwhile would be kept under
//!   the layer's name.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::over_limit;
use crate::compression::{Bound, Bounds, Exceeded, decompress_within};
use crate::layer::{Layer, LayerCompression};
use crate::store::Store;
use crate::{Error, Step};
use isoforge_base::digest::{Digest, Sha256};
use isoforge_base::error::Class;
use isoforge_base::progress::Progress;

/// Kind under which the store keeps a blob's diffID.
const FACT: &str = "diff-id";

/// Bytes decompressed at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// What is known of a blob that was decompressed once.
#[derive(Serialize, Deserialize)]
struct DiffIdFact {
    compression: LayerCompression,
    diff_id: Digest,
}

/// Checks the diffID of a layer in the store. Its blob is decompressed once, to no
/// more than `bounds`; later calls look that up. `name` is what errors and progress
/// call the image, or what the layer is for.
///
/// # Errors
/// Where it is another, the blob does not decompress or gives too much, and where the
/// store fails.
pub fn check(
    store: &Store,
    layer: &Layer,
    name: &str,
    bounds: Bounds,
    progress: &Progress,
) -> Result<(), Error> {
    if is_known(store, layer, name)? {
        return Ok(());
    }
    let label = format!("check {name} ({})", layer.digest.short());
    let task = progress.task(&label, Some(layer.size));
    let blob = store
        .open_blob(&layer.digest)
        .map_err(|error| unreadable(name, layer, error))?;
    let tar = decompress_within(task.reader(blob), layer.compression, bounds)
        .map_err(|error| failed(name, layer, error))?;
    Checking {
        store,
        layer,
        name,
        inner: tar,
        hasher: Sha256::new(),
        is_known: false,
    }
    .finish()
}

/// What is on record of a blob that was decompressed once: how it is compressed, and its
/// diffID.
#[must_use]
pub fn recorded(store: &Store, blob: &Digest) -> Option<(LayerCompression, Digest)> {
    let fact: DiffIdFact = store.fact(FACT, &blob.hex()).ok()??;
    Some((fact.compression, fact.diff_id))
}

/// A layer's uncompressed bytes, checked while they are read. Nothing made of them
/// may be used before [`finish`](Self::finish) said that they are the right ones.
#[derive(Debug)]
pub struct Checking<'a, R> {
    store: &'a Store,
    layer: &'a Layer,
    name: &'a str,
    inner: R,
    hasher: Sha256,
    /// Whether the store has it on record already.
    is_known: bool,
}

impl<'a, R: Read> Checking<'a, R> {
    /// Checks `tar`, what the blob of `layer` decompresses to; bounding it is left
    /// to who decompresses. `name` as for [`check`].
    ///
    /// # Errors
    /// Where something else is known of the blob, and where the store fails.
    pub fn new(store: &'a Store, layer: &'a Layer, name: &'a str, tar: R) -> Result<Self, Error> {
        Ok(Self {
            store,
            layer,
            name,
            inner: tar,
            hasher: Sha256::new(),
            is_known: is_known(store, layer, name)?,
        })
    }

    /// Reads what is left and says whether all bytes together have the diffID.
    ///
    /// # Errors
    /// Where they have not, [`Error::Unreadable`] where the fault is the store's, and
    /// where the rest can't be read.
    pub fn finish(mut self) -> Result<(), Error> {
        let (layer, name) = (self.layer, self.name);
        self.drain()
            .map_err(|error| self.or_damaged(failed(name, layer, error)))?;
        let found = self.hasher.clone().finish();
        if found != layer.diff_id {
            return Err(self.or_damaged(wrong(name, layer, found)));
        }
        if self.is_known {
            return Ok(());
        }
        let fact = DiffIdFact {
            compression: layer.compression,
            diff_id: found,
        };
        self.store
            .put_fact(FACT, &layer.digest.hex(), &fact)
            .map_err(|error| error.of_image(name, Step::Store))
    }

    fn drain(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match self.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// `error`, which reading this gave, where the image is to blame, and not what became
    /// of the blob in the store.
    pub fn or_damaged<E: From<Error>>(&self, error: E) -> E {
        match self.store.verify(&self.layer.digest) {
            Ok(()) => error,
            Err(source) => unreadable(self.name, self.layer, source).into(),
        }
    }
}

impl<R: Read> Read for Checking<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(buf.get(..n).unwrap_or_default());
        Ok(n)
    }
}

/// Whether the diffID is known to hold; an error where it is known not to.
fn is_known(store: &Store, layer: &Layer, name: &str) -> Result<bool, Error> {
    let found = match layer.compression {
        LayerCompression::Plain => layer.digest,
        _ => {
            let fact: Option<DiffIdFact> = store
                .fact(FACT, &layer.digest.hex())
                .map_err(|error| error.of_image(name, Step::Store))?;
            match fact.filter(|fact| fact.compression == layer.compression) {
                Some(fact) => fact.diff_id,
                None => return Ok(false),
            }
        }
    };
    if found == layer.diff_id {
        Ok(true)
    } else {
        Err(wrong(name, layer, found))
    }
}

fn wrong(name: &str, layer: &Layer, found: Digest) -> Error {
    let problem = format!(
        "{name}: layer {} unpacks to {found}, but the configuration gives {}",
        layer.digest, layer.diff_id
    );
    Error::new(Class::Verification, problem)
        .with_hint("the image was built or changed wrongly; build and push it again")
}

fn unreadable(name: &str, layer: &Layer, error: Error) -> Error {
    Error::Unreadable {
        image: name.to_owned(),
        layer: layer.digest,
        source: Box::new(error),
    }
}

/// The error for a layer that does not decompress.
fn failed(name: &str, layer: &Layer, error: io::Error) -> Error {
    match error.downcast::<Exceeded>() {
        Ok(exceeded) => over_limit(
            format!(
                "{name}: layer {} ({} bytes) has {} uncompressed bytes or more",
                layer.digest, layer.size, exceeded.given
            ),
            match exceeded.bound {
                Bound::Bytes => "layer_bytes",
                Bound::Ratio => "ratio",
            },
            exceeded.allowed,
        ),
        Err(source) => Error::Compression {
            image: name.to_owned(),
            layer: layer.digest,
            source,
        },
    }
}

#[cfg(test)]
mod tests;
