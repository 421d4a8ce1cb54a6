//! Which GRUB core images a host's grub-mkimage has to make, found out without
//! building anything.
//!
//! Only the layers tell whether an image brings its core image or the modules
//! alone. So the layers are pulled where BIOS is wanted and the lock does not
//! know yet; of them the modules are taken, and nothing is compressed but these.
//! Overlays and templates are not looked at: what a build finds out otherwise it
//! writes into the lock itself.

use anyhow::{Context as _, Result};

use crate::boot::core_image::Recipe;
use crate::boot::loader::{self, Core};
use crate::lock::{CoreImage, Error, Lock, compare, locate};
use crate::pipeline::boot_files::BootFiles;
use crate::pipeline::build::Build;
use crate::pipeline::core_image::{self, KeptCoreImage};
use crate::pipeline::system::System;
use crate::pipeline::{convert, gather};
use crate::profile::{Arch, Firmware};
use crate::sources::filter::{Filter, filter_layers, merge};

/// The core images for all architectures, made where the store has none.
pub(super) fn find(build: &Build<'_>, lock: &Lock) -> Result<Vec<CoreImage>> {
    let profile = &build.request.loaded.profile;
    let mut found = Vec::new();
    for arch in &profile.appliance.arch {
        if !profile.firmware(*arch).contains(&Firmware::Bios) {
            continue;
        }
        if let Some(made) = of_arch(build, *arch, lock)? {
            found.push(made);
        }
    }
    Ok(found)
}

fn of_arch(build: &Build<'_>, arch: Arch, lock: &Lock) -> Result<Option<CoreImage>> {
    let layers = gather::iso_layers(build, arch)?;
    let tree = merge(
        &build.store,
        &layers,
        "the OS",
        &build.limits,
        build.progress,
    )?;
    // What is missing the build says, which knows the overlays too.
    let Ok(bios) = loader::find_bios(&tree, convert::arch(arch)) else {
        return Ok(None);
    };
    let Core::Modules(dir) = bios.core else {
        return Ok(None);
    };
    let pattern = format!("{}/**", dir.trim_start_matches('/'));
    let layer = filter_layers(
        &build.store,
        &layers,
        &Filter::new(&[pattern], &[])?,
        "the OS",
        &build.limits,
        build.progress,
    )?;
    let mut modules = System::default();
    modules.add(&layer, "GRUB's modules", &build.maker())?;
    let recipe = Recipe::read(&modules.tree, &modules.slabs, &dir)
        .with_context(|| format!("reading GRUB's modules in {dir}"))?;
    let (_, kept) = core_image::get(&build.store, &recipe, &pinned(lock, arch))?;
    Ok(Some(entry(arch, kept)))
}

/// What the lock has for `arch`.
fn pinned(lock: &Lock, arch: Arch) -> Vec<KeptCoreImage> {
    let locked = lock.core_images.iter();
    locked
        .filter(|core| core.arch == arch.as_str())
        .map(|core| KeptCoreImage {
            key: core.key,
            digest: core.digest,
            made_by: core.made_by.clone(),
        })
        .collect()
}

/// The core images that the build's lock has for `arch`.
pub(in crate::pipeline) fn core_images(build: &Build<'_>, arch: Arch) -> Vec<KeptCoreImage> {
    let lock = build.lock.as_ref();
    lock.map_or_else(Vec::new, |lock| pinned(lock, arch))
}

/// The core image that was made for an ISO, as the lock has it.
pub(in crate::pipeline) fn core_image_entry(arch: Arch, boot: &BootFiles) -> Option<CoreImage> {
    let kept = boot.core_image.clone()?;
    Some(entry(arch, kept))
}

/// Where the lock may not change, a core image that was made must be in it.
pub(in crate::pipeline) fn check_core_image(
    build: &Build<'_>,
    arch: Arch,
    boot: &BootFiles,
) -> Result<()> {
    let (true, Some(lock), Some(made)) = (
        build.request.lock.locked,
        &build.lock,
        core_image_entry(arch, boot),
    ) else {
        return Ok(());
    };
    let mut now = lock.clone();
    now.core_images.retain(|core| core.arch != made.arch);
    now.core_images.push(made);
    let drifts = compare(lock, &now);
    if drifts.is_empty() {
        return Ok(());
    }
    let explicit = build.request.lock.path.as_deref();
    let path = locate(build.request.profile_path, explicit);
    Err(Error::Drift { path, drifts }.into())
}

/// A core image as the lock has it.
fn entry(arch: Arch, kept: KeptCoreImage) -> CoreImage {
    CoreImage {
        arch: arch.as_str().to_owned(),
        key: kept.key,
        digest: kept.digest,
        made_by: kept.made_by,
    }
}
