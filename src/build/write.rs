//! Systems become finished files.

mod medium;

use std::collections::BTreeMap;

use isoforge_base::error::Result;

use super::assemble::{Assembled, Use};
use super::gather::Gathered;
use super::iso;
use super::program::Program;
use super::provider::{self, Variant};
use super::summary::{self, OutputFile, Run, Summary};
use crate::lock::CoreImage;
use isoforge_base::output::space::{self, HostFileSystems, Requirement};
use isoforge_base::output::{Finished, OutputDir};
use isoforge_contract::arch::Arch;
use isoforge_contract::manifest::{self, Manifest, Squashfs, Tool};
use isoforge_formats::squashfs::write::ImagePlan;
use isoforge_system::hardening::Hardening;
use isoforge_system::provider::Image;
use isoforge_system::replay;

/// What the provider image's archive adds to the appliance's name and version.
pub(super) const PROVIDER_SUFFIX: &str = "-provider.oci.tar";

/// Version of the summary's JSON.
const SUMMARY_SCHEMA: u32 = 1;

/// The last value of a build: files in a folder that is not there before
/// [`finish`](Self::finish).
pub(super) struct Written<'l> {
    gathered: &'l Gathered<'l>,
    output: OutputDir,
    manifest: Manifest,
    files: Vec<Finished>,
    components: Vec<manifest::Component>,
    /// GRUB core images that went in.
    pub(super) core_images: Vec<CoreImage>,
    /// By version of Kubernetes.
    variants: BTreeMap<&'l str, BTreeMap<Arch, Variant>>,
    images: Vec<Image>,
}

impl<'l> Written<'l> {
    /// Writes all that is asked for into `output`.
    pub(super) fn of(gathered: &'l Gathered<'l>, output: OutputDir) -> Result<Self> {
        let mut this = Self {
            gathered,
            output,
            manifest: manifest(gathered),
            files: Vec::new(),
            components: Vec::new(),
            core_images: Vec::new(),
            variants: BTreeMap::new(),
            images: Vec::new(),
        };
        this.check_space()?;
        for arch in gathered.architectures.keys() {
            this.architecture(*arch)?;
        }
        Ok(this)
    }

    fn architecture(&mut self, arch: Arch) -> Result<()> {
        let (gathered, locked) = (self.gathered, self.gathered.locked);
        let (artifacts, progress) = (locked.request.artifacts, locked.session.progress);
        let profile = locked.profile();
        let mut of_iso = None;
        if artifacts.iso() {
            progress.stage(&format!("Building the ISO for {arch}"));
            let assembled = Assembled::of(gathered, arch, profile.iso_version(), Use::Iso)?;
            let squashfs = self.iso(&assembled)?;
            self.note_components(&assembled);
            of_iso = Some((assembled.diff_ids(), squashfs));
        }
        if artifacts.provider() {
            for version in &profile.kubernetes.versions {
                progress.stage(&format!("Building the {} for {arch}", system_of(version)));
                let assembled = Assembled::of(gathered, arch, version, Use::Provider)?;
                let squashfs = match &of_iso {
                    Some((layers, squashfs)) if *layers == assembled.diff_ids() => squashfs.clone(),
                    _ => squashfs_of(&assembled, version)?,
                };
                self.note_components(&assembled);
                let variants = self.variants.entry(version).or_default();
                variants.insert(arch, variant(assembled, squashfs));
            }
        }
        Ok(())
    }

    fn note_components(&mut self, assembled: &Assembled<'_>) {
        if self.components.is_empty() {
            self.components.clone_from(&assembled.system.components);
        }
    }

    /// Makes the provider images of the systems.
    pub(super) fn provider(&mut self) -> Result<()> {
        let locked = self.gathered.locked;
        let (session, profile) = (&locked.session, locked.profile());
        if !locked.request.artifacts.provider() {
            return Ok(());
        }
        session.progress.stage("Building the provider image");
        let epoch = self.gathered.epoch.seconds;
        for version in &profile.kubernetes.versions {
            let variants = self.variants.remove(version.as_str()).unwrap_or_default();
            self.images.push(provider::build(
                &session.store,
                profile,
                version,
                epoch,
                &variants,
                session.progress,
            )?);
        }
        let name = format!("{}{PROVIDER_SUFFIX}", profile.base_name());
        let layout = isoforge_system::provider::layout(&self.images, profile.full_repository());
        let task = session.progress.task(&format!("write {name}"), None);
        let mut pending = self.output.create(&name)?;
        layout.write_tar(&session.store, pending.file(), u64::from(epoch))?;
        drop(task);
        self.files.push(self.output.finish(pending)?);
        Ok(())
    }

