//! The settings file, `isoforge/isoforge.toml` in the configuration folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{CONFIG, Error, Origin};
use crate::cli::args::{Global, ProgressMode};
use crate::cli::env;
use crate::profile;
use isoforge_oci::registry::HostConfig;

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
    pub registries: BTreeMap<String, HostConfig>,
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
    let mut file = parse(&path, &text)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for said in file.registries.values_mut() {
        said.start_from(folder);
    }
    Ok(Found {
        file,
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
        let registry = HostConfig {
            mirrors: Some(vec!["127.0.0.1:5000/quay".to_owned()]),
            plain_http: Some(true),
            ..HostConfig::default()
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

    #[test]
    fn hosts_have_mirrors_certificates_and_a_proxy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("isoforge.toml");
        let read = |text: &str| {
            fs_err::write(&path, text).unwrap();
            read(Some(&path)).map(|found| found.file)
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
        assert_eq!(quay.max_connections, std::num::NonZero::new(3));
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
        keys.extend(known(toml::from_str::<HostConfig>("zzz = 1").map(drop)));
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
          = expected 'mirror', 'mirrors', 'fallback', 'plain_http', 'ca', 'client_cert', 'client_key', 'proxy' or 'max_connections'
          = help: did you mean 'mirror'?

        5 problems in the settings file
        "#);
    }
}
