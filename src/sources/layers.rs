//! Layers that a profile or the catalog names: `[[layers]]` and those of
//! Kubernetes.

use super::archive::{self, Archive};
use super::epoch::InputTime;
use super::filter::{Filter, filter_layers};
use super::{Context, Error, Sourced, as_written, image};
use crate::oci::layer::Layer;
use crate::output::manifest::{self, EpochSource, Role};
use crate::profile::{LayerSource, LayerSpec, PathTemplate, Target};

/// Makes the layer of a folder: its path as the profile has it, its path on
/// disk.
pub type FolderLayer<'a> = &'a dyn Fn(&PathTemplate, Target<'_>) -> Result<Layer, Error>;

/// Takes what one entry names. A layer that is for another architecture is the
/// caller's to leave out ([`LayerSpec::is_for`]).
///
/// # Errors
/// [`Error`].
pub fn take(
    context: &Context<'_>,
    spec: &LayerSpec,
    target: Target<'_>,
    role: Role,
    folder: FolderLayer<'_>,
) -> Result<Sourced, Error> {
    let filter = Filter::new(&spec.include, &spec.exclude)?;
    match &spec.source {
        LayerSource::Image(template) => image::layers(context, template, &filter, target, role),
        LayerSource::Archive(template) => archive(context, template, &filter, target, role),
        LayerSource::Folder(template) => {
            let layer = folder(template, target)?;
            let from = as_written(template.clone().into(), target);
            Ok(Sourced {
                layers: vec![filtered(context, layer, &filter, &from)?],
                ..Sourced::default()
            })
        }
    }
}

/// Takes an archive of the local disk: the operating system, or a layer.
///
/// # Errors
/// [`Error::Archive`], [`Error::Filter`].
pub fn archive(
    context: &Context<'_>,
    template: &PathTemplate,
    filter: &Filter,
    target: Target<'_>,
    role: Role,
) -> Result<Sourced, Error> {
    let path = template.expand(target);
    let Archive {
        digest,
        size,
        layer,
        newest_seconds,
    } = archive::import(context.store, &path, &context.limits, context.progress)?;
    let name = as_written(template.clone().into(), target);
    Ok(Sourced {
        layers: vec![filtered(context, layer, filter, &name)?],
        files: vec![manifest::File {
            role,
            name,
            digest,
            size,
        }],
        times: newest_seconds
            .map(|seconds| InputTime {
                source: EpochSource::Archive,
                seconds,
            })
            .into_iter()
            .collect(),
        images: Vec::new(),
    })
}

fn filtered(
    context: &Context<'_>,
    layer: Layer,
    filter: &Filter,
    from: &str,
) -> Result<Layer, Error> {
    if filter.keeps_everything() {
        return Ok(layer);
    }
    Ok(filter_layers(
        context.store,
        std::slice::from_ref(&layer),
        filter,
        from,
        &context.limits,
        context.progress,
    )?)
}
