//! The catalog: where a component comes from, by kind, name and version. The
//! built-in one is `profiles/catalog.toml`; a profile may name files of its own,
//! whose entries win.

use std::path::PathBuf;

use globset::Glob;

use super::Document;
use super::check;
use super::document::{self, Table};
use super::keys::{Context, boolean, inline, integer, keys, list, placed, table, text};
use super::model::{ContentSources, FileSpec, Filter, LayerSource, LayerSpec, SCHEMA_VERSION};
use super::placeholder::Target;
use super::problem::{Problems, Report, nearest};
use super::source::{Sources, Span};
use isoforge_base::error::{Class, Diagnose};
use isoforge_contract::arch::Arch;

const BUILTIN: &str = include_str!("../../profiles/catalog.toml");
const BUILTIN_NAME: &str = "profiles/catalog.toml (built in)";

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A Kubernetes distribution.
    Kubernetes,
    /// A network.
    Cni,
    /// Storage.
    Csi,
    /// A registry.
    Registry,
    /// Anything else.
    Addon,
}

impl Kind {
    /// The key in catalogs and profiles.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Cni => "cni",
            Self::Csi => "csi",
            Self::Registry => "registry",
            Self::Addon => "addons",
        }
    }

    /// What one of them is called.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Addon => "addon",
            other => other.key(),
        }
    }
}

/// One entry of a catalog. Its texts may hold `{version}` and `{arch}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The name that profiles use.
    pub name: String,
    /// A version, or a glob over versions.
    pub version: String,
    /// Whether it is the FIPS variant.
    pub fips: bool,
    /// Public address of the facts.
    pub source: String,
    images: Vec<String>,
    layers: Vec<LayerSpec>,
    packages: Vec<String>,
    files: Vec<FileSpec>,
    sources: ContentSources,
    required_from_user: Option<String>,
}

impl Entry {
    fn is_glob(&self) -> bool {
        self.version.contains(['*', '?', '[', '{'])
    }

    fn fits(&self, version: &str) -> bool {
        self.version == version
            || self.is_glob()
                && Glob::new(&self.version).is_ok_and(|g| g.compile_matcher().is_match(version))
    }

    /// Whether the entry itself names anything, rather than telling the user
    /// what to name.
    fn provides(&self) -> bool {
        !self.images.is_empty() || !self.sources.is_empty() || self.provides_source()
    }

    fn provides_source(&self) -> bool {
        !(self.layers.is_empty() && self.packages.is_empty() && self.files.is_empty())
    }
}

/// What is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The kind.
    pub kind: Kind,
    /// The name.
    pub name: &'a str,
    /// The version.
    pub version: &'a str,
    /// Whether it has to be the FIPS variant.
    pub fips: bool,
}

/// What a component is made of, for one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Public address of the facts.
    pub source: String,
    /// References of container images, placeholders filled in.
    pub images: Vec<String>,
    /// Layers, in order.
    pub layers: Vec<LayerSpec>,
    /// Debian packages.
    pub packages: Vec<String>,
    /// Files, placeholders of their URLs filled in.
    pub files: Vec<FileSpec>,
    /// What the profile must name itself.
    pub required_from_user: Option<String>,
}

impl Resolution {
    /// Whether the catalog says where the component's files come from.
    #[must_use]
    pub fn has_source(&self) -> bool {
        !(self.layers.is_empty() && self.packages.is_empty() && self.files.is_empty())
    }
}

/// Why a component is not in the catalog, or nothing says where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No entry of that name.
    #[error("the catalog has no {kind} named '{name}'", kind = .kind.noun())]
    UnknownName {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
        /// All names of that kind, sorted.
        known: Vec<String>,
    },
    /// No entry for that version.
    #[error("the catalog has no version {version} of '{name}'")]
    UnknownVersion {
        /// The name.
        name: String,
        /// The version.
        version: String,
        /// All versions of that name, the nearest first.
        known: Vec<String>,
    },
    /// No FIPS variant.
    #[error("the catalog has no FIPS variant of '{name}' {version}")]
    NoFips {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
        /// The version.
        version: String,
    },
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

impl Diagnose for CatalogError {
    fn class(&self) -> Class {
        Class::Profile
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownName { name, known, kind } => {
                match nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => own_entry(*kind),
                }
            }
            Self::UnknownVersion { known, .. } => format!(
                "known: {}; name its images yourself, or add an entry to a catalog of your own",
                known.join(", ")
            ),
            Self::NoFips { kind, .. } if *kind == Kind::Addon => {
                "name its FIPS images: images = [...] in its [[addons]]".to_owned()
            }
            Self::NoFips { kind, .. } => {
                format!("name its FIPS images: [{}] images = [...]", kind.key())
            }
            Self::NoKubernetesSource { required, .. } => required.clone().unwrap_or_else(|| {
                "name 'image', 'archive', 'layers', 'packages' or 'files' in [kubernetes]"
                    .to_owned()
            }),
        })
    }
}

