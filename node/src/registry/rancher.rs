//! Has K3s and RKE2 look into this machine's registry first.
//!
//! Both run a containerd of their own. Its configuration is made whenever they
//! start, out of `/etc/rancher/<k3s or rke2>/registries.yaml` (K3s documentation,
//! "Private Registry Configuration"; RKE2's is the same). What is not here is still
//! asked of the host itself: that is the default endpoint, to which `rewrite` does not
//! apply.
//!
//! `/etc/rancher` is kept over reboots, so a file of an earlier boot is written anew,
//! or removed where no upstream is left. Two files can't be merged by K3s: where the
//! site has one, it stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err as fs;
use serde::Serialize;

use super::credentials::READER;
use super::{MARK, Reading, RegistryPaths, Upstream, is_ours, write};
use crate::files;

/// Programs, by which a system has them.
const PROGRAMS: [&str; 2] = ["k3s", "rke2"];

/// Where images, packages and the projects' install scripts put them.
const FOLDERS: [&str; 4] = ["usr/local/bin", "usr/bin", "opt/bin", "opt/rke2/bin"];

/// Takes a repository as a whole.
const WHOLE: &str = "^(.*)$";

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Those that are other than they were.
    pub(super) changed: Vec<PathBuf>,
    /// Those that the site wrote.
    pub(super) foreign: Vec<PathBuf>,
}

/// `registries.yaml`, as far as it is needed.
#[derive(Serialize)]
struct Registries<'a> {
    mirrors: BTreeMap<&'a str, Mirror>,
    configs: BTreeMap<&'a str, Config<'a>>,
}

#[derive(Serialize)]
struct Mirror {
    endpoint: [String; 1],
    rewrite: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Auth<'a>>,
    tls: Tls<'a>,
}

#[derive(Serialize)]
struct Auth<'a> {
    username: &'static str,
    password: &'a str,
}

#[derive(Serialize)]
struct Tls<'a> {
    ca_file: &'a Path,
}

/// Writes what K3s and RKE2 need, where the system has them.
///
/// # Errors
/// Where a file can't be read or written.
pub(super) fn prepare(
    places: &RegistryPaths,
    reading: &Reading,
    upstreams: &BTreeSet<Upstream>,
) -> Result<Files> {
    let mut told = Files::default();
    for program in PROGRAMS {
        let path = places.etc.join("rancher").join(program);
        let path = path.join("registries.yaml");
        let there = files::read(&path)?;
        let wanted = !upstreams.is_empty() && has(&places.root, program);
        match (there, wanted) {
            (Some(text), true) if !is_ours(&text) => told.foreign.push(path),
            (there, true) => {
                let text = text(reading, &places.authority(), upstreams)
                    .with_context(|| format!("'{}' can't be written", path.display()))?;
                if there.as_deref() != Some(text.as_bytes()) {
                    write(&path, text.as_bytes(), reading.mode(), None)?;
                    told.changed.push(path);
                }
            }
            (Some(text), false) if is_ours(&text) => {
                fs::remove_file(&path)?;
                told.changed.push(path);
            }
            (_, false) => {}
        }
    }
    Ok(told)
}

fn has(root: &Path, program: &str) -> bool {
    let mut paths = FOLDERS.iter().map(|folder| root.join(folder).join(program));
    paths.any(|path| path.is_file())
}

