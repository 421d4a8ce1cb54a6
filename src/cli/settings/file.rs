//! The settings file, `isoforge/isoforge.toml` in the configuration folder.

use std::path::{Path, PathBuf};

use clap::ValueEnum as _;

use super::{CONFIG, Origin, in_settings};
use crate::cli::args::{Global, ProgressMode};
use crate::cli::env;
use crate::profile::{UserSettings, read_settings};
use isoforge_base::error::{Context as _, Result};

/// The file that was looked for, and what it says.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) file: UserSettings,
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

    /// How the file has progress shown.
    pub(super) fn progress(&self) -> Option<ProgressMode> {
        ProgressMode::from_str(self.file.progress.as_deref()?, false).ok()
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
pub(crate) fn path(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => Some(env::config_home()?.join("isoforge").join("isoforge.toml")),
    }
}

/// Reads the file; one that nobody named may be missing.
pub(super) fn read(named: Option<&Path>) -> Result<Found> {
    let Some(path) = path(named) else {
        return Ok(Found::default());
    };
    let text = match fs_err::read_to_string(&path) {
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            String::new()
        }
        other => other.context("can't read the settings file")?,
    };
    Ok(Found {
        file: read_settings(&path, &text).map_err(|problems| in_settings(&problems))?,
        path: Some(path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use isoforge_oci::registry::HostConfig;
    use std::collections::BTreeMap;

    #[test]
    fn every_key_is_understood() {
        let file = read_settings(
            Path::new("folder/isoforge.toml"),
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
            UserSettings {
                progress: Some("plain".to_owned()),
                jobs: Some(2),
                cache_dir: Some("folder/store".into()),
                output: Some("out".into()),
                registries: BTreeMap::from([("quay.io".to_owned(), registry)]),
            }
        );
    }

    #[test]
    fn every_mode_of_progress_can_be_written() {
        for mode in ["auto", "plain", "json", "none"] {
            let text = format!("progress = \"{mode}\"");
            let file = read_settings(Path::new("isoforge.toml"), &text).unwrap();
            let found = Found { file, path: None };
            let known = found.progress().unwrap().to_possible_value().unwrap();
            assert_eq!(known.get_name(), mode);
        }
        assert_eq!(ProgressMode::value_variants().len(), 4);
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

    #[test]
    fn what_is_wrong_is_shown_where_it_is() {
        let text =
            "job = 2\njobs = 0\nprogress = \"bar\"\n[registries.\"quay io\"]\nmirrror = \"x\"\n";
        let problems = read_settings(Path::new("isoforge.toml"), text).unwrap_err();
        let error = in_settings(&problems);
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
