//! Has containerd look into this machine's registry first.
//!
//! For each upstream host whose content is here there is a `hosts.toml`
//! (containerd, "Registry Configuration", `config_path`). What is not here is still
//! asked of the host itself. With `override_path` the path names the upstream, so
//! equal names of two upstreams are different images.
//!
//! `config_path` must be set in containerd's own configuration. A drop-in can't:
//! containerd 1.7 takes a plugin's section from the last file that has it, so what
//! the image sets there would be gone. The file is changed instead, where it lies
//! in this boot's `/etc`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use fs_err as fs;
use toml::{Table, Value};

use super::credentials::{READER, auth};
use super::{MARK, Reading, RegistryPaths, Upstream, is_ours, write};
use crate::files;

/// Where hosts are looked for where nothing else is configured.
const HOSTS: &str = "/etc/containerd/certs.d";

/// Writes what containerd needs for `upstreams`, and removes what an earlier boot
/// or import wrote for others.
///
/// # Errors
/// Where a file can't be read or written, or containerd's own is none.
pub(super) fn prepare(
    places: &RegistryPaths,
    reading: &Reading,
    upstreams: &BTreeSet<Upstream>,
) -> Result<()> {
    let folder = configure(&places.etc)?;
    let authority = places.authority();
    for upstream in upstreams {
        let path = folder.join(&upstream.host).join("hosts.toml");
        let own = files::read(&path)?;
        // What the site wrote is the site's.
        if own.is_some_and(|text| !is_ours(&text)) {
            continue;
        }
        let text = hosts_toml(upstream, reading, &authority);
        write(&path, text.as_bytes(), reading.mode(), None)?;
    }
    remove_others(&folder, upstreams)
}

/// Of an upstream that is not here any more, containerd would ask in vain first.
fn remove_others(folder: &Path, upstreams: &BTreeSet<Upstream>) -> Result<()> {
    let entries = files::if_there(fs::read_dir(folder))?;
    for entry in entries.into_iter().flatten() {
        let entry = entry?;
        let host = entry.file_name();
        if upstreams.iter().any(|it| *it.host == *host) || !entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path().join("hosts.toml");
        if files::read(&path)?.is_some_and(|text| is_ours(&text)) {
            fs::remove_file(&path)?;
            // Where the site put more into it, the folder stays.
            let _ = fs::remove_dir(entry.path());
        }
    }
    Ok(())
}

/// The file for an upstream host. containerd sends the header with every request to this
/// registry, and to no other.
fn hosts_toml(upstream: &Upstream, reading: &Reading, authority: &Path) -> String {
    let folder = &upstream.folder;
    // Docker Hub's references name another host than it has.
    let server = match upstream.host.as_str() {
        "docker.io" => "registry-1.docker.io",
        host => host,
    };
    let own = format!("host.\"https://{}/v2/{folder}\"", reading.address);
    let header = reading.password.as_ref().map(|password| {
        let auth = auth(READER, password);
        format!("\n[{own}.header]\nAuthorization = \"Basic {auth}\"\n")
    });
    format!(
        "{MARK}\nserver = \"https://{server}\"\n\n[{own}]\n\
         capabilities = [\"pull\", \"resolve\"]\noverride_path = true\nca = \"{}\"\n{}",
        authority.display(),
        header.unwrap_or_default()
    )
}

