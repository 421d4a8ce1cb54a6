//! The lock as a value. Names of fields are the keys of the TOML.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::profile::ImageMethod;
use isoforge_base::digest::{Digest, ParseDigestError};
use isoforge_contract::manifest::{ComponentKind, Epoch, EpochSource, Role};
use isoforge_oci::layer::Layer;

/// Every input of one profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// [`VERSION`](super::VERSION).
    pub version: u32,
    /// [`REVISION`](super::REVISION).
    pub revision: u32,
    /// File name of the profile, which lies beside the lock unless `--lock` put
    /// it elsewhere.
    pub profile: String,
    /// Digest of [`project`](Self::project) and [`flags`](Self::flags), see
    /// [`inputs_digest`](Self::inputs_digest).
    pub inputs: Digest,
    /// Digest of the merged profile's values.
    pub profile_digest: Digest,
    /// The time of all outputs.
    pub time: Time,
    /// What the command line changed.
    #[serde(default, skip_serializing_if = "Flags::is_empty")]
    pub flags: Flags,
    /// The project's files, by kind and path.
    #[serde(default, rename = "input", skip_serializing_if = "Vec::is_empty")]
    pub project: Vec<Input>,
    /// Components with their images, by kind, name and version.
    #[serde(default, rename = "component", skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// Images, by reference.
    #[serde(default, rename = "image", skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Charts of registries and repositories, by source.
    #[serde(default, rename = "chart", skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<Chart>,
    /// Files by URL.
    #[serde(default, rename = "file", skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// Archives of the local disk, by path.
    #[serde(default, rename = "archive", skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<Archive>,
    /// Root file systems made from packages, by architecture.
    #[serde(default, rename = "bootstrap", skip_serializing_if = "Vec::is_empty")]
    pub bootstraps: Vec<Bootstrap>,
    /// GRUB core images that a host's grub-mkimage made, by architecture.
    #[serde(default, rename = "core_image", skip_serializing_if = "Vec::is_empty")]
    pub core_images: Vec<CoreImage>,
}

/// The time of all outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    /// Seconds since 1970-01-01 UTC.
    pub epoch: u32,
    /// Which input decided it.
    pub source: EpochSource,
}

impl From<Epoch> for Time {
    fn from(epoch: Epoch) -> Self {
        Self {
            epoch: epoch.seconds,
            source: epoch.source,
        }
    }
}

impl From<Time> for Epoch {
    fn from(time: Time) -> Self {
        Self {
            seconds: time.epoch,
            source: time.source,
        }
    }
}

/// Arguments that change what is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// `--set`, as given. Their order is kept: a later one wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
}

impl Flags {
    fn is_empty(&self) -> bool {
        self.set.is_empty()
    }
}

/// A file or folder of the project, or one that is built into the program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Input {
    /// What it is.
    pub kind: InputKind,
    /// Relative to the profile's folder, with slashes; `built-in …` for what is
    /// part of the program.
    pub path: String,
    /// Of its bytes; of an overlay over names, modes, contents and manifest.
    pub digest: Digest,
}

/// Kinds of the project's files, in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// The profile itself.
    Profile,
    /// What it extends.
    Include,
    /// A catalog of the user's.
    Catalog,
    Template,
    /// The cloud-config, finished or a template.
    CloudConfig,
    /// A folder laid over the root file system or the ISO.
    Overlay,
    /// A keyring of a package archive.
    Keyring,
    /// The program `appliance` for one architecture; its path says which.
    Program,
    /// A pack, as folder or archive.
    Pack,
    /// A chart of the local disk.
    Chart,
    Manifest,
    /// A list of images.
    ImageList,
}

/// A component of the profile and the images that it needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Component {
    /// What it is.
    pub kind: ComponentKind,
    /// Its name in the catalog.
    pub name: String,
    pub version: String,
    /// How its images were found.
    pub method: ImageMethod,
    /// Digest over all that they were found in: packs, charts, manifests,
    /// values, presets. As long as it is the same, nothing is searched again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched: Option<Digest>,
    /// Their references in full, sorted.
    pub images: Vec<String>,
}

/// A chart of a registry or repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Chart {
    /// As the profile writes it, as far as it may be shown.
    pub source: String,
    /// Of its archive.
    pub digest: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// In full form; local forms as the profile writes them.
    pub reference: String,
    /// What it is for, sorted.
    pub roles: Vec<Role>,
    /// Digest of the index, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// Digest of the manifest by architecture (`amd64`, `arm64`).
    pub manifests: BTreeMap<String, Digest>,
}

impl Image {
    /// The digest by which the image for `arch` is asked for instead of its tag.
    #[must_use]
    pub fn pin(&self, arch: &str) -> Option<Digest> {
        self.index.or_else(|| self.manifests.get(arch).copied())
    }
}

/// A file by URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct File {
    /// As far as it may be shown.
    pub url: String,
    /// Of its bytes.
    pub digest: Digest,
    /// What it is for.
    pub role: Role,
}

/// An archive of the local disk, and the layer that it became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// As the profile writes it, placeholders filled in.
    pub path: String,
    /// Of the file.
    pub digest: Digest,
    /// Of the file, in bytes.
    pub size: u64,
    /// What it is for, sorted.
    pub roles: Vec<Role>,
    /// Time of its newest member, in seconds since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_seconds: Option<i64>,
    /// The layer in the store.
    pub layer: Layer,
}

