//! Rules that concern several keys of a profile, or a profile and its catalog.

use std::collections::BTreeSet;

use super::catalog::{Catalog, CatalogError, Kind};
use super::document::{self, Table};
use super::model::{CloudConfig, Component, ContentSources, FileSpec, Mode, Profile};
use super::placeholder::Target;
use super::plan;
use super::problem::{Draft, Report, nearest};
use super::source::Span;
use isoforge_base::error::Diagnose;
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::{Device, Flavor, RegistryKind};

/// Longest tag of an image (OCI Distribution Specification v1.1).
const MAX_TAG_BYTES: usize = isoforge_oci::reference::MAX_TAG_BYTES;

/// Keys that isoforge's own installer and program act on, and Kairos's do not.
const OWN: [(&str, &[&str]); 4] = [
    (
        "install",
        &[
            "force",
            "pages",
            "account",
            "password",
            "partitions",
            "require",
        ],
    ),
    ("state", &["directories", "etc"]),
    ("console", &["enabled"]),
    ("health", &["checks", "units", "time_limit"]),
];

/// Reports what is wrong, and returns what should be known though it is not.
pub(super) fn validate(
    profile: &Profile,
    catalog: &Catalog,
    table: &Table,
    report: &Report,
) -> Vec<String> {
    let mut check = Check {
        profile,
        catalog,
        table,
        report,
        notes: Vec::new(),
    };
    check.registration();
    check.duplicates();
    check.firmware();
    check.tags();
    check.push();
    check.packages();
    check.filters();
    check.unused_by_file();
    check.needs_own_installer();
    check.labels();
    check.kubernetes();
    check.included();
    check.needs_kubernetes();
    check.needs_version();
    check.network();
    for (path, kind, component) in paths(profile) {
        check.of_machines_registry(&path, kind, component);
        check.component(&path, kind, component);
    }
    check.notes
}

/// The components with the paths of their tables.
fn paths(profile: &Profile) -> Vec<(String, Kind, &Component)> {
    let mut addons = 0..;
    profile
        .components()
        .map(|(kind, component)| match kind {
            Kind::Addon => (
                format!("addons.{}", addons.next().unwrap_or_default()),
                kind,
                component,
            ),
            kind => (kind.key().to_owned(), kind, component),
        })
        .collect()
}

struct Check<'a> {
    profile: &'a Profile,
    catalog: &'a Catalog,
    table: &'a Table,
    report: &'a Report,
    notes: Vec<String>,
}

impl<'a> Check<'a> {
    fn place(&self, path: &str) -> Span {
        document::place(self.table, path)
    }

    fn problem(&self, path: &str, message: impl Into<String>) -> Draft {
        Draft::new(self.place(path), message)
    }

    fn registration(&self) {
        match (self.profile.appliance.mode, &self.profile.registration) {
            (Mode::Central, None) => self.report.add(
                self.problem("appliance.mode", "mode 'central' needs [registration]")
                    .expected("[registration] with 'endpoint' and 'token'"),
            ),
            (Mode::Local, Some(_)) => self.report.add(
                self.problem(
                    "registration",
                    "[registration] has no effect in mode 'local'",
                )
                .help(
                    "set mode = \"central\" in [appliance], or leave [registration] out".to_owned(),
                ),
            ),
            _ => {}
        }
    }

    fn duplicates(&self) {
        let arch: Vec<_> = self
            .profile
            .appliance
            .arch
            .iter()
            .map(|a| a.to_string())
            .collect();
        self.unique("appliance.arch", "architecture", &arch, |i| {
            format!("appliance.arch.{i}")
        });
        let versions = &self.profile.kubernetes.versions;
        self.unique("kubernetes.versions", "version", versions, |i| {
            format!("kubernetes.versions.{i}")
        });
        let addons: Vec<_> = self.profile.addons.iter().map(|a| a.name.clone()).collect();
        self.unique("addons", "addon", &addons, |i| format!("addons.{i}.name"));
        let files = &self.profile.kubernetes.files;
        for (i, file) in files.iter().enumerate() {
            let clashes = |other: &FileSpec| {
                let apart = matches!((file.arch, other.arch), (Some(a), Some(b)) if a != b);
                !file.path.is_empty() && other.path == file.path && !apart
            };
            if files.iter().take(i).any(clashes) {
                let path = format!("kubernetes.files.{i}.path");
                let message = format!("two files at '{}'", file.path);
                self.report.add(self.problem(&path, message));
            }
        }
    }

