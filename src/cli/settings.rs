//! Flags, environment and the user's settings file, brought together once.
//! Flags win over the environment, that over the file, that over defaults.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::args::{Global, SettingArgs};
use crate::cli::env;
use crate::error::{Class, Diagnose};
use crate::pipeline;

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
    /// Host, optionally with a path before the repository, that is asked in
    /// place of this host.
    pub mirror: Option<String>,
    /// Talk to the host without TLS. Loopback hosts are never asked for TLS
    /// unless this says `false`.
    pub plain_http: Option<bool>,
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
                .map(|(host, said)| {
                    let said = pipeline::HostSettings {
                        mirror: said.mirror,
                        plain_http: said.plain_http,
                    };
                    (host, said)
                })
                .collect(),
            credential_files: self.credential_files,
            proxies: self.proxies,
            epoch: self.epoch,
            force,
        }
    }

    /// Brings all sources together.
    ///
    /// # Errors
    /// A settings file that can't be read or parsed, a malformed flag or
    /// variable, no folder for the store.
    pub fn load(global: &Global, build: &SettingArgs) -> Result<Self, Error> {
        let file = read_file(global.config.as_deref())?;
        let mut registries = file.registries;
        for argument in &build.mirror {
            let (host, mirror) = argument
                .split_once('=')
                .filter(|(host, mirror)| !host.is_empty() && !mirror.is_empty())
                .ok_or_else(|| Error::Mirror {
                    argument: argument.clone(),
                })?;
            registries.entry(host.to_owned()).or_default().mirror = Some(mirror.to_owned());
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
    toml::from_str(&text).map_err(|source| Error::Parse {
        path,
        source: Box::new(source),
    })
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
            file.registries["quay.io"].mirror.as_deref(),
            Some("127.0.0.1:5000/quay")
        );
        assert!(toml::from_str::<File>("job = 2").is_err());
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
