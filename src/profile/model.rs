//! The typed profile. Names of fields are the keys of the TOML, paths are
//! already joined to the directory of the file that wrote them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::machine::Install;
use super::placeholder::{ImageTemplate, PathTemplate};
use super::secret::SecretRef;
use isoforge_base::digest::Digest;
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::{Firmware, Flavor, Health, State};
use isoforge_formats::squashfs::Compressor;
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::reference::Reference;
use isoforge_oci::registry::HostConfig;
use isoforge_system::hardening::Hardening;

/// A profile that holds what the format's reference says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// What is built.
    pub appliance: Appliance,
    /// Central management.
    pub registration: Option<Registration>,
    /// The operating system.
    pub os: Os,
    /// The Kubernetes distribution.
    pub kubernetes: Kubernetes,
    /// Layers over the operating system, in order.
    pub layers: Vec<LayerSpec>,
    /// The network.
    pub cni: Option<Component>,
    /// The storage.
    pub csi: Option<Component>,
    /// The registry, on the machine or in the cluster.
    pub registry: Option<Component>,
    /// Further components.
    pub addons: Vec<Component>,
    /// What is known of the cluster.
    #[serde(skip_serializing_if = "Cluster::is_empty")]
    pub cluster: Cluster,
    /// Values for templates.
    pub vars: BTreeMap<String, Var>,
    /// The machine's configuration.
    pub cloud_config: CloudConfig,
    /// Directories laid over what is built.
    pub overlays: Overlays,
    /// How the ISO boots.
    pub boot: Boot,
    /// How the ISO installs.
    pub install: Install,
    /// What the machine keeps.
    pub state: State,
    /// When an upgraded machine is well.
    pub health: Health,
    /// Rules laid over the system.
    pub hardening: Option<Hardening>,
    /// The provider image.
    pub provider: Provider,
    /// Further content.
    pub content: Content,
    /// Settings by registry host.
    #[serde(serialize_with = "with_proxies")]
    pub registries: BTreeMap<String, HostConfig>,
    /// The form of the outputs.
    pub output: Output,
    /// Bounds on layers; `None` means isoforge's own.
    pub limits: Limits,
}

/// `[appliance]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Appliance {
    /// Fit for a path component of an OCI repository.
    pub name: String,
    /// Fit for an OCI tag once `+` is `_`.
    pub version: String,
    /// At least one, no two the same.
    pub arch: Vec<Arch>,
    /// Who manages the machines.
    pub mode: Mode,
}

/// Who manages the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They themselves.
    Local,
    /// A central service that they register with.
    Central,
}

/// `[registration]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registration {
    /// Host name or https URL.
    pub endpoint: String,
    /// The registration token.
    pub token: SecretRef,
}

/// `[os]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Os {
    /// Whose installer and layout.
    pub flavor: Flavor,
    /// Such as `ubuntu`.
    pub distribution: String,
    /// Such as `22.04`.
    pub version: String,
    /// Where it comes from.
    pub source: OsSource,
    /// FIPS mode.
    pub fips: bool,
}

/// Where the operating system comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OsSource {
    /// An OCI image.
    Image(ImageTemplate),
    /// A root file system archive.
    Rootfs(PathTemplate),
    /// Made from packages.
    Bootstrap(Bootstrap),
}

/// `os.bootstrap`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bootstrap {
    /// Code name of the release.
    pub suite: String,
    /// Packages beside the variant's.
    pub packages: Vec<String>,
    /// URLs or lines of sources.list; empty: Debian's mirror.
    pub mirror: Vec<String>,
    /// Such as `main`.
    pub components: Vec<String>,
    /// Keyring of the archive.
    pub keyring: Option<PathBuf>,
    /// mmdebstrap's variant.
    pub variant: String,
}

/// `[kubernetes]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kubernetes {
    /// Such as `pxk-e`.
    pub distribution: String,
    /// At least one, no two the same; the ISO installs the first.
    pub versions: Vec<String>,
    /// From `image`, `archive` and `layers`, in this order.
    pub layers: Vec<LayerSpec>,
    /// Debian packages.
    pub packages: Vec<String>,
    /// Files by URL.
    pub files: Vec<FileSpec>,
    /// Content images instead of the catalog's.
    pub images: Option<Vec<String>>,
    /// Globs over image references.
    pub exclude_images: Vec<String>,
    /// What runs on the cluster for it.
    #[serde(flatten, skip_serializing_if = "ContentSources::is_empty")]
    pub sources: ContentSources,
}

impl Kubernetes {
    /// Whether the profile itself says where Kubernetes comes from.
    #[must_use]
    pub fn has_source(&self) -> bool {
        !(self.layers.is_empty() && self.packages.is_empty() && self.files.is_empty())
    }
}

/// A layer laid over the operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerSpec {
    /// Where it comes from.
    pub source: LayerSource,
    /// Globs over paths without a leading slash; empty: everything.
    pub include: Vec<String>,
    /// Globs over paths without a leading slash.
    pub exclude: Vec<String>,
    /// Whether it goes into the ISO's root.
    pub iso: bool,
    /// Whether it goes into the provider image.
    pub provider: bool,
    /// Only for this architecture.
    pub arch: Option<Arch>,
}

