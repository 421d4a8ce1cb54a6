//! Which GRUB core images a host's grub-mkimage has to make, found out without
//! building anything.
//!
//! Only the layers tell whether an image brings its core image or the modules
//! alone. So the layers are pulled where BIOS is wanted and the lock does not
//! know yet; of them the modules are taken, and nothing is compressed but these.
//! Overlays and templates are not looked at: what a build finds out otherwise it
//! writes into the lock itself.

use isoforge_base::error::{Context as _, Result};

use super::Locked;
use crate::build::boot_files::BootFiles;
use crate::build::gather;
use crate::lock::{CoreImage, CoreTarget, compare, refuse};
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::{Firmware, Flavor};
use isoforge_oci::layer::Layer;
use isoforge_system::boot::core_image::{Recipe, Target};
use isoforge_system::boot::loader::{self, Core};
use isoforge_system::core_images::{self, KeptCoreImage};
use isoforge_system::filtered::{Filter, filter_layers, merge};
use isoforge_system::merged::System;

/// The core images for all architectures, made where the store has none.
pub(super) fn find(build: &Locked<'_>) -> Result<Vec<CoreImage>> {
    let profile = &build.request.loaded.profile;
    let mut found = Vec::new();
    for arch in &profile.appliance.arch {
        if !profile.firmware(*arch).contains(&Firmware::Bios) {
            continue;
        }
        found.extend(of_arch(build, *arch)?);
    }
    Ok(found)
}

fn of_arch(build: &Locked<'_>, arch: Arch) -> Result<Vec<CoreImage>> {
    let layers = gather::iso_layers(build, arch)?;
    let tree = merge(
        &build.session.store,
        &layers,
        "the OS",
        &build.session.limits,
        build.session.progress,
    )?;
    let mut wanted = Vec::new();
    // What is missing the build says, which knows the overlays too.
    if let Ok(bios) = loader::find_bios(&tree, arch)
        && let Core::Modules(dir) = bios.core
    {
        wanted.push((CoreTarget::Medium, Target::Medium, dir));
    }
    if build.request.loaded.profile.os.flavor == Flavor::Appliance
        && let Some(bios) = loader::find_bios_disk(&tree)
        && let Core::Modules(dir) = bios.core
    {
        wanted.push((CoreTarget::Disk, Target::Disk, dir));
    }
    let Some((_, _, dir)) = wanted.first() else {
        return Ok(Vec::new());
    };
    let recipe = recipe(build, &layers, dir)?;
    let mut made = Vec::new();
    for (of, target, _) in wanted {
        let recipe = recipe.clone().target(target);
        let (_, kept) = core_images::get(&build.session.store, &recipe, &core_images(build, arch))?;
        made.push(entry(arch, of, kept));
    }
    Ok(made)
}

/// Of `layers` the modules in `dir` alone.
fn recipe(build: &Locked<'_>, layers: &[Layer], dir: &str) -> Result<Recipe> {
    let pattern = format!("{}/**", dir.trim_start_matches('/'));
    let layer = filter_layers(
        &build.session.store,
        layers,
        &Filter::new(&[pattern], &[])?,
        "the OS",
        &build.session.limits,
        build.session.progress,
    )?;
    let mut modules = System::default();
    modules.add(&layer, "GRUB's modules", &build.maker())?;
    Recipe::read(&modules.tree, &modules.slabs, dir)
        .with_context(|| format!("reading GRUB's modules in {dir}"))
}

/// The core images that the build's lock has for `arch`.
pub(in crate::build) fn core_images(build: &Locked<'_>, arch: Arch) -> Vec<KeptCoreImage> {
    let locked = build.lock.core_images.iter();
    locked
        .filter(|core| core.arch == arch.as_str())
        .map(|core| KeptCoreImage {
            key: core.key,
            digest: core.digest,
            made_by: core.made_by.clone(),
        })
        .collect()
}

/// The core images that were made for an ISO, as the lock has them.
pub(in crate::build) fn core_image_entries(arch: Arch, boot: &BootFiles) -> Vec<CoreImage> {
    let medium = boot
        .core_image
        .iter()
        .map(|kept| (CoreTarget::Medium, kept));
    let disk = boot
        .disk
        .iter()
        .filter_map(|disk| Some((CoreTarget::Disk, disk.kept.as_ref()?)));
    medium
        .chain(disk)
        .map(|(target, kept)| entry(arch, target, kept.clone()))
        .collect()
}

/// Where the lock may not change, core images that were made must be in it.
pub(in crate::build) fn check_core_images(
    build: &Locked<'_>,
    arch: Arch,
    boot: &BootFiles,
) -> Result<()> {
    if !build.request.lock.locked {
        return Ok(());
    }
    let now = build.with_core_images(core_image_entries(arch, boot));
    refuse(&build.lock_path, &compare(&build.lock, &now))
}

/// A core image as the lock has it.
fn entry(arch: Arch, target: CoreTarget, kept: KeptCoreImage) -> CoreImage {
    CoreImage {
        arch: arch.as_str().to_owned(),
        target,
        key: kept.key,
        digest: kept.digest,
        made_by: kept.made_by,
    }
}
