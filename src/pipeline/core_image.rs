//! GRUB's core image for BIOS where the OS image brings only the modules: kept
//! in the store, so that grub-mkimage runs once and a machine without it builds
//! from what another one made.
//!
//! What a lock pins comes first, then what the store has, then grub-mkimage.

use serde::{Deserialize, Serialize};

use crate::boot::core_image::{self, CORE_MAX_BYTES, CoreImage, Recipe};
use crate::error::{Class, Diagnose};
use crate::oci::digest::Digest;
use crate::store::{self, Store};

/// Kind of the store's facts on core images.
pub(super) const FACT: &str = "core-image";

/// A core image by what it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptCoreImage {
    /// [`Recipe::key`].
    pub(super) key: Digest,
    /// Digest of the core image, a blob of the store.
    pub(super) digest: Digest,
    /// What `grub-mkimage --version` said where it was made.
    pub(super) made_by: String,
}

/// Why there is no core image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It can't be made.
    #[error(transparent)]
    Make(#[from] core_image::Error),
    /// This machine makes another one than the lock has.
    #[error(
        "GRUB's core image is {found}, made by {made_by}, but the lock has {locked}, made by \
         {locked_by}"
    )]
    Drift {
        /// The digest in the lock.
        locked: Digest,
        /// The program in the lock.
        locked_by: String,
        /// The digest of what was made.
        found: Digest,
        /// The program here.
        made_by: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// No folder to work in.
    #[error("GRUB's core image for BIOS can't be made")]
    Scratch(#[from] std::io::Error),
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Make(error) => error.class(),
            Self::Drift { .. } => Class::LockDrift,
            Self::Store(error) => error.class(),
            Self::Scratch(_) => Class::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Make(error) => error.hint(),
            Self::Drift { .. } => Some(
                "take the locked one along with `isoforge cache export`, or remove its entry of \
                 [[core_image]] from the lock"
                    .to_owned(),
            ),
            Self::Store(error) => error.hint(),
            Self::Scratch(_) => None,
        }
    }
}

/// The core image of `recipe` and its record; `pinned` is what a lock has.
pub(super) fn get(
    store: &Store,
    recipe: &Recipe,
    pinned: &[KeptCoreImage],
) -> Result<(Vec<u8>, KeptCoreImage), Error> {
    let key = recipe.key();
    let pinned = pinned.iter().find(|pinned| pinned.key == key);
    let known = match pinned {
        Some(pinned) => Some(pinned.clone()),
        None => store
            .fact::<KeptCoreImage>(FACT, &key.hex())?
            .filter(|kept| kept.key == key),
    };
    if let Some(known) = known {
        match store.read_blob(&known.digest, CORE_MAX_BYTES) {
            Ok(bytes) => return Ok((bytes, known)),
            // It is made again, which mends the store.
            Err(store::Error::Missing { .. } | store::Error::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let scratch = tempfile::tempdir_in(store.temp_dir())?;
    let CoreImage {
        bytes,
        digest,
        made_by,
    } = recipe.make(scratch.path())?;
    if let Some(pinned) = pinned.filter(|pinned| pinned.digest != digest) {
        return Err(Error::Drift {
            locked: pinned.digest,
            locked_by: pinned.made_by.clone(),
            found: digest,
            made_by,
        });
    }
    store.put_blob(&bytes)?;
    let kept = match pinned {
        // The same bytes: the record stays the lock's.
        Some(pinned) => pinned.clone(),
        None => KeptCoreImage {
            key,
            digest,
            made_by,
        },
    };
    store.put_fact(FACT, &key.hex(), &kept)?;
    Ok((bytes, kept))
}
