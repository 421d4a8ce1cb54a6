//! Images: as the operating system, and as layers over it.

use std::io;

use super::epoch::InputTime;
use super::{Context, Error, Sourced, WantedFile};
use crate::inputs::Input;
use isoforge_base::limit::read_within;
use isoforge_base::tree::Kind;
use isoforge_contract::arch::Arch;
use isoforge_contract::manifest::{self, EpochSource};
use isoforge_oci::layer::Layer;
use isoforge_oci::platform::Platform;
use isoforge_oci::pull::{PulledImage, pull_image};
use isoforge_oci::reference::ImageSource;
use isoforge_system::filtered::{self, Filter, filter_layers};
use isoforge_system::provider::Base;

/// Takes the operating system from an image. The provider image is built upon
/// it.
///
/// # Errors
/// [`Error::Pull`].
pub fn operating_system(
    context: &Context<'_>,
    input: &Input,
    source: &ImageSource,
) -> Result<(Base, Sourced), Error> {
    let pulled = pull(context, input, source)?;
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
/// [`Error::Pull`], [`Error::Filter`].
pub fn layers(
    context: &Context<'_>,
    input: &Input,
    source: &ImageSource,
) -> Result<Sourced, Error> {
    let pulled = pull(context, input, source)?;
    let mut sourced = sourced(input, &pulled);
    if !input.filter.keeps_everything() {
        let layer = filter_layers(
            context.store,
            &pulled.layers,
            &input.filter,
            &pulled.reference,
            &context.limits,
            context.progress,
        )?;
        sourced.layers = vec![layer];
    }
    Ok(sourced)
}

/// One file out of an image, which `name` is in the lock.
///
/// # Errors
/// [`Error::Pull`]; [`Error::Filter`] where it is not there.
pub fn file(
    context: &Context<'_>,
    source: ImageSource,
    name: &str,
    arch: Arch,
    wanted: WantedFile<'_>,
) -> Result<Vec<u8>, Error> {
    let pulled = pull_image(
        context.client,
        &context.pinned(source, name, arch),
        &Platform::linux(arch.as_str()),
        context.store,
        &context.pull_limits,
        context.threads,
        context.progress,
    )?;
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
    let path = wanted.paths.iter().find(is_there).ok_or_else(|| {
        Error::Filter(isoforge_system::Error::NoMatch {
            pattern: wanted.paths.join("' or '"),
            from: name.to_owned(),
        })
    })?;
    let layer = filter_layers(
        context.store,
        &pulled.layers,
        &Filter::new(std::slice::from_ref(path), &[])?,
        name,
        &context.limits,
        context.progress,
    )?;
    read_member(context, &layer, path, wanted.max_bytes)
}

/// A file of a plain layer that has nothing else beside folders.
fn read_member(
    context: &Context<'_>,
    layer: &Layer,
    path: &str,
    max_bytes: u64,
) -> Result<Vec<u8>, Error> {
    let failed = |error: io::Error| {
        Error::Filter(isoforge_system::Error::Io {
            doing: "the filtered files can't be put aside".into(),
            source: error,
        })
    };
    let mut archive = tar::Archive::new(context.store.open_blob(&layer.digest)?);
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let bytes = read_within(entry, max_bytes).map_err(failed)?;
        return bytes.ok_or_else(|| {
            let problem = format!("'{path}' has more than {max_bytes} bytes");
            failed(io::Error::other(problem))
        });
    }
    Err(failed(io::Error::other(format!("'{path}' is no file"))))
}

fn pull(context: &Context<'_>, input: &Input, source: &ImageSource) -> Result<PulledImage, Error> {
    Ok(pull_image(
        context.client,
        &context.pinned(source.clone(), &input.name, input.arch),
        &Platform::linux(input.arch.as_str()),
        context.store,
        &context.pull_limits,
        context.threads,
        context.progress,
    )?)
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
        times: pulled
            .created
            .map(|seconds| InputTime {
                source: EpochSource::Image,
                seconds,
            })
            .into_iter()
            .collect(),
        layers: pulled.layers.clone(),
        files: Vec::new(),
    }
}
