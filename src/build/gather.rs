//! Everything that a profile names is brought into the store.
//!
//! Folders and single files have no time of their own: their layers carry the
//! build's, which the other inputs decide. So there are two steps: what is
//! pulled, imported or bootstrapped, then folders and files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use isoforge_base::error::{Context as _, Result};

use super::stages::Build;
use super::system::{in_project, shown};
use crate::profile::{Arch, KubernetesPlan, LayerSource, LayerSpec, OsSource, Target};
use crate::sources;
use crate::sources::Sourced;
use crate::sources::bootstrap;
use crate::sources::components;
use crate::sources::content;
use crate::sources::files;
use crate::sources::image;
use crate::sources::kubernetes;
use crate::sources::layers;
use crate::sources::packages;
use isoforge_base::tree::Tree;
use isoforge_contract::manifest::{self, ComponentKind, Role};
use isoforge_oci::layer::Layer;
use isoforge_oci::layout::OciLayout;
use isoforge_system::filtered::{Filter, filter_layers};
use isoforge_system::merged::System;
use isoforge_system::provider::Base;
use isoforge_system::slab;

/// Layers of one origin, and where they go.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// What progress, errors and the image's history call it.
    pub(super) name: String,
    pub(super) iso: bool,
    pub(super) provider: bool,
    pub(super) layers: Vec<Layer>,
    /// What its layers are made from once the build's time is known.
    pending: Option<Pending>,
}

/// What waits for the build's time.
#[derive(Debug, Clone)]
enum Pending {
    Folder {
        path: PathBuf,
        filter: Filter,
        role: Role,
    },
    Files(KubernetesPlan),
}

/// What one architecture is made from.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// The OS image; none where the OS is an archive or bootstrapped.
    pub(super) base: Option<Base>,
    /// The OS's layers, the base's too.
    pub(super) os: Vec<Layer>,
    /// By Kubernetes version.
    pub(super) kubernetes: BTreeMap<String, Vec<Part>>,
    /// `[[layers]]`, in order.
    pub(super) further: Vec<Part>,
    /// Packages that Kubernetes is made of, for their versions.
    pub(super) kubernetes_packages: Vec<String>,
    /// What only those packages have, as a layer under each version's own.
    packages: Option<Layer>,
    /// The OCI layout for the ISO; empty where there is no content.
    pub(super) content: Option<OciLayout>,
    /// What the manifest says of all this.
    pub(super) record: manifest::Architecture,
}

/// What all architectures are made from.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) inputs: BTreeMap<Arch, Inputs>,
}

/// Brings everything into the store that has a time of its own.
pub(super) fn gather(build: &Build<'_>) -> Result<Gathered> {
    let mut gathered = Gathered::default();
    let profile = &build.request.loaded.profile;
    for arch in &profile.appliance.arch {
        let inputs = gather_arch(build, *arch)?;
        gathered.inputs.insert(*arch, inputs);
    }
    Ok(gathered)
}

/// The layers of the ISO's system for `arch` that need not the build's time,
/// lowest first, brought into the store.
pub(super) fn iso_layers(build: &Build<'_>, arch: Arch) -> Result<Vec<Layer>> {
    let inputs = gather_systems(build, arch)?;
    let version = build.request.loaded.profile.iso_version();
    let kubernetes = inputs.kubernetes.get(version).into_iter().flatten();
    let parts = kubernetes.chain(&inputs.further).filter(|part| part.iso);
    let mut layers = inputs.os.clone();
    layers.extend(parts.flat_map(|part| part.layers.iter().cloned()));
    Ok(layers)
}

/// Brings the files by URL into the store.
pub(super) fn fetch_files(build: &Build<'_>) -> Result<()> {
    let loaded = build.request.loaded;
    for arch in &loaded.profile.appliance.arch {
        for version in &loaded.profile.kubernetes.versions {
            let target = Target {
                arch: *arch,
                version,
            };
            for file in loaded.kubernetes_plan(target)?.files {
                files::fetch(&build.store, &build.client, &file, build.progress)
                    .map_err(sources::Error::from)?;
            }
        }
    }
    Ok(())
}

fn gather_arch(build: &Build<'_>, arch: Arch) -> Result<Inputs> {
    let mut inputs = gather_systems(build, arch)?;
    if build.request.artifacts.iso() {
        gather_content(build, arch, &mut inputs)?;
    }
    Ok(inputs)
}

