//! Sources of images: a registry, or one of the local forms.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ParseReferenceError, Problem, Reference, is_tag};

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
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |problem| {
            Err(ParseReferenceError {
                text: text.to_owned(),
                problem,
            })
        };
        let Some((transport, rest)) = text.split_once(':') else {
            return text.parse().map(Self::Registry);
        };
        if LOCAL_TRANSPORTS.contains(&transport) {
            if rest.starts_with("//") && transport == "oci" {
                let instead = rest.trim_start_matches('/').to_owned();
                return fail(Problem::RegistryTransport {
                    transport: transport.to_owned(),
                    instead,
                });
            }
            return match parse_local(transport, rest) {
                Some(source) => Ok(source),
                None => fail(Problem::NoPath {
                    transport: transport.to_owned(),
                }),
            };
        }
        // `docker:27` is the image `docker` of Docker Hub; only what is no tag
        // shows that a transport was meant.
        if !is_tag(rest) {
            if REGISTRY_TRANSPORTS.contains(&transport) {
                return fail(Problem::RegistryTransport {
                    transport: transport.to_owned(),
                    instead: rest.trim_start_matches('/').to_owned(),
                });
            }
            if FOREIGN_TRANSPORTS.contains(&transport) {
                return fail(Problem::Transport {
                    transport: transport.to_owned(),
                });
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
    type Error = ParseReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageSource> for String {
    fn from(source: ImageSource) -> Self {
        source.to_string()
    }
}
