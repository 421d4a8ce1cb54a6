//! Images: as the operating system, and as layers over it.

use std::io;

use super::epoch::InputTime;
use super::{Context, Sourced, WantedFile};
use crate::inputs::Input;
use isoforge_base::error::{Failure, Result};
use isoforge_base::limit::read_within;
use isoforge_base::tree::Kind;
use isoforge_contract::arch::Arch;
use isoforge_contract::manifest::{self, EpochSource};
use isoforge_oci::layer::Layer;
use isoforge_oci::pull::PulledImage;
use isoforge_oci::reference::ImageSource;
use isoforge_system::filtered::{self, Filter};
use isoforge_system::provider::Base;

/// Takes the operating system from an image. The provider image is built upon
/// it.
///
/// # Errors
/// The image can't be had.
pub fn operating_system(
    context: &Context<'_>,
    input: &Input,
    source: &ImageSource,
) -> Result<(Base, Sourced)> {
    let pulled = context.pull(source.clone(), &input.name, input.arch)?;
    let sourced = sourced(input, &pulled);
    let base = Base {
        name: source.as_reference().map(ToString::to_string),
        manifest: pulled.manifest.digest,
        config: pulled.config,
        layers: pulled.layers,
    };
    Ok((base, sourced))
}

/// Takes an image as layers: all of it, or one layer with what the input's filter
/// keeps.
///
/// # Errors
/// The image can't be had, or nothing of it is kept.
pub fn layers(context: &Context<'_>, input: &Input, source: &ImageSource) -> Result<Sourced> {
    let pulled = context.pull(source.clone(), &input.name, input.arch)?;
    let mut sourced = sourced(input, &pulled);
    if !input.filter.keeps_everything() {
        let layer = context.filtered(&pulled.layers, &input.filter, &pulled.reference)?;
        sourced.layers = vec![layer];
    }
    Ok(sourced)
}

/// One file out of an image, which `name` is in the lock.
///
/// # Errors
/// The image can't be had, or it is not there.
pub fn file(
    context: &Context<'_>,
    source: ImageSource,
    name: &str,
    arch: Arch,
    wanted: WantedFile<'_>,
) -> Result<Vec<u8>> {
    let pulled = context.pull(source, name, arch)?;
    let tree = filtered::merge(
        context.store,
        &pulled.layers,
        name,
        &context.limits,
        context.progress,
    )?;
    let is_there = |path: &&String| {
        let inode = tree.get(path.as_bytes()).map(|id| &tree.inode(id).kind);
        matches!(inode, Some(Kind::File(_)))
    };
    let no_match = || isoforge_system::Error::NoMatch {
        pattern: wanted.paths.join("' or '"),
        from: name.to_owned(),
    };
    let path = wanted.paths.iter().find(is_there).ok_or_else(no_match)?;
    let filter = Filter::new(std::slice::from_ref(path), &[])?;
    let layer = context.filtered(&pulled.layers, &filter, name)?;
    read_member(context, &layer, path, wanted.max_bytes)
}

/// A file of a plain layer that has nothing else beside folders.
fn read_member(
    context: &Context<'_>,
    layer: &Layer,
    path: &str,
    max_bytes: u64,
) -> Result<Vec<u8>> {
    let failed =
        |error: io::Error| Failure::from(error).context("the filtered files can't be put aside");
    let mut archive = tar::Archive::new(context.store.open_checked(&layer.digest)?);
    let mut found = None;
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let bytes = read_within(entry, max_bytes).map_err(failed)?;
        found = Some(bytes.ok_or_else(|| {
            let problem = format!("'{path}' has more than {max_bytes} bytes");
            failed(io::Error::other(problem))
        })?);
        break;
    }
    archive.into_inner().finish()?;
    found.ok_or_else(|| failed(io::Error::other(format!("'{path}' is no file"))))
}

fn sourced(input: &Input, pulled: &PulledImage) -> Sourced {
    Sourced {
        images: vec![manifest::Image {
            role: input.role,
            reference: input.name.clone(),
            index: pulled.index_digest,
            manifest: Some(pulled.manifest.digest),
            layers: pulled.layers.iter().map(|layer| layer.digest).collect(),
        }],
        times: InputTime::of(EpochSource::Image, pulled.created)
            .into_iter()
            .collect(),
        layers: pulled.layers.clone(),
        files: Vec::new(),
    }
}
