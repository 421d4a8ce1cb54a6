//! Archives of the local disk: as the operating system, and as layers over it.

use std::path::Path;

use super::archive::{self, Archive};
use super::epoch::InputTime;
use super::{Context, Sourced};
use crate::inputs::Input;
use isoforge_base::error::Result;
use isoforge_contract::manifest::{self, EpochSource};

/// Takes an archive of the local disk: the operating system, or a layer.
///
/// # Errors
/// Of the archive, and of the filter.
pub fn archive(context: &Context<'_>, input: &Input, path: &Path) -> Result<Sourced> {
    let (name, role) = (input.name.clone(), input.role);
    let Archive {
        digest,
        size,
        layer,
        newest_seconds,
    } = match locked(context, &name) {
        Some(known) => known,
        None => archive::import(context.store, path, &context.limits, context.progress)?,
    };
    let layer = context.filtered_layer(layer, &input.filter, &name)?;
    Ok(Sourced {
        layers: vec![layer],
        files: vec![manifest::File {
            role,
            name,
            digest,
            size,
        }],
        times: InputTime::of(EpochSource::Archive, newest_seconds)
            .into_iter()
            .collect(),
        images: Vec::new(),
    })
}

/// What the lock says of an archive whose layer is in the store. The lock was
/// compared with the file when this build began, if there is a file.
fn locked(context: &Context<'_>, name: &str) -> Option<Archive> {
    let locked = context.lock?.archive(name)?;
    let there = context.store.blob_size(&locked.layer.digest).ok()?;
    (there == Some(locked.layer.size)).then(|| Archive {
        digest: locked.digest,
        size: locked.size,
        layer: locked.layer.clone(),
        newest_seconds: locked.newest_seconds,
    })
}
