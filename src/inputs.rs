//! Everything that goes into a build, as one list.
//!
//! [`Inputs::of`] is a pure function of the profile and of what was found in its
//! packs, charts and manifests; [`project_files`] adds what lies in the project
//! itself. Whoever asks what goes in reads these lists and nothing else: the lock,
//! the plan, the check of a store that must do without a network, the gathering of
//! a build, a bundle. What a lock says of the same is [`crate::lock::Lock`]'s.

mod project;

use std::path::PathBuf;

use serde::Serialize;

use isoforge_base::error::Result;

use crate::profile::{
    self, ComponentImages, FileSpec, FoundImages, ImageTemplate, KubernetesPlan, LayerSource,
    LayerSpec, Loaded, OsSource, PathTemplate, Target,
};
use isoforge_contract::arch::Arch;
use isoforge_contract::manifest::Role;
use isoforge_oci::reference::{ImageSource, Reference};
use isoforge_system::filtered::Filter;
pub use project::{
    BASE_OVERLAY, CLOUD_CONFIG, FileOrigin, ISSUE_TEMPLATE, ProjectFile, cloud_config,
    project_files,
};

/// Something that comes from outside the project, or from one of its folders.
#[derive(Debug, Clone)]
pub struct Input {
    /// The architecture that it is for.
    pub arch: Arch,
    /// The version of Kubernetes whose systems have it; none: all have it.
    pub version: Option<String>,
    /// What it is for.
    pub role: Role,
    /// As in the lock: a reference in full, or a path as the profile writes it.
    pub name: String,
    /// What progress, errors and the provider image's history call its layers.
    pub label: String,
    /// Where it comes from.
    pub source: Source,
    /// What is taken of it.
    pub filter: Filter,
    /// Whether the ISO's system has it.
    pub iso: bool,
    /// Whether the provider image has it.
    pub provider: bool,
    /// Of content, whom it is for: such as `cni calico 3.29.2`.
    pub needed_by: Option<String>,
}

/// Where an input comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// An image of a registry or of the local disk.
    Image(ImageSource),
    /// An archive of the local disk.
    Archive(PathBuf),
    /// A folder of the local disk, laid like an overlay.
    Folder(PathBuf),
    /// Files by URL, laid as one layer.
    Files(Vec<FileSpec>),
    /// A root file system to be made from packages.
    Packages(Packages),
}

/// What to make a root file system of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spec {
    /// Code name of the release.
    pub suite: String,
    /// Packages beside the variant's.
    pub packages: Vec<String>,
    /// URLs or one-line entries of sources.list; empty: Debian's archive, with
    /// updates and security where the suite has them.
    pub mirrors: Vec<String>,
    /// Components of the archive, for mirrors given by URL.
    pub components: Vec<String>,
    /// Keyring of the archive; none: the host's.
    pub keyring: Option<PathBuf>,
    /// mmdebstrap's variant.
    pub variant: String,
    /// Architecture, as Debian and OCI call it.
    pub arch: String,
}

/// A root file system to be made from Debian packages.
#[derive(Debug, Clone)]
pub struct Packages {
    /// What to make.
    pub spec: Spec,
    /// The packages among them that are Kubernetes, sorted.
    pub kubernetes: Vec<String>,
}

impl Input {
    /// Whether all of it is copied as it is, and no layer looked into.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.role == Role::Content
    }

    /// The image, where it is one.
    #[must_use]
    pub fn image(&self) -> Option<&ImageSource> {
        match &self.source {
            Source::Image(source) => Some(source),
            _ => None,
        }
    }

    /// The reference of an image that comes from a registry.
    #[must_use]
    pub fn reference(&self) -> Option<&Reference> {
        self.image()?.as_reference()
    }
}

/// All that goes into the systems and the content of a profile.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// By architecture in the profile's order; for each the operating system,
    /// Kubernetes by version, further layers, lowest first, then the content.
    pub list: Vec<Input>,
    /// Images that `exclude_images` leaves out, and whom they would be for.
    pub left_out: Vec<(Arch, Reference, String)>,
    /// Components, and the images that they need.
    pub components: Vec<(Arch, ComponentImages)>,
}

impl Inputs {
    /// The inputs of a profile in whose packs, charts and manifests `found` was
    /// found.
    ///
    /// # Errors
    /// A component is not in the catalog, or a text is no reference or pattern;
    /// loading has checked both.
    pub fn of(loaded: &Loaded, found: &[FoundImages]) -> Result<Self> {
        let mut inputs = Self::default();
        for arch in &loaded.profile.appliance.arch {
            inputs.systems(loaded, *arch)?;
            inputs.content(loaded, *arch, found)?;
        }
        Ok(inputs)
    }

    /// What systems for `arch` are made of, lowest first.
    pub fn of_systems(&self, arch: Arch) -> impl Iterator<Item = &Input> {
        let list = self.list.iter();
        list.filter(move |input| input.arch == arch && !input.is_content())
    }

    /// The images that the ISO for `arch` carries.
    pub fn of_content(&self, arch: Arch) -> impl Iterator<Item = &Input> {
        let list = self.list.iter();
        list.filter(move |input| input.arch == arch && input.is_content())
    }

    /// All images, those of systems and those of the content.
    pub fn images(&self) -> impl Iterator<Item = (&Input, &ImageSource)> {
        let list = self.list.iter();
        list.filter_map(|input| Some((input, input.image()?)))
    }

    /// All archives of the local disk.
    pub fn archives(&self) -> impl Iterator<Item = (&Input, &PathBuf)> {
        self.list.iter().filter_map(|input| match &input.source {
            Source::Archive(path) => Some((input, path)),
            _ => None,
        })
    }

