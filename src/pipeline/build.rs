//! The build, from a profile to finished files.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};

use super::boot_files::{self, BootFiles};
use super::check::{self, Renderer};
use super::content::Searched;
use super::gather::{self, Gathered, Inputs};
use super::program::Program;
use super::provider::Variant;
use super::slabs::SlabMaker;
use super::summary::{self, OutputFile, Run, Summary};
use super::system::{self, OwnFiles, System};
use super::{
    Request, Upgrade, convert, hardening, iso, lock, node, provider, registry, requirements,
};
use crate::boot::menu;
use crate::content::definition;
use crate::formats::squashfs;
use crate::formats::squashfs::write::ImagePlan;
use crate::installer_iso::{Extra, ExtraKind, Payload};
use crate::lock::{CoreImage, Lock};
use crate::oci::artifact::Artifact;
use crate::output::manifest::{self, Epoch, EpochSource, Manifest, Squashfs, Tool};
use crate::output::space::{self, HostFileSystems, Requirement};
use crate::output::{Finished, OutputDir};
use crate::profile::{Arch, FoundImages};
use crate::progress::Progress;
use crate::provider::Image;
use crate::pull;
use crate::registry::Client;
use crate::rootfs::layer::Limits;
use crate::rootfs::overlay::OverlayLayer;
use crate::sources;
use crate::store::Store;
use crate::tree::{Kind, Tree};

/// What the provider image's archive adds to the appliance's name and version.
pub(super) const PROVIDER_SUFFIX: &str = "-provider.oci.tar";

/// What isoforge has of its own on the ISO.
const ISO_FOLDER: &str = "isoforge";

/// Version of the summary's JSON.
const SUMMARY_SCHEMA: u32 = 1;

/// What all stages of one build share.
pub(super) struct Build<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) store: Store,
    pub(super) client: Client,
    pub(super) renderer: Renderer,
    pub(super) squashfs: squashfs::Settings,
    pub(super) limits: Limits,
    pub(super) progress: &'a Progress,
    /// The programs that the systems carry.
    pub(super) programs: BTreeMap<Arch, Program>,
    /// All inputs, once they are known.
    pub(super) lock: Option<Lock>,
    /// What packs, charts and manifests need, once they were searched.
    pub(super) content: OnceLock<Searched>,
}

impl<'a> Build<'a> {
    /// Opens the store and prepares what all stages share.
    pub(super) fn new(request: &'a Request<'a>, progress: &'a Progress) -> Result<Self> {
        let loaded = request.loaded;
        let registries = convert::registry(loaded, &request.settings);
        registries.check()?;
        let client = Client::new(registries);
        let archs = &loaded.profile.appliance.arch;
        let programs = request.settings.programs.find(archs)?;
        Ok(Self {
            request,
            store: Store::open_noting(&request.settings.cache_dir, || {
                progress.note("waiting: another isoforge removes from the store");
            })?,
            client: if request.lock.offline {
                client.offline()
            } else {
                client
            },
            renderer: Renderer::new(loaded, request.profile_path, request.env)?,
            squashfs: convert::squashfs(&loaded.profile),
            limits: convert::limits(&loaded.profile),
            progress,
            programs,
            lock: None,
            content: OnceLock::new(),
        })
    }

    /// What of packs, charts and manifests the ISO carries.
    pub(super) fn artifacts(&self) -> &[Artifact] {
        self.content.get().map_or(&[], |content| &content.artifacts)
    }

    /// The images that were found in packs, charts and manifests.
    pub(super) fn found(&self) -> &[FoundImages] {
        self.content.get().map_or(&[], |content| &content.found)
    }

    /// The same with all inputs known.
    pub(super) fn with_lock(self, lock: Lock) -> Self {
        Self {
            lock: Some(lock),
            ..self
        }
    }

    /// What the sources work with.
    pub(super) fn context(&self) -> sources::Context<'_> {
        sources::Context {
            store: &self.store,
            client: &self.client,
            lock: self.lock.as_ref(),
            limits: self.limits,
            pull_limits: pull::Limits::DEFAULT,
            threads: convert::threads(&self.request.settings),
            referrers: self.request.settings.with_referrers,
            progress: self.progress,
        }
    }

    pub(super) fn maker(&self) -> SlabMaker<'_> {
        SlabMaker {
            store: &self.store,
            squashfs: &self.squashfs,
            limits: &self.limits,
            settings: &self.request.settings,
            progress: self.progress,
        }
    }
}