fn own_entry(kind: Kind) -> String {
    format!(
        "name its images with 'images', or add [[{}]] to a catalog of your own (catalog = \"FILE\")",
        kind.key()
    )
}

/// A set of entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    entries: Vec<Entry>,
}

impl Catalog {
    /// The catalog that is compiled in.
    ///
    /// # Errors
    /// Its problems; a test holds that it has none.
    pub fn builtin() -> Result<Self, Problems> {
        let mut sources = Sources::default();
        let source = sources.add_file(BUILTIN_NAME.as_ref(), BUILTIN.to_owned());
        let report = Report::default();
        let mut catalog = Self::default();
        let table = document::parse(source, BUILTIN, &report);
        catalog.extend(source, &table, &sources, &report);
        report.finish(&sources)?;
        Ok(catalog)
    }

    /// Adds the entries of a parsed catalog; they win over those that are there.
    pub(super) fn extend(
        &mut self,
        source: usize,
        table: &Table,
        sources: &Sources,
        report: &Report,
    ) {
        // An entry is read for any version and architecture; the two differ so that
        // one digest for a URL with {arch} is seen.
        let targets = [Arch::Amd64, Arch::Arm64].map(|arch| Target {
            arch,
            version: "1.0.0",
        });
        let context = Context {
            document: Document::Catalog,
            sources,
            report,
            targets: &targets,
        };
        let entries: Entries = context.read("", table, Span::whole(source));
        let of_kind = |kind: Kind, entries: Vec<ComponentEntry>| {
            let entries = entries.into_iter();
            entries.map(move |entry| Entry { kind, ..entry.0 })
        };
        let all = entries.kubernetes.into_iter().map(|entry| entry.0);
        let all = all
            .chain(of_kind(Kind::Cni, entries.cni))
            .chain(of_kind(Kind::Csi, entries.csi))
            .chain(of_kind(Kind::Registry, entries.registry))
            .chain(of_kind(Kind::Addon, entries.addons));
        for new in all {
            self.entries.retain(|old| {
                (old.kind, &old.name, &old.version, old.fips)
                    != (new.kind, &new.name, &new.version, new.fips)
            });
            self.entries.push(new);
        }
    }

    /// What `wanted` is made of on `arch`.
    ///
    /// # Errors
    /// No entry fits; the error knows what is near.
    pub fn resolve(&self, wanted: Query<'_>, arch: Arch) -> Result<Resolution, CatalogError> {
        let entry = self.find(wanted)?;
        let target = Target {
            arch,
            version: wanted.version,
        };
        Ok(Resolution {
            source: target.fill(&entry.source),
            images: entry.images.iter().map(|i| target.fill_tag(i)).collect(),
            layers: entry
                .layers
                .iter()
                .filter(|l| l.is_for(arch))
                .cloned()
                .collect(),
            packages: entry.packages.clone(),
            files: fill_files(&entry.files, target),
            required_from_user: entry
                .required_from_user
                .as_ref()
                .map(|text| target.fill(text)),
        })
    }

    /// The packs, charts and manifests that `wanted` is; none where no entry says
    /// so.
    pub(super) fn sources(&self, wanted: Query<'_>, arch: Arch) -> ContentSources {
        let Ok(entry) = self.find(wanted) else {
            return ContentSources::default();
        };
        let target = Target {
            arch,
            version: wanted.version,
        };
        let path = |path: &PathBuf| PathBuf::from(target.fill(&path.to_string_lossy()));
        let sources = &entry.sources;
        ContentSources {
            packs: sources.packs.iter().map(path).collect(),
            charts: sources
                .charts
                .iter()
                .map(|text| target.fill(text))
                .collect(),
            manifests: sources.manifests.iter().map(path).collect(),
            ..ContentSources::default()
        }
    }

    fn find(&self, wanted: Query<'_>) -> Result<&Entry, CatalogError> {
        let of_kind = || self.entries.iter().filter(|e| e.kind == wanted.kind);
        let named: Vec<_> = of_kind().filter(|e| e.name == wanted.name).collect();
        if named.is_empty() {
            let mut known: Vec<_> = of_kind().map(|e| e.name.clone()).collect();
            known.sort();
            known.dedup();
            return Err(CatalogError::UnknownName {
                kind: wanted.kind,
                name: wanted.name.to_owned(),
                known,
            });
        }
        // The latest entry wins, an exact version over a glob.
        let mut fitting: Vec<_> = named
            .iter()
            .rev()
            .filter(|e| e.fits(wanted.version))
            .collect();
        fitting.sort_by_key(|e| e.is_glob());
        if fitting.is_empty() {
            return Err(CatalogError::UnknownVersion {
                name: wanted.name.to_owned(),
                version: wanted.version.to_owned(),
                known: near_versions(wanted.version, &named),
            });
        }
        let found = fitting
            .into_iter()
            .find(|e| e.fips == wanted.fips || wanted.fips && !e.provides());
        found.copied().ok_or_else(|| CatalogError::NoFips {
            kind: wanted.kind,
            name: wanted.name.to_owned(),
            version: wanted.version.to_owned(),
        })
    }

