//! The settings file, `isoforge/isoforge.toml` in the configuration folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{CONFIG, Error, Origin};
use crate::cli::args::{Global, ProgressMode};
use crate::cli::env;
use crate::profile;

/// What the file says. Its keys are checked by `profile`'s table before this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// How progress is shown.
    pub progress: Option<ProgressMode>,
    /// Threads that compress and pull.
    pub jobs: Option<u16>,
    /// The store's folder.
    pub cache_dir: Option<PathBuf>,
    /// Folder for the outputs of a build.
    pub output: Option<PathBuf>,
    /// By host name as references spell it (`quay.io`, `localhost:5000`).
    #[serde(default)]
    pub registries: BTreeMap<String, RegistrySettings>,
}

/// What the settings say of one registry host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrySettings {
    /// Host, optionally with a path before the repository, that is asked in
    /// place of this host.
    pub mirror: Option<String>,
    /// Talk to the host without TLS. Loopback hosts are never asked for TLS
    /// unless this says `false`.
    pub plain_http: Option<bool>,
}

/// The file that was looked for, and what it says.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) file: File,
    path: Option<PathBuf>,
}

impl Found {
    /// That the key `name` of the file was the source.
    pub(super) fn origin(&self, name: &str) -> Origin {
        Origin::File {
            path: self.path.clone().unwrap_or_default(),
            key: name.to_owned(),
        }
    }

    /// The folder that the file is in.
    pub(super) fn folder(&self) -> &Path {
        let parent = self.path.as_deref().and_then(Path::parent);
        parent.unwrap_or(Path::new(""))
    }

    /// Where the file is looked for, and who said so.
    pub(super) fn location(&self, global: &Global) -> Option<(PathBuf, Origin)> {
        let origin = match (&global.config, CONFIG.variable, CONFIG.flag) {
            (None, ..) => Origin::Default,
            (_, Some(variable), _) if global.given.by_variable(CONFIG.name) => {
                Origin::variable(variable)
            }
            (.., flag) => Origin::flag(flag.unwrap_or_default()),
        };
        Some((self.path.clone()?, origin))
    }
}

/// Where the file is looked for.
#[must_use]
pub fn path(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => Some(env::config_home()?.join("isoforge").join("isoforge.toml")),
    }
}

/// Reads the file; one that nobody named may be missing.
pub(super) fn read(named: Option<&Path>) -> Result<Found, Error> {
    let Some(path) = path(named) else {
        return Ok(Found::default());
    };
    let text = match fs_err::read_to_string(&path) {
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            String::new()
        }
        other => other.map_err(Error::Read)?,
    };
    Ok(Found {
        file: parse(&path, &text)?,
        path: Some(path),
    })
}

fn parse(path: &Path, text: &str) -> Result<File, Error> {
    profile::check_settings(path, text).map_err(Error::File)?;
    toml::from_str(text).map_err(|source| Error::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn every_key_is_understood() {
        let file = parse(
            Path::new("isoforge.toml"),
            "progress = \"plain\"\njobs = 2\ncache_dir = \"store\"\noutput = \"out\"\n\
             [registries.\"quay.io\"]\nmirror = \"127.0.0.1:5000/quay\"\nplain_http = true\n",
        )
        .unwrap();
        let registry = RegistrySettings {
            mirror: Some("127.0.0.1:5000/quay".to_owned()),
            plain_http: Some(true),
        };
        assert_eq!(
            file,
            File {
                progress: Some(ProgressMode::Plain),
                jobs: Some(2),
                cache_dir: Some("store".into()),
                output: Some("out".into()),
                registries: BTreeMap::from([("quay.io".to_owned(), registry)]),
            }
        );
    }

    /// A key that one of the two did not know would be refused though it is
    /// documented, or be there without documentation.
    #[test]
    fn the_table_of_keys_and_the_structures_agree() {
        let reference = profile::settings_reference();
        let documented: Vec<&str> = reference
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(key, _)| key)
            .collect();
        let known = |unknown: Result<(), toml::de::Error>| -> Vec<String> {
            let message = unknown.unwrap_err().to_string();
            let (_, list) = message
                .split_once("expected one of")
                .or_else(|| message.split_once("expected "))
                .unwrap();
            list.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect()
        };
        let mut keys =
            known(toml::from_str::<File>("? = 1".replace('?', "zzz").as_str()).map(drop));
        keys.extend(known(
            toml::from_str::<RegistrySettings>("zzz = 1").map(drop),
        ));
        keys.sort();
        let mut documented: Vec<_> = documented.into_iter().map(str::to_owned).collect();
        documented.sort();
        assert_eq!(keys, documented);
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_is() {
        let text =
            "job = 2\njobs = 0\nprogress = \"bar\"\n[registries.\"quay io\"]\nmirrror = \"x\"\n";
        let error = parse(Path::new("isoforge.toml"), text).unwrap_err();
        assert_snapshot!(error, @r#"
        error: unknown key 'job'
         --> isoforge.toml:1:1
          |
        1 | job = 2
          | ^^^
          = expected 'progress', 'jobs', 'cache_dir', 'output' or 'registries'
          = help: did you mean 'jobs'?

        error: 'jobs' can't be 0
         --> isoforge.toml:2:8
          |
        2 | jobs = 0
          |        ^
          = expected an integer from 1 to 256

        error: 'progress' can't be 'bar'
         --> isoforge.toml:3:12
          |
        3 | progress = "bar"
          |            ^^^^^
          = expected 'auto', 'plain', 'json' or 'none'

        error: 'quay io' is not the host of a registry
         --> isoforge.toml:4:13
          |
        4 | [registries."quay io"]
          |             ^^^^^^^^^
          = expected a host name with an optional port, such as quay.io or localhost:5000

        error: unknown key 'mirrror' in [registries."quay io"]
         --> isoforge.toml:5:1
          |
        5 | mirrror = "x"
          | ^^^^^^^
          = expected 'mirror' or 'plain_http'
          = help: did you mean 'mirror'?

        5 problems in the settings file
        "#);
    }
}