/// Builds what the request asks for.
///
/// # Errors
/// Of every stage; nothing of the outputs is there then.
pub fn build(request: &Request<'_>, progress: &Progress) -> Result<Summary> {
    let loaded = request.loaded;
    let profile = &loaded.profile;
    for warning in check::check(loaded, request.profile_path, request.env)? {
        progress.warn(warning);
    }
    convert::registry(loaded, &request.settings).check()?;
    let mut output = OutputDir::prepare(
        request.output,
        &profile.appliance.name,
        &profile.appliance.version,
    )?;
    let build = Build::new(request, progress)?;
    progress.stage("Gathering inputs");
    let mut settled = lock::settle(&build, &Upgrade::None)?;
    requirements::check_nodes(&build)?;
    if !request.lock.locked {
        settled.write(progress)?;
    }
    let build = build.with_lock(settled.lock.clone());
    let mut gathered = gather::gather(&build)?;
    let epoch = match request.settings.epoch {
        Some(seconds) => Epoch {
            seconds,
            source: EpochSource::SourceDateEpoch,
        },
        None => settled.lock.time.into(),
    };
    gather::complete(&build, &mut gathered, epoch.seconds)?;
    check_space(&build, &gathered, &output)?;

    let mut manifest = manifest(&build, &gathered, epoch)?;
    let mut variants: BTreeMap<&str, BTreeMap<Arch, Variant>> = BTreeMap::new();
    let mut outputs = Vec::new();
    let mut components = Vec::new();
    let mut core_images = Vec::new();
    for (arch, inputs) in &gathered.inputs {
        let done = architecture(&build, *arch, inputs, epoch, &mut manifest, &mut output)?;
        outputs.extend(done.iso);
        core_images.extend(done.core_images);
        for (version, variant) in done.variants {
            variants.entry(version).or_default().insert(*arch, variant);
        }
        if components.is_empty() {
            components = done.components;
        }
    }
    settled.add_core_images(core_images);
    if !request.lock.locked {
        settled.write(progress)?;
    }
    let mut images = Vec::new();
    if request.artifacts.provider() {
        progress.stage("Building the provider image");
        for version in &profile.kubernetes.versions {
            let variants = variants.remove(version.as_str()).unwrap_or_default();
            images.push(provider::build(
                &build.store,
                profile,
                version,
                epoch.seconds,
                &variants,
                progress,
            )?);
        }
        outputs.push(write_archive(&build, &images, epoch, &mut output)?);
    }
    finish(
        &build, manifest, outputs, output, epoch, components, &images,
    )
}

/// What one architecture gave.
struct Done<'a> {
    iso: Option<Finished>,
    variants: Vec<(&'a str, Variant)>,
    components: Vec<manifest::Component>,
    core_images: Vec<CoreImage>,
}

fn architecture<'a>(
    build: &Build<'a>,
    arch: Arch,
    inputs: &Inputs,
    epoch: Epoch,
    manifest: &mut Manifest,
    output: &mut OutputDir,
) -> Result<Done<'a>> {
    let request = build.request;
    let profile = &request.loaded.profile;
    let mut done = Done {
        iso: None,
        variants: Vec::new(),
        components: Vec::new(),
        core_images: Vec::new(),
    };
    let mut iso_system = None;
    if request.artifacts.iso() {
        build
            .progress
            .stage(&format!("Building the ISO for {arch}"));
        let version = profile.iso_version();
        let system = assemble(build, arch, inputs, version, Use::Iso, epoch)?;
        let written = write_iso(build, arch, inputs, &system, epoch, manifest, output)?;
        done.iso = Some(written.file);
        done.core_images = written.core_images;
        done.components.clone_from(&system.components);
        iso_system = Some((diff_ids(&system), written.squashfs));
    }
    if request.artifacts.provider() {
        for version in &profile.kubernetes.versions {
            build.progress.stage(&format!(
                "Building the system with Kubernetes {version} for {arch}"
            ));
            let system = assemble(build, arch, inputs, version, Use::Provider, epoch)?;
            let squashfs = match &iso_system {
                Some((layers, squashfs)) if *layers == diff_ids(&system) => squashfs.clone(),
                _ => squashfs_of(build, &system, epoch, version)?,
            };
            if done.components.is_empty() {
                done.components.clone_from(&system.components);
            }
            done.variants
                .push((version, variant(inputs, system, squashfs)));
        }
    }
    Ok(done)
}