    /// What would be believed to protect a registry, and does nothing, is an error.
    fn of_machines_registry(&self, path: &str, kind: Kind, component: &Component) {
        if kind == Kind::Registry && RegistryKind::of(&component.name).is_some() {
            return;
        }
        let listen = component.listen.map(|_| "listen");
        let anonymous = component.anonymous.map(|_| "anonymous");
        for key in listen.into_iter().chain(anonymous) {
            let message = format!("'{path}.{key}' has no effect on '{}'", component.name);
            self.report.add(
                self.problem(&format!("{path}.{key}"), message)
                    .expected("it in [registry], with name = \"zot\" or \"distribution\""),
            );
        }
    }

    fn unique(&self, list: &str, what: &str, items: &[String], path: impl Fn(usize) -> String) {
        let mut seen = BTreeSet::new();
        for (i, item) in items.iter().enumerate() {
            if !item.is_empty() && !seen.insert(item) {
                self.report.add(self.problem(
                    &path(i),
                    format!("{what} '{item}' is listed twice in '{list}'"),
                ));
            }
        }
    }

    fn labels(&self) {
        let extra = &self.profile.install.partitions.extra;
        for (i, one) in extra
            .iter()
            .enumerate()
            .filter(|(_, one)| !one.label.is_empty())
        {
            if extra.iter().take(i).any(|other| other.label == one.label) {
                let message = format!("two partitions '{}'", one.label);
                let path = format!("install.partitions.extra.{i}.label");
                self.report
                    .add(self.problem(&path, message).expected("a label for each"));
            }
        }
    }

    /// What Kairos would ignore is an error, not a wish.
    fn needs_own_installer(&self) {
        if self.profile.os.flavor != Flavor::Kairos {
            return;
        }
        let written = OWN.iter().flat_map(|(name, keys)| {
            let keys = keys
                .iter()
                .filter(|key| document::has(self.table, name, key));
            keys.map(move |key| format!("{name}.{key}"))
        });
        let rule = matches!(self.profile.install.device, Device::Rule(_));
        let rule = rule.then(|| "install.device".to_owned());
        for path in written.chain(rule) {
            let message = match path.as_str() {
                "install.device" => {
                    "a rule for the disk has no effect in flavor 'kairos'".to_owned()
                }
                path => format!("'{path}' has no effect in flavor 'kairos'"),
            };
            self.report.add(
                self.problem(&path, message)
                    .expected("os.flavor = \"appliance\" with it, or a cloud-config that says so"),
            );
        }
    }

    fn firmware(&self) {
        for arch in &self.profile.appliance.arch {
            if self.profile.firmware(*arch).is_empty() {
                let message = format!("no firmware is left for {arch}: only amd64 has a BIOS");
                self.report.add(
                    self.problem("boot.firmware", message)
                        .expected("'uefi' in the list"),
                );
            }
        }
    }

    fn tags(&self) {
        for version in &self.profile.kubernetes.versions {
            let tag = self.profile.provider_tag(version);
            if tag.len() > MAX_TAG_BYTES {
                let message = format!("the provider image's tag has {} characters", tag.len());
                self.report
                    .add(self.problem("appliance.version", message).expected(format!(
                        "{{kubernetes.distribution}}-{{kubernetes.version}}-{{appliance.version}} \
                             of at most {MAX_TAG_BYTES} characters"
                    )));
            }
        }
    }

    fn push(&self) {
        if self.profile.provider.push && self.profile.full_repository().is_none() {
            let message = "a provider image that is pushed needs a registry";
            self.report.add(self.problem("provider.push", message).expected(
                "'repository' in [provider] with the registry's host, such as registry.example/edge/ubuntu",
            ));
        }
    }

