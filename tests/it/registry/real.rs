//! A real registry: Debian's docker-registry on loopback, filled by skopeo.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use isoforge::error::Class;
use isoforge::oci::layer::LayerCompression::{Gzip, Zstd};
use isoforge::oci::media::Family;

use super::Puller;
use crate::support::judge;
use crate::support::layers::{Image, index, write_layout};

const USER: &str = "reader";
const PASSWORD: &str = "hunter2-in-the-wild";
/// bcrypt of [`PASSWORD`].
const HTPASSWD: &str = "reader:$2y$05$abcdefghijklmnopqrstuu0WoJEp6GeYg2Lea9gXdKdVt6jTMUWqa\n";

struct DockerRegistry {
    process: Child,
    host: String,
}

impl DockerRegistry {
    /// Starts the registry with its data in `folder`.
    fn start(folder: &Path, with_password: bool) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = free.local_addr().unwrap().to_string();
        drop(free);
        let mut config = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n",
            folder.join("data").display()
        );
        if with_password {
            let htpasswd = folder.join("htpasswd");
            std::fs::write(&htpasswd, HTPASSWD).unwrap();
            config.push_str(&format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                htpasswd.display()
            ));
        }
        let path = folder.join("config.yml");
        std::fs::write(&path, config).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry can't be run; the Debian package docker-registry has it ('cargo xtask setup' installs it)");
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut lines = log.lines().map_while(Result::ok);
        let mut seen = String::new();
        let up = lines.by_ref().any(|line| {
            seen.push_str(&line);
            line.contains("listening on")
        });
        assert!(up, "docker-registry did not start: {seen}");
        // Keeps the pipe empty, or the registry would block on its log.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, host }
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_real_registry_gives_the_layers_of_the_layout() {
    let puller = Puller::new();
    let registry = DockerRegistry::start(puller.root(), false);
    let layers = [
        ("dir usr 0755\nfill usr/big 0644 abc*1000000", Gzip),
        ("file usr/y 0644 'y'", Zstd),
    ];
    let amd64 = Image::new(Family::Oci, "linux/amd64", &layers);
    let arm64 = Image::new(Family::Oci, "linux/arm64", &[("file arm 0644 'b'", Gzip)]);
    let root = index(Family::Oci, &[&amd64, &arm64]);
    let folder = puller.root().join("layout");
    write_layout(&folder, &[("v1", &root)], &[&amd64, &arm64]);
    let layout = format!("oci:{}:v1", folder.display());
    let to = |name: &str| format!("docker://{}/{name}", registry.host);
    judge(
        "skopeo",
        "skopeo",
        &[
            "copy",
            "-q",
            "--all",
            "--dest-tls-verify=false",
            &layout,
            &to("os:v1"),
        ],
    );
    judge(
        "skopeo",
        "skopeo",
        &[
            "copy",
            "-q",
            "--format=v2s2",
            "--dest-tls-verify=false",
            "--override-arch=arm64",
            &layout,
            &to("docker:v1"),
        ],
    );
    let from_layout = Puller::new().pull(&layout).unwrap();
    let pulled = puller.pull(&format!("{}/os:v1", registry.host)).unwrap();
    assert_eq!(pulled.layers, from_layout.layers);
    assert_eq!(pulled.manifest, from_layout.manifest);
    assert_eq!(pulled.index_digest, Some(root.digest()));
    puller.assert_sound();
    let docker = puller
        .pull_for(&format!("{}/docker:v1", registry.host), "arm64")
        .unwrap();
    assert_eq!(
        docker.manifest.media_type.as_str(),
        "application/vnd.docker.distribution.manifest.v2+json"
    );
    assert_eq!(docker.layers[0].diff_id, arm64.diff_ids[0]);
    let said = puller.fails(&format!("{}/os:v2", registry.host), Class::Network);
    assert!(said.contains("MANIFEST_UNKNOWN"), "{said}");
}

#[test]
fn a_real_registry_with_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(folder.path(), true);
    let image = Image::simple(&["file a 0644 'a'"]);
    let layout = folder.path().join("layout");
    write_layout(&layout, &[("v1", &image.manifest)], &[&image]);
    let from = format!("oci:{}:v1", layout.display());
    let login = format!("{USER}:{PASSWORD}");
    let to = format!("docker://{}/os:v1", registry.host);
    judge(
        "skopeo",
        "skopeo",
        &[
            "copy",
            "-q",
            "--dest-tls-verify=false",
            "--dest-creds",
            &login,
            &from,
            &to,
        ],
    );
    let source = format!("{}/os:v1", registry.host);
    let said = Puller::new().fails(&source, Class::Network);
    assert!(
        said.contains("access denied (there are no credentials for it)"),
        "{said}"
    );
    let config = serde_json::json!({ "auths": { &registry.host: { "username": USER, "password": PASSWORD } } });
    let file = folder.path().join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let puller = Puller::with(|settings| settings.credential_files = vec![file]);
    let pulled = puller.pull(&source).unwrap();
    assert_eq!(pulled.manifest.raw, image.manifest.bytes);
}
