//! Layers become one system: slabs, merged tree, the files that tell what is
//! in it, overlays.

use std::ffi::OsStr;
use std::path::Path;

use super::stages::Build;
use crate::render::{Context, Project};
use isoforge_base::error::Result;
use isoforge_base::progress::Progress;
use isoforge_contract::manifest::{self, Role};
use isoforge_oci::layer::Layer;
use isoforge_system::merged::System;
use isoforge_system::overlay::OverlayLayer;
use isoforge_system::slab_maker::SlabMaker;

/// The overlay that every system gets: what no two machines may share is taken
/// out, the mount points of a read-only root are made.
pub(super) const BASE_OVERLAY: &str = "overlays/base";

/// Lays an overlay over the system, as a layer of its own in the store.
pub(super) fn add_overlay(
    system: &mut System,
    overlay: &OverlayLayer,
    purpose: &str,
    maker: &SlabMaker<'_>,
) -> Result<Layer> {
    let layer = overlay.store(maker.store, &system.tree, purpose)?;
    system.add(&layer, purpose, maker)?;
    Ok(layer)
}

/// Adds the files about the system and the overlays.
pub(super) fn finish(
    system: &mut System,
    build: &Build<'_>,
    context: &Context,
    epoch: u32,
    maker: &SlabMaker<'_>,
) -> Result<()> {
    let (renderer, loaded) = (&build.renderer, build.request.loaded);
    let appliance = &loaded.profile.appliance;
    let files = renderer.system_files(context, appliance, &system.components, epoch)?;
    add_overlay(system, &files, "system files", maker)?;
    let overlays = renderer.rootfs_overlays(loaded);
    let base = std::iter::once(BASE_OVERLAY).filter(|base| overlays.iter().all(|o| o != base));
    for dir in base.chain(overlays.iter().map(String::as_str)) {
        let layer = renderer.overlay(dir, context, epoch)?;
        let name = shown(dir);
        let layer = add_overlay(system, &layer, &format!("overlay {name}"), maker)?;
        system.overlays.push(manifest::File {
            role: Role::Overlay,
            name: name.to_owned(),
            digest: layer.digest,
            size: layer.size,
        });
    }
    Ok(())
}

/// Paths as [`Project`] takes them: relative to it where they lie in it, so
/// that the built-in files can stand in for missing ones. Others, which start
/// from the current directory where `--set` names them, become absolute.
pub(super) fn in_project(project: &Project, path: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (root, full) = (project.root(), absolute(path));
    let inside = path
        .strip_prefix(root)
        .or_else(|_| full.strip_prefix(absolute(root)));
    inside.unwrap_or(&full).to_string_lossy().into_owned()
}

/// What a path of [`in_project`] is called in outputs, where no path of this
/// machine may stand.
pub(super) fn shown(path: &str) -> &str {
    let name = Path::new(path).file_name().and_then(OsStr::to_str);
    match name {
        Some(name) if Path::new(path).is_absolute() => name,
        _ => path,
    }
}

/// Warns of what a SquashFS can't hold.
pub(super) fn warn_of_losses(
    report: &isoforge_formats::squashfs::write::Report,
    name: &str,
    progress: &Progress,
) {
    for (xattr, inodes) in &report.dropped_xattrs {
        progress.warn(format!(
            "{name}: extended attribute '{xattr}' of {inodes} files can't be in a SquashFS and is left out"
        ));
    }
}
