//! Layers become one system: slabs, merged tree, the files that tell what is
//! in it, overlays.

use std::ffi::OsStr;
use std::path::Path;

use isoforge_base::error::{Context as _, Result};

use crate::overlay::{self, OverlayLayer, system};
use crate::render::{Context, Engine, Project};
use isoforge_base::progress::Progress;
use isoforge_base::tree::Tree;
use isoforge_contract::manifest::{self, Role};
use isoforge_oci::layer::{Layer, LayerCompression};
use isoforge_oci::store::Store;
use isoforge_system::merged::System;
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
    let layer = overlay_layer(maker.store, overlay, &system.tree, purpose)?;
    system.add(&layer, purpose, maker)?;
    Ok(layer)
}

/// Writes an overlay over `below` into the store, as a layer of its own.
pub(super) fn overlay_layer(
    store: &Store,
    overlay: &OverlayLayer,
    below: &Tree,
    name: &str,
) -> Result<Layer> {
    let mut blob = store.blob_writer()?;
    overlay
        .to_tar(below, &mut blob)
        .with_context(|| format!("writing {name} as a layer"))?;
    let (digest, size) = blob.commit(None)?;
    Ok(Layer {
        digest,
        size,
        compression: LayerCompression::Plain,
        diff_id: digest,
    })
}

/// What decides the layers that isoforge makes itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnFiles<'a> {
    pub(super) project: &'a Project,
    pub(super) engine: &'a Engine,
    pub(super) context: &'a Context,
    /// `[overlays] rootfs`, as [`Project`] takes them.
    pub(super) overlays: &'a [String],
    pub(super) epoch: u32,
}

/// Adds the files about the system and the overlays.
pub(super) fn finish(system: &mut System, own: &OwnFiles<'_>, maker: &SlabMaker<'_>) -> Result<()> {
    let components: Vec<_> = system
        .components
        .iter()
        .map(|component| system::Component {
            name: component.name.clone(),
            version: component.version.clone(),
        })
        .collect();
    let files = system::system_files(
        own.project,
        own.engine,
        own.context,
        &components,
        i64::from(own.epoch),
    )?;
    add_overlay(system, &files, "system files", maker)?;
    let base = std::iter::once(BASE_OVERLAY).filter(|base| own.overlays.iter().all(|o| o != base));
    for dir in base.chain(own.overlays.iter().map(String::as_str)) {
        let layer = overlay::load(
            own.project,
            dir,
            own.engine,
            own.context,
            i64::from(own.epoch),
        )?;
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