/// The file. The address is the one that containerd's own files have: the certificate
/// names it.
fn text(
    reading: &Reading,
    authority: &Path,
    upstreams: &BTreeSet<Upstream>,
) -> Result<String, serde_saphyr::SerializeError> {
    let address = reading.address.to_string();
    let mirror = |upstream: &Upstream| Mirror {
        // Without a scheme it would be HTTP, as this machine is meant.
        endpoint: [format!("https://{address}")],
        rewrite: BTreeMap::from([(WHOLE, format!("{}/$1", upstream.folder))]),
    };
    let mirrors = upstreams
        .iter()
        .map(|upstream| (upstream.host.as_str(), mirror(upstream)));
    let config = Config {
        auth: reading.password.as_ref().map(|password| Auth {
            username: READER,
            password,
        }),
        tls: Tls { ca_file: authority },
    };
    let registries = Registries {
        mirrors: mirrors.collect(),
        configs: BTreeMap::from([(address.as_str(), config)]),
    };
    // They read YAML 1.1, which takes some plain texts for something else.
    let options = serde_saphyr::ser_options! { quote_all: true };
    let text = serde_saphyr::to_string_with_options(&registries, options)?;
    Ok(format!("{MARK}\n{text}"))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    /// A machine whose image has K3s.
    fn machine() -> (tempfile::TempDir, RegistryPaths, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let places = RegistryPaths::below(dir.path());
        let bin = dir.path().join("usr/local/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("k3s"), "").unwrap();
        let path = places.etc.join("rancher/k3s/registries.yaml");
        (dir, places, path)
    }

    fn upstreams() -> BTreeSet<Upstream> {
        BTreeSet::from([
            Upstream::new("docker.io", "docker.io"),
            Upstream::new("r.example:5000", "r.example_5000"),
        ])
    }

    #[test]
    fn an_upstream_is_asked_for_here_first() {
        let authority = Path::new("/var/lib/registry/tls/ca.crt");
        assert_snapshot!(text(&open(30003), authority, &upstreams()).unwrap(), @r#"
        # Written by 'appliance registry prepare'.
        mirrors:
          docker.io:
            endpoint:
            - 'https://127.0.0.1:30003'
            rewrite:
              ^(.*)$: 'docker.io/$1'
          "r.example:5000":
            endpoint:
            - 'https://127.0.0.1:30003'
            rewrite:
              ^(.*)$: 'r.example_5000/$1'
        configs:
          "127.0.0.1:30003":
            tls:
              ca_file: '/var/lib/registry/tls/ca.crt'
        "#);
    }

    /// For all to read, on this port.
    fn open(port: u16) -> Reading {
        Reading {
            address: (std::net::Ipv4Addr::LOCALHOST, port).into(),
            password: None,
        }
    }

    #[test]
    fn where_reading_takes_an_account_the_file_has_it_for_root_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, places, path) = machine();
        let one = BTreeSet::from([Upstream::new("quay.io", "quay.io")]);
        let reading = Reading {
            address: "10.0.0.5:30003".parse().unwrap(),
            password: Some("secret".to_owned()),
        };
        prepare(&places, &reading, &one).unwrap();
        let authority = places.authority().display().to_string();
        let text = fs::read_to_string(&path).unwrap().replace(&authority, "CA");
        assert_snapshot!(text, @r#"
        # Written by 'appliance registry prepare'.
        mirrors:
          quay.io:
            endpoint:
            - 'https://10.0.0.5:30003'
            rewrite:
              ^(.*)$: 'quay.io/$1'
        configs:
          "10.0.0.5:30003":
            auth:
              username: 'reader'
              password: 'secret'
            tls:
              ca_file: 'CA'
        "#);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn only_what_the_system_has_gets_a_file() {
        let (dir, places, path) = machine();
        let files = prepare(&places, &open(30003), &upstreams()).unwrap();
        assert_eq!(files.changed, [path.as_path()]);
        assert!(!places.etc.join("rancher/rke2").exists());
        let again = prepare(&places, &open(30003), &upstreams()).unwrap();
        assert_eq!(again, Files::default());
        fs::create_dir_all(dir.path().join("opt/rke2/bin")).unwrap();
        fs::write(dir.path().join("opt/rke2/bin/rke2"), "").unwrap();
        let files = prepare(&places, &open(30003), &upstreams()).unwrap();
        let rke2 = places.etc.join("rancher/rke2/registries.yaml");
        assert_eq!(files.changed, [rke2.as_path()]);
        assert_eq!(fs::read(rke2).unwrap(), fs::read(path).unwrap());
    }

    #[test]
    fn what_the_site_wrote_is_the_sites() {
        let (_dir, places, path) = machine();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mirrors: {}\n").unwrap();
        let files = prepare(&places, &open(30003), &upstreams()).unwrap();
        assert_eq!(files.foreign, [path.as_path()]);
        assert_eq!(files.changed, [] as [PathBuf; 0]);
        let files = prepare(&places, &open(30003), &BTreeSet::new()).unwrap();
        assert_eq!(files, Files::default());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mirrors: {}\n");
    }

    /// The folder is kept over reboots and upgrades.
    #[test]
    fn what_is_gone_is_not_asked_for_here() {
        let (dir, places, path) = machine();
        prepare(&places, &open(30003), &upstreams()).unwrap();
        let one = BTreeSet::from([Upstream::new("quay.io", "quay.io")]);
        let files = prepare(&places, &open(30005), &one).unwrap();
        assert_eq!(files.changed, [path.as_path()]);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("quay.io") && text.contains("127.0.0.1:30005"));
        assert!(!text.contains("docker.io") && !text.contains("30003"));
        let files = prepare(&places, &open(30005), &BTreeSet::new()).unwrap();
        assert_eq!(files.changed, [path.as_path()]);
        assert!(!path.exists());
        prepare(&places, &open(30005), &one).unwrap();
        fs::remove_file(dir.path().join("usr/local/bin/k3s")).unwrap();
        prepare(&places, &open(30005), &one).unwrap();
        assert!(!path.exists());
    }
}
