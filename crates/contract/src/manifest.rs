//! The build manifest, `manifest.json`: what went into a build and what came
//! out of it.
//!
//! It comes in two forms. Inside an ISO, as `/isoforge/manifest.json`, it tells
//! of that ISO's architecture alone, up to the digest of its SquashFS; it can't
//! tell of the outputs, since it is part of one. Beside the outputs it tells of
//! all architectures and of every output.
//!
//! `docs/manifest.md` documents the fields; a test holds the two together.
//!
//! Invariants:
//! - Equal builds give equal bytes: maps and lists are sorted, nothing tells of
//!   the host, its paths or its clock. File names are as the profile has them.
//! - The text ends with a line feed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use isoforge_base::digest::Digest;
use isoforge_base::output::{Error, Finished};
use isoforge_formats::squashfs::Compressor;
use isoforge_oci::layer::Layer;

/// The `schema` that this version writes.
pub const SCHEMA: u32 = 1;

/// Name of the manifest beside the outputs.
pub const FILE_NAME: &str = "manifest.json";

/// The whole manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub schema: u32,
    /// What made the build.
    pub tool: Tool,
    /// What was built.
    pub appliance: Appliance,
    /// Digest of the profile with everything that it extends.
    pub profile: Digest,
    /// The time that all time stamps have.
    pub epoch: Epoch,
    /// The rules that the system was hardened by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardening: Option<Hardening>,
    /// Inputs and intermediate results by architecture (`amd64`, `arm64`).
    pub architectures: BTreeMap<String, Architecture>,
    /// The outputs by file name; only beside the outputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Output>,
}

/// The program that made a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Tool {
    /// This program.
    #[must_use]
    pub fn this() -> Self {
        Self {
            name: "isoforge".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// What was built, in the profile's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appliance {
    /// `appliance.name`.
    pub name: String,
    /// `appliance.version`.
    pub version: String,
}

/// The rules that a system was hardened by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardening {
    /// `hardening.profile`.
    pub profile: String,
    /// The guide that the rules are from, with its release.
    pub guide: String,
    /// The guide's numbers of the rules that were applied, sorted.
    pub rules: Vec<String>,
    /// Those that the profile excepts, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

/// The build's time and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Seconds since 1970-01-01 UTC.
    pub seconds: u32,
    /// What decided it.
    pub source: EpochSource,
}

/// What decided a build's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpochSource {
    /// The variable `SOURCE_DATE_EPOCH`.
    SourceDateEpoch,
    /// `created` of an image's configuration.
    Image,
    /// The date in the `Release` file of a bootstrap's suite.
    Bootstrap,
    /// The newest member of a root file system archive.
    Archive,
    /// No input has a time: 1970-01-01.
    None,
}

impl fmt::Display for EpochSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SourceDateEpoch => "SOURCE_DATE_EPOCH",
            Self::Image => "newest image configuration",
            Self::Bootstrap => "Release file of the bootstrap's suite",
            Self::Archive => "newest member of the archives",
            Self::None => "no input has a time",
        })
    }
}

/// What went into one architecture's outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// Images, sorted by role and reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Packs, charts, manifests and the cluster definition that the ISO carries,
    /// sorted by kind and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<ContentItem>,
    /// Root file system archives and single files, sorted by role and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// The bootstrapped root file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
    /// The host's grub-mkimage, where it made the BIOS core image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grub_mkimage: Option<GrubMkimage>,
    /// The program `appliance` that the system carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Content>,
    /// What an installed machine boots by, and what boots it, by path on the
    /// ISO: kernel, initrd, the programs of `/EFI/BOOT`, the boot code for a
    /// disk under BIOS. An installer checks by it what it copies.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub boot: BTreeMap<String, Content>,
    /// The layers of the ISO's root file system, lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// The ISO's root file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub squashfs: Option<Squashfs>,
    /// What is in it, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
}

/// A file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Digest of the content.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

/// What an input is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The operating system.
    Os,
    /// Kubernetes.
    Kubernetes,
    /// A further layer of `[[layers]]`.
    Layer,
    /// Content for the embedded registry.
    Content,
    /// An overlay, a template or a file that one of them takes in.
    Overlay,
}

