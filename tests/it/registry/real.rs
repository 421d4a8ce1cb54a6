//! A real registry: Debian's docker-registry on loopback, filled by skopeo.

use isoforge_base::error::Class;
use isoforge_oci::layer::LayerCompression::{Gzip, Zstd};
use isoforge_oci::media::Family;

use super::Puller;
use crate::support::docker_registry::{DockerRegistry, PASSWORD, USER};
use crate::support::judge;
use crate::support::layers::{Image, index, write_layout};

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