/// Sees that containerd looks for hosts somewhere, and tells where.
fn configure(etc: &Path) -> Result<PathBuf> {
    let path = etc.join("containerd/config.toml");
    let text = files::read(&path)?.unwrap_or_default();
    let error = |problem: &str| {
        anyhow!(
            "'{}' is no configuration of containerd: {problem}",
            path.display()
        )
    };
    let text = String::from_utf8(text).map_err(|failed| error(&failed.to_string()))?;
    let mut config: Table = text
        .parse()
        .map_err(|failed: toml::de::Error| error(failed.message()))?;
    // Tests have another root.
    let below = |hosts: &str| etc.join(hosts.trim_start_matches("/etc/"));
    let version = config
        .entry("version")
        .or_insert(Value::Integer(2))
        .as_integer()
        .unwrap_or_default();
    let plugin = match version {
        2 => "io.containerd.grpc.v1.cri",
        3.. => "io.containerd.cri.v1.images",
        // Version 1 has other names, and no containerd that is maintained reads it.
        _ => return Err(error(&format!("its version is {version}"))),
    };
    let registry = ["plugins", plugin, "registry"]
        .iter()
        .try_fold(&mut config, |table, name| {
            let below = table.entry(*name).or_insert_with(|| Table::new().into());
            below.as_table_mut()
        })
        .ok_or_else(|| error(&format!("plugins.\"{plugin}\".registry is no table")))?;
    match registry.get("config_path").and_then(Value::as_str) {
        // A list of folders, of which the first one counts.
        Some(hosts) if !hosts.is_empty() => Ok(below(hosts.split(':').next().unwrap_or(HOSTS))),
        _ => {
            registry.insert("config_path".to_owned(), HOSTS.into());
            write(&path, config.to_string().as_bytes(), 0o644, None)?;
            Ok(below(HOSTS))
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    /// As Debian 13 ships it.
    const DEBIAN: &str = "version = 2\n\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    [plugins.\"io.containerd.grpc.v1.cri\".cni]\n      bin_dir = \"/usr/lib/cni\"\n      conf_dir = \"/etc/cni/net.d\"\n  [plugins.\"io.containerd.internal.v1.opt\"]\n    path = \"/var/lib/containerd\"\n";

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
        let dir = tempfile::tempdir().unwrap();
        let places = RegistryPaths::below(dir.path());
        let upstreams = BTreeSet::from([Upstream::new("quay.io", "quay.io")]);
        let path = places.etc.join("containerd/certs.d/quay.io/hosts.toml");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        prepare(&places, &open(30003), &upstreams).unwrap();
        assert_eq!(mode(), 0o644);
        let reading = Reading {
            address: "[fd00::5]:30003".parse().unwrap(),
            password: Some("secret".to_owned()),
        };
        prepare(&places, &reading, &upstreams).unwrap();
        assert_eq!(mode(), 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let table: Table = text.parse().unwrap();
        let host = &table["host"]["https://[fd00::5]:30003/v2/quay.io"];
        assert_eq!(host["override_path"].as_bool(), Some(true));
        let sent = host["header"]["Authorization"].as_str();
        assert_eq!(sent, Some("Basic cmVhZGVyOnNlY3JldA=="));
    }

    fn configured(text: &str) -> Result<(String, PathBuf)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("containerd/config.toml");
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        if !text.is_empty() {
            fs_err::write(&path, text).unwrap();
        }
        let hosts = configure(dir.path())?;
        let hosts = hosts.strip_prefix(dir.path()).unwrap().to_owned();
        Ok((fs_err::read_to_string(&path).unwrap(), hosts))
    }

    #[test]
    fn what_the_image_set_stays() {
        let (text, hosts) = configured(DEBIAN).unwrap();
        assert_eq!(hosts, Path::new("containerd/certs.d"));
        assert_snapshot!(text, @r#"
        version = 2

        [plugins."io.containerd.grpc.v1.cri".cni]
        bin_dir = "/usr/lib/cni"
        conf_dir = "/etc/cni/net.d"

        [plugins."io.containerd.grpc.v1.cri".registry]
        config_path = "/etc/containerd/certs.d"

        [plugins."io.containerd.internal.v1.opt"]
        path = "/var/lib/containerd"
        "#);
        let (again, _) = configured(&text).unwrap();
        assert_eq!(again, text);
        let own = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/site/hosts:/etc/docker/certs.d\"\n";
        let (text, hosts) = configured(own).unwrap();
        assert_eq!(
            (text.as_str(), hosts.as_path()),
            (own, Path::new("site/hosts"))
        );
    }

    #[test]
    fn other_versions_have_other_names() {
        assert_snapshot!(configured("").unwrap().0, @r#"
        version = 2

        [plugins."io.containerd.grpc.v1.cri".registry]
        config_path = "/etc/containerd/certs.d"
        "#);
        assert_snapshot!(configured("version = 3\n").unwrap().0, @r#"
        version = 3

        [plugins."io.containerd.cri.v1.images".registry]
        config_path = "/etc/containerd/certs.d"
        "#);
        assert!(configured("version = 1\n").is_err());
        assert!(configured("version = \n").is_err());
        assert!(configured("version = 2\nplugins = 1\n").is_err());
    }

    #[test]
    fn an_upstream_is_asked_for_here_first() {
        let authority = Path::new("/var/lib/registry/tls/ca.crt");
        let upstream = Upstream::new("docker.io", "docker.io");
        assert_snapshot!(hosts_toml(&upstream, &open(30003), authority), @r#"
        # Written by 'appliance registry prepare'.
        server = "https://registry-1.docker.io"

        [host."https://127.0.0.1:30003/v2/docker.io"]
        capabilities = ["pull", "resolve"]
        override_path = true
        ca = "/var/lib/registry/tls/ca.crt"
        "#);
        let upstream = Upstream::new("r.example:5000", "r.example_5000");
        assert_snapshot!(hosts_toml(&upstream, &open(30003), authority), @r#"
        # Written by 'appliance registry prepare'.
        server = "https://r.example:5000"

        [host."https://127.0.0.1:30003/v2/r.example_5000"]
        capabilities = ["pull", "resolve"]
        override_path = true
        ca = "/var/lib/registry/tls/ca.crt"
        "#);
    }

    #[test]
    fn what_the_site_wrote_is_the_sites() {
        let dir = tempfile::tempdir().unwrap();
        let places = RegistryPaths::below(dir.path());
        let upstreams = BTreeSet::from([Upstream::new("quay.io", "quay.io")]);
        prepare(&places, &open(30003), &upstreams).unwrap();
        let path = places.etc.join("containerd/certs.d/quay.io/hosts.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("127.0.0.1:30003/v2/quay.io"), "{text}");
        prepare(&places, &open(30005), &upstreams).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("127.0.0.1:30005/v2/quay.io"), "{text}");
        let site = "server = \"https://mirror.example\"\n";
        fs::write(&path, site).unwrap();
        for upstreams in [&upstreams, &BTreeSet::new()] {
            prepare(&places, &open(30003), upstreams).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), site);
        }
    }

    #[test]
    fn an_upstream_that_is_gone_is_not_asked_for_here() {
        let dir = tempfile::tempdir().unwrap();
        let places = RegistryPaths::below(dir.path());
        let [quay, docker] = ["quay.io", "docker.io"].map(|host| Upstream::new(host, host));
        prepare(
            &places,
            &open(30003),
            &BTreeSet::from([quay.clone(), docker]),
        )
        .unwrap();
        let hosts = places.etc.join("containerd/certs.d");
        assert!(hosts.join("docker.io/hosts.toml").is_file());
        fs::write(hosts.join("quay.io/client.cert"), "the site's").unwrap();
        prepare(&places, &open(30003), &BTreeSet::from([quay])).unwrap();
        assert!(!hosts.join("docker.io").exists());
        assert!(hosts.join("quay.io/hosts.toml").is_file());
        prepare(&places, &open(30003), &BTreeSet::new()).unwrap();
        assert!(!hosts.join("quay.io/hosts.toml").exists());
        assert!(hosts.join("quay.io/client.cert").is_file());
    }
}
