//! What can go wrong with a bootstrap.

use std::io;

use isoforge_base::error::{Class, Diagnose};
use isoforge_base::process;
use isoforge_oci::store;

/// Why there is no root file system.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An entry of sources.list can't be used.
    #[error("bootstrap.mirror: '{line}' is no source of packages: {why}")]
    Source {
        /// The entry.
        line: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A Release file can't be had.
    #[error("the package archive's {url} can't be fetched")]
    Release {
        /// Its URL.
        url: String,
        /// What failed.
        source: process::Error,
    },
    /// A Release file is not one.
    #[error("the package archive's {url} is no Release file: it has no date")]
    NoDate {
        /// Its URL.
        url: String,
    },
    /// `--offline`, and nothing was made before.
    #[error("the bootstrapped root file system is not in the store, and the build is offline")]
    Offline,
    /// Another architecture than the host's.
    #[error("bootstrap can't make a root file system for {wanted} on {native}")]
    ForeignArch {
        /// What was asked for.
        wanted: String,
        /// What the host is.
        native: &'static str,
    },
    /// The host does not let this user make user namespaces.
    #[error("bootstrap needs user namespaces, which this machine does not allow here")]
    NoUserNamespaces {
        /// What the attempt said.
        source: process::Error,
    },
    /// mmdebstrap found a package missing or impossible to install.
    #[error("the packages can't be installed")]
    Packages {
        /// What mmdebstrap said.
        source: process::Error,
    },
    /// mmdebstrap could not fetch something.
    #[error("the packages can't be fetched")]
    Fetch {
        /// What mmdebstrap said.
        source: process::Error,
    },
    /// mmdebstrap is missing or failed otherwise.
    #[error("the root file system can't be made")]
    Program(#[from] process::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A local file could not be read or written.
    #[error("the bootstrapped root file system can't be read or written")]
    Io(#[from] io::Error),
}

impl Error {
    /// Sorts mmdebstrap's failures by what apt said.
    pub(super) fn from_mmdebstrap(source: process::Error) -> Self {
        const PACKAGES: [&str; 4] = [
            "Unable to locate package",
            "has no installation candidate",
            "unmet dependencies",
            "Unable to correct problems",
        ];
        const FETCH: [&str; 4] = [
            "Failed to fetch",
            "Could not resolve",
            "Could not connect",
            "Temporary failure",
        ];
        let process::Error::Failed { tail, .. } = &source else {
            return Self::Program(source);
        };
        let says = |texts: &[&str]| texts.iter().any(|text| tail.contains(text));
        if says(&PACKAGES) {
            Self::Packages { source }
        } else if says(&FETCH) {
            Self::Fetch { source }
        } else {
            Self::Program(source)
        }
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Source { .. } | Self::ForeignArch { .. } | Self::Packages { .. } => {
                Class::Profile
            }
            Self::Release { source, .. } => match source {
                process::Error::Failed { .. } => Class::Network,
                other => other.class(),
            },
            Self::NoDate { .. } => Class::Verification,
            Self::Offline | Self::Fetch { .. } => Class::Network,
            Self::NoUserNamespaces { .. } => Class::Environment,
            Self::Program(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Io(_) => Class::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Source { .. } => Some(
                "write a URL, or a line of sources.list: \
                 \"deb http://deb.debian.org/debian trixie main\""
                    .to_owned(),
            ),
            Self::Release { source, .. } => source.hint().or_else(|| {
                Some("check the mirror, the suite's name, and the proxy (http_proxy)".to_owned())
            }),
            Self::NoDate { .. } => None,
            Self::Offline => Some("build once without --offline".to_owned()),
            Self::ForeignArch { native, .. } => Some(format!(
                "write `arch = [\"{native}\"]`, build on a machine of that architecture, or name \
                 an image with `os.image`"
            )),
            Self::NoUserNamespaces { source } => source.hint().or_else(|| Some(NAMESPACES.into())),
            Self::Packages { .. } => {
                Some("check `packages`, `suite` and `components` under [os.bootstrap]".to_owned())
            }
            Self::Fetch { .. } => Some("check the mirror and the proxy (http_proxy)".to_owned()),
            Self::Program(error) => program_hint(error),
            Self::Store(error) => error.hint(),
            Self::Io(_) => None,
        }
    }
}

const NAMESPACES: &str = "allow them: sysctl kernel.unprivileged_userns_clone=1 (Debian), \
     user.max_user_namespaces=10000, kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); in a \
     container, its seccomp profile has to allow unshare; a user other than root also needs the \
     package uidmap and a line in /etc/subuid and /etc/subgid";

fn program_hint(error: &process::Error) -> Option<String> {
    if let process::Error::Failed { tail, .. } = error {
        if [
            "newuidmap",
            "newgidmap",
            "/etc/subuid",
            "/etc/subgid",
            "unshare",
        ]
        .iter()
        .any(|text| tail.contains(text))
        {
            return Some(NAMESPACES.to_owned());
        }
        if tail.contains("No space left") {
            return Some("make room in /var/tmp: the packages are unpacked there".to_owned());
        }
    }
    error.hint()
}
