//! What the stages ask a profile for: names and tags, the kernel command line,
//! where Kubernetes comes from, and which images the ISO carries.

use std::collections::BTreeSet;

use globset::{Glob, GlobMatcher};

use super::Loaded;
use super::catalog::{Catalog, CatalogError, Kind, Query, Resolution, fill_files};
use super::model::{Component, ContentImage, ContentSources, FileSpec, LayerSpec, Profile};
use super::placeholder::Target;
use isoforge_base::error::{Class, Diagnose};
use isoforge_contract::arch::Arch;
use isoforge_contract::labels;
use isoforge_contract::machine::Firmware;
use isoforge_oci::reference::{ParseReferenceError, Reference, names_registry};
use isoforge_system::hardening::Hardening;

/// The kernel's switch for FIPS mode.
const FIPS_ARGUMENT: &str = "fips=1";
/// Whom images are for that the profile lists itself.
const OWN_LIST: &str = "content";

impl Profile {
    /// `<name>-<version>`, the name of the output directory.
    #[must_use]
    pub fn base_name(&self) -> String {
        format!("{}-{}", self.appliance.name, self.appliance.version)
    }

    /// `<name>-<version>`, with the architecture where there are several.
    #[must_use]
    pub fn output_name(&self, arch: Arch) -> String {
        match self.appliance.arch.len() {
            1 => self.base_name(),
            _ => format!("{}-{arch}", self.base_name()),
        }
    }

    /// The provider image's tag for a Kubernetes version, `+` as `_`.
    #[must_use]
    pub fn provider_tag(&self, kubernetes_version: &str) -> String {
        let distribution = &self.kubernetes.distribution;
        labels::tag(distribution, kubernetes_version, &self.appliance.version)
    }

    /// Repository and tag of the provider image for a Kubernetes version.
    #[must_use]
    pub fn provider_reference(&self, kubernetes_version: &str) -> String {
        format!(
            "{}:{}",
            self.provider.repository,
            self.provider_tag(kubernetes_version)
        )
    }

    /// The provider image's repository, where it is written with its registry's
    /// host: then one knows where to push to.
    #[must_use]
    pub fn full_repository(&self) -> Option<&str> {
        let repository = self.provider.repository.as_str();
        names_registry(repository).then_some(repository)
    }

    /// Arguments that the profile adds to the kernel command line, in order.
    #[must_use]
    pub fn kernel_cmdline_extra(&self) -> Vec<String> {
        let given = self.boot.cmdline.iter().map(String::as_str);
        let fips = self.os.fips && !self.boot.cmdline.iter().any(|a| a == FIPS_ARGUMENT);
        given
            .chain(fips.then_some(FIPS_ARGUMENT))
            .map(str::to_owned)
            .collect()
    }

    /// Firmware that the ISO for `arch` boots under: only amd64 has a BIOS.
    #[must_use]
    pub fn firmware(&self, arch: Arch) -> Vec<Firmware> {
        let fits = |f: &Firmware| arch == Arch::Amd64 || *f != Firmware::Bios;
        self.boot.firmware.iter().copied().filter(fits).collect()
    }

    /// Title of the boot menu's entries.
    #[must_use]
    pub fn title(&self) -> String {
        let default = || format!("{} {}", self.appliance.name, self.appliance.version);
        self.boot.title.clone().unwrap_or_else(default)
    }

    /// Kernel arguments: those of the profile, and those that hardening adds.
    #[must_use]
    pub fn cmdline(&self) -> Vec<String> {
        let mut arguments = self.boot.cmdline.clone();
        for added in self.hardening.iter().flat_map(Hardening::cmdline) {
            if !arguments.iter().any(|argument| argument == added) {
                arguments.push(added.to_owned());
            }
        }
        arguments
    }

    /// Kernel arguments of an installed system: those of the profile, for FIPS mode,
    /// and those that hardening adds.
    #[must_use]
    pub fn installed_cmdline(&self) -> Vec<String> {
        let mut arguments = self.cmdline();
        for added in self.kernel_cmdline_extra() {
            if !arguments.contains(&added) {
                arguments.push(added);
            }
        }
        arguments
    }

    /// The Kubernetes version that the ISO installs.
    #[must_use]
    pub fn iso_version(&self) -> &str {
        self.kubernetes.versions.first().map_or("", String::as_str)
    }

