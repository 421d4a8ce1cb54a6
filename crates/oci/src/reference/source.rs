//! Sources of images: a registry, or one of the local forms.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Reference, is_tag, unfit};
use crate::Error;

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ImageSource {
    /// A registry.
    Registry(Reference),
    /// An OCI image layout in a directory.
    OciDir {
        /// The directory that holds `oci-layout` and `index.json`.
        dir: PathBuf,
        /// The `org.opencontainers.image.ref.name`; needed where the layout
        /// holds several images.
        tag: Option<String>,
    },
    /// An OCI image layout in a tar file, plain or gzip.
    OciArchive {
        /// The file.
        file: PathBuf,
        /// The `org.opencontainers.image.ref.name`; needed where the layout
        /// holds several images.
        tag: Option<String>,
    },
    /// What `docker save` writes, plain or gzip.
    DockerArchive {
        /// The file.
        file: PathBuf,
        /// The name of the image in it; needed where it holds several.
        name: Option<String>,
    },
}

const LOCAL_TRANSPORTS: [&str; 3] = ["oci", "oci-archive", "docker-archive"];
/// Transports of other tools that mean a registry.
const REGISTRY_TRANSPORTS: [&str; 3] = ["docker", "registry", "image"];
/// Transports of other tools that have no counterpart here.
const FOREIGN_TRANSPORTS: [&str; 8] = [
    "dir",
    "file",
    "docker-daemon",
    "containers-storage",
    "ostree",
    "channel",
    "container",
    "sif",
];

impl ImageSource {
    /// The same source with a relative path made relative to `base`; a registry
    /// reference stays as it is.
    #[must_use]
    pub fn resolve_from(self, base: &Path) -> Self {
        match self {
            Self::Registry(reference) => Self::Registry(reference),
            Self::OciDir { dir, tag } => Self::OciDir {
                dir: base.join(dir),
                tag,
            },
            Self::OciArchive { file, tag } => Self::OciArchive {
                file: base.join(file),
                tag,
            },
            Self::DockerArchive { file, name } => Self::DockerArchive {
                file: base.join(file),
                name,
            },
        }
    }

    /// The registry reference, where the source is one.
    #[must_use]
    pub fn as_reference(&self) -> Option<&Reference> {
        match self {
            Self::Registry(reference) => Some(reference),
            _ => None,
        }
    }
}

impl FromStr for ImageSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let means_registry = |transport: &str, rest: &str| {
            let problem = format!("an image in a registry is written without '{transport}:'");
            let hint = format!("write {}", rest.trim_start_matches('/'));
            Err(unfit(text, problem).with_hint(hint))
        };
        let Some((transport, rest)) = text.split_once(':') else {
            return text.parse().map(Self::Registry);
        };
        if LOCAL_TRANSPORTS.contains(&transport) {
            if rest.starts_with("//") && transport == "oci" {
                return means_registry(transport, rest);
            }
            return parse_local(transport, rest).ok_or_else(|| {
                let hint = match transport {
                    "oci" => "write oci:DIR or oci:DIR:TAG".to_owned(),
                    _ => format!("write {transport}:FILE"),
                };
                unfit(text, format!("a path belongs after '{transport}:'")).with_hint(hint)
            });
        }
        // `docker:27` is the image `docker` of Docker Hub; only what is no tag
        // shows that a transport was meant.
        if !is_tag(rest) {
            if REGISTRY_TRANSPORTS.contains(&transport) {
                return means_registry(transport, rest);
            }
            if FOREIGN_TRANSPORTS.contains(&transport) {
                let problem = format!("there is no source of the kind '{transport}:'");
                let hint = "an image is a registry reference, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE";
                return Err(unfit(text, problem).with_hint(hint));
            }
        }
        text.parse().map(Self::Registry)
    }
}

fn parse_local(transport: &str, rest: &str) -> Option<ImageSource> {
    let (path, name) = rest
        .split_once(':')
        .map_or((rest, None), |(path, name)| (path, Some(name)));
    if path.is_empty() {
        return None;
    }
    let path = PathBuf::from(path);
    let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
    Some(match transport {
        "oci" => ImageSource::OciDir {
            dir: path,
            tag: name,
        },
        "oci-archive" => ImageSource::OciArchive {
            file: path,
            tag: name,
        },
        _ => ImageSource::DockerArchive { file: path, name },
    })
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, name) = match self {
            Self::Registry(reference) => return reference.fmt(f),
            Self::OciDir { dir, tag } => ("oci", dir, tag),
            Self::OciArchive { file, tag } => ("oci-archive", file, tag),
            Self::DockerArchive { file, name } => ("docker-archive", file, name),
        };
        write!(f, "{transport}:{}", path.display())?;
        match name {
            Some(name) => write!(f, ":{name}"),
            None => Ok(()),
        }
    }
}

impl TryFrom<String> for ImageSource {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ImageSource> for String {
    fn from(source: ImageSource) -> Self {
        source.to_string()
    }
}