    /// Writes checksums and manifest, and puts the folder where it belongs.
    pub(super) fn finish(mut self) -> Result<Summary> {
        let locked = self.gathered.locked;
        let profile = locked.profile();
        for file in &self.files {
            self.manifest.add_output(file);
            self.output.put_checksum(file)?;
        }
        self.output
            .put(manifest::FILE_NAME, &self.manifest.to_json()?)?;
        let folder = self.output.path().to_owned();
        self.output.commit()?;
        let outputs: Vec<OutputFile> = self
            .files
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
            run: Run::of(&locked.session.progress.figures()),
            folder,
            outputs,
            provider_images: self
                .images
                .iter()
                .map(|image| format!("{}:{}", profile.provider.repository, image.tag))
                .collect(),
            components: self.components,
            epoch: self.gathered.epoch,
            pushed: None,
        })
    }

    /// What the build will write at most, before it compresses anything: a slab is
    /// no larger than its layer's blob by much, the ISO no larger than all of them.
    fn check_space(&self) -> Result<()> {
        let gathered = self.gathered;
        let request = gathered.locked.request;
        let layers = gathered.layer_bytes();
        let wanted = |flag: bool, bytes: u64| if flag { bytes } else { 0 };
        let iso = layers.saturating_add(gathered.content_bytes());
        let output = wanted(request.artifacts.iso(), iso)
            .saturating_add(wanted(request.artifacts.provider(), layers));
        let requirements = [
            Requirement {
                path: request.settings.cache_dir.clone(),
                bytes: gathered.slab_bytes(),
                purpose: "the store".to_owned(),
            },
            Requirement {
                path: self.output.path().to_owned(),
                bytes: output,
                purpose: "the output".to_owned(),
            },
        ];
        Ok(space::check(&requirements, &HostFileSystems)?)
    }
}

/// The SquashFS that a machine makes of a provider image's layers.
fn squashfs_of(assembled: &Assembled<'_>, version: &str) -> Result<Squashfs> {
    let locked = assembled.gathered.locked;
    let (system, epoch) = (&assembled.system, assembled.gathered.epoch.seconds);
    let plan = ImagePlan::new(&system.tree, &system.slabs, &locked.squashfs, epoch)?;
    let name = format!("the root file {}", system_of(version));
    let digest = replay::digest_of(&plan, &name, locked.session.progress)?;
    Ok(iso::squashfs_record(
        locked.profile(),
        plan.size(),
        epoch,
        digest,
    ))
}

/// A system for messages.
fn system_of(version: &str) -> String {
    match version {
        "" => "system".to_owned(),
        version => format!("system with Kubernetes {version}"),
    }
}

fn variant(assembled: Assembled<'_>, squashfs: Squashfs) -> Variant {
    let base = assembled.from.base.clone();
    let below = base.as_ref().map_or(0, |base| base.layers.len());
    Variant {
        base,
        layers: assembled.system.layers.into_iter().skip(below).collect(),
        squashfs,
        found: assembled.kubernetes_found,
    }
}

/// What can be said before anything is written.
fn manifest(gathered: &Gathered<'_>) -> Manifest {
    let locked = gathered.locked;
    let profile = locked.profile();
    let architectures = gathered.architectures.iter();
    Manifest {
        schema: manifest::SCHEMA,
        tool: Tool::this(),
        appliance: manifest::Appliance {
            name: profile.appliance.name.clone(),
            version: profile.appliance.version.clone(),
        },
        profile: locked.request.loaded.digest(),
        epoch: gathered.epoch,
        hardening: profile.hardening.as_ref().map(Hardening::record),
        architectures: architectures
            .map(|(arch, found)| {
                let mut record = found.record.clone();
                record.program = locked.programs.get(arch).map(Program::content);
                (arch.as_str().to_owned(), record)
            })
            .collect(),
        outputs: BTreeMap::new(),
    }
}
