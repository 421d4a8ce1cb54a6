//! Flags, environment and the user's settings file, brought together once.
//! Flags win over the environment, that over the file, that over defaults.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::cli::args::{Build, Global};
use crate::cli::env;
use crate::error::{Class, Diagnose};
use crate::pipeline;
use crate::registry::{RegistryConfig, Secret};

/// The settings file, `isoforge/isoforge.toml` in the configuration folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The store's folder.
    pub cache_dir: Option<PathBuf>,
    /// Threads that compress and pull.
    pub jobs: Option<u16>,
    /// By host name as references spell it (`quay.io`, `localhost:5000`).
    #[serde(default)]
    pub registries: BTreeMap<String, RegistrySettings>,
}

/// What the settings say of one registry host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrySettings {
    /// Hosts, optionally with a path before the repository, that are asked in
    /// place of this host, in this order. In the file `mirror` with one or
    /// `mirrors` with several.
    #[serde(alias = "mirror", default, deserialize_with = "one_or_more")]
    pub mirrors: Option<Vec<String>>,
    /// Ask the host itself where its mirrors fail.
    pub fallback: Option<bool>,
    /// Talk to the host without TLS. Loopback hosts are never asked for TLS
    /// unless this says `false`.
    pub plain_http: Option<bool>,
    /// PEM file with authorities that are trusted for the host, beside the
    /// system's. Like the next two, it starts from the settings file's folder.
    pub ca: Option<PathBuf>,
    /// PEM file with the certificate that is shown to the host.
    pub client_cert: Option<PathBuf>,
    /// PEM file with its key; unset: it is in `client_cert`.
    pub client_key: Option<PathBuf>,
    /// A proxy's URL, which may hold user and password, or `none`.
    pub proxy: Option<Secret>,
    /// Requests under way at once.
    pub max_connections: Option<NonZero<u32>>,
}

impl RegistrySettings {
    /// Has relative paths start from `folder`.
    fn start_from(&mut self, folder: &Path) {
        let paths = [&mut self.ca, &mut self.client_cert, &mut self.client_key];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }
}

impl From<RegistrySettings> for pipeline::HostSettings {
    fn from(said: RegistrySettings) -> Self {
        Self {
            mirrors: said.mirrors,
            fallback: said.fallback,
            plain_http: said.plain_http,
            ca: said.ca,
            client_cert: said.client_cert,
            client_key: said.client_key,
            proxy: said.proxy,
            max_connections: said.max_connections,
        }
    }
}

/// A string, or a list of strings.
fn one_or_more<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a string or a list of strings")]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    Ok(Some(match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(one) => vec![one],
        OneOrMore::More(more) => more,
    }))
}

/// What goes wrong with settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings file can't be read.
    #[error("can't read the settings file")]
    Read(#[source] std::io::Error),
    /// The settings file is not what it should be.
    #[error("the settings file {path} is wrong")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What and where.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// `--mirror` without `=`, or with an empty side.
    #[error("--mirror {argument}: expected HOST=MIRROR")]
    Mirror {
        /// The flag's value.
        argument: String,
    },
    /// `SOURCE_DATE_EPOCH` is no number of seconds.
    #[error("SOURCE_DATE_EPOCH is '{value}': expected seconds since 1970-01-01 UTC")]
    Epoch {
        /// The variable's value.
        value: String,
    },
    /// Neither a cache folder nor a home folder is known.
    #[error("no folder for the store: neither XDG_CACHE_HOME nor HOME is set")]
    NoCacheFolder,
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Read(_) => Class::Io,
            Self::NoCacheFolder => Class::Environment,
            Self::Parse { .. } | Self::Mirror { .. } | Self::Epoch { .. } => Class::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoCacheFolder => Some("name a folder with --cache-dir".to_owned()),
            Self::Mirror { .. } => Some("for example --mirror quay.io=127.0.0.1:5000".to_owned()),
            _ => None,
        }
    }
}

/// What `build` needs to know beside the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The store's folder.
    pub cache_dir: PathBuf,
    /// Threads that compress and pull.
    pub jobs: usize,
    /// By host name.
    pub registries: BTreeMap<String, RegistrySettings>,
    /// Files with registry credentials, most important first.
    pub credential_files: Vec<PathBuf>,
    /// Proxy variables that are set, with their values.
    pub proxies: Vec<(String, String)>,
    /// `SOURCE_DATE_EPOCH`, where it is set.
    pub epoch: Option<u32>,
}

impl Settings {
    /// What the build's stages need of it.
    #[must_use]
    pub fn into_pipeline(self, force: bool) -> pipeline::Settings {
        pipeline::Settings {
            cache_dir: self.cache_dir,
            jobs: self.jobs,
            registries: self
                .registries
                .into_iter()
                .map(|(host, said)| (host, said.into()))
                .collect(),
            credential_files: self.credential_files,
            proxies: self.proxies,
            extra_cert_file: env::extra_cert_file(),
            extra_cert_dirs: env::extra_cert_dirs(),
            epoch: self.epoch,
            force,
        }
    }

