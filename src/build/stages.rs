//! The build, from a profile to finished files.

mod medium;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use isoforge_base::error::{Context as _, Result};

use super::check;
use super::content::Searched;
use super::gather::{self, Gathered, Inputs};
use super::program::Program;
use super::provider::Variant;
use super::renderer::Renderer;
use super::summary::{self, OutputFile, Run, Summary};
use super::{
    Request, Upgrade, convert, iso, lock, machine, provider, registry, requirements, system,
};
use crate::lock::{CoreImage, Lock};
use crate::profile::{Arch, FoundImages};
use crate::sources;
use isoforge_base::output::Finished;
use isoforge_base::output::OutputDir;
use isoforge_base::output::space::{self, HostFileSystems, Requirement};
use isoforge_base::progress::Progress;
use isoforge_contract::manifest::{self, Epoch, EpochSource, Manifest, Squashfs, Tool};
use isoforge_formats::squashfs;
use isoforge_formats::squashfs::write::ImagePlan;
use isoforge_formats::tar::Limits;
use isoforge_oci::artifact::Artifact;
use isoforge_oci::pull;
use isoforge_oci::registry::Client;
use isoforge_oci::store::Store;
use isoforge_system::hardening::{self, Hardening};
use isoforge_system::merged::System;
use isoforge_system::provider::Image;
use isoforge_system::replay;
use isoforge_system::slab_maker::SlabMaker;
use isoforge_system::{appliance_layer, registry_layer};
use medium::write_iso;

/// What the provider image's archive adds to the appliance's name and version.
pub(super) const PROVIDER_SUFFIX: &str = "-provider.oci.tar";

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
            jobs: self.request.settings.jobs,
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
    requirements::check_cluster(&build)?;
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
    let profile = &build.request.loaded.profile;
    let (renderer, seconds) = (&build.renderer, epoch.seconds);
    let mut config = machine::config(profile, arch, &system.tree);
    requirements::add(build, &mut config.install.requirements);
    let units = renderer.appliance_units(&context, seconds)?;
    let told = (&config, config.to_json()?);
    let layer = appliance_layer::layer(units, &program.bytes, told, seconds, &system.tree)?;
    system::add_overlay(&mut system, &layer, appliance_layer::PURPOSE, &maker)?;
    if let (Some(registry), Some(component)) = (&config.registry, &profile.registry) {
        let units = renderer.registry_units(&context, seconds)?;
        let (kind, flavor) = (registry.name, config.flavor);
        let program = || registry::program(build, arch, kind, component);
        let layer = registry_layer::layer(units, kind, flavor, &system.tree, seconds, program)?;
        system::add_overlay(&mut system, &layer, registry_layer::PURPOSE, &maker)?;
    }
    if let Some(hardening) = &profile.hardening {
        let layer = hardening.layer(seconds)?;
        system::add_overlay(&mut system, &layer, hardening::PURPOSE, &maker)?;
    }
    system::finish(&mut system, build, &context, seconds, &maker)?;
    requirements::check(build, &system, arch.as_str())?;
    Ok(system)
}

fn diff_ids(system: &System) -> Vec<isoforge_base::digest::Digest> {
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
    let digest = replay::digest_of(&plan, &name, build.progress)?;
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
        hardening: profile.hardening.as_ref().map(Hardening::record),
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

fn write_archive(
    build: &Build<'_>,
    images: &[Image],
    epoch: Epoch,
    output: &mut OutputDir,
) -> Result<Finished> {
    let profile = &build.request.loaded.profile;
    let name = format!("{}{PROVIDER_SUFFIX}", profile.base_name());
    let layout = isoforge_system::provider::layout(images, profile.full_repository());
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
