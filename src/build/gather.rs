//! Everything that a lock names is brought into the store.
//!
//! Folders and single files have no time of their own: their layers carry the
//! build's, which the other inputs decide. So there are two steps: what is
//! pulled, imported or bootstrapped, then folders and files.

use std::collections::BTreeMap;
use std::path::Path;

use isoforge_base::error::{Context as _, Result};

use super::lock::{Locked, locked_bootstrap};
use super::system::shown;
use crate::inputs::{Input, Packages, Source};
use crate::sources::{Sourced, content, files, image, kubernetes, layers, packages};
use isoforge_base::tree::Tree;
use isoforge_contract::arch::Arch;
use isoforge_contract::manifest::{self, Epoch, EpochSource, Role};
use isoforge_oci::layer::Layer;
use isoforge_oci::layout::OciLayout;
use isoforge_system::provider::Base;
use isoforge_system::slab;

/// The third value of a build: every input in the store, for each architecture.
pub(super) struct Gathered<'l> {
    pub(super) locked: &'l Locked<'l>,
    /// The time of all outputs.
    pub(super) epoch: Epoch,
    pub(super) architectures: BTreeMap<Arch, Architecture<'l>>,
}

/// What one architecture is made from.
#[derive(Debug, Default)]
pub(super) struct Architecture<'l> {
    /// The OS image; none where the OS is an archive or bootstrapped.
    pub(super) base: Option<Base>,
    /// Lowest first.
    pub(super) groups: Vec<LayerGroup<'l>>,
    /// Packages that Kubernetes is made of, for their versions.
    pub(super) kubernetes_packages: Vec<String>,
    /// The OCI layout for the ISO; empty where there is no content.
    pub(super) content: Option<OciLayout>,
    /// What the manifest says of all this.
    pub(super) record: manifest::Architecture,
}

/// Layers of one input.
#[derive(Debug, Clone)]
pub(super) struct LayerGroup<'l> {
    /// Says which systems have them.
    pub(super) input: &'l Input,
    /// What progress, errors and the image's history call them.
    pub(super) name: String,
    /// The version of Kubernetes that they are for; none: every one.
    version: Option<String>,
    pub(super) layers: Vec<Layer>,
}

impl<'l> LayerGroup<'l> {
    fn of(input: &'l Input, layers: Vec<Layer>) -> Self {
        Self {
            input,
            name: input.label.clone(),
            version: input.version.clone(),
            layers,
        }
    }

    /// Whether a system with this version of Kubernetes has them.
    pub(super) fn is_for(&self, version: &str) -> bool {
        self.version.as_ref().is_none_or(|only| only == version)
    }
}

/// Gathers everything.
pub(super) fn gather<'l>(locked: &'l Locked<'l>) -> Result<Gathered<'l>> {
    let mut architectures = bring(locked)?;
    let epoch = match locked.request.settings.epoch {
        Some(seconds) => Epoch {
            seconds,
            source: EpochSource::SourceDateEpoch,
        },
        None => locked.lock.time.into(),
    };
    for found in architectures.values_mut() {
        complete(locked, found, epoch.seconds)?;
    }
    Ok(Gathered {
        locked,
        epoch,
        architectures,
    })
}

/// Brings everything into the store that needs a network.
pub(super) fn pull(locked: &Locked<'_>) -> Result<()> {
    bring(locked)?;
    let session = &locked.session;
    for file in locked.inputs.files() {
        files::fetch(&session.store, &session.client, file, session.progress)?;
    }
    Ok(())
}

/// The layers of the ISO's system for `arch` that need not the build's time,
/// lowest first, brought into the store.
pub(super) fn iso_layers(locked: &Locked<'_>, arch: Arch) -> Result<Vec<Layer>> {
    let version = locked.profile().iso_version();
    let systems = systems(locked, arch)?;
    let groups = systems.groups.into_iter();
    let of_iso = groups.filter(|group| group.input.iso && group.is_for(version));
    Ok(of_iso.flat_map(|group| group.layers).collect())
}

/// All that has a time of its own. Groups of what waits for the build's are empty.
fn bring<'l>(locked: &'l Locked<'_>) -> Result<BTreeMap<Arch, Architecture<'l>>> {
    let mut architectures = BTreeMap::new();
    for arch in &locked.profile().appliance.arch {
        let mut of_arch = systems(locked, *arch)?;
        if locked.request.artifacts.iso() {
            content(locked, *arch, &mut of_arch)?;
        }
        architectures.insert(*arch, of_arch);
    }
    Ok(architectures)
}

/// What systems for `arch` are made of.
fn systems<'l>(locked: &'l Locked<'_>, arch: Arch) -> Result<Architecture<'l>> {
    let context = locked.session.context(Some(&locked.lock));
    let mut found = Architecture::default();
    for input in locked.inputs.of_systems(arch) {
        let sourced = match &input.source {
            Source::Image(source) if input.role == Role::Os => {
                let (base, sourced) = image::operating_system(&context, input, source)?;
                found.base = Some(base);
                sourced
            }
            Source::Image(source) => image::layers(&context, input, source)?,
            Source::Archive(path) => layers::archive(&context, input, path)?,
            Source::Packages(packages) => {
                bootstrapped(locked, input, packages, &mut found)?;
                continue;
            }
            // They have the build's time.
            Source::Folder(_) | Source::Files(_) => Sourced::default(),
        };
        found.record.images.extend(sourced.images);
        found.record.files.extend(sourced.files);
        found.groups.push(LayerGroup::of(input, sourced.layers));
    }
    Ok(found)
}