    /// What placeholders of the ISO for `arch` are filled in with.
    #[must_use]
    pub fn iso_target(&self, arch: Arch) -> Target<'_> {
        Target {
            arch,
            version: self.iso_version(),
        }
    }

    /// All components with their kinds, in the order of a profile.
    pub fn components(&self) -> impl Iterator<Item = (Kind, &Component)> {
        let named = [
            (Kind::Cni, &self.cni),
            (Kind::Csi, &self.csi),
            (Kind::Registry, &self.registry),
        ];
        named
            .into_iter()
            .filter_map(|(kind, component)| Some((kind, component.as_ref()?)))
            .chain(self.addons.iter().map(|c| (Kind::Addon, c)))
    }

    /// Fills in what other keys say, and from the catalog what components are made of
    /// that say nothing of it themselves.
    pub(super) fn adopt(&mut self, catalog: &Catalog) {
        if self.provider.repository.is_empty() {
            self.provider.repository = self.appliance.name.clone();
        }
        let (fips, arch) = (self.os.fips, self.appliance.arch.first().copied());
        let named = [
            (Kind::Cni, &mut self.cni),
            (Kind::Csi, &mut self.csi),
            (Kind::Registry, &mut self.registry),
        ];
        let named = named
            .into_iter()
            .filter_map(|(kind, component)| Some((kind, component.as_mut()?)));
        let addons = self.addons.iter_mut().map(|addon| (Kind::Addon, addon));
        for (kind, component) in named.chain(addons) {
            if !component.sources.is_empty() || component.images.is_some() {
                continue;
            }
            let wanted = Query {
                kind,
                name: &component.name,
                version: &component.version,
                fips,
            };
            let found = catalog.sources(wanted, arch.unwrap_or(Arch::Amd64));
            component.sources = ContentSources {
                values: std::mem::take(&mut component.sources.values),
                presets: std::mem::take(&mut component.sources.presets),
                ..found
            };
        }
    }

    pub(super) fn wanted<'a>(&self, kind: Kind, name: &'a str, version: &'a str) -> Query<'a> {
        Query {
            kind,
            name,
            version,
            fips: self.os.fips,
        }
    }

    pub(super) fn kubernetes_entry(
        &self,
        catalog: &Catalog,
        target: Target<'_>,
    ) -> Result<Resolution, CatalogError> {
        catalog.resolve(
            self.wanted(
                Kind::Kubernetes,
                &self.kubernetes.distribution,
                target.version,
            ),
            target.arch,
        )
    }
}

/// Where one version of Kubernetes comes from, on one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesPlan {
    /// Layers, in order.
    pub layers: Vec<LayerSpec>,
    /// Debian packages; then the operating system is made by `bootstrap`.
    pub packages: Vec<String>,
    /// Files, placeholders of their URLs filled in.
    pub files: Vec<FileSpec>,
    /// The catalog's source, where it is not the profile that names these.
    pub catalog_source: Option<String>,
}

/// The images that the ISO carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentPlan {
    /// In the order of the profile, none twice.
    pub images: Vec<ContentImage>,
    /// What `exclude_images` left out.
    pub left_out: Vec<ContentImage>,
}

/// How the images of a component were found, the surest way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageMethod {
    /// The catalog lists them.
    Catalog,
    /// The profile lists them.
    Profile,
    /// Its pack lists them.
    Pack,
    /// Objects of its manifests name them.
    Manifests,
    /// Objects that Helm rendered of its charts name some of them.
    Helm,
    /// Values of its charts look like some of them.
    Scan,
}

/// Images that were found in packs, charts and manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundImages {
    /// Whose they are; `None` for what `[content]` carries.
    pub kind: Option<Kind>,
    /// The component's name; of `[content]`, the pack, chart or manifest.
    pub name: String,
    /// The component's version.
    pub version: String,
    /// How they were found.
    pub method: ImageMethod,
    /// References in full.
    pub images: Vec<String>,
}

impl FoundImages {
    fn is_of(&self, kind: Kind, name: &str, version: &str) -> bool {
        self.kind == Some(kind) && self.name == name && self.version == version
    }
}

/// A component and the images that it needs on one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentImages {
    /// What it is; `None` for what `[content]` carries.
    pub kind: Option<Kind>,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How the images were found.
    pub method: ImageMethod,
    /// The images, those that `exclude_images` leaves out not among them.
    pub images: Vec<Reference>,
}

/// Why a plan can't be made; loading has checked that it can for the profile's
/// own architectures and versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A component is not in the catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A text names no image.
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
    /// Nothing says where Kubernetes comes from.
    #[error("nothing says where '{distribution}' {version} comes from")]
    NoKubernetesSource {
        /// `kubernetes.distribution`.
        distribution: String,
        /// The version.
        version: String,
        /// What the catalog asks for.
        required: Option<String>,
    },
}