    /// Whether any entry of that name lists images.
    pub(super) fn knows_images(&self, kind: Kind, name: &str) -> bool {
        self.entries
            .iter()
            .any(|e| e.kind == kind && e.name == name && !e.images.is_empty())
    }
}

/// The files for `target`, their URLs filled in.
pub(super) fn fill_files(files: &[FileSpec], target: Target<'_>) -> Vec<FileSpec> {
    files
        .iter()
        .filter(|f| f.is_for(target.arch))
        .map(|f| FileSpec {
            url: target.fill(&f.url),
            ..f.clone()
        })
        .collect()
}

fn near_versions(version: &str, entries: &[&Entry]) -> Vec<String> {
    let mut known: Vec<_> = entries.iter().map(|e| e.version.clone()).collect();
    known.sort_by_cached_key(|k| (strsim::damerau_levenshtein(version, k), k.clone()));
    known.dedup();
    known
}

/// A catalog, as it is written.
pub(super) struct Entries {
    _schema: i64,
    kubernetes: Vec<KubernetesEntry>,
    cni: Vec<ComponentEntry>,
    csi: Vec<ComponentEntry>,
    registry: Vec<ComponentEntry>,
    addons: Vec<ComponentEntry>,
}

keys! {
    impl Entries {
        /// Version of this format.
        _schema as "schema" = integer(SCHEMA_VERSION, SCHEMA_VERSION).required(),
        /// Kubernetes distributions.
        kubernetes = list(table()).or_empty(""),
        /// Networks.
        cni = list(table()).or_empty(""),
        /// Storage.
        csi = list(table()).or_empty(""),
        /// Registries.
        registry = list(table()).or_empty(""),
        /// Further components.
        addons = list(table()).or_empty(""),
    }
}

/// The keys of every entry.
struct Common {
    name: String,
    version: String,
    source: String,
    fips: bool,
    images: Vec<String>,
}

keys! {
    impl Common {
        /// Name that a profile uses.
        name = text(check::name).required(),
        /// Version that the entry is for, or a glob such as `1.32.*`; an exact version wins.
        version = text(check::version_or_glob).required(),
        /// Public address where these facts come from.
        source = text(check::url).required(),
        /// The entry is the FIPS variant.
        fips = boolean().or(false),
        /// Container images that the component needs. `{version}` and `{arch}` are filled in.
        images = list(placed(check::reference)).or_empty(""),
    }
}

impl Common {
    fn entry(self, required_from_user: Option<String>) -> Entry {
        Entry {
            kind: Kind::Kubernetes,
            name: self.name,
            version: self.version,
            fips: self.fips,
            source: self.source,
            images: self.images,
            layers: Vec::new(),
            packages: Vec::new(),
            files: Vec::new(),
            sources: ContentSources::default(),
            required_from_user,
        }
    }
}

struct KubernetesEntry(Entry);

keys! {
    impl KubernetesEntry {
        /// What every entry says.
        common = inline::<Common>(),
        /// An image laid as a layer.
        image = placed(check::image).optional(""),
        /// What of the image is laid.
        filter = inline::<Filter>(),
        /// Debian packages.
        packages = list(text(check::package)).or_empty(""),
        /// Files by URL and digest.
        files = list(table()).or_empty(""),
        /// What the profile must name itself, because there is no public source or no known digest.
        required_from_user = text(check::not_empty).optional(""),
    }
    => {
        let image = image.map(LayerSource::Image).into_iter();
        Self(Entry {
            layers: image.map(|source| LayerSpec::everywhere(source, &filter)).collect(),
            packages,
            files,
            ..common.entry(required_from_user)
        })
    }
}

struct ComponentEntry(Entry);

keys! {
    impl ComponentEntry {
        /// What every entry says.
        common = inline::<Common>(),
        /// The pack that the component is, unless the profile says what it is made of. Its images are found. `{version}` is filled in.
        pack = placed(check::path).optional(""),
        /// The same with a chart, in a form of a component's `chart`.
        chart = placed(check::url_or_path).optional(""),
        /// The same with manifests, or folders of such.
        manifests = list(placed(check::path)).or_empty(""),
        /// What the profile must name itself, because there is no public source.
        required_from_user = text(check::not_empty).optional(""),
    }
    one of images, pack, chart, manifests;
    => Self(Entry {
        sources: ContentSources {
            packs: pack.into_iter().collect(),
            charts: chart.into_iter().collect(),
            manifests,
            ..ContentSources::default()
        },
        ..common.entry(required_from_user)
    })
}