    /// Brings all sources together.
    ///
    /// # Errors
    /// A settings file that can't be read or parsed, a malformed flag or
    /// variable, no folder for the store.
    pub fn load(global: &Global, build: &Build) -> Result<Self, Error> {
        let file = read_file(global.config.as_deref())?;
        let mut registries = file.registries;
        for argument in &build.mirror {
            let (host, mirror) = argument
                .split_once('=')
                .filter(|(host, mirror)| !host.is_empty() && !mirror.is_empty())
                .ok_or_else(|| Error::Mirror {
                    argument: argument.clone(),
                })?;
            registries.entry(host.to_owned()).or_default().mirrors = Some(vec![mirror.to_owned()]);
        }
        for host in &build.plain_http {
            registries.entry(host.clone()).or_default().plain_http = Some(true);
        }
        Ok(Self {
            cache_dir: build
                .cache_dir
                .clone()
                .or(file.cache_dir)
                .or_else(|| env::cache_home().map(|dir| dir.join("isoforge")))
                .ok_or(Error::NoCacheFolder)?,
            jobs: build.jobs.or(file.jobs).map_or_else(
                || std::thread::available_parallelism().map_or(1, NonZero::get),
                |jobs| usize::from(jobs.max(1)),
            ),
            registries,
            credential_files: env::credential_files(),
            proxies: env::proxies(),
            epoch: epoch(env::get("SOURCE_DATE_EPOCH"))?,
        })
    }
}

/// Parses `SOURCE_DATE_EPOCH`
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn epoch(value: Option<String>) -> Result<Option<u32>, Error> {
    value
        .map(|value| value.trim().parse().map_err(|_| Error::Epoch { value }))
        .transpose()
}

fn read_file(named: Option<&Path>) -> Result<File, Error> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => match env::config_home() {
            Some(dir) => dir.join("isoforge").join("isoforge.toml"),
            None => return Ok(File::default()),
        },
    };
    let text = match fs_err::read_to_string(&path) {
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(File::default());
        }
        other => other.map_err(Error::Read)?,
    };
    let mut file: File = toml::from_str(&text).map_err(|source| Error::Parse {
        path: path.clone(),
        source: Box::new(source),
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for said in file.registries.values_mut() {
        said.start_from(folder);
    }
    Ok(file)
}

/// What commands that only talk to a registry need to know.
///
/// # Errors
/// A settings file that can't be read or parsed.
pub fn registries(global: &Global) -> Result<RegistryConfig, Error> {
    let file = read_file(global.config.as_deref())?;
    let hosts = file.registries.into_iter();
    Ok(pipeline::user_registries(&pipeline::Settings {
        registries: hosts.map(|(host, said)| (host, said.into())).collect(),
        credential_files: env::credential_files(),
        proxies: env::proxies(),
        extra_cert_file: env::extra_cert_file(),
        extra_cert_dirs: env::extra_cert_dirs(),
        ..pipeline::Settings::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_file_knows_its_keys() {
        let file: File = toml::from_str(
            "jobs = 2\n[registries.\"quay.io\"]\nmirror = \"127.0.0.1:5000/quay\"\n",
        )
        .unwrap();
        assert_eq!(file.jobs, Some(2));
        assert_eq!(
            file.registries["quay.io"].mirrors,
            Some(vec!["127.0.0.1:5000/quay".to_owned()])
        );
        assert!(toml::from_str::<File>("job = 2").is_err());
    }

    #[test]
    fn hosts_have_mirrors_certificates_and_a_proxy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("isoforge.toml");
        let read = |text: &str| {
            fs_err::write(&path, text).unwrap();
            read_file(Some(&path))
        };
        let file = read(
            "[registries.\"quay.io\"]\nmirrors = [\"a.io\", \"b.io/q\"]\nfallback = true\n\
             ca = \"ca.pem\"\nclient_cert = \"/etc/me.pem\"\nproxy = \"http://u:hunter2@p\"\n\
             max_connections = 3\n",
        )
        .unwrap();
        let quay = &file.registries["quay.io"];
        assert_eq!(quay.mirrors.as_deref().unwrap(), ["a.io", "b.io/q"]);
        assert_eq!(quay.fallback, Some(true));
        assert_eq!(quay.ca, Some(folder.path().join("ca.pem")));
        assert_eq!(quay.client_cert, Some("/etc/me.pem".into()));
        assert_eq!(quay.max_connections, NonZero::new(3));
        assert!(!format!("{file:?}").contains("hunter2"));
        for wrong in [
            "mirror = \"a\"\nmirrors = [\"b\"]",
            "max_connections = 0",
            "mirror = 1",
        ] {
            let text = format!("[registries.\"quay.io\"]\n{wrong}\n");
            assert!(read(&text).is_err(), "{wrong}");
        }
    }

    #[test]
    fn source_date_epoch_is_seconds_or_an_error() {
        assert_eq!(epoch(None).unwrap(), None);
        assert_eq!(
            epoch(Some("1700000000".into())).unwrap(),
            Some(1_700_000_000)
        );
        assert!(epoch(Some("yesterday".into())).is_err());
        assert!(epoch(Some("-1".into())).is_err());
    }
}