impl Diagnose for PlanError {
    fn class(&self) -> Class {
        match self {
            Self::Catalog(error) => error.class(),
            Self::Reference(error) => error.class(),
            Self::NoKubernetesSource { .. } => Class::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Catalog(error) => error.hint(),
            Self::Reference(error) => error.hint(),
            Self::NoKubernetesSource { required, .. } => {
                Some(required.clone().unwrap_or_else(|| {
                    "name 'image', 'archive', 'layers', 'packages' or 'files' in [kubernetes]"
                        .to_owned()
                }))
            }
        }
    }
}

impl Loaded {
    /// Where Kubernetes comes from: what the profile says, else the catalog.
    ///
    /// # Errors
    /// Neither says it.
    pub fn kubernetes_plan(&self, target: Target<'_>) -> Result<KubernetesPlan, PlanError> {
        kubernetes_plan(&self.profile, &self.catalog, target)
    }

    /// The images that the ISO for `arch` carries: those of every component, of
    /// every Kubernetes version and of `[content]`.
    ///
    /// # Errors
    /// A component is not in the catalog.
    pub fn content_plan(&self, arch: Arch) -> Result<ContentPlan, PlanError> {
        self.content_plan_with(arch, &[])
    }

    /// Like [`content_plan`](Self::content_plan), with the images that were found
    /// in packs, charts and manifests.
    ///
    /// # Errors
    /// A component is not in the catalog.
    pub fn content_plan_with(
        &self,
        arch: Arch,
        found: &[FoundImages],
    ) -> Result<ContentPlan, PlanError> {
        let profile = &self.profile;
        let mut plan = Collector::default();
        for version in &profile.kubernetes.versions {
            let target = Target { arch, version };
            let mut images = kubernetes_images(profile, &self.catalog, target)?;
            images.extend(found_kubernetes(profile, target, found).1);
            let by = format!("kubernetes {} {version}", profile.kubernetes.distribution);
            plan.add(&images, &profile.kubernetes.exclude_images, &by)?;
        }
        for (kind, component) in profile.components() {
            let images = component_images(profile, &self.catalog, kind, component, arch, found)?;
            let by = format!("{} {} {}", kind.noun(), component.name, component.version);
            plan.add(&images, &component.exclude_images, &by)?;
        }
        let target = profile.iso_target(arch);
        let own: Vec<_> = profile
            .content
            .images
            .iter()
            .map(|i| target.fill_tag(i))
            .collect();
        plan.add(&own, &[], OWN_LIST)?;
        for carried in found.iter().filter(|found| found.kind.is_none()) {
            let by = format!("{OWN_LIST} {}", carried.name);
            plan.add(&carried.images, &[], &by)?;
        }
        Ok(plan.done)
    }
}

impl Loaded {
    /// Every component and Kubernetes version, with the images that it needs on
    /// `arch`, in the order of the profile; then what `[content]` carries. `found`
    /// are images that were found in packs, charts and manifests.
    ///
    /// # Errors
    /// A component is not in the catalog.
    pub fn component_images(
        &self,
        arch: Arch,
        found: &[FoundImages],
    ) -> Result<Vec<ComponentImages>, PlanError> {
        let profile = &self.profile;
        let listed = |images: &Option<Vec<String>>| match images {
            Some(_) => ImageMethod::Profile,
            None => ImageMethod::Catalog,
        };
        let mut all = Vec::new();
        for version in &profile.kubernetes.versions {
            let target = Target { arch, version };
            let mut images = kubernetes_images(profile, &self.catalog, target)?;
            let (method, more) = found_kubernetes(profile, target, found);
            images.extend(more);
            all.push(ComponentImages {
                kind: Some(Kind::Kubernetes),
                name: profile.kubernetes.distribution.clone(),
                version: version.clone(),
                method: method.unwrap_or_else(|| listed(&profile.kubernetes.images)),
                images: kept(&images, &profile.kubernetes.exclude_images)?,
            });
        }
        for (kind, component) in profile.components() {
            let images = component_images(profile, &self.catalog, kind, component, arch, found)?;
            let mut of_it = found
                .iter()
                .filter(|found| found.is_of(kind, &component.name, &component.version));
            let method = of_it.next().filter(|_| component.images.is_none());
            all.push(ComponentImages {
                kind: Some(kind),
                name: component.name.clone(),
                version: component.version.clone(),
                method: method.map_or_else(|| listed(&component.images), |found| found.method),
                images: kept(&images, &component.exclude_images)?,
            });
        }
        for carried in found.iter().filter(|found| found.kind.is_none()) {
            all.push(ComponentImages {
                kind: None,
                name: carried.name.clone(),
                version: carried.version.clone(),
                method: carried.method,
                images: kept(&carried.images, &[])?,
            });
        }
        Ok(all)
    }
}

