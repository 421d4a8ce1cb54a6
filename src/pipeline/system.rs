//! Layers become one system: slabs, merged tree, the files that tell what is
//! in it, overlays.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::slabs::SlabMaker;
use crate::oci::layer::{Layer, LayerCompression};
use crate::output::manifest::{self, Component, Role};
use crate::progress::Progress;
use crate::provider::OwnLayer;
use crate::render::{Context, Engine, Project};
use crate::rootfs::layer::apply;
use crate::rootfs::overlay::{self, OverlayLayer, system};
use crate::rootfs::slab::SlabSet;
use crate::store::Store;
use crate::tree::Tree;

/// The overlay that every system gets: what no two machines may share is taken
/// out, the mount points of a read-only root are made.
pub(super) const BASE_OVERLAY: &str = "overlays/base";

/// A merged system.
#[derive(Debug, Default)]
pub(super) struct System {
    /// All layers, lowest first, with what they are.
    pub(super) layers: Vec<OwnLayer>,
    /// Their slabs, in the same order.
    pub(super) slabs: SlabSet,
    /// All layers merged.
    pub(super) tree: Tree,
    /// What is in it, with versions.
    pub(super) components: Vec<Component>,
    /// The overlays among the layers.
    pub(super) overlays: Vec<manifest::File>,
}

impl System {
    /// Lays one layer over the system.
    pub(super) fn add(
        &mut self,
        layer: &Layer,
        purpose: &str,
        maker: &SlabMaker<'_>,
    ) -> Result<()> {
        let slab = maker.get(layer, purpose)?;
        let id = self
            .slabs
            .push(slab)
            .context("the system has more layers than can be numbered")?;
        let entries = self.slabs.get(id).map(|slab| slab.entries());
        apply(&mut self.tree, id, entries.unwrap_or_default())
            .map_err(|error| error.in_layer(format!("{purpose} ({})", layer.digest.short())))?;
        self.layers.push(OwnLayer {
            layer: layer.clone(),
            purpose: purpose.to_owned(),
        });
        Ok(())
    }

    /// Lays an overlay over the system, as a layer of its own in the store.
    pub(super) fn add_overlay(
        &mut self,
        overlay: &OverlayLayer,
        purpose: &str,
        maker: &SlabMaker<'_>,
    ) -> Result<Layer> {
        let layer = overlay_layer(maker.store, overlay, &self.tree, purpose)?;
        self.add(&layer, purpose, maker)?;
        Ok(layer)
    }
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
    system.add_overlay(&files, "system files", maker)?;
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
        let layer = system.add_overlay(&layer, &format!("overlay {name}"), maker)?;
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
    report: &crate::formats::squashfs::write::Report,
    name: &str,
    progress: &Progress,
) {
    for (xattr, inodes) in &report.dropped_xattrs {
        progress.warn(format!(
            "{name}: extended attribute '{xattr}' of {inodes} files can't be in a SquashFS and is left out"
        ));
    }
}
