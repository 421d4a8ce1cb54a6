//! Layers become one system: slabs, merged tree, the files that tell what is
//! in it, overlays.

use std::ffi::OsStr;
use std::path::Path;

use super::lock::Locked;
use crate::inputs::BASE_OVERLAY;
use crate::render::Context;
use isoforge_base::error::Result;
use isoforge_base::progress::Progress;
use isoforge_contract::manifest::{self, Role};
use isoforge_oci::layer::Layer;
use isoforge_system::merged::System;
use isoforge_system::overlay::OverlayLayer;
use isoforge_system::slab_maker::SlabMaker;

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
    locked: &Locked<'_>,
    context: &Context,
    epoch: u32,
    maker: &SlabMaker<'_>,
) -> Result<()> {
    let (renderer, loaded) = (&locked.renderer, locked.request.loaded);
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

/// What a path of [`Project::path_of`](crate::render::Project::path_of) is called in outputs, where no path of this
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