/// What was found for a version of Kubernetes, beside its own images.
fn found_kubernetes(
    profile: &Profile,
    target: Target<'_>,
    found: &[FoundImages],
) -> (Option<ImageMethod>, Vec<String>) {
    let name = &profile.kubernetes.distribution;
    let mut all = found.iter();
    match all.find(|found| found.is_of(Kind::Kubernetes, name, target.version)) {
        Some(found) => (Some(found.method), found.images.clone()),
        None => (None, Vec::new()),
    }
}

/// The images that no glob of `exclude` leaves out.
fn kept(images: &[String], exclude: &[String]) -> Result<Vec<Reference>, ParseReferenceError> {
    let mut collector = Collector::default();
    collector.add(images, exclude, "")?;
    let kept = collector.done.images.into_iter();
    Ok(kept.map(|image| image.reference).collect())
}

pub(super) fn kubernetes_plan(
    profile: &Profile,
    catalog: &Catalog,
    target: Target<'_>,
) -> Result<KubernetesPlan, PlanError> {
    let kubernetes = &profile.kubernetes;
    if kubernetes.has_source() {
        let layers = kubernetes.layers.iter().filter(|l| l.is_for(target.arch));
        return Ok(KubernetesPlan {
            layers: layers.cloned().collect(),
            packages: kubernetes.packages.clone(),
            files: fill_files(&kubernetes.files, target),
            catalog_source: None,
        });
    }
    let found = profile.kubernetes_entry(catalog, target)?;
    if !found.has_source() {
        return Err(PlanError::NoKubernetesSource {
            distribution: kubernetes.distribution.clone(),
            version: target.version.to_owned(),
            required: found.required_from_user,
        });
    }
    Ok(KubernetesPlan {
        layers: found.layers,
        packages: found.packages,
        files: found.files,
        catalog_source: Some(found.source),
    })
}

/// A distribution that the catalog does not know brings its images itself, if
/// the profile says where it comes from.
pub(super) fn kubernetes_images(
    profile: &Profile,
    catalog: &Catalog,
    target: Target<'_>,
) -> Result<Vec<String>, CatalogError> {
    if let Some(images) = &profile.kubernetes.images {
        return Ok(images.iter().map(|i| target.fill_tag(i)).collect());
    }
    match profile.kubernetes_entry(catalog, target) {
        Ok(found) => Ok(found.images),
        Err(CatalogError::UnknownName { .. } | CatalogError::UnknownVersion { .. })
            if profile.kubernetes.has_source() =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

pub(super) fn component_images(
    profile: &Profile,
    catalog: &Catalog,
    kind: Kind,
    component: &Component,
    arch: Arch,
    found: &[FoundImages],
) -> Result<Vec<String>, CatalogError> {
    if let Some(images) = &component.images {
        let target = profile.iso_target(arch);
        return Ok(images.iter().map(|i| target.fill_tag(i)).collect());
    }
    if !component.sources.is_empty() {
        let of_it = found
            .iter()
            .filter(|found| found.is_of(kind, &component.name, &component.version));
        return Ok(of_it.flat_map(|found| found.images.clone()).collect());
    }
    let wanted = profile.wanted(kind, &component.name, &component.version);
    Ok(catalog.resolve(wanted, arch)?.images)
}

/// Whether a glob over references matches any of `images`.
#[must_use]
pub fn matches_any(glob: &str, images: &[String]) -> bool {
    matcher(glob).is_some_and(|matcher| images.iter().any(|image| matcher.is_match(image)))
}

/// The matcher of a glob that loading has checked.
pub(super) fn matcher(glob: &str) -> Option<GlobMatcher> {
    Glob::new(glob).ok().map(|g| g.compile_matcher())
}

#[derive(Default)]
struct Collector {
    done: ContentPlan,
    seen: BTreeSet<String>,
}

impl Collector {
    fn add(
        &mut self,
        images: &[String],
        exclude: &[String],
        needed_by: &str,
    ) -> Result<(), ParseReferenceError> {
        let exclude: Vec<_> = exclude.iter().filter_map(|g| matcher(g)).collect();
        for text in images {
            let image = ContentImage {
                reference: text.parse()?,
                needed_by: needed_by.to_owned(),
            };
            if exclude.iter().any(|g| g.is_match(text)) {
                self.done.left_out.push(image);
            } else if self.seen.insert(image.reference.to_string()) {
                self.done.images.push(image);
            }
        }
        Ok(())
    }
}
