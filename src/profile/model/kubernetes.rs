//! Keys of the Kubernetes distribution.

use super::layer::KubernetesLayer;
use super::{ContentSources, Filter, Given, LayerSource, LayerSpec, Picked, architecture};
use crate::profile::check;
use crate::profile::keys::{boolean, inline, keys, list, permissions, placed, table, text};
use crate::profile::placeholder::Target;
use crate::profile::problem::Bad;
use isoforge_base::digest::Digest;
use isoforge_contract::arch::Arch;

/// Permissions of a file by URL: it is nearly always a program.
const FILE_MODE: u32 = 0o755;

/// `[kubernetes]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Kubernetes {
    /// Such as `pxk-e`; empty where the appliance has none.
    pub distribution: String,
    /// Whether the image of the operating system holds it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub included: bool,
    /// At least one, no two the same; the ISO installs the first. An empty one where there is
    /// no Kubernetes, or where the image tells which it holds.
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
    /// Whether the appliance has none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.distribution.is_empty()
    }

    /// Whether the profile itself says where Kubernetes comes from.
    #[must_use]
    pub fn has_source(&self) -> bool {
        self.included || self.has_layers()
    }

    /// Whether the profile lays something over the operating system for it.
    pub(crate) fn has_layers(&self) -> bool {
        !(self.layers.is_empty() && self.packages.is_empty() && self.files.is_empty())
    }
}

keys! {
    impl Kubernetes {
        /// `pxk-e`, `kubeadm`, `k3s`, `rke2`, `debian`, or any name if a source is given.
        distribution = text(check::name).required(),
        /// The image of the operating system holds it already. The build finds its version there;
        /// `version` is then compared with it and may be left out, with which tags have none.
        included = boolean().or(false),
        /// Such as `1.32.3` or `1.32.3+k3s1`.
        version = text(check::kubernetes_version).optional(""),
        /// Several: one provider image each. The ISO installs the first.
        versions = list(text(check::kubernetes_version))
            .filled("the list of versions is empty", "at least one version")
            .or_empty(""),
        /// An image laid as a layer, in a form of `os.image`. `{version}` and `{arch}` stand for the
        /// version (`+` as `_`) and the architecture.
        image = placed(check::image).optional(""),
        /// A tar archive laid as a layer. `{version}` and `{arch}` as in `image`.
        archive = placed(check::path_template).optional(""),
        /// What of the two is laid.
        filter = inline::<Filter>(),
        /// Further layers, in this order.
        layers = list(table::<KubernetesLayer>()).or_empty(""),
        /// Debian packages; only where the system is made by `os.bootstrap`.
        packages = list(text(check::package)).or_empty(""),
        /// Files by URL and digest.
        files = list(table()).or_empty(""),
        /// What images it brings.
        picked = inline::<Picked>(),
        /// A pack, as folder or archive, see [packs](packs.md). Its images are found and carried.
        pack = placed(check::path).optional(""),
        /// What else is given.
        given = inline::<Given>(),
    }
    one of version, versions;
    => |keys| {
        let mut versions: Vec<_> = versions.into_iter().chain(version).collect();
        if versions.is_empty() {
            versions.push(String::new());
        }
        // One image or archive can't be several versions.
        let one_for_several = |name: &str, text: Option<&str>| {
            if versions.len() > 1 && text.is_some_and(|text| !text.contains("{version}")) {
                let message = format!("one {name} for several versions of Kubernetes");
                keys.bad(name, || Bad::new(message, "the placeholder {version} in it"));
            }
        };
        one_for_several("image", image.as_ref().map(|image| image.text.as_str()));
        one_for_several("archive", archive.as_ref().map(|archive| archive.text.as_str()));
        let image = image.map(LayerSource::Image);
        let archive = archive.map(LayerSource::Archive);
        let own = image.into_iter().chain(archive);
        let own = own.map(|source| LayerSpec::everywhere(source, &filter));
        Self {
            distribution,
            included,
            layers: own.chain(layers.into_iter().map(|layer| layer.0)).collect(),
            packages,
            files,
            images: picked.images,
            exclude_images: picked.exclude_images,
            sources: given.with(pack, Vec::new()),
            versions,
        }
    }
}

keys! {
    /// A file by URL.
    #[derive(Eq)]
    pub struct FileSpec {
        /// http or https. `{version}` and `{arch}` stand for the version and the architecture.
        url: String = text(check::url).required(),
        /// 64 hex digits.
        sha256: Digest = text(check::sha256).required_else(Digest::of(b"")),
        /// Absolute path in the root file system.
        path: String = text(check::root_path).required(),
        /// Permissions.
        mode: u32 = permissions().or(FILE_MODE),
        /// Only for this architecture.
        arch: Option<Arch> = architecture().optional("every architecture"),
    }
    check |keys, this| {
        if let Err(bad) = one_digest(&this.url, this.arch, keys.targets()) {
            keys.bad("url", || bad);
        }
    }
}

impl FileSpec {
    /// Whether it is for `arch`.
    #[must_use]
    pub fn is_for(&self, arch: Arch) -> bool {
        self.arch.is_none_or(|only| only == arch)
    }
}

/// A file has one digest, so its URL has to name one file.
fn one_digest(url: &str, arch: Option<Arch>, targets: &[Target<'_>]) -> Result<(), Bad> {
    let targets = targets.iter().filter(|t| arch.is_none_or(|a| a == t.arch));
    let mut urls: Vec<_> = targets.map(|t| t.fill(url)).collect();
    urls.sort();
    urls.dedup();
    if urls.len() < 2 {
        return Ok(());
    }
    Err(Bad::new(
        format!(
            "one digest for the {} files that this URL names",
            urls.len()
        ),
        "a file of its own for each architecture and version",
    )
    .help("write one [[kubernetes.files]] with 'arch' for each"))
}
