//! Images that the ISO carries for the embedded registry: one OCI layout with
//! every image that the profile's components need, indexes and digests as
//! their registries have them.

use super::{Context, needed_by};
use crate::inputs::Input;
use isoforge_base::digest::Digest;
use isoforge_base::error::Result;
use isoforge_contract::arch::Arch;
use isoforge_contract::manifest::{self, Role};
use isoforge_oci::artifact::{Artifact, TITLE, VERSION};
use isoforge_oci::layout::{Builder, OciLayout};
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::MediaType;
use isoforge_oci::platform::Platform;
use isoforge_oci::pull::{Platforms, mirror_image, mirror_referrers};
use isoforge_oci::reference::{ImageSource, Reference};

/// The content of one ISO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The layout; its blobs are in the store. Images are under their full
    /// references, as `quay.io/calico/node:v3.29.2`.
    pub layout: OciLayout,
    /// What images went in.
    pub images: Vec<manifest::Image>,
    /// What went in beside images.
    pub carried: Vec<manifest::ContentItem>,
}

/// An image in the store, and what its registry holds about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its index or manifest.
    pub root: Descriptor,
    /// All that it consists of, and that what is about it consists of.
    pub blobs: Vec<Descriptor>,
    /// What names it as its subject.
    pub referrers: Vec<Descriptor>,
    /// What is about it under a tag of its own: full references.
    pub tagged: Vec<(String, Descriptor)>,
}

/// Copies `images` for `arch` into the store, and puts `artifacts`
/// beside them; none where there are neither.
///
/// # Errors
/// An image can't be had; the error says who needs it.
pub fn collect<'i>(
    context: &Context<'_>,
    inputs: impl Iterator<Item = &'i Input>,
    artifacts: &[Artifact],
    arch: Arch,
) -> Result<Option<Content>> {
    let platforms = Platforms::Only(vec![Platform::linux(arch.as_str())]);
    let mut builder = Builder::new();
    let mut images = Vec::new();
    for input in inputs {
        let Some(reference) = input.reference() else {
            continue;
        };
        let name = input.name.clone();
        let source = ImageSource::Registry(reference.clone());
        let source = context.pinned(source, &name, arch);
        let copied = copy(context, reference, &source, &platforms);
        let copied = copied.map_err(|error| needed_by(error, input.needed_by.as_deref()))?;
        for blob in &copied.blobs {
            builder.blob(blob.digest, blob.size);
        }
        for referrer in copied.referrers {
            builder.referrer(referrer);
        }
        for (name, referrer) in copied.tagged {
            builder.reference(&name, referrer);
        }
        let is_index = matches!(copied.root.media_type, MediaType::Index(_));
        images.push(manifest::Image {
            role: Role::Content,
            reference: name.clone(),
            index: is_index.then_some(copied.root.digest),
            manifest: (!is_index).then_some(copied.root.digest),
            layers: Vec::new(),
        });
        builder.reference(&name, copied.root);
    }
    if images.is_empty() && artifacts.is_empty() {
        return Ok(None);
    }
    let carried = artifacts
        .iter()
        .map(|artifact| content_item(artifact, artifact.add_to(&mut builder)))
        .collect();
    Ok(Some(Content {
        layout: builder.build(),
        images,
        carried,
    }))
}

/// What the build manifest says of an artifact with the manifest `manifest`.
fn content_item(artifact: &Artifact, manifest: Digest) -> manifest::ContentItem {
    let said = |key| artifact.annotation(key).unwrap_or_default().to_owned();
    let files = artifact.layers.first().unwrap_or(&artifact.config);
    manifest::ContentItem {
        kind: artifact.kind.unwrap_or_default().to_owned(),
        name: said(TITLE),
        version: said(VERSION),
        reference: artifact.name.clone(),
        manifest,
        digest: Digest::of(&files.bytes),
    }
}

/// Copies `image` from `source` into the store, and what the registry holds about it
/// where the context asks for that: by its subject, or under the tag that names it in
/// the image's repository.
///
/// # Errors
/// The image can't be had.
pub fn copy(
    context: &Context<'_>,
    image: &Reference,
    source: &ImageSource,
    platforms: &Platforms,
) -> Result<Copied> {
    let mirrored = mirror_image(
        context.client,
        source,
        platforms,
        context.store,
        &context.pull_limits,
        context.threads,
        context.progress,
    )?;
    let mut copied = Copied {
        root: mirrored.root.clone(),
        blobs: mirrored.blobs.clone(),
        referrers: Vec::new(),
        tagged: Vec::new(),
    };
    if !context.referrers {
        return Ok(copied);
    }
    let found = mirror_referrers(
        context.client,
        &ImageSource::Registry(image.clone()),
        &mirrored,
        context.store,
        &context.pull_limits,
        context.threads,
        context.progress,
    )?;
    copied.blobs.extend(found.blobs);
    for referrer in found.referrers {
        match referrer.tag {
            None => copied.referrers.push(referrer.manifest),
            Some(tag) => {
                let name = format!("{}:{tag}", image.name());
                copied.tagged.push((name, referrer.manifest));
            }
        }
    }
    Ok(copied)
}
