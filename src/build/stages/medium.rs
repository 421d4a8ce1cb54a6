//! The ISO of one architecture: boot files, configuration, overlays and content
//! around the system.

use std::collections::BTreeMap;

use isoforge_base::error::Result;

use super::Build;
use crate::build::boot_files::{self, BootFiles};
use crate::build::gather::{self, Inputs};
use crate::build::system;
use crate::build::{iso, lock};
use crate::lock::CoreImage;
use crate::profile::Arch;
use crate::render::boot_menu;
use isoforge_base::output::Finished;
use isoforge_base::output::OutputDir;
use isoforge_base::output::space::{self, HostFileSystems, Requirement};
use isoforge_base::tree::{Kind, Tree};
use isoforge_content::definition;
use isoforge_contract::manifest::{self, Epoch, Manifest, Squashfs};
use isoforge_formats::squashfs::write::ImagePlan;
use isoforge_system::installer_iso::{Extra, ExtraKind, Payload};
use isoforge_system::merged::System;
use isoforge_system::overlay::OverlayLayer;

/// An ISO that is finished.
pub(super) struct WrittenIso {
    pub(super) file: Finished,
    pub(super) squashfs: Squashfs,
    pub(super) core_images: Vec<CoreImage>,
}

/// Writes the ISO of an architecture and records it in the manifest.
///
/// # Errors
/// Of every stage; no part of the file is there then.
pub(super) fn write_iso(
    build: &Build<'_>,
    arch: Arch,
    inputs: &Inputs,
    system: &System,
    epoch: Epoch,
    manifest: &mut Manifest,
    output: &mut OutputDir,
) -> Result<WrittenIso> {
    let loaded = build.request.loaded;
    let profile = &loaded.profile;
    let pinned = lock::core_images(build, arch);
    let boot = boot_files::find(
        &system.tree,
        &system.slabs,
        profile,
        arch,
        (&build.store, &pinned),
        &build.request.settings,
        build.progress,
    )?;
    let context = build
        .renderer
        .context_for(arch.as_str(), profile.iso_version())?;
    let config = build.renderer.cloud_config(loaded, &context)?;
    lock::check_core_images(build, arch, &boot)?;
    let overlays = build
        .renderer
        .iso_overlays(loaded, &context, epoch.seconds)?;
    let mut extra = match &inputs.content {
        Some(layout) => iso::content(layout, &build.store),
        None => Vec::new(),
    };
    extra.extend(definition(build)?);
    extra.extend(boot.disk_files());
    extra.extend(iso_overlay_files(&overlays));
    let plan = ImagePlan::new(&system.tree, &system.slabs, &build.squashfs, epoch.seconds)?;
    system::warn_of_losses(plan.report(), "the root file system", build.progress);
    let mut files = vec![build.renderer.cloud_config_record(loaded)?];
    files.extend(overlay_records(build, &overlays)?);
    let records = boot.records(&system.slabs, build.progress)?;
    record_architecture(manifest, arch, &boot, system, files);
    if let Some(record) = manifest.architectures.get_mut(arch.as_str()) {
        record.boot = records;
    }
    check_iso_space(&plan, &boot, &extra, output)?;
    let name = format!("{}.iso", profile.output_name(arch));
    let mut pending = output.create(&name)?;
    let report = iso::write(
        pending.file(),
        iso::Parts {
            profile,
            epoch: epoch.seconds,
            tree: &system.tree,
            slabs: &system.slabs,
            plan: &plan,
            boot: &boot,
            menu_template: &build.renderer.project.read_text(boot_menu::MENU_TEMPLATE)?,
            config: config.text.into_bytes(),
            extra,
            manifest,
            arch: arch.as_str(),
        },
        build.progress,
    )?;
    let squashfs = iso::squashfs_record(
        profile,
        report.squashfs_size,
        epoch.seconds,
        report.squashfs,
    );
    if let Some(record) = manifest.architectures.get_mut(arch.as_str()) {
        record.squashfs = Some(squashfs.clone());
    }
    Ok(WrittenIso {
        file: output.finish_hashed(pending, report.digest)?,
        squashfs,
        core_images: lock::core_image_entries(arch, &boot),
    })
}