    fn packages(&self) {
        if self.ready_made_os() && !self.profile.kubernetes.packages.is_empty() {
            self.report.add(
                self.problem(
                    "kubernetes.packages",
                    "Debian packages need a system made from packages",
                )
                .help(
                    "use 'os.bootstrap', or name an image, archive or files in [kubernetes]"
                        .to_owned(),
                ),
            );
        }
    }

    fn filters(&self) {
        let has = |key| document::has(self.table, "kubernetes", key);
        for key in ["include", "exclude"] {
            if has(key) && !has("image") && !has("archive") {
                let path = format!("kubernetes.{key}");
                let message = format!("'{key}' in [kubernetes] filters nothing");
                self.report.add(
                    self.problem(&path, message).expected(
                        "'image' or 'archive' beside it; a layer of 'layers' has its own",
                    ),
                );
            }
        }
    }

    /// A finished cloud-config is taken unchanged, so what would be rendered
    /// into one has no effect.
    fn unused_by_file(&mut self) {
        if !matches!(self.profile.cloud_config, CloudConfig::File(_)) {
            return;
        }
        let tables = ["registration", "vars"].map(|t| (t.to_owned(), self.table.contains_key(t)));
        let keys = ["device", "after"].map(|key| {
            let written = document::has(self.table, "install", key);
            (format!("install.{key}"), written)
        });
        let is_kairos = self.profile.os.flavor == Flavor::Kairos;
        let arguments = is_kairos && !self.profile.installed_cmdline().is_empty();
        if arguments {
            self.notes.push(
                "kernel arguments reach the ISO alone, not the system that Kairos installs: the \
                 file that [cloud_config] names is taken unchanged, and they belong in its \
                 install.grub_options.extra_cmdline"
                    .to_owned(),
            );
        }
        for (name, _) in tables
            .into_iter()
            .chain(keys)
            .filter(|(_, written)| *written)
        {
            self.notes.push(format!(
                "'{name}' does not reach the cloud-config: the file that [cloud_config] names is \
                 taken unchanged"
            ));
        }
    }

    /// Whether the system is surely not made from packages. The tree is asked,
    /// since the typed value is a stand-in where `[os]` is wrong.
    fn ready_made_os(&self) -> bool {
        ["image", "rootfs"]
            .iter()
            .any(|key| document::has(self.table, "os", key))
    }

