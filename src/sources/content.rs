//! Images that the ISO carries for the embedded registry: one OCI layout with
//! every image that the profile's components need, indexes and digests as
//! their registries have them.

use super::{Context, Error};
use crate::oci::artifact::Artifact;
use crate::oci::layout::{Builder, OciLayout};
use crate::oci::platform::Platform;
use crate::oci::reference::{ImageSource, Reference};
use crate::output::manifest::{self, Role};
use crate::profile::{Arch, ContentPlan};
use crate::pull::{MirroredImage, Platforms, mirror_image, mirror_referrers};

/// Where the layout is on the ISO.
pub const ISO_PATH: &str = "isoforge/content";

/// The content of one ISO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The layout; its blobs are in the store. Images are under their full
    /// references, as `quay.io/calico/node:v3.29.2`.
    pub layout: OciLayout,
    /// What went in.
    pub images: Vec<manifest::Image>,
}

/// Copies the images of `plan` for `arch` into the store, and puts `artifacts`
/// beside them; none where there are neither.
///
/// # Errors
/// [`Error::Pull`].
pub fn collect(
    context: &Context<'_>,
    plan: &ContentPlan,
    artifacts: &[Artifact],
    arch: Arch,
) -> Result<Option<Content>, Error> {
    if plan.images.is_empty() && artifacts.is_empty() {
        return Ok(None);
    }
    let platforms = Platforms::Only(vec![Platform::linux(arch.as_str())]);
    let mut builder = Builder::new();
    let mut images = Vec::with_capacity(plan.images.len());
    for image in &plan.images {
        let name = image.reference.to_string();
        let source = ImageSource::Registry(image.reference.clone());
        let mirrored = mirror_image(
            context.client,
            &context.pinned(source, &name, arch),
            &platforms,
            context.store,
            &context.pull_limits,
            context.threads,
            context.progress,
        )?;
        for blob in &mirrored.blobs {
            builder.blob(blob.digest, blob.size);
        }
        if context.referrers {
            add_referrers(context, &image.reference, &mirrored, &mut builder)?;
        }
        let is_index = matches!(
            mirrored.root.media_type,
            crate::oci::media::MediaType::Index(_)
        );
        images.push(manifest::Image {
            role: Role::Content,
            reference: name.clone(),
            index: is_index.then_some(mirrored.root.digest),
            manifest: (!is_index).then_some(mirrored.root.digest),
            layers: Vec::new(),
        });
        builder.reference(&name, mirrored.root);
    }
    for artifact in artifacts {
        artifact.add_to(&mut builder);
    }
    Ok(Some(Content {
        layout: builder.build(),
        images,
    }))
}

/// Puts what the registry holds about an image beside it: by its subject, or under
/// the tag that names it in the image's repository.
fn add_referrers(
    context: &Context<'_>,
    image: &Reference,
    mirrored: &MirroredImage,
    builder: &mut Builder,
) -> Result<(), Error> {
    let found = mirror_referrers(
        context.client,
        &ImageSource::Registry(image.clone()),
        mirrored,
        context.store,
        &context.pull_limits,
        context.threads,
        context.progress,
    )?;
    for blob in &found.blobs {
        builder.blob(blob.digest, blob.size);
    }
    for referrer in found.referrers {
        match referrer.tag {
            None => builder.referrer(referrer.manifest),
            Some(tag) => {
                let name = format!("{}/{}:{tag}", image.registry(), image.repository());
                builder.reference(&name, referrer.manifest);
            }
        }
    }
    Ok(())
}