impl LayerSpec {
    /// Whether it is for `arch`.
    #[must_use]
    pub fn is_for(&self, arch: Arch) -> bool {
        self.arch.is_none_or(|only| only == arch)
    }
}

/// Where a layer comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerSource {
    /// All layers of an image.
    Image(ImageTemplate),
    /// A tar archive.
    Archive(PathTemplate),
    /// A directory.
    Folder(PathTemplate),
}

/// A file by URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSpec {
    /// With placeholders `{arch}` and `{version}`; [`super::Target::fill`] fills them.
    pub url: String,
    /// Digest of the file.
    pub sha256: Digest,
    /// Absolute path in the root file system, normalized.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Only for this architecture.
    pub arch: Option<Arch>,
}

impl FileSpec {
    /// Whether it is for `arch`.
    #[must_use]
    pub fn is_for(&self, arch: Arch) -> bool {
        self.arch.is_none_or(|only| only == arch)
    }
}

/// `[cni]`, `[csi]`, `[registry]` or one of `[[addons]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Name in the catalog.
    pub name: String,
    /// Version.
    pub version: String,
    /// Images instead of the catalog's.
    pub images: Option<Vec<String>>,
    /// Globs over image references.
    pub exclude_images: Vec<String>,
    /// The port that `[registry]` listens on; of others nothing.
    pub port: Option<u16>,
    /// What it is made of.
    #[serde(flatten, skip_serializing_if = "ContentSources::is_empty")]
    pub sources: ContentSources,
}

/// Packs, charts and manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ContentSources {
    /// Packs, as folders or archives. A component has at most one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<PathBuf>,
    /// Charts, in the forms of `content::chart::Source`; paths are joined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<String>,
    /// Laid over the values of pack or charts.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub values: serde_json::Value,
    /// Presets of the pack that are on, or off with a `-` in front.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub presets: Vec<String>,
    /// Manifests, or folders of such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<PathBuf>,
}

impl ContentSources {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty() && self.charts.is_empty() && self.manifests.is_empty()
    }
}

/// `[cluster]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// How many machines it has, where that is known.
    pub nodes: Option<u32>,
    /// Answers to macros of packs, by path without the leading dot.
    pub macros: BTreeMap<String, String>,
}

impl Cluster {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A value of `[vars]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Var {
    /// A string, or a date or time as text.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A boolean.
    Flag(bool),
    /// An array.
    List(Vec<Var>),
    /// A table.
    Table(BTreeMap<String, Var>),
    /// A secret.
    Secret(SecretRef),
}

/// `[cloud_config]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudConfig {
    /// The built-in template.
    Builtin,
    /// A template.
    Template(PathBuf),
    /// A finished file, taken unchanged.
    File(PathBuf),
}

/// `[overlays]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Overlays {
    /// Over the root file system, in order.
    pub rootfs: Vec<PathBuf>,
    /// Over the ISO's tree, in order.
    pub iso: Vec<PathBuf>,
}

/// `[boot]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// As written; see [`Profile::firmware`].
    pub firmware: Vec<Firmware>,
    /// As written; see [`Profile::kernel_cmdline_extra`].
    pub cmdline: Vec<String>,
    /// Until the menu's default is booted.
    pub timeout_seconds: u32,
    /// Title of the menu's entries.
    pub title: Option<String>,
}

/// `[provider]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provider {
    /// Repository without tag, such as `registry.example/edge/ubuntu`.
    pub repository: String,
    /// Whether a build pushes it.
    pub push: bool,
}

/// `[content]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Content {
    /// References with the placeholder `{arch}`.
    pub images: Vec<String>,
    /// What else is carried, and its images.
    #[serde(flatten, skip_serializing_if = "ContentSources::is_empty")]
    pub sources: ContentSources,
}

/// Hosts with their proxies, which the profile has without passwords.
fn with_proxies<S: Serializer>(
    hosts: &BTreeMap<String, HostConfig>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(hosts.iter().map(|(name, host)| {
        let mut shown = serde_json::json!(host);
        if let Some(proxy) = &host.proxy {
            shown["proxy"] = proxy.plain_address().into();
        }
        (name, shown)
    }))
}

/// `[output]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Of the SquashFS; as the profile writes it.
    #[serde(serialize_with = "as_text")]
    pub compression: Compressor,
    /// Of the SquashFS, in bytes: a power of two from 4 KiB to 1 MiB.
    pub block_size: u32,
    /// Of our layers of the provider image: gzip or Zstandard.
    pub layer_compression: LayerCompression,
}

fn as_text<S: Serializer>(value: &Compressor, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// `[limits]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Entries of a layer.
    pub entries: Option<u64>,
    /// Bytes of a path.
    pub path_length: Option<u64>,
    /// Bytes of a layer, decompressed.
    pub layer_bytes: Option<u64>,
    /// Bytes that one compressed byte may become.
    pub ratio: Option<u64>,
}

/// An image that the ISO carries, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ContentImage {
    /// The image.
    pub reference: Reference,
    /// Such as `cni calico 3.29.2`, or `content` for the profile's own list.
    pub needed_by: String,
}
