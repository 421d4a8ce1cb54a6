//! What goes into a bundle: images in the store, and what a profile has beside them.

use std::collections::BTreeMap;

use isoforge_base::error::{Class, Failure, Result};

use super::BundleRequest;
use crate::build::content::{self as searching, Means, Searched};
use crate::build::{Upgrade, convert};
use crate::lock::{self, Lock};
use crate::profile::{Arch, FoundImages};
use crate::sources;
use crate::sources::content;
use isoforge_base::progress::Progress;
use isoforge_content::bundle::{Composer, Kind};
use isoforge_formats::tar::Limits;
use isoforge_oci::platform::Platform;
use isoforge_oci::pull::{self, Platforms};
use isoforge_oci::reference::{ImageSource, Reference};
use isoforge_oci::registry::Client;
use isoforge_oci::store::Store;

/// Who wants an image.
#[derive(Debug, Default)]
struct Use {
    /// Architectures of the profile.
    archs: Vec<Arch>,
    /// Of the profile's content, whom it is for.
    needed_by: Option<String>,
}

type Wanted = BTreeMap<Reference, Use>;

fn wanted(
    request: &BundleRequest<'_>,
    found: &[FoundImages],
    progress: &Progress,
) -> Result<Wanted> {
    let mut wanted = Wanted::new();
    if let Some((loaded, _)) = request.profile {
        for arch in &loaded.profile.appliance.arch {
            let plan = loaded.content_plan_with(*arch, found)?;
            for left_out in &plan.left_out {
                progress.note(format!(
                    "left out: {} (needed by {})",
                    left_out.reference, left_out.needed_by
                ));
            }
            for image in plan.images {
                let of = wanted.entry(image.reference).or_default();
                of.archs.push(*arch);
                of.needed_by.get_or_insert(image.needed_by);
            }
        }
        for image in request.images {
            let of = wanted.entry(image.clone()).or_default();
            of.archs.clone_from(&loaded.profile.appliance.arch);
        }
    }
    for image in request.images {
        wanted.entry(image.clone()).or_default();
    }
    Ok(wanted)
}

/// What the profile's packs, charts and manifests need, as `build` finds it.
fn search(
    request: &BundleRequest<'_>,
    client: &Client,
    store: &Store,
    lock: Option<&Lock>,
    progress: &Progress,
) -> Result<Searched> {
    let Some((loaded, path)) = request.profile else {
        return Ok(Searched::default());
    };
    let means = Means {
        profile: &loaded.profile,
        client,
        store,
        threads: convert::threads(&request.settings),
        accept_scan: request.lock.accept_scan,
        progress,
    };
    let searched = searching::search(&means, lock, &Upgrade::None)?;
    searching::check_complete(loaded, &searched, progress)?;
    for unmet in &searched.unmet {
        progress.warn(unmet);
    }
    let owners = searched.not_in(lock);
    if request.lock.locked && !owners.is_empty() {
        let lock = lock::locate(path, request.lock.path.as_deref());
        return Err(not_locked(format!(
            "packs, charts and manifests are not as the lock {} has them: those of {}",
            lock.display(),
            owners.join(", ")
        )));
    }
    Ok(searched)
}

/// Brings the content into the store and lists it.
pub(super) fn gather(
    request: &BundleRequest<'_>,
    store: &Store,
    composer: &mut Composer,
    progress: &Progress,
) -> Result<Vec<String>> {
    progress.stage("Gathering images");
    let registries = match request.profile {
        Some((loaded, _)) => convert::registry(loaded, &request.settings),
        None => convert::user_registries(&request.settings),
    };
    registries.check()?;
    let client = Client::new(registries);
    let client = if request.lock.offline {
        client.offline()
    } else {
        client
    };
    let lock = read_lock(request)?;
    let searched = search(request, &client, store, lock.as_ref(), progress)?;
    let wanted = wanted(request, &searched.found, progress)?;
    check_locked(request, lock.as_ref(), &wanted)?;
    let context = sources::Context {
        store,
        client: &client,
        lock: lock.as_ref(),
        limits: Limits::DEFAULT,
        pull_limits: pull::Limits::DEFAULT,
        threads: convert::threads(&request.settings),
        referrers: request.settings.with_referrers,
        progress,
    };
    let mut names = Vec::with_capacity(wanted.len());
    for (image, Use { archs, needed_by }) in &wanted {
        let name = image.to_string();
        let mut source = ImageSource::Registry(image.clone());
        if let Some(arch) = archs.first() {
            source = context.pinned(source, &name, *arch);
        }
        let copied = content::copy(&context, image, &source, &platforms(request, archs));
        let copied = copied.map_err(|error| match needed_by {
            Some(needed_by) => error.of_content(needed_by),
            None => error,
        })?;
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

/// The profile's lock, where there is one.
fn read_lock(request: &BundleRequest<'_>) -> Result<Option<Lock>> {
    let Some((_, path)) = request.profile else {
        return Ok(None);
    };
    let path = lock::locate(path, request.lock.path.as_deref());
    Ok(lock::read_if_there(&path)?)
}

/// Refuses images that the lock does not have, where that is asked for.
fn check_locked(request: &BundleRequest<'_>, lock: Option<&Lock>, wanted: &Wanted) -> Result<()> {
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
    let lacking: Vec<String> = wanted
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
        lock::locate(path, request.lock.path.as_deref()).display(),
        lacking.join(", ")
    )))
}

/// `--locked`, and something that the lock does not have.
fn not_locked(message: String) -> Failure {
    Failure::new(Class::LockDrift, message)
        .with_hint("bring the lock up to date with isoforge lock")
}