    fn targets(&self) -> Vec<Target<'a>> {
        let profile = self.profile;
        let kubernetes = &profile.kubernetes;
        let arch = &profile.appliance.arch;
        let versions = kubernetes.versions.iter();
        versions
            .flat_map(|version| arch.iter().map(move |&arch| Target { arch, version }))
            .collect()
    }

    fn kubernetes(&mut self) {
        if self.profile.kubernetes.distribution.is_empty() {
            return;
        }
        let mut images = Vec::new();
        for target in self.targets() {
            let plan = plan::kubernetes_plan(self.profile, self.catalog, target);
            let found = plan::kubernetes_images(self.profile, self.catalog, target);
            match (plan, found) {
                (Ok(plan), Ok(found)) => {
                    self.catalog_packages(&plan);
                    self.unknown_images(target, &found);
                    images.extend(found);
                }
                (Err(error), _) => self.kubernetes_source(&error),
                (_, Err(error)) => self.catalog_error("kubernetes", "distribution", &error),
            }
        }
        self.values("kubernetes", &self.profile.kubernetes.sources);
        if self.profile.kubernetes.sources.is_empty() {
            self.excluded(
                "kubernetes",
                &self.profile.kubernetes.exclude_images,
                &images,
            );
        }
        self.notes.dedup();
    }

    /// What the image holds comes from nowhere else, and is of one version.
    fn included(&self) {
        let kubernetes = &self.profile.kubernetes;
        let Some(entry) = self.table.get("kubernetes") else {
            return;
        };
        let keys = entry.node.value.table().into_iter().flatten();
        let mut names = keys.map(|(name, _)| name.as_str());
        let is_meant = |name: &str| nearest(name, ["version", "versions"]).is_some();
        if !kubernetes.included {
            if !names.any(is_meant) {
                self.report.add(
                    self.problem(
                        "kubernetes",
                        "missing key 'version' or 'versions' in [kubernetes]",
                    )
                    .expected("exactly one of 'version' or 'versions'"),
                );
            }
            return;
        }
        if kubernetes.has_layers() {
            let message = "Kubernetes that is in the image has no other source";
            self.report.add(
                self.problem("kubernetes.included", message)
                    .expected("'included', or an image, archive, layers, packages or files"),
            );
        }
        if kubernetes.versions.len() > 1 {
            let message = "an image holds one version of Kubernetes";
            self.report.add(
                self.problem("kubernetes.versions", message)
                    .expected("'version', or none: it is found in the image"),
            );
        }
    }

    /// What is of a cluster has no place on an appliance without Kubernetes.
    fn needs_kubernetes(&self) {
        if self.table.contains_key("kubernetes") {
            return;
        }
        let of_machine =
            |kind, name: &str| kind == Kind::Registry && RegistryKind::of(name).is_some();
        let components = paths(self.profile).into_iter();
        let components = components.filter(|(_, kind, it)| !of_machine(*kind, &it.name));
        let cluster = self.table.contains_key("cluster");
        let cluster = cluster.then(|| "cluster".to_owned());
        for path in components.map(|(path, ..)| path).chain(cluster) {
            let key = path.split('.').next().unwrap_or_default();
            let message = format!("[{key}] is of a cluster, and the profile has no [kubernetes]");
            self.report.add(
                self.problem(&path, message)
                    .expected("[kubernetes], or [content] for what the ISO only carries"),
            );
        }
    }

    /// `{version}` stands for the version that the profile says.
    fn needs_version(&self) {
        let profile = self.profile;
        if !profile.iso_version().is_empty() {
            return;
        }
        let lists = [
            ("content.images", Some(&profile.content.images)),
            ("kubernetes.images", profile.kubernetes.images.as_ref()),
        ];
        for (list, images) in lists {
            for (i, image) in images.into_iter().flatten().enumerate() {
                if image.contains("{version}") {
                    let message =
                        "'{version}' stands for nothing: the profile says no version of Kubernetes";
                    self.report.add(
                        self.problem(&format!("{list}.{i}"), message)
                            .expected("a version in its place, or 'version' in [kubernetes]"),
                    );
                }
            }
        }
    }

    /// A network that can't work.
    fn network(&self) {
        let problems = self
            .profile
            .network
            .iter()
            .flat_map(|network| network.problems());
        for problem in problems {
            let place = format!("network.{}", problem.place);
            let draft = self.problem(&place, problem.message);
            self.report.add(draft.expected(problem.allowed));
        }
    }

    fn kubernetes_source(&self, error: &CatalogError) {
        match error {
            CatalogError::UnknownName { name, known, .. } => {
                let near = super::problem::did_you_mean(name, known.iter().map(String::as_str));
                let own =
                    "name 'image', 'archive', 'layers', 'packages' or 'files' in [kubernetes]";
                self.report.add(
                    self.problem(
                        "kubernetes.distribution",
                        format!("nothing says where '{name}' comes from"),
                    )
                    .expected(format!(
                        "a name in the catalog ({}), or a source",
                        known.join(", ")
                    ))
                    .help(near.unwrap_or_else(|| own.to_owned())),
                );
            }
            CatalogError::NoFips { .. } => self.report.add(
                self.problem("os.fips", error.to_string()).help(
                    "name its FIPS source ('image', 'archive', …) and its 'images' in [kubernetes]"
                        .to_owned(),
                ),
            ),
            CatalogError::UnknownVersion { .. } => {
                self.catalog_error("kubernetes", "distribution", error);
            }
            CatalogError::NoKubernetesSource { .. } => self.report.add(
                self.problem("kubernetes.distribution", error.to_string())
                    .expected("'image', 'archive', 'layers', 'packages' or 'files' in [kubernetes]")
                    .help(error.hint()),
            ),
        }
    }

    /// Packages of the catalog need a system made from packages, too.
    fn catalog_packages(&self, plan: &plan::KubernetesPlan) {
        if plan.catalog_source.is_some() && !plan.packages.is_empty() && self.ready_made_os() {
            let name = &self.profile.kubernetes.distribution;
            self.report.add(
                self.problem(
                    "kubernetes.distribution",
                    format!("'{name}' is made of Debian packages, which need a system made from packages"),
                )
                .help("use 'os.bootstrap', or name another source in [kubernetes]".to_owned()),
            );
        }
    }

    /// An ISO without the images of a version that others have is worth a word.
    fn unknown_images(&mut self, target: Target<'_>, images: &[String]) {
        let kubernetes = &self.profile.kubernetes;
        let name = &kubernetes.distribution;
        if kubernetes.images.is_none()
            && images.is_empty()
            && !target.version.is_empty()
            && self.catalog.knows_images(Kind::Kubernetes, name)
        {
            self.notes.push(format!(
                "the catalog does not know the images of {name} {}; the ISO carries none of them \
                 (list them in [kubernetes] images)",
                target.version
            ));
        }
    }

    fn component(&self, path: &str, kind: Kind, component: &Component) {
        if component.name.is_empty() || component.version.is_empty() {
            return;
        }
        self.values(path, &component.sources);
        if !component.sources.is_empty() && component.images.is_none() {
            // Its images are found later, in files that nobody reads here.
            return;
        }
        let mut images = Vec::new();
        for &arch in &self.profile.appliance.arch {
            match plan::component_images(self.profile, self.catalog, kind, component, arch) {
                Ok(found) => {
                    self.needs_images(path, kind, component, arch, &found);
                    images.extend(found);
                }
                Err(error) => return self.catalog_error(path, "name", &error),
            }
        }
        if component.sources.is_empty() {
            self.excluded(path, &component.exclude_images, &images);
        }
    }

    /// Values and presets are of something.
    fn values(&self, path: &str, sources: &ContentSources) {
        if !sources.presets.is_empty() && sources.packs.is_empty() {
            self.report.add(
                self.problem(&format!("{path}.presets"), "presets of no pack")
                    .expected("'pack' beside them"),
            );
        }
        let nothing = sources.packs.is_empty() && sources.charts.is_empty();
        if !sources.values.is_null() && nothing {
            self.report.add(
                self.problem(&format!("{path}.values"), "values of nothing")
                    .expected("'pack' or 'chart' beside them"),
            );
        }
    }

    /// An entry of the catalog may only say what the user has to name.
    fn needs_images(&self, path: &str, kind: Kind, c: &Component, arch: Arch, found: &[String]) {
        if c.images.is_some() || !found.is_empty() {
            return;
        }
        let wanted = self.profile.wanted(kind, &c.name, &c.version);
        let asked = self.catalog.resolve(wanted, arch).ok();
        self.report.add(
            self.problem(
                &format!("{path}.name"),
                format!("the catalog names no images of '{}' {}", c.name, c.version),
            )
            .expected("'images' with the images that it needs")
            .help(asked.and_then(|r| r.required_from_user)),
        );
    }

    /// Points at the version where it is the version that is not known.
    fn catalog_error(&self, path: &str, name_key: &str, error: &CatalogError) {
        let at = match error {
            CatalogError::UnknownVersion { .. } => format!("{path}.version"),
            CatalogError::NoFips { .. } => "os.fips".to_owned(),
            CatalogError::UnknownName { .. } | CatalogError::NoKubernetesSource { .. } => {
                format!("{path}.{name_key}")
            }
        };
        let draft = self.problem(&at, error.to_string()).help(error.hint());
        self.report.add(match error {
            CatalogError::UnknownName { known, .. } if !known.is_empty() => {
                draft.expected(format!("one of {}", known.join(", ")))
            }
            _ => draft,
        });
    }

    fn excluded(&self, path: &str, globs: &[String], images: &[String]) {
        for (i, glob) in globs.iter().enumerate() {
            let Some(matcher) = plan::matcher(glob) else {
                continue;
            };
            if !images.iter().any(|image| matcher.is_match(image)) {
                self.report.add(
                    self.problem(
                        &format!("{path}.exclude_images.{i}"),
                        format!("'{glob}' matches none of the images"),
                    )
                    .expected("a glob over whole references, such as \"*/drbd9-*\""),
                );
            }
        }
    }
}