/// What systems for `arch` are made of.
fn gather_systems(build: &Build<'_>, arch: Arch) -> Result<Inputs> {
    let loaded = build.request.loaded;
    let profile = &loaded.profile;
    let mut inputs = Inputs::default();
    operating_system(build, arch, &mut inputs)?;
    for version in &profile.kubernetes.versions {
        let target = Target { arch, version };
        let plan = loaded.kubernetes_plan(target)?;
        let mut parts = Vec::new();
        if let Some(layer) = &inputs.packages {
            parts.push(Part {
                name: format!("Kubernetes {version}"),
                iso: true,
                provider: true,
                layers: vec![layer.clone()],
                pending: None,
            });
        }
        for spec in &plan.layers {
            let name = format!("Kubernetes {version}");
            parts.push(part(
                build,
                spec,
                target,
                Role::Kubernetes,
                name,
                &mut inputs,
            )?);
        }
        if !plan.files.is_empty() {
            parts.push(Part {
                name: format!("Kubernetes {version}"),
                iso: true,
                provider: true,
                layers: Vec::new(),
                pending: Some(Pending::Files(plan)),
            });
        }
        inputs.kubernetes.insert(version.clone(), parts);
    }
    let target = profile.iso_target(arch);
    for spec in profile.layers.iter().filter(|spec| spec.is_for(arch)) {
        let name = layer_name(spec, target);
        let part = part(build, spec, target, Role::Layer, name, &mut inputs)?;
        inputs.further.push(part);
    }
    Ok(inputs)
}

fn operating_system(build: &Build<'_>, arch: Arch, inputs: &mut Inputs) -> Result<()> {
    let profile = &build.request.loaded.profile;
    let target = profile.iso_target(arch);
    match &profile.os.source {
        OsSource::Image(template) => {
            let (base, sourced) = image::operating_system(&build.context(), template, target)?;
            inputs.os.clone_from(&base.layers);
            inputs.base = Some(base);
            inputs.take(sourced);
        }
        OsSource::Rootfs(template) => {
            let everything = Filter::new(&[], &[])?;
            let sourced =
                layers::archive(&build.context(), template, &everything, target, Role::Os)?;
            inputs.os = inputs.take(sourced);
        }
        OsSource::Bootstrap(wanted) => {
            let packages = kubernetes_packages(build, arch)?;
            let locked = build
                .lock
                .as_ref()
                .and_then(|lock| lock.bootstrap(arch.as_str()));
            let made = super::lock::made_of(locked.context("the bootstrap was not made")?);
            inputs.record.bootstrap = Some(manifest::Bootstrap {
                suite: wanted.suite.clone(),
                packages: made.packages,
            });
            let parted = packages::part(
                &build.store,
                &made.layer,
                &packages,
                &build.limits,
                build.progress,
            )?;
            inputs.kubernetes_packages = packages;
            inputs.os = vec![parted.system];
            inputs.packages = parted.packages;
        }
    }
    Ok(())
}

/// Debian packages of all Kubernetes versions; the profile has checked that
/// there are none without a bootstrap.
pub(super) fn kubernetes_packages(build: &Build<'_>, arch: Arch) -> Result<Vec<String>> {
    let loaded = build.request.loaded;
    let mut packages = Vec::new();
    for version in &loaded.profile.kubernetes.versions {
        packages.extend(loaded.kubernetes_plan(Target { arch, version })?.packages);
    }
    packages.sort();
    packages.dedup();
    Ok(packages)
}

pub(super) fn bootstrap_spec(
    wanted: &crate::profile::Bootstrap,
    packages: &[String],
    arch: Arch,
) -> bootstrap::Spec {
    bootstrap::Spec {
        suite: wanted.suite.clone(),
        packages: wanted.packages.iter().chain(packages).cloned().collect(),
        mirrors: wanted.mirror.clone(),
        components: wanted.components.clone(),
        keyring: wanted.keyring.clone(),
        variant: wanted.variant.clone(),
        arch: arch.as_str().to_owned(),
    }
}

/// The layers of one entry; those of a folder come with [`complete`].
fn part(
    build: &Build<'_>,
    spec: &LayerSpec,
    target: Target<'_>,
    role: Role,
    name: String,
    inputs: &mut Inputs,
) -> Result<Part> {
    let context = build.context();
    let filter = Filter::new(&spec.include, &spec.exclude)?;
    let mut part = Part {
        name,
        iso: spec.iso,
        provider: spec.provider,
        layers: Vec::new(),
        pending: None,
    };
    match &spec.source {
        LayerSource::Image(template) => {
            let sourced = image::layers(&context, template, &filter, target, role)?;
            part.layers = inputs.take(sourced);
        }
        LayerSource::Archive(template) => {
            let sourced = layers::archive(&context, template, &filter, target, role)?;
            part.layers = inputs.take(sourced);
        }
        LayerSource::Folder(template) => {
            part.pending = Some(Pending::Folder {
                path: template.expand(target),
                filter,
                role,
            });
        }
    }
    Ok(part)
}

fn gather_content(build: &Build<'_>, arch: Arch, inputs: &mut Inputs) -> Result<()> {
    let plan = build
        .request
        .loaded
        .content_plan_with(arch, build.found())?;
    for left_out in &plan.left_out {
        build.progress.note(format!(
            "left out: {} (needed by {})",
            left_out.reference, left_out.needed_by
        ));
    }
    if let Some(content) = content::collect(&build.context(), &plan, build.artifacts(), arch)? {
        inputs.record.images.extend(content.images);
        inputs.record.content.extend(content.carried);
        inputs.content = Some(content.layout);
    }
    Ok(())
}

