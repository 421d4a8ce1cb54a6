//! Images: as the operating system, and as layers over it.

use super::epoch::InputTime;
use super::filter::{Filter, filter_layers};
use super::{Context, Error, Sourced, as_written};
use crate::oci::platform::Platform;
use crate::oci::reference::ImageSource;
use crate::output::manifest::{self, EpochSource, Role};
use crate::profile::{ImageTemplate, Target};
use crate::provider::Base;
use crate::pull::{PulledImage, pull_image};

/// Takes the operating system from an image. The provider image is built upon
/// it.
///
/// # Errors
/// [`Error::Reference`], [`Error::Pull`].
pub fn operating_system(
    context: &Context<'_>,
    template: &ImageTemplate,
    target: Target<'_>,
) -> Result<(Base, Sourced), Error> {
    let (source, pulled) = pull(context, template, target)?;
    let sourced = sourced(&source, template, target, Role::Os, &pulled);
    let base = Base {
        name: source.as_reference().map(ToString::to_string),
        manifest: pulled.manifest.digest,
        config: pulled.config,
        layers: pulled.layers,
    };
    Ok((base, sourced))
}

/// Takes an image as layers: all of it, or one layer with what `filter` keeps.
///
/// # Errors
/// [`Error::Reference`], [`Error::Pull`], [`Error::Filter`].
pub fn layers(
    context: &Context<'_>,
    template: &ImageTemplate,
    filter: &Filter,
    target: Target<'_>,
    role: Role,
) -> Result<Sourced, Error> {
    let (source, pulled) = pull(context, template, target)?;
    let mut sourced = sourced(&source, template, target, role, &pulled);
    if !filter.keeps_everything() {
        let layer = filter_layers(
            context.store,
            &pulled.layers,
            filter,
            &pulled.reference,
            &context.limits,
            context.progress,
        )?;
        sourced.layers = vec![layer];
    }
    Ok(sourced)
}

/// What the image is called in outputs and in the lock: its reference in full,
/// or the local form as the profile writes it.
#[must_use]
pub fn name(source: &ImageSource, template: &ImageTemplate, target: Target<'_>) -> String {
    match source.as_reference() {
        Some(reference) => reference.to_string(),
        None => as_written(template.clone().into(), target),
    }
}

fn pull(
    context: &Context<'_>,
    template: &ImageTemplate,
    target: Target<'_>,
) -> Result<(ImageSource, PulledImage), Error> {
    let source = template.expand(target)?;
    let asked = context.pinned(
        source.clone(),
        &name(&source, template, target),
        target.arch,
    );
    let pulled = pull_image(
        context.client,
        &asked,
        &Platform::linux(target.arch.as_str()),
        context.store,
        &context.pull_limits,
        context.threads,
        context.progress,
    )?;
    Ok((source, pulled))
}

fn sourced(
    source: &ImageSource,
    template: &ImageTemplate,
    target: Target<'_>,
    role: Role,
    pulled: &PulledImage,
) -> Sourced {
    Sourced {
        images: vec![manifest::Image {
            role,
            reference: name(source, template, target),
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