/// A bootstrapped system, and what of it only Kubernetes's packages have: a layer
/// below each version's own.
fn bootstrapped<'l>(
    locked: &'l Locked<'_>,
    input: &'l Input,
    packages: &Packages,
    found: &mut Architecture<'l>,
) -> Result<()> {
    let session = &locked.session;
    let entry = locked.lock.bootstrap(input.arch.as_str());
    let made = locked_bootstrap(entry.context("the bootstrap was not made")?);
    found.record.bootstrap = Some(manifest::Bootstrap {
        suite: packages.spec.suite.clone(),
        packages: made.packages,
    });
    let parted = packages::part(
        &session.store,
        &made.layer,
        &packages.kubernetes,
        &session.limits,
        session.progress,
    )?;
    found.kubernetes_packages.clone_from(&packages.kubernetes);
    found
        .groups
        .push(LayerGroup::of(input, vec![parted.system]));
    for version in &locked.profile().kubernetes.versions {
        found
            .groups
            .extend(parted.packages.iter().map(|layer| LayerGroup {
                input,
                name: format!("Kubernetes {version}"),
                version: Some(version.clone()),
                layers: vec![layer.clone()],
            }));
    }
    Ok(())
}

fn content(locked: &Locked<'_>, arch: Arch, found: &mut Architecture<'_>) -> Result<()> {
    let progress = locked.session.progress;
    let left_out = locked.inputs.left_out.iter();
    for (_, reference, needed_by) in left_out.filter(|(of, ..)| *of == arch) {
        progress.note(format!("left out: {reference} (needed by {needed_by})"));
    }
    let context = locked.session.context(Some(&locked.lock));
    let images = locked.inputs.of_content(arch);
    if let Some(content) = content::collect(&context, images, &locked.content.artifacts, arch)? {
        found.record.images.extend(content.images);
        found.record.content.extend(content.carried);
        found.content = Some(content.layout);
    }
    Ok(())
}

/// Makes the layers of folders and files, now that the build's time is known.
fn complete(locked: &Locked<'_>, found: &mut Architecture<'_>, epoch: u32) -> Result<()> {
    let context = locked.session.context(Some(&locked.lock));
    for group in &mut found.groups {
        let sourced = match &group.input.source {
            Source::Folder(path) => folder(locked, group.input, path, epoch)?,
            Source::Files(files) => kubernetes::lay_files(&context, files, epoch)?,
            _ => continue,
        };
        found.record.files.extend(sourced.files);
        group.layers = sourced.layers;
    }
    Ok(())
}

/// A folder as a layer, made like an overlay: owners and modes from the
/// manifest beside it, never from the host.
fn folder(locked: &Locked<'_>, input: &Input, path: &Path, epoch: u32) -> Result<Sourced> {
    let (renderer, session) = (&locked.renderer, &locked.session);
    let name = renderer.project.path_of(path);
    let version = input.version.as_deref();
    let version = version.unwrap_or_else(|| locked.profile().iso_version());
    let context = renderer.context_for(input.arch.as_str(), version)?;
    let overlay = renderer.overlay(&name, &context, epoch)?;
    let layer = overlay.store(&session.store, &Tree::new(), &name)?;
    let file = manifest::File {
        role: input.role,
        name: shown(&name).to_owned(),
        digest: layer.digest,
        size: layer.size,
    };
    let sources = session.context(Some(&locked.lock));
    let layer = sources.filtered_layer(layer, &input.filter, &name)?;
    Ok(Sourced {
        layers: vec![layer],
        files: vec![file],
        ..Sourced::default()
    })
}

impl Gathered<'_> {
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        let groups = self.architectures.values().flat_map(|found| &found.groups);
        groups.flat_map(|group| &group.layers)
    }

    /// Bytes of all layers' blobs.
    pub(super) fn layer_bytes(&self) -> u64 {
        sum(self.layers().map(|layer| layer.size))
    }

    pub(super) fn content_bytes(&self) -> u64 {
        let content = self.architectures.values();
        sum(content.filter_map(|found| Some(found.content.as_ref()?.size())))
    }

    /// Bytes of the blobs whose slabs the store lacks.
    pub(super) fn slab_bytes(&self) -> u64 {
        let lacks = |layer: &&Layer| {
            let key = slab::key(&layer.diff_id, &self.locked.squashfs);
            // What can't be looked at is made again, and counts.
            !fs_err::exists(self.locked.session.store.slab_path(&key)).unwrap_or_default()
        };
        sum(self.layers().filter(lacks).map(|layer| layer.size))
    }
}

fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}
