//! Whether a system has what the packs of a profile ask of it.

use super::lock::Locked;
use isoforge_base::error::{Class, Context as _, Failure, Result};
use isoforge_base::human;
use isoforge_content::requirements::missing;
use isoforge_contract::machine;
use isoforge_system::merged::System;

/// Checks what packs need of each other, and how many machines against the profile's
/// number.
///
/// # Errors
/// Where it is too small, unless the build is forced.
pub(super) fn check_cluster(build: &Locked<'_>) -> Result<()> {
    let content = &build.content;
    let nodes = build.profile().cluster.nodes;
    let layers = content.definition.iter().flat_map(|it| &it.layers);
    let short = layers.filter_map(|layer| {
        let needed = layer.requirements.nodes;
        let needed = needed.filter(|needed| *needed > nodes.unwrap_or(1))?;
        let machines = human::count(needed, "machine");
        Some(format!("{} {} needs {machines}", layer.name, layer.version))
    });
    let mut lacks = content.unmet.clone();
    for short in short {
        match nodes {
            Some(nodes) => lacks.push(format!("{short}, and it has {nodes}")),
            None => build.session.progress.warn(format!(
                "{short}: say how many the cluster has with 'nodes' under [cluster]"
            )),
        }
    }
    if lacks.is_empty() {
        return Ok(());
    }
    unmet(
        build,
        "the cluster lacks what packs need",
        &lacks,
        "add what is missing or take other versions, and say with 'nodes' under [cluster] how many \
         machines there are",
    )
}

/// An error, unless the build is forced.
fn unmet(build: &Locked<'_>, what: &str, lacks: &[String], hint: &str) -> Result<()> {
    let lines: String = lacks.iter().map(|lack| format!("\n    {lack}")).collect();
    let message = format!("{what}:{lines}");
    if build.request.settings.force {
        build.session.progress.warn(message);
        return Ok(());
    }
    let hint = format!("{hint}; --force builds nonetheless");
    Err(Failure::new(Class::Profile, message).with_hint(hint))
}

/// Adds what packs ask of a machine to what its installer checks: of each kind the
/// most that anybody asks.
pub(super) fn add(build: &Locked<'_>, to: &mut machine::Requirements) {
    let Some(definition) = &build.content.definition else {
        return;
    };
    let machine = &definition.nodes;
    to.cpus = to.cpus.max(machine.cpus);
    to.memory_mib = to.memory_mib.max(machine.memory_mib);
    to.disk_mib = to.disk_mib.max(machine.disk_mib);
    if build.profile().cluster.nodes.is_none() {
        to.nodes = machine.count.filter(|count| *count > 1);
    }
    let layers = definition.layers.iter();
    let modules = layers.flat_map(|layer| &layer.requirements.kernel_modules);
    to.modules.extend(modules.map(|module| module.name.clone()));
    to.modules.sort();
    to.modules.dedup();
    let layers = definition.layers.iter();
    let settings = layers.flat_map(|layer| &layer.requirements.sysctls);
    to.sysctls.extend(settings.map(ToString::to_string));
    // Ranges of one setting stay beside each other: all of them must hold.
    to.sysctls.sort();
    to.sysctls.dedup();
}

/// Checks the modules, commands and kernel settings that packs ask for.
///
/// # Errors
/// Where one is missing, unless the build is forced.
pub(super) fn check(build: &Locked<'_>, system: &System, arch: &str) -> Result<()> {
    let Some(definition) = &build.content.definition else {
        return Ok(());
    };
    let mut lacks = Vec::new();
    for layer in &definition.layers {
        let found = missing(&system.tree, &system.slabs, &layer.requirements)
            .context("the system's kernel modules and settings can't be read")?;
        let by = format!("{} {} needs", layer.name, layer.version);
        lacks.extend(found.iter().map(|lack| format!("{by} {lack}")));
    }
    if lacks.is_empty() {
        return Ok(());
    }
    unmet(
        build,
        &format!("the system for {arch} lacks what is needed"),
        &lacks,
        "take an image that has it, or add it with [[layers]] or an overlay",
    )
}
