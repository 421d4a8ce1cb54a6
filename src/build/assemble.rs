//! Layers become one system: what was gathered, then the layers that isoforge makes
//! itself, then overlays.

use isoforge_base::error::{Context as _, Result};

use super::gather::{Architecture, Gathered};
use super::{included, machine, programs, registry, requirements, system};
use crate::sources::{components, kubernetes};
use isoforge_base::digest::Digest;
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::Flavor;
use isoforge_contract::manifest::ComponentKind;
use isoforge_system::boot::kernel_image;
use isoforge_system::boot::lock::Lock;
use isoforge_system::merged::System;
use isoforge_system::slab_maker::SlabMaker;
use isoforge_system::{appliance_layer, hardening, kairos_lock, registry_layer};

/// The fourth value of a build: a whole system.
pub(super) struct Assembled<'l> {
    pub(super) gathered: &'l Gathered<'l>,
    pub(super) arch: Arch,
    /// What it is made from.
    pub(super) from: &'l Architecture<'l>,
    pub(super) system: System,
    /// The version of Kubernetes that the operating system's image holds, where it is to.
    pub(super) kubernetes_found: Option<String>,
}

/// What a system is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Iso,
    Provider,
}

impl<'l> Assembled<'l> {
    /// Puts the system for `arch` with this version of Kubernetes together.
    pub(super) fn of(
        gathered: &'l Gathered<'l>,
        arch: Arch,
        version: &str,
        purpose: Use,
    ) -> Result<Self> {
        let from = gathered.architectures.get(&arch);
        let from = from.with_context(|| format!("nothing was gathered for {arch}"))?;
        let maker = gathered.locked.maker();
        let mut system = System::default();
        for group in from.groups.iter().filter(|group| group.is_for(version)) {
            let wanted = match purpose {
                Use::Iso => group.input.iso,
                Use::Provider => group.input.provider,
            };
            for layer in group.layers.iter().filter(|_| wanted) {
                system.add(layer, &group.name, &maker)?;
            }
        }
        let mut this = Self {
            gathered,
            arch,
            from,
            system,
            kubernetes_found: None,
        };
        this.find_components(version)?;
        this.add_own_layers(version)?;
        Ok(this)
    }

    pub(super) fn diff_ids(&self) -> Vec<Digest> {
        let layers = self.system.layers.iter();
        layers.map(|own| own.layer.diff_id).collect()
    }

    /// Finds out what is in it: what the profile names, and what the tree says of
    /// itself.
    fn find_components(&mut self, version: &str) -> Result<()> {
        let system = &self.system;
        let booted = kernel_image::booted(&system.tree, &system.slabs, self.arch)?;
        let mut found = components::of_system(&system.tree, &system.slabs, booted.as_deref())?;
        let loaded = self.gathered.locked.request.loaded;
        self.kubernetes_found = included::check(self.gathered.locked, system, self.arch, version)?;
        let kubernetes = self.kubernetes_found.as_deref().unwrap_or(version);
        found.extend(kubernetes::components(loaded, kubernetes));
        found.extend(components::of_packages(
            &system.tree,
            &system.slabs,
            ComponentKind::Kubernetes,
            self.from.kubernetes_packages.iter().map(String::as_str),
        )?);
        found.sort();
        found.dedup();
        self.system.components = found;
        Ok(())
    }

    fn add_own_layers(&mut self, version: &str) -> Result<()> {
        let (locked, arch) = (self.gathered.locked, self.arch);
        let (renderer, profile) = (&locked.renderer, locked.profile());
        let (maker, epoch) = (locked.maker(), self.gathered.epoch.seconds);
        let system = &mut self.system;
        let context = renderer.context_for(arch.as_str(), version)?;
        let program = locked.programs.get(&arch);
        let program = program.with_context(|| format!("no program for {arch}"))?;
        let mut config = machine::config(profile, arch, &system.tree);
        requirements::add(locked, &mut config.install.requirements);
        let units = renderer.appliance_units(&context, epoch)?;
        let told = (&config, config.to_json()?);
        let (lock, tree) = (renderer.lock.as_ref(), &system.tree);
        let layer = appliance_layer::layer(units, &program.bytes, told, lock, epoch, tree)?;
        system::add_overlay(system, &layer, appliance_layer::PURPOSE, &maker)?;
        if profile.console.enabled {
            let units = renderer.console_units(&context, epoch)?;
            system::add_overlay(system, &units, appliance_layer::CONSOLE_PURPOSE, &maker)?;
        }
        if let (Some(registry), Some(component)) = (&config.registry, &profile.registry) {
            let units = renderer.registry_units(&context, epoch)?;
            let kind = registry.name;
            let program = || registry::program(locked, arch, kind, component);
            let (flavor, tree) = (config.flavor, &system.tree);
            let layer = registry_layer::layer(units, kind, flavor, tree, epoch, program)?;
            system::add_overlay(system, &layer, registry_layer::PURPOSE, &maker)?;
        }
        if let Some(hardening) = &profile.hardening {
            let layer = hardening.layer(epoch)?;
            system::add_overlay(system, &layer, hardening::PURPOSE, &maker)?;
        }
        system::finish(system, locked, &context, epoch, &maker)?;
        if let (Flavor::Kairos, Some(lock)) = (config.flavor, lock) {
            lock_kairos(system, lock, epoch, &maker)?;
        }
        let version = self.kubernetes_found.as_deref().unwrap_or(version);
        programs::check(locked, system, arch, version);
        requirements::check(locked, system, arch.as_str())
    }
}

/// Locks the menu that Kairos's agent writes to a disk, and tells what that leaves open.
fn lock_kairos(system: &mut System, lock: &Lock, epoch: u32, maker: &SlabMaker<'_>) -> Result<()> {
    match kairos_lock::layer(&system.tree, &system.slabs, lock, epoch)? {
        Ok(layer) => {
            system::add_overlay(system, &layer, kairos_lock::PURPOSE, maker)?;
        }
        Err(why) => maker.progress.warn(format!(
            "'boot.password' does not lock the menu of an installed disk: {why}"
        )),
    }
    Ok(())
}