    /// All files by URL.
    pub fn files(&self) -> impl Iterator<Item = &FileSpec> {
        let of_each = self.list.iter().map(|input| match &input.source {
            Source::Files(files) => files.as_slice(),
            _ => &[],
        });
        of_each.flatten()
    }

    /// All root file systems that are made from packages.
    pub fn packages(&self) -> impl Iterator<Item = (&Input, &Packages)> {
        self.list.iter().filter_map(|input| match &input.source {
            Source::Packages(packages) => Some((input, packages)),
            _ => None,
        })
    }

    fn systems(&mut self, loaded: &Loaded, arch: Arch) -> Result<()> {
        let profile = &loaded.profile;
        let versions = profile.kubernetes.versions.iter();
        let plans = versions.map(|version| {
            let plan = loaded.kubernetes_plan(Target { arch, version })?;
            Ok((version, plan))
        });
        let plans: Vec<(&String, KubernetesPlan)> = plans.collect::<Result<_>>()?;
        let target = profile.iso_target(arch);
        let os = Layer {
            target,
            version: None,
            role: Role::Os,
            label: "OS".to_owned(),
        };
        match &profile.os.source {
            OsSource::Image(template) => self.image(os, template)?,
            OsSource::Rootfs(template) => self.archive(os, template)?,
            OsSource::Bootstrap(bootstrap) => {
                let packages = plans.iter().flat_map(|(_, plan)| plan.packages.clone());
                self.packages_of(os, bootstrap, packages.collect())?;
            }
        }
        for (version, plan) in plans {
            let of_version = || Layer {
                target: Target { arch, version },
                version: Some(version.clone()),
                role: Role::Kubernetes,
                label: format!("Kubernetes {version}"),
            };
            for spec in &plan.layers {
                self.layer(of_version(), spec)?;
            }
            if !plan.files.is_empty() {
                let name = of_version().label;
                self.push(of_version(), name, Source::Files(plan.files))?;
            }
        }
        for spec in profile.layers.iter().filter(|spec| spec.is_for(arch)) {
            let text: String = match &spec.source {
                LayerSource::Image(template) => template.clone().into(),
                LayerSource::Archive(template) | LayerSource::Folder(template) => {
                    template.clone().into()
                }
            };
            let further = Layer {
                target,
                version: None,
                role: Role::Layer,
                label: format!("layer {}", target.fill(&text)),
            };
            self.layer(further, spec)?;
        }
        Ok(())
    }

    fn content(&mut self, loaded: &Loaded, arch: Arch, found: &[FoundImages]) -> Result<()> {
        let plan = loaded.content_plan(arch, found)?;
        for image in plan.images {
            let name = image.reference.to_string();
            self.list.push(Input {
                arch,
                version: None,
                role: Role::Content,
                label: name.clone(),
                name,
                source: Source::Image(ImageSource::Registry(image.reference)),
                filter: Filter::new(&[], &[])?,
                iso: true,
                provider: false,
                needed_by: Some(image.needed_by),
            });
        }
        let left_out = plan.left_out.into_iter();
        self.left_out
            .extend(left_out.map(|image| (arch, image.reference, image.needed_by)));
        let components = plan.components.into_iter();
        self.components.extend(components.map(|it| (arch, it)));
        Ok(())
    }

    fn layer(&mut self, of: Layer<'_>, spec: &LayerSpec) -> Result<()> {
        match &spec.source {
            LayerSource::Image(template) => self.image(of, template)?,
            LayerSource::Archive(template) => self.archive(of, template)?,
            LayerSource::Folder(template) => {
                let name = of.target.fill(&String::from(template.clone()));
                let path = template.expand(of.target);
                self.push(of, name, Source::Folder(path))?;
            }
        }
        if let Some(input) = self.list.last_mut() {
            input.filter = Filter::new(&spec.include, &spec.exclude)?;
            (input.iso, input.provider) = (spec.iso, spec.provider);
        }
        Ok(())
    }

    fn image(&mut self, of: Layer<'_>, template: &ImageTemplate) -> Result<()> {
        let source = template.expand(of.target)?;
        let name = match source.as_reference() {
            Some(reference) => reference.to_string(),
            None => of.target.fill(&String::from(template.clone())),
        };
        self.push(of, name, Source::Image(source))
    }

    fn archive(&mut self, of: Layer<'_>, template: &PathTemplate) -> Result<()> {
        let name = of.target.fill(&String::from(template.clone()));
        let path = template.expand(of.target);
        self.push(of, name, Source::Archive(path))
    }

    fn packages_of(
        &mut self,
        of: Layer<'_>,
        asked: &profile::Bootstrap,
        mut kubernetes: Vec<String>,
    ) -> Result<()> {
        kubernetes.sort();
        kubernetes.dedup();
        let arch = of.target.arch.as_str().to_owned();
        let name = format!("bootstrap for {arch}");
        let spec = Spec {
            suite: asked.suite.clone(),
            packages: asked.packages.iter().chain(&kubernetes).cloned().collect(),
            mirrors: asked.mirror.clone(),
            components: asked.components.clone(),
            keyring: asked.keyring.clone(),
            variant: asked.variant.clone(),
            arch,
        };
        self.push(of, name, Source::Packages(Packages { spec, kubernetes }))
    }

    fn push(&mut self, of: Layer<'_>, name: String, source: Source) -> Result<()> {
        self.list.push(Input {
            arch: of.target.arch,
            version: of.version,
            role: of.role,
            name,
            label: of.label,
            source,
            filter: Filter::new(&[], &[])?,
            iso: true,
            provider: true,
            needed_by: None,
        });
        Ok(())
    }
}

/// What is known of a layer before its source is.
struct Layer<'a> {
    target: Target<'a>,
    version: Option<String>,
    role: Role,
    label: String,
}

#[cfg(test)]
mod tests;