/// What a system is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Iso,
    Provider,
}

fn assemble(
    build: &Build<'_>,
    arch: Arch,
    inputs: &Inputs,
    version: &str,
    purpose: Use,
    epoch: Epoch,
) -> Result<System> {
    let maker = build.maker();
    let mut system = System::default();
    for layer in &inputs.os {
        system.add(layer, "OS", &maker)?;
    }
    let kubernetes = inputs
        .kubernetes
        .get(version)
        .with_context(|| format!("Kubernetes {version} was not gathered"))?;
    for part in kubernetes.iter().chain(&inputs.further) {
        let wanted = match purpose {
            Use::Iso => part.iso,
            Use::Provider => part.provider,
        };
        if wanted {
            for layer in &part.layers {
                system.add(layer, &part.name, &maker)?;
            }
        }
    }
    gather::components(build, &mut system, inputs, version)?;
    let context = build.renderer.context_for(arch.as_str(), version)?;
    let program = build.programs.get(&arch);
    let program = program.with_context(|| format!("no program for {arch}"))?;
    let layer = node::layer(build, arch, program, &context, epoch.seconds, &system.tree)?;
    system.add_overlay(&layer, node::PURPOSE, &maker)?;
    if let Some(layer) = registry::layer(build, arch, &context, epoch.seconds, &system.tree)? {
        system.add_overlay(&layer, registry::PURPOSE, &maker)?;
    }
    if let Some(hardening) = &build.request.loaded.profile.hardening {
        let layer = hardening::layer(hardening, epoch.seconds)?;
        system.add_overlay(&layer, hardening::PURPOSE, &maker)?;
    }
    let own = OwnFiles {
        project: &build.renderer.project,
        engine: &build.renderer.engine,
        context: &context,
        overlays: &build.renderer.rootfs_overlays(build.request.loaded),
        epoch: epoch.seconds,
    };
    system::finish(&mut system, &own, &maker)?;
    requirements::check(build, &system, arch.as_str())?;
    Ok(system)
}

fn diff_ids(system: &System) -> Vec<crate::oci::digest::Digest> {
    system.layers.iter().map(|own| own.layer.diff_id).collect()
}

/// The SquashFS that a machine makes of a provider image's layers.
fn squashfs_of(
    build: &Build<'_>,
    system: &System,
    epoch: Epoch,
    version: &str,
) -> Result<Squashfs> {
    let plan = ImagePlan::new(&system.tree, &system.slabs, &build.squashfs, epoch.seconds)?;
    let name = format!("the root file system with Kubernetes {version}");
    let digest = iso::digest_of(&plan, &name, build.progress)?;
    Ok(iso::squashfs_record(
        &build.request.loaded.profile,
        plan.size(),
        epoch.seconds,
        digest,
    ))
}

fn variant(inputs: &Inputs, system: System, squashfs: Squashfs) -> Variant {
    let below = inputs.base.as_ref().map_or(0, |base| base.layers.len());
    Variant {
        base: inputs.base.clone(),
        layers: system.layers.into_iter().skip(below).collect(),
        squashfs,
    }
}

