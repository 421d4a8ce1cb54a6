//! Media types of manifests, configurations and layers.
//!
//! OCI Image Specification v1.1, "OCI Image Media Types", and Docker's "Image
//! Manifest Version 2, Schema 2". Parameters (`; charset=…`) are ignored.

use std::fmt;

use super::layer::LayerCompression;

/// Which of the two families of names a type is from. The bytes mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `application/vnd.oci.image.…`
    Oci,
    /// `application/vnd.docker.…`
    Docker,
}

/// A media type as far as isoforge tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MediaType {
    /// A list of manifests, one per platform.
    Index(Family),
    /// The manifest of one image.
    Manifest(Family),
    /// An image's configuration.
    Config(Family),
    /// A layer.
    Layer(Family, LayerCompression),
    /// A layer that registries need not hold ("foreign",
    /// "non-distributable"); the text is the full type.
    ForeignLayer(String),
    /// Docker's manifest of 2014, signed or not; the text is the full type.
    Schema1(String),
    /// Anything else.
    Other(String),
}

/// What to ask a registry for, most wanted first.
pub const MANIFEST_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

const KNOWN: [(&str, MediaType); 12] = {
    use Family::{Docker, Oci};
    use LayerCompression::{Gzip, Plain, Zstd};
    use MediaType::{Config, Index, Layer, Manifest};
    [
        (MANIFEST_TYPES[0], Index(Oci)),
        (MANIFEST_TYPES[1], Manifest(Oci)),
        (MANIFEST_TYPES[2], Index(Docker)),
        (MANIFEST_TYPES[3], Manifest(Docker)),
        ("application/vnd.oci.image.config.v1+json", Config(Oci)),
        (
            "application/vnd.docker.container.image.v1+json",
            Config(Docker),
        ),
        ("application/vnd.oci.image.layer.v1.tar", Layer(Oci, Plain)),
        (
            "application/vnd.oci.image.layer.v1.tar+gzip",
            Layer(Oci, Gzip),
        ),
        (
            "application/vnd.oci.image.layer.v1.tar+zstd",
            Layer(Oci, Zstd),
        ),
        (
            "application/vnd.docker.image.rootfs.diff.tar",
            Layer(Docker, Plain),
        ),
        (
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            Layer(Docker, Gzip),
        ),
        (
            "application/vnd.docker.image.rootfs.diff.tar.zstd",
            Layer(Docker, Zstd),
        ),
    ]
};

const FOREIGN_PREFIXES: [&str; 2] = [
    "application/vnd.oci.image.layer.nondistributable.",
    "application/vnd.docker.image.rootfs.foreign.",
];
const SCHEMA1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

impl MediaType {
    /// Classifies a media type.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let bare = text
            .split_once(';')
            .map_or(text, |(bare, _)| bare)
            .trim()
            .to_ascii_lowercase();
        if let Some((_, known)) = KNOWN.iter().find(|(name, _)| *name == bare) {
            return known.clone();
        }
        if FOREIGN_PREFIXES
            .iter()
            .any(|prefix| bare.starts_with(prefix))
        {
            return Self::ForeignLayer(bare);
        }
        if SCHEMA1.contains(&bare.as_str()) {
            return Self::Schema1(bare);
        }
        Self::Other(bare)
    }

    /// The type's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::ForeignLayer(text) | Self::Schema1(text) | Self::Other(text) => text,
            known => KNOWN
                .iter()
                .find(|(_, value)| value == known)
                .map_or("", |(name, _)| name),
        }
    }

    /// How a layer of this type is compressed, whether registries need hold it or not;
    /// `None` for whatever is no layer that isoforge knows.
    #[must_use]
    pub fn layer_compression(&self) -> Option<LayerCompression> {
        match self {
            Self::Layer(_, compression) => Some(*compression),
            Self::ForeignLayer(text) => {
                let (_, kind) = text.rsplit_once("tar")?;
                match kind {
                    "" => Some(LayerCompression::Plain),
                    "+gzip" | ".gzip" => Some(LayerCompression::Gzip),
                    "+zstd" | ".zstd" => Some(LayerCompression::Zstd),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether it is an index or a manifest, of whatever version.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        matches!(self, Self::Index(_) | Self::Manifest(_) | Self::Schema1(_))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_round_trip_and_have_a_name() {
        for (name, value) in KNOWN {
            assert_eq!(MediaType::parse(name), value);
            assert_eq!(value.as_str(), name);
        }
    }

    #[test]
    fn parameters_and_case_do_not_matter() {
        assert_eq!(
            MediaType::parse("Application/vnd.oci.image.manifest.v1+JSON; charset=utf-8"),
            MediaType::Manifest(Family::Oci)
        );
    }

    #[test]
    fn foreign_layers_and_schema_1_are_told_apart() {
        for text in [
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        ] {
            assert_eq!(MediaType::parse(text), MediaType::ForeignLayer(text.into()));
        }
        for (text, compression) in [
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar",
                Some(LayerCompression::Plain),
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
                Some(LayerCompression::Zstd),
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                Some(LayerCompression::Gzip),
            ),
            ("application/vnd.docker.image.rootfs.foreign.diff", None),
            ("application/vnd.oci.image.config.v1+json", None),
        ] {
            assert_eq!(MediaType::parse(text).layer_compression(), compression);
        }
        for text in SCHEMA1 {
            assert_eq!(MediaType::parse(text), MediaType::Schema1(text.into()));
        }
        assert_eq!(
            MediaType::parse("application/vnd.cncf.helm.config.v1+json"),
            MediaType::Other("application/vnd.cncf.helm.config.v1+json".into())
        );
    }
}