/// What is to run on the cluster, as a file of the ISO.
fn definition(build: &Build<'_>) -> Result<Option<Extra<'static>>> {
    let content = build.content.get();
    let Some(definition) = content.and_then(|content| content.definition.as_ref()) else {
        return Ok(None);
    };
    let data = Payload::bytes(definition.to_yaml()?.into_bytes());
    Ok(Some(Extra {
        path: format!("{}/{}", isoforge_contract::iso::FOLDER, definition::FILE),
        kind: ExtraKind::File { mode: 0o644, data },
    }))
}

/// What the manifest says of the ISO's overlays.
fn overlay_records(build: &Build<'_>, overlays: &[OverlayLayer]) -> Result<Vec<manifest::File>> {
    let paths = build.renderer.iso_overlay_paths(build.request.loaded);
    let mut records = Vec::with_capacity(paths.len());
    for (path, overlay) in paths.iter().zip(overlays) {
        let name = system::shown(path);
        let layer = overlay.store(&build.store, &Tree::new(), name)?;
        records.push(manifest::File {
            role: manifest::Role::Overlay,
            name: name.to_owned(),
            digest: layer.digest,
            size: layer.size,
        });
    }
    Ok(records)
}

fn record_architecture(
    manifest: &mut Manifest,
    arch: Arch,
    boot: &BootFiles,
    system: &System,
    files: Vec<manifest::File>,
) {
    if let Some(record) = manifest.architectures.get_mut(arch.as_str()) {
        record.grub_mkimage = boot.grub_mkimage();
        record.components.clone_from(&system.components);
        record.layers = gather::layer_records(system);
        record.files.extend(files);
        record.files.extend(system.overlays.iter().cloned());
    }
}

/// The files of the ISO's overlays; a later overlay wins.
fn iso_overlay_files(overlays: &[OverlayLayer]) -> Vec<Extra<'_>> {
    let mut found: BTreeMap<Vec<u8>, Extra<'_>> = BTreeMap::new();
    for overlay in overlays {
        for (path, kind) in overlay_entries(&overlay.tree) {
            let kind = match kind {
                Kind::File(data) => ExtraKind::File {
                    mode: overlay_mode(&overlay.tree, &path),
                    data: Payload::Tree {
                        data: data.clone(),
                        files: overlay,
                    },
                },
                Kind::Symlink(target) => ExtraKind::Symlink {
                    target: target.clone(),
                },
                Kind::Directory(_) => ExtraKind::Directory {
                    mode: overlay_mode(&overlay.tree, &path),
                },
                _ => continue,
            };
            let text = isoforge_base::tree::display(&path);
            found.insert(path, Extra { path: text, kind });
        }
    }
    found.into_values().collect()
}

fn overlay_entries(tree: &Tree) -> impl Iterator<Item = (Vec<u8>, &Kind)> {
    tree.walk()
        .skip(1)
        .map(|(path, id)| (path, &tree.inode(id).kind))
}

fn overlay_mode(tree: &Tree, path: &[u8]) -> u16 {
    tree.get(path).map_or(0o644, |id| tree.inode(id).meta.mode)
}

fn check_iso_space(
    plan: &ImagePlan<'_>,
    boot: &BootFiles,
    extra: &[Extra<'_>],
    output: &OutputDir,
) -> Result<()> {
    space::check(
        &[Requirement {
            path: output.path().to_owned(),
            bytes: iso::estimate(plan.size(), boot, extra),
            purpose: "the ISO".to_owned(),
        }],
        &HostFileSystems,
    )?;
    Ok(())
}
