//! Keys of layers that are laid over the operating system.

use super::architecture;
use crate::profile::check;
use crate::profile::keys::{inline, keys, list, one_of, placed, text};
use crate::profile::placeholder::{ImageTemplate, PathTemplate};
use isoforge_contract::arch::Arch;

/// A layer laid over the operating system.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
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
    /// A layer for ISO and provider image alike, on every architecture.
    pub(crate) fn everywhere(source: LayerSource, filter: &Filter) -> Self {
        Self {
            source,
            include: filter.include.clone(),
            exclude: filter.exclude.clone(),
            iso: true,
            provider: true,
            arch: None,
        }
    }

    /// Whether it is for `arch`.
    #[must_use]
    pub fn is_for(&self, arch: Arch) -> bool {
        self.arch.is_none_or(|only| only == arch)
    }
}

/// Where a layer comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerSource {
    /// All layers of an image.
    Image(ImageTemplate),
    /// A tar archive.
    Archive(PathTemplate),
    /// A directory.
    Folder(PathTemplate),
}

keys! {
    impl LayerSource {
        /// An image, in a form of `os.image`.
        image = placed(check::image).optional(""),
        /// A tar archive, plain or with gzip, zstd or xz.
        archive = placed(check::path_template).optional(""),
        /// A directory.
        folder = placed(check::path_template).optional(""),
    }
    exactly one of image, archive, folder;
    => image
        .map(Self::Image)
        .or(archive.map(Self::Archive))
        .unwrap_or(Self::Folder(folder.unwrap_or_default()))
}

keys! {
    /// What of a layer is laid.
    pub(crate) struct Filter {
        /// Globs over paths in the layer; only what matches is laid. `*` stays within a name, `**`
        /// goes over several, and a directory stands for all below it.
        include: Vec<String> = list(text(check::glob)).or_empty("everything"),
        /// Globs over paths in the layer; what matches is left out.
        exclude: Vec<String> = list(text(check::glob)).or_empty("nothing"),
    }
}

/// What a layer goes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Goal {
    Iso,
    Provider,
}

keys! {
    impl LayerSpec {
        /// Where it comes from.
        source = inline::<LayerSource>(),
        /// What of it is laid.
        filter = inline::<Filter>(),
        /// What the layer goes into: the ISO's root, the provider image, or both.
        goals as "for" = list(one_of(&[("iso", Goal::Iso), ("provider", Goal::Provider)]))
            .filled("the layer is for nothing", "'iso', 'provider' or both")
            .or(vec![Goal::Iso, Goal::Provider]),
        /// Only for this architecture.
        arch = architecture().optional("every architecture"),
    }
    => Self {
        iso: goals.contains(&Goal::Iso),
        provider: goals.contains(&Goal::Provider),
        arch,
        ..Self::everywhere(source, &filter)
    }
}

/// A layer of Kubernetes, which goes everywhere.
#[derive(Debug)]
pub(super) struct KubernetesLayer(pub(super) LayerSpec);

keys! {
    impl KubernetesLayer {
        /// Where it comes from.
        source = inline::<LayerSource>(),
        /// What of it is laid.
        filter = inline::<Filter>(),
        /// Only for this architecture.
        arch = architecture().optional("every architecture"),
    }
    => Self(LayerSpec { arch, ..LayerSpec::everywhere(source, &filter) })
}
