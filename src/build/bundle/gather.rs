//! What goes into a bundle: images in the store, and what a profile has beside them.

use std::collections::BTreeMap;

use super::BundleRequest;
use crate::build::Upgrade;
use crate::build::content::{self as searching, Searched};
use crate::build::session::Session;
use crate::inputs::Inputs;
use crate::lock::{self, Lock};
use crate::sources::{self, content};
use isoforge_base::error::{Class, Failure, Result};
use isoforge_content::bundle::{Composer, Kind};
use isoforge_contract::arch::Arch;
use isoforge_oci::platform::Platform;
use isoforge_oci::pull::Platforms;
use isoforge_oci::reference::{ImageSource, Reference};

/// Who wants an image.
#[derive(Debug, Default)]
struct Use {
    /// Architectures of the profile.
    archs: Vec<Arch>,
    /// Of the profile's content, whom it is for.
    needed_by: Option<String>,
}

type Images = BTreeMap<Reference, Use>;

/// The content of the profile, and the images that are asked for beside it.
fn images(request: &BundleRequest<'_>, inputs: &Inputs) -> Images {
    let mut images = Images::new();
    let content = inputs.list.iter().filter(|input| input.is_content());
    for (input, reference) in content.filter_map(|it| Some((it, it.reference()?))) {
        let of = images.entry(reference.clone()).or_default();
        of.archs.push(input.arch);
        of.needed_by = of.needed_by.take().or_else(|| input.needed_by.clone());
    }
    let archs = request
        .profile
        .map(|(loaded, _)| &loaded.profile.appliance.arch);
    for image in request.images {
        let of = images.entry(image.clone()).or_default();
        of.archs = archs.cloned().unwrap_or_default();
    }
    images
}

/// The profile's lock, what its packs, charts and manifests need, and what goes in.
fn of_profile(
    request: &BundleRequest<'_>,
    session: &Session<'_>,
) -> Result<(Option<Lock>, Searched, Inputs)> {
    let Some((loaded, path)) = request.profile else {
        return Ok(Default::default());
    };
    let path = lock::locate(path, request.lock.path.as_deref())?;
    let old = lock::read_if_there(&path)?;
    let accept_scan = request.lock.accept_scan;
    let (searched, inputs) =
        searching::find(session, loaded, accept_scan, old.as_ref(), &Upgrade::None)?;
    for unmet in &searched.unmet {
        session.progress.warn(unmet);
    }
    let owners = searched.not_in(old.as_ref());
    if request.lock.locked && !owners.is_empty() {
        return Err(not_locked(format!(
            "packs, charts and manifests are not as the lock {} has them: those of {}",
            path.display(),
            owners.join(", ")
        )));
    }
    for (_, reference, needed_by) in &inputs.left_out {
        let text = format!("left out: {reference} (needed by {needed_by})");
        session.progress.note(text);
    }
    Ok((old, searched, inputs))
}

/// Brings the content into the store and lists it.
pub(super) fn gather(
    request: &BundleRequest<'_>,
    session: &Session<'_>,
    composer: &mut Composer,
) -> Result<Vec<String>> {
    session.progress.stage("Gathering images");
    let (lock, searched, inputs) = of_profile(request, session)?;
    let images = images(request, &inputs);
    check_locked(request, lock.as_ref(), &images)?;
    let context = session.context(lock.as_ref());
    let mut names = Vec::with_capacity(images.len());
    for (image, Use { archs, needed_by }) in &images {
        let name = image.to_string();
        let mut source = ImageSource::Registry(image.clone());
        if let Some(arch) = archs.first() {
            source = context.pinned(source, &name, *arch);
        }
        let copied = content::copy(&context, image, &source, &platforms(request, archs));
        let copied = copied.map_err(|error| sources::needed_by(error, needed_by.as_deref()))?;
        for blob in &copied.blobs {
            composer.blob(blob.digest, blob.size);
        }
        for referrer in copied.referrers {
            composer.referrer(referrer);
        }
        for (name, root) in copied.tagged {
            composer.root(&name, &Kind::Image, root)?;
        }
        composer.root(&name, &Kind::Image, copied.root)?;
        names.push(name);
    }
    for artifact in &searched.artifacts {
        composer.artifact(artifact)?;
        names.push(artifact.name.clone());
    }
    // A pack may be carried for two.
    names.sort();
    names.dedup();
    Ok(names)
}

fn platforms(request: &BundleRequest<'_>, archs: &[Arch]) -> Platforms {
    if !request.platforms.is_empty() {
        return Platforms::Only(request.platforms.to_vec());
    }
    match archs {
        [] => Platforms::All,
        archs => Platforms::Only(
            archs
                .iter()
                .map(|arch| Platform::linux(arch.as_str()))
                .collect(),
        ),
    }
}

/// Refuses images that the lock does not have, where that is asked for.
fn check_locked(request: &BundleRequest<'_>, lock: Option<&Lock>, images: &Images) -> Result<()> {
    let Some((_, path)) = request.profile.filter(|_| request.lock.locked) else {
        return Ok(());
    };
    let is_pinned = |image: &Reference, archs: &[Arch]| {
        let name = image.to_string();
        let locked = lock.and_then(|lock| lock.image(&name));
        image.digest().is_some()
            || archs
                .iter()
                .all(|arch| locked.is_some_and(|image| image.pin(arch.as_str()).is_some()))
    };
    let lacking: Vec<String> = images
        .iter()
        .filter(|(image, of)| !is_pinned(image, &of.archs))
        .map(|(image, _)| image.to_string())
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(not_locked(format!(
        "{} of the bundle's images are not in the lock {}: {}",
        lacking.len(),
        lock::locate(path, request.lock.path.as_deref())?.display(),
        lacking.join(", ")
    )))
}

/// `--locked`, and something that the lock does not have.
fn not_locked(message: String) -> Failure {
    Failure::new(Class::LockDrift, message)
        .with_hint("bring the lock up to date with isoforge lock")
}
