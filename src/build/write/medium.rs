//! The ISO of one architecture: boot files, configuration, overlays and content
//! around the system.

use std::collections::BTreeMap;

use isoforge_base::error::Result;

use super::Written;
use crate::build::assemble::Assembled;
use crate::build::boot_files;
use crate::build::lock::Locked;
use crate::build::network;
use crate::build::system;
use crate::build::{iso, lock};
use crate::profile::network_for;
use crate::render::boot_menu;
use isoforge_base::output::space::{self, HostFileSystems, Requirement};
use isoforge_base::tree::{Kind, Tree};
use isoforge_content::definition;
use isoforge_contract::arch::Arch;
use isoforge_contract::manifest::{self, Squashfs};
use isoforge_formats::squashfs::write::ImagePlan;
use isoforge_system::installer_iso::{Extra, ExtraKind, Payload};
use isoforge_system::overlay::OverlayLayer;

impl Written<'_> {
    /// Writes the ISO of a system and records it in the manifest.
    pub(super) fn iso(&mut self, assembled: &Assembled<'_>) -> Result<Squashfs> {
        let locked = self.gathered.locked;
        let (loaded, profile) = (locked.request.loaded, locked.profile());
        let (session, renderer) = (&locked.session, &locked.renderer);
        let (arch, system) = (assembled.arch, &assembled.system);
        let epoch = self.gathered.epoch.seconds;
        let pinned = lock::core_images(locked, arch);
        let boot = boot_files::find(
            &system.tree,
            &system.slabs,
            profile,
            arch,
            (&session.store, &pinned),
            &locked.request.settings,
            session.progress,
        )?;
        let mut context = renderer.context_for(arch.as_str(), profile.iso_version())?;
        if let Some(wanted) = &profile.network {
            let chosen = network::renderer(wanted, &system.tree, profile.os.flavor);
            if let Some(warning) = chosen.warning {
                session
                    .progress
                    .warn(format!("the system for {arch} {warning}"));
            }
            context.insert("network", &network_for(wanted, chosen.renderer))?;
        }
        let config = renderer.cloud_config(loaded, &context)?;
        lock::check_core_images(locked, arch, &boot)?;
        let overlays = renderer.iso_overlays(loaded, &context, epoch)?;
        let mut extra = match &assembled.from.content {
            Some(layout) => iso::content(layout, &session.store),
            None => Vec::new(),
        };
        extra.extend(definition(locked)?);
        extra.extend(boot.disk_files());
        extra.extend(iso_overlay_files(&overlays));
        let plan = ImagePlan::new(&system.tree, &system.slabs, &locked.squashfs, epoch)?;
        system::warn_of_losses(plan.report(), "the root file system", session.progress);
        let mut files = vec![renderer.cloud_config_record(loaded)?];
        files.extend(overlay_records(locked, &overlays)?);
        files.extend(system.overlays.iter().cloned());
        let records = boot.records(&system.slabs, session.progress)?;
        let layers = system.layers.iter().map(|own| own.layer.clone());
        self.record(arch, |record| {
            record.grub_mkimage = boot.grub_mkimage();
            record.components.clone_from(&system.components);
            record.layers = layers.collect();
            record.files.extend(files);
            record.boot = records;
        });
        let bytes = iso::estimate(plan.size(), &boot, &extra);
        self.check_room_for_iso(bytes)?;
        let name = format!("{}.iso", profile.output_name(arch));
        let mut pending = self.output.create(&name)?;
        let report = iso::write(
            pending.file(),
            iso::IsoParts {
                profile,
                epoch,
                tree: &system.tree,
                slabs: &system.slabs,
                plan: &plan,
                boot: &boot,
                menu_template: &renderer.project.read_text(boot_menu::MENU_TEMPLATE)?,
                lock: renderer.lock.as_ref(),
                config: config.text.into_bytes(),
                extra,
                manifest: &self.manifest,
                arch: arch.as_str(),
            },
            session.progress,
        )?;
        let squashfs = iso::squashfs_record(profile, report.squashfs_size, epoch, report.squashfs);
        self.record(arch, |record| record.squashfs = Some(squashfs.clone()));
        self.files
            .push(self.output.finish_hashed(pending, report.digest)?);
        self.core_images
            .extend(lock::core_image_entries(arch, &boot));
        Ok(squashfs)
    }

    /// Changes what the manifest says of an architecture.
    fn record(&mut self, arch: Arch, change: impl FnOnce(&mut manifest::Architecture)) {
        let architectures = &mut self.manifest.architectures;
        if let Some(record) = architectures.get_mut(arch.as_str()) {
            change(record);
        }
    }

    fn check_room_for_iso(&self, bytes: u64) -> Result<()> {
        let requirement = Requirement {
            path: self.output.path().to_owned(),
            bytes,
            purpose: "the ISO".to_owned(),
        };
        Ok(space::check(&[requirement], &HostFileSystems)?)
    }
}

/// What is to run on the cluster, as a file of the ISO.
fn definition(locked: &Locked<'_>) -> Result<Option<Extra<'static>>> {
    let Some(definition) = &locked.content.definition else {
        return Ok(None);
    };
    let data = Payload::bytes(definition.to_yaml()?.into_bytes());
    Ok(Some(Extra {
        path: format!("{}/{}", isoforge_contract::iso::FOLDER, definition::FILE),
        kind: ExtraKind::File { mode: 0o644, data },
    }))
}

/// What the manifest says of the ISO's overlays.
fn overlay_records(locked: &Locked<'_>, overlays: &[OverlayLayer]) -> Result<Vec<manifest::File>> {
    let paths = locked.renderer.iso_overlay_paths(locked.request.loaded);
    let mut records = Vec::with_capacity(paths.len());
    for (path, overlay) in paths.iter().zip(overlays) {
        let name = system::shown(path);
        let layer = overlay.store(&locked.session.store, &Tree::new(), name)?;
        records.push(manifest::File {
            role: manifest::Role::Overlay,
            name: name.to_owned(),
            digest: layer.digest,
            size: layer.size,
        });
    }
    Ok(records)
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