/// What is to run on the cluster, as a file of the ISO.
fn definition(build: &Build<'_>) -> Result<Option<Extra<'static>>> {
    let content = build.content.get();
    let Some(definition) = content.and_then(|content| content.definition.as_ref()) else {
        return Ok(None);
    };
    let data = Payload::bytes(definition.to_yaml()?.into_bytes());
    Ok(Some(Extra {
        path: format!("{ISO_FOLDER}/{}", definition::FILE),
        kind: ExtraKind::File { mode: 0o644, data },
    }))
}

struct WrittenIso {
    file: Finished,
    squashfs: Squashfs,
    core_images: Vec<CoreImage>,
}

fn write_iso(
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
        .iso_overlays(loaded, &context, i64::from(epoch.seconds))?;
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
            menu_template: &build.renderer.project.read_text(menu::MENU_TEMPLATE)?,
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

/// What the manifest says of the ISO's overlays.
fn overlay_records(build: &Build<'_>, overlays: &[OverlayLayer]) -> Result<Vec<manifest::File>> {
    let paths = build.renderer.iso_overlay_paths(build.request.loaded);
    let mut records = Vec::with_capacity(paths.len());
    for (path, overlay) in paths.iter().zip(overlays) {
        let name = system::shown(path);
        let layer = system::overlay_layer(&build.store, overlay, &Tree::new(), name)?;
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
            let text = crate::tree::display(&path);
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

fn manifest(build: &Build<'_>, gathered: &Gathered, epoch: Epoch) -> Result<Manifest> {
    let profile = &build.request.loaded.profile;
    Ok(Manifest {
        schema: manifest::SCHEMA,
        tool: Tool::this(),
        appliance: manifest::Appliance {
            name: profile.appliance.name.clone(),
            version: profile.appliance.version.clone(),
        },
        profile: build.request.loaded.digest(),
        epoch,
        hardening: profile.hardening.as_ref().map(hardening::record),
        architectures: gathered
            .inputs
            .iter()
            .map(|(arch, inputs)| {
                let mut record = inputs.record.clone();
                record.program = build.programs.get(arch).map(Program::content);
                (arch.as_str().to_owned(), record)
            })
            .collect(),
        outputs: BTreeMap::new(),
    })
}

/// What the build will write at most, before it compresses anything: a slab is
/// no larger than its layer's blob by much, the ISO no larger than all of them.
fn check_space(build: &Build<'_>, gathered: &Gathered, output: &OutputDir) -> Result<()> {
    let layers = gathered.layer_bytes();
    let wanted = |flag: bool, bytes: u64| if flag { bytes } else { 0 };
    let artifacts = build.request.artifacts;
    let output_bytes = wanted(
        artifacts.iso(),
        layers.saturating_add(gathered.content_bytes()),
    )
    .saturating_add(wanted(artifacts.provider(), layers));
    space::check(
        &[
            Requirement {
                path: build.request.settings.cache_dir.clone(),
                bytes: gathered.slab_bytes(build),
                purpose: "the store".to_owned(),
            },
            Requirement {
                path: output.path().to_owned(),
                bytes: output_bytes,
                purpose: "the output".to_owned(),
            },
        ],
        &HostFileSystems,
    )?;
    Ok(())
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

fn write_archive(
    build: &Build<'_>,
    images: &[Image],
    epoch: Epoch,
    output: &mut OutputDir,
) -> Result<Finished> {
    let profile = &build.request.loaded.profile;
    let name = format!("{}{PROVIDER_SUFFIX}", profile.base_name());
    let layout = crate::provider::layout(images, profile.full_repository());
    let task = build.progress.task(&format!("write {name}"), None);
    let mut pending = output.create(&name)?;
    layout.write_tar(&build.store, pending.file(), u64::from(epoch.seconds))?;
    drop(task);
    Ok(output.finish(pending)?)
}

fn finish(
    build: &Build<'_>,
    mut manifest: Manifest,
    outputs: Vec<Finished>,
    mut output: OutputDir,
    epoch: Epoch,
    components: Vec<manifest::Component>,
    images: &[Image],
) -> Result<Summary> {
    let profile = &build.request.loaded.profile;
    for file in &outputs {
        manifest.add_output(file);
        output.put_checksum(file)?;
    }
    output.put(manifest::FILE_NAME, &manifest.to_json()?)?;
    let folder = output.path().to_owned();
    output.commit()?;
    let outputs: Vec<OutputFile> = outputs
        .into_iter()
        .map(|file| OutputFile {
            name: file.name,
            size: file.size,
            digest: file.digest,
        })
        .collect();
    Ok(Summary {
        schema: SUMMARY_SCHEMA,
        name: profile.appliance.name.clone(),
        version: profile.appliance.version.clone(),
        next: summary::next(&folder, &outputs),
        run: Run::of(&build.progress.figures()),
        folder,
        outputs,
        provider_images: images
            .iter()
            .map(|image| format!("{}:{}", profile.provider.repository, image.tag))
            .collect(),
        components,
        epoch,
        pushed: None,
    })
}