/// Makes the layers of folders and files, now that the build's time is known.
pub(super) fn complete(build: &Build<'_>, gathered: &mut Gathered, epoch: u32) -> Result<()> {
    for (arch, inputs) in &mut gathered.inputs {
        let mut parts: Vec<(String, &mut Part)> = Vec::new();
        for (version, of_version) in &mut inputs.kubernetes {
            parts.extend(of_version.iter_mut().map(|part| (version.clone(), part)));
        }
        let iso_version = build.request.loaded.profile.iso_version().to_owned();
        parts.extend(
            inputs
                .further
                .iter_mut()
                .map(|part| (iso_version.clone(), part)),
        );
        let mut files = Vec::new();
        for (version, part) in parts {
            match part.pending.take() {
                None => {}
                Some(Pending::Folder { path, filter, role }) => {
                    let from = (path.as_path(), &filter, role);
                    let (layer, file) = folder(build, *arch, &version, from, epoch)?;
                    files.push(file);
                    part.layers = vec![layer];
                }
                Some(Pending::Files(plan)) => {
                    let sourced = kubernetes::lay_files(&build.context(), &plan, epoch)?;
                    files.extend(sourced.files);
                    part.layers = sourced.layers;
                }
            }
        }
        inputs.record.files.extend(files);
    }
    Ok(())
}

/// A folder as a layer, made like an overlay: owners and modes from the
/// manifest beside it, never from the host.
fn folder(
    build: &Build<'_>,
    arch: Arch,
    version: &str,
    (path, filter, role): (&Path, &Filter, Role),
    epoch: u32,
) -> Result<(Layer, manifest::File)> {
    let renderer = &build.renderer;
    let name = in_project(&renderer.project, path);
    let context = renderer.context_for(arch.as_str(), version)?;
    let overlay = renderer.overlay(&name, &context, epoch)?;
    let layer = overlay.store(&build.store, &Tree::new(), &name)?;
    let file = manifest::File {
        role,
        name: shown(&name).to_owned(),
        digest: layer.digest,
        size: layer.size,
    };
    if filter.keeps_everything() {
        return Ok((layer, file));
    }
    let filtered = filter_layers(
        &build.store,
        &[layer],
        filter,
        &name,
        &build.limits,
        build.progress,
    )?;
    Ok((filtered, file))
}

fn layer_name(spec: &LayerSpec, target: Target<'_>) -> String {
    let text: String = match &spec.source {
        LayerSource::Image(template) => template.clone().into(),
        LayerSource::Archive(template) | LayerSource::Folder(template) => template.clone().into(),
    };
    format!("layer {}", target.fill(&text))
}

impl Inputs {
    /// Records what a source gave, and hands its layers on.
    fn take(&mut self, sourced: Sourced) -> Vec<Layer> {
        self.record.images.extend(sourced.images);
        self.record.files.extend(sourced.files);
        sourced.layers
    }

    fn all_layers(&self) -> impl Iterator<Item = &Layer> {
        let kubernetes = self.kubernetes.values().flatten();
        let parts = kubernetes.chain(&self.further);
        self.os.iter().chain(parts.flat_map(|part| &part.layers))
    }
}

impl Gathered {
    /// Bytes of all layers' blobs.
    pub(super) fn layer_bytes(&self) -> u64 {
        self.inputs
            .values()
            .flat_map(Inputs::all_layers)
            .map(|layer| layer.size)
            .fold(0, u64::saturating_add)
    }

    /// Bytes of all content.
    pub(super) fn content_bytes(&self) -> u64 {
        self.inputs
            .values()
            .filter_map(|inputs| inputs.content.as_ref())
            .map(OciLayout::size)
            .fold(0, u64::saturating_add)
    }

    /// Bytes of the blobs whose slabs the store lacks.
    pub(super) fn slab_bytes(&self, build: &Build<'_>) -> u64 {
        self.inputs
            .values()
            .flat_map(Inputs::all_layers)
            .filter(|layer| {
                let key = slab::key(&layer.diff_id, &build.squashfs);
                !build.store.slab_path(&key).exists()
            })
            .map(|layer| layer.size)
            .fold(0, u64::saturating_add)
    }
}

/// Finds out what is in a system: what the profile names, and what the tree
/// says of itself.
pub(super) fn components(
    build: &Build<'_>,
    system: &mut System,
    inputs: &Inputs,
    version: &str,
) -> Result<()> {
    let mut found = components::of_system(&system.tree, &system.slabs)?;
    found.extend(kubernetes::components(build.request.loaded, version));
    found.extend(components::of_packages(
        &system.tree,
        &system.slabs,
        ComponentKind::Kubernetes,
        inputs.kubernetes_packages.iter().map(String::as_str),
    )?);
    found.sort();
    found.dedup();
    system.components = found;
    Ok(())
}

/// What the manifest says of a system's layers.
pub(super) fn layer_records(system: &System) -> Vec<Layer> {
    system.layers.iter().map(|own| own.layer.clone()).collect()
}
