//! What the stages ask a profile for: names and tags, the kernel command line,
//! where Kubernetes comes from, and which images the ISO carries.

use std::collections::BTreeSet;
use std::fmt;

use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Serialize};

use super::Loaded;
use super::catalog::{Catalog, CatalogError, Kind, Query, Resolution, fill_files};
use super::model::{Component, ContentImage, ContentSources, FileSpec, LayerSpec, Profile};
use super::placeholder::Target;
use isoforge_base::error::Result;
use isoforge_contract::arch::Arch;
use isoforge_contract::labels;
use isoforge_contract::machine::Firmware;
use isoforge_oci::reference::{Reference, names_registry};
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

    /// The provider image's tag for a Kubernetes version, `+` as `_`; see [`labels::tag`].
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

    /// The Kubernetes version that the ISO installs; empty where the profile says none.
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

/// The images that an ISO carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentPlan {
    /// In the order of the profile, none twice.
    pub images: Vec<ContentImage>,
    /// What `exclude_images` left out.
    pub left_out: Vec<ContentImage>,
    /// Every component and version of Kubernetes with the images that it needs, in the
    /// order of the profile; then what `[content]` carries.
    pub components: Vec<ComponentImages>,
}

/// How the images of a component were found, the surest way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageMethod {
    /// The catalog lists them.
    Catalog,
    /// The profile lists them.
    Profile,
    /// Its pack lists them.
    Pack,
    /// A list that is published beside its manifests and charts names them.
    List,
    /// Objects of its manifests name them.
    Manifests,
    /// Objects that Helm rendered of its charts name some of them.
    Helm,
    /// Values of its charts look like some of them; not proven.
    Scan,
}

impl ImageMethod {
    /// Of images that were not looked for.
    fn of_list(listed: Option<&Vec<String>>) -> Self {
        match listed {
            Some(_) => Self::Profile,
            None => Self::Catalog,
        }
    }
}

impl fmt::Display for ImageMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Catalog => "the catalog",
            Self::Profile => "the profile",
            Self::Pack => "the pack",
            Self::List => "a list",
            Self::Manifests => "the manifests",
            Self::Helm => "what Helm rendered",
            Self::Scan => "a scan of values",
        })
    }
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

impl Loaded {
    /// Where Kubernetes comes from: what the profile says, else the catalog.
    ///
    /// # Errors
    /// Neither says it.
    pub fn kubernetes_plan(&self, target: Target<'_>) -> Result<KubernetesPlan, CatalogError> {
        kubernetes_plan(&self.profile, &self.catalog, target)
    }

    /// The images that the ISO for `arch` carries: those of every component, of
    /// every Kubernetes version and of `[content]`. `found` are images that were found
    /// in packs, charts and manifests.
    ///
    /// # Errors
    /// A component is not in the catalog.
    pub fn content_plan(&self, arch: Arch, found: &[FoundImages]) -> Result<ContentPlan> {
        let profile = &self.profile;
        let of = |kind, name: &str, version: &str| {
            let mut found = found.iter();
            found.find(|found| found.is_of(kind, name, version))
        };
        let mut plan = Collector::default();
        let kubernetes = &profile.kubernetes;
        let versions = kubernetes.versions.iter();
        for version in versions.filter(|_| !kubernetes.is_none()) {
            let listed = kubernetes_images(profile, &self.catalog, Target { arch, version })?;
            let needs = Needs {
                kind: Some(Kind::Kubernetes),
                name: &kubernetes.distribution,
                version,
                method: ImageMethod::of_list(kubernetes.images.as_ref()),
                images: listed,
                exclude: &kubernetes.exclude_images,
            };
            let found = of(Kind::Kubernetes, &kubernetes.distribution, version);
            plan.component(needs.with(found))?;
        }
        for (kind, component) in profile.components() {
            let found = of(kind, &component.name, &component.version);
            let needs = Needs {
                kind: Some(kind),
                name: &component.name,
                version: &component.version,
                method: ImageMethod::of_list(component.images.as_ref()),
                images: component_images(profile, &self.catalog, kind, component, arch)?,
                exclude: &component.exclude_images,
            };
            plan.component(needs.with(found.filter(|_| component.images.is_none())))?;
        }
        let target = profile.iso_target(arch);
        let own = profile.content.images.iter().map(|i| target.fill_tag(i));
        plan.add(&own.collect::<Vec<_>>(), &[], OWN_LIST)?;
        for carried in found.iter().filter(|found| found.kind.is_none()) {
            plan.component(Needs {
                kind: None,
                name: &carried.name,
                version: &carried.version,
                method: carried.method,
                images: carried.images.clone(),
                exclude: &[],
            })?;
        }
        Ok(plan.done)
    }
}

/// What a component needs, before anything is left out.
struct Needs<'a> {
    kind: Option<Kind>,
    name: &'a str,
    version: &'a str,
    method: ImageMethod,
    images: Vec<String>,
    exclude: &'a [String],
}

impl Needs<'_> {
    /// With the images that were found beside those that are listed.
    fn with(mut self, found: Option<&FoundImages>) -> Self {
        if let Some(found) = found {
            self.method = found.method;
            self.images.extend_from_slice(&found.images);
        }
        self
    }
}

pub(super) fn kubernetes_plan(
    profile: &Profile,
    catalog: &Catalog,
    target: Target<'_>,
) -> Result<KubernetesPlan, CatalogError> {
    let kubernetes = &profile.kubernetes;
    if kubernetes.is_none() || kubernetes.has_source() {
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
        return Err(CatalogError::NoKubernetesSource {
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
    if target.version.is_empty() {
        return Ok(Vec::new());
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

/// The images of a component as far as they are listed: what packs, charts and manifests
/// need is yet to be found.
pub(super) fn component_images(
    profile: &Profile,
    catalog: &Catalog,
    kind: Kind,
    component: &Component,
    arch: Arch,
) -> Result<Vec<String>, CatalogError> {
    if let Some(images) = &component.images {
        let target = profile.iso_target(arch);
        return Ok(images.iter().map(|i| target.fill_tag(i)).collect());
    }
    if !component.sources.is_empty() {
        return Ok(Vec::new());
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
    fn component(&mut self, needs: Needs<'_>) -> Result<()> {
        let Needs { name, version, .. } = needs;
        let needed_by = match needs.kind {
            Some(kind) => format!("{} {name} {version}", kind.noun()),
            None => format!("{OWN_LIST} {name}"),
        };
        let images = self.add(&needs.images, needs.exclude, &needed_by)?;
        self.done.components.push(ComponentImages {
            kind: needs.kind,
            name: name.to_owned(),
            version: version.to_owned(),
            method: needs.method,
            images,
        });
        Ok(())
    }

    /// Gives those that no glob of `exclude` leaves out, each once.
    fn add(
        &mut self,
        images: &[String],
        exclude: &[String],
        needed_by: &str,
    ) -> Result<Vec<Reference>> {
        let exclude: Vec<_> = exclude.iter().filter_map(|g| matcher(g)).collect();
        let mut kept = Vec::new();
        for text in images {
            let image = ContentImage {
                reference: text.parse()?,
                needed_by: needed_by.to_owned(),
            };
            if exclude.iter().any(|g| g.is_match(text)) {
                self.done.left_out.push(image);
                continue;
            }
            if !kept.contains(&image.reference) {
                kept.push(image.reference.clone());
            }
            if self.seen.insert(image.reference.to_string()) {
                self.done.images.push(image);
            }
        }
        Ok(kept)
    }
}