/// An image that went in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Image {
    /// What for.
    pub role: Role,
    /// The reference as the profile or catalog has it.
    pub reference: String,
    /// Digest of the image index, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// Digest of the manifest, content images that are kept with an index of
    /// several platforms excepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// Digests of its layers as transferred, lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Digest>,
}

/// A pack, chart, manifest or cluster definition among the content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContentItem {
    /// `chart`, `definition`, `manifest` or `pack`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its version; of a manifest the beginning of its digest.
    pub version: String,
    /// The reference that it stands under in the content's layout.
    pub reference: String,
    /// Digest of its manifest in the layout.
    pub manifest: Digest,
    /// Digest of itself: of a chart's or pack's archive, or of the file.
    pub digest: Digest,
}

/// A file or archive that went in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct File {
    /// What for.
    pub role: Role,
    /// Path or URL as the profile or catalog has it.
    pub name: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

/// A root file system that was bootstrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The distribution's suite.
    pub suite: String,
    /// Installed packages and their versions.
    pub packages: BTreeMap<String, String>,
}

/// The host's grub-mkimage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrubMkimage {
    /// What it says of its version.
    pub version: String,
    /// Digest of the core image that it made.
    pub core_image: Digest,
}

/// The SquashFS of a root file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Squashfs {
    /// Digest of the file.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
    /// Compressor and level; its text is that of `output.compression`.
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub compression: Compressor,
    /// Block size in bytes.
    pub block_size: u32,
    /// Its creation time in seconds since 1970-01-01 UTC.
    pub epoch: u32,
}

fn to_text<S: Serializer>(compressor: &Compressor, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(compressor)
}

fn from_text<'de, D: Deserializer<'de>>(from: D) -> Result<Compressor, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// A named part of the system and its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Component {
    /// What it is.
    pub kind: ComponentKind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where the version is known from, e.g. `etc/os-release`, `dpkg`, `profile`.
    pub source: String,
}

/// Kinds of components, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComponentKind {
    /// The operating system.
    Os,
    /// A kernel.
    Kernel,
    /// Kubernetes and what runs it.
    Kubernetes,
    /// `[cni]`.
    Cni,
    /// `[csi]`.
    Csi,
    /// `[registry]`.
    Registry,
    /// One of `[[addons]]`.
    Addon,
    /// A further layer.
    Layer,
    /// A pack, chart or manifest that `[content]` carries.
    Content,
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Os => "os",
            Self::Kernel => "kernel",
            Self::Kubernetes => "kubernetes",
            Self::Cni => "cni",
            Self::Csi => "csi",
            Self::Registry => "registry",
            Self::Addon => "addon",
            Self::Layer => "layer",
            Self::Content => "content",
        })
    }
}

/// A file that came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Digest of the content.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

impl Manifest {
    /// The form for inside the ISO of `architecture`: that one alone, no
    /// outputs.
    #[must_use]
    pub fn embedded(&self, architecture: &str) -> Self {
        Self {
            architectures: self
                .architectures
                .iter()
                .filter(|(name, _)| name.as_str() == architecture)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            outputs: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Adds an output.
    pub fn add_output(&mut self, output: &Finished) {
        self.outputs.insert(
            output.name.clone(),
            Output {
                digest: output.digest,
                size: output.size,
            },
        );
    }

    /// The text: JSON, indented, lists in their order.
    ///
    /// # Errors
    /// [`Error::Manifest`] where it can't be put into JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let mut sorted = self.clone();
        for architecture in sorted.architectures.values_mut() {
            architecture.images.sort();
            architecture.images.dedup();
            architecture.content.sort();
            architecture.content.dedup();
            architecture.files.sort();
            architecture.files.dedup();
            architecture.components.sort();
            architecture.components.dedup();
        }
        let mut text = serde_json::to_vec_pretty(&sorted).map_err(Error::Manifest)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// Where it is no JSON, lacks a field, or has another [`SCHEMA`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let manifest: Self = serde_json::from_slice(bytes)?;
        if manifest.schema != SCHEMA {
            return Err(serde::de::Error::custom(format_args!(
                "build manifest of schema {}; this version reads {SCHEMA}",
                manifest.schema
            )));
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests;