/// A Release file of a package archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Release {
    /// Where it is.
    pub url: String,
    pub digest: Digest,
    /// Its date, in seconds since 1970-01-01 UTC.
    pub epoch: u64,
}

/// A root file system made from packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Architecture, as Debian and OCI call it.
    pub arch: String,
    /// Code name of the release.
    pub suite: String,
    /// Digest of all that was asked for.
    pub spec: Digest,
    /// Date of the newest Release file, in seconds since 1970-01-01 UTC.
    pub epoch: u64,
    /// The program that made it, with its version.
    pub made_by: String,
    /// Digest of the layer that came out, a plain tar.
    pub layer: Digest,
    /// Size of the layer in bytes.
    pub size: u64,
    /// The Release files that it was made from.
    #[serde(default, rename = "release", skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<Release>,
    /// Installed packages by name, `name:arch` where the architecture is foreign.
    #[serde(default)]
    pub packages: BTreeMap<String, Package>,
}

impl Bootstrap {
    /// The layer as the store has it.
    #[must_use]
    pub fn layer(&self) -> Layer {
        Layer::plain(self.layer, self.size)
    }
}

/// Version of an installed package, and the digest of the file it came in; its
/// text is `version sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Package {
    /// As dpkg has it.
    pub version: String,
    /// Of the `.deb`, where the archive's index says it.
    pub digest: Option<Digest>,
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.digest {
            Some(digest) => write!(f, "{} {digest}", self.version),
            None => f.write_str(&self.version),
        }
    }
}

impl FromStr for Package {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once(' ') {
            Some((version, digest)) => Self {
                version: version.to_owned(),
                digest: Some(digest.parse()?),
            },
            None => Self {
                version: text.to_owned(),
                digest: None,
            },
        })
    }
}

impl TryFrom<String> for Package {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Package> for String {
    fn from(package: Package) -> Self {
        package.to_string()
    }
}

/// A GRUB core image that a host's grub-mkimage made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CoreImage {
    /// Architecture of the ISO.
    pub arch: String,
    /// What it starts from.
    #[serde(default, skip_serializing_if = "CoreTarget::is_medium")]
    pub target: CoreTarget,
    /// Digest over all that went in: modules, early configuration, prefix,
    /// format.
    pub key: Digest,
    /// Of the core image.
    pub digest: Digest,
    /// What grub-mkimage says of its version.
    pub made_by: String,
}

impl CoreImage {
    /// What it is for, in words.
    #[must_use]
    pub fn purpose(&self) -> String {
        match self.target {
            CoreTarget::Medium => self.arch.clone(),
            CoreTarget::Disk => format!("disks of {}", self.arch),
        }
    }
}

/// What a core image starts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CoreTarget {
    /// The ISO.
    #[default]
    Medium,
    /// An installed disk.
    Disk,
}

impl CoreTarget {
    fn is_medium(&self) -> bool {
        *self == Self::Medium
    }
}

impl Lock {
    /// The digest over the project's files and the flags: of the JSON of both,
    /// the files sorted.
    #[must_use]
    pub fn inputs_digest(project: &[Input], flags: &Flags) -> Digest {
        let mut project = project.to_vec();
        project.sort();
        project.dedup();
        Digest::of(
            json!({ "input": project, "flags": flags })
                .to_string()
                .as_bytes(),
        )
    }

    /// Brings every list into the order of the format, doubles taken out.
    pub fn sort(&mut self) {
        self.project.sort();
        self.project.dedup();
        self.components.sort();
        self.components.dedup();
        self.images.sort_by(|a, b| a.reference.cmp(&b.reference));
        self.charts.sort();
        self.charts.dedup();
        self.files.sort();
        self.files.dedup();
        self.archives.sort_by(|a, b| a.path.cmp(&b.path));
        self.bootstraps.sort_by(|a, b| a.arch.cmp(&b.arch));
        self.core_images.sort();
        self.core_images.dedup();
    }

    #[must_use]
    pub fn chart(&self, source: &str) -> Option<&Chart> {
        self.charts.iter().find(|chart| chart.source == source)
    }

    #[must_use]
    pub fn archive(&self, path: &str) -> Option<&Archive> {
        self.archives.iter().find(|archive| archive.path == path)
    }

    /// The bootstrapped root file system for this architecture.
    #[must_use]
    pub fn bootstrap(&self, arch: &str) -> Option<&Bootstrap> {
        self.bootstraps.iter().find(|made| made.arch == arch)
    }

    #[must_use]
    pub fn image(&self, reference: &str) -> Option<&Image> {
        self.images
            .iter()
            .find(|image| image.reference == reference)
    }

    /// The entry of the image of this reference, made where there is none.
    pub fn image_entry(&mut self, reference: &str) -> &mut Image {
        let at = self.images.iter().position(|it| it.reference == reference);
        let at = at.unwrap_or_else(|| {
            self.images.push(Image {
                reference: reference.to_owned(),
                roles: Vec::new(),
                index: None,
                manifests: BTreeMap::new(),
            });
            self.images.len() - 1
        });
        &mut self.images[at]
    }
}
