//! What a profile names that the lock has by digest: found out without looking
//! at any of it.

use std::path::PathBuf;

use isoforge_base::error::Result;

use crate::build::gather;
use crate::build::stages::Build;
use crate::profile::{
    Arch, FileSpec, ImageTemplate, LayerSource, LayerSpec, OsSource, PathTemplate, Target,
};
use crate::sources;
use crate::sources::as_written;
use crate::sources::bootstrap;
use crate::sources::image;
use isoforge_base::digest::Digest;
use isoforge_contract::manifest::Role;
use isoforge_oci::pull;
use isoforge_oci::reference::ImageSource;
use isoforge_system::filtered::Filter;

/// Every input of a profile for all its architectures, in its order.
#[derive(Debug, Default)]
pub(in crate::build) struct Wanted {
    pub(in crate::build) images: Vec<WantedImage>,
    pub(in crate::build) archives: Vec<WantedArchive>,
    pub(in crate::build) files: Vec<FileSpec>,
    pub(in crate::build) bootstraps: Vec<WantedBootstrap>,
}

/// An image for one architecture.
#[derive(Debug, Clone)]
pub(in crate::build) struct WantedImage {
    /// As in the lock.
    pub(in crate::build) name: String,
    pub(in crate::build) source: ImageSource,
    pub(in crate::build) arch: Arch,
    pub(in crate::build) role: Role,
    /// What is taken of it.
    pub(in crate::build) filter: Filter,
    /// Whom it is for, if it is content.
    pub(in crate::build) needed_by: Option<String>,
}

impl WantedImage {
    /// Whether it comes from a registry.
    pub(in crate::build) fn is_remote(&self) -> bool {
        self.source.as_reference().is_some()
    }

    /// What went wrong with it, with whom it is for.
    pub(in crate::build) fn failed(&self, error: pull::Error) -> sources::Error {
        let error = sources::Error::from(error);
        match &self.needed_by {
            Some(needed_by) => error.of_content(needed_by),
            None => error,
        }
    }

    /// Whether all of it is copied as it is, and no layer looked into.
    pub(in crate::build) fn is_content(&self) -> bool {
        self.role == Role::Content
    }
}

/// An archive of the local disk.
#[derive(Debug, Clone)]
pub(in crate::build) struct WantedArchive {
    /// As in the lock.
    pub(in crate::build) name: String,
    pub(in crate::build) path: PathBuf,
    pub(in crate::build) role: Role,
    /// What is taken of it.
    pub(in crate::build) filter: Filter,
}

/// A root file system to be made from packages.
#[derive(Debug, Clone)]
pub(in crate::build) struct WantedBootstrap {
    pub(in crate::build) arch: Arch,
    pub(in crate::build) spec: bootstrap::Spec,
    /// [`bootstrap::Spec::digest`].
    pub(in crate::build) digest: Digest,
}

impl Wanted {
    /// All that the profile of `build` names.
    pub(in crate::build) fn of(build: &Build<'_>) -> Result<Self> {
        let mut wanted = Self::default();
        for arch in &build.request.loaded.profile.appliance.arch {
            wanted.add(build, *arch)?;
        }
        Ok(wanted)
    }

    fn add(&mut self, build: &Build<'_>, arch: Arch) -> Result<()> {
        let loaded = build.request.loaded;
        let profile = &loaded.profile;
        let target = profile.iso_target(arch);
        match &profile.os.source {
            OsSource::Image(template) => {
                self.image(template, target, Role::Os, Filter::new(&[], &[])?)?
            }
            OsSource::Rootfs(template) => {
                self.archive(template, target, Role::Os, Filter::new(&[], &[])?);
            }
            OsSource::Bootstrap(bootstrap) => {
                let packages = gather::kubernetes_packages(build, arch)?;
                let spec = gather::bootstrap_spec(bootstrap, &packages, arch);
                let digest = spec.digest()?;
                self.bootstraps.push(WantedBootstrap { arch, spec, digest });
            }
        }
        for version in &profile.kubernetes.versions {
            let target = Target { arch, version };
            let plan = loaded.kubernetes_plan(target)?;
            for spec in &plan.layers {
                self.layer(spec, target, Role::Kubernetes)?;
            }
            self.files.extend(plan.files);
        }
        for spec in profile.layers.iter().filter(|spec| spec.is_for(arch)) {
            self.layer(spec, target, Role::Layer)?;
        }
        for image in loaded.content_plan_with(arch, build.found())?.images {
            self.images.push(WantedImage {
                name: image.reference.to_string(),
                source: ImageSource::Registry(image.reference),
                arch,
                role: Role::Content,
                filter: Filter::new(&[], &[])?,
                needed_by: Some(image.needed_by),
            });
        }
        Ok(())
    }

    fn layer(&mut self, spec: &LayerSpec, target: Target<'_>, role: Role) -> Result<()> {
        let filter = Filter::new(&spec.include, &spec.exclude)?;
        match &spec.source {
            LayerSource::Image(template) => self.image(template, target, role, filter)?,
            LayerSource::Archive(template) => self.archive(template, target, role, filter),
            // One of the project's own files.
            LayerSource::Folder(_) => {}
        }
        Ok(())
    }

    fn image(
        &mut self,
        template: &ImageTemplate,
        target: Target<'_>,
        role: Role,
        filter: Filter,
    ) -> Result<()> {
        let source = template.expand(target)?;
        self.images.push(WantedImage {
            name: image::name(&source, template, target),
            source,
            arch: target.arch,
            role,
            filter,
            needed_by: None,
        });
        Ok(())
    }

    fn archive(&mut self, template: &PathTemplate, target: Target<'_>, role: Role, filter: Filter) {
        self.archives.push(WantedArchive {
            name: as_written(template.clone().into(), target),
            path: template.expand(target),
            role,
            filter,
        });
    }
}
