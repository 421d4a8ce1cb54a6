//! A real registry, Debian's docker-registry, read back by other clients.

use std::num::NonZeroUsize;
use std::path::Path;

use isoforge_base::error::{Class, Diagnose};
use isoforge_base::progress::Progress;
use isoforge_oci::layer::LayerCompression::{Gzip, Zstd};
use isoforge_oci::media::Family;
use isoforge_oci::pull::{Limits, pull_image};
use isoforge_oci::push::State;
use isoforge_oci::registry::push::Pieces;
use isoforge_oci::store::Store;

use super::{Pusher, amount, built_upon, image};
use crate::support::docker_registry::{DockerRegistry, PASSWORD, USER};
use crate::support::layers::{Blob, Image, index, write_layout};
use crate::support::{has_crane, judge};

/// An image for two platforms: its layout as a folder and as an archive.
fn layout(pusher: &Pusher) -> (Blob, Vec<Image>) {
    let shared = "dir usr 0755\nfill usr/big 0644 abc*1000000";
    let platforms = [("linux/amd64", Gzip), ("linux/arm64", Zstd)];
    let images: Vec<Image> = platforms
        .iter()
        .map(|&(platform, compression)| {
            let own = format!("file own 0644 '{platform}'");
            let layers = [(shared, Gzip), (own.as_str(), compression)];
            Image::new(Family::Oci, platform, &layers)
        })
        .collect();
    let all: Vec<&Image> = images.iter().collect();
    let root = index(Family::Oci, &all);
    let folder = pusher.path("layout");
    write_layout(&folder, &[("v1", &root)], &all);
    let file = std::fs::File::create(pusher.path("layout.tar")).unwrap();
    let mut archive = tar::Builder::new(file);
    archive.append_dir_all(".", &folder).unwrap();
    archive.finish().unwrap();
    (root, images)
}

fn raw(image: &str) -> String {
    let image = format!("docker://{image}");
    let arguments = ["inspect", "--raw", "--tls-verify=false", &image];
    judge("skopeo", "skopeo", &arguments)
}

#[test]
fn other_clients_read_what_was_pushed_from_an_archive() {
    let pusher = Pusher::new();
    let registry = DockerRegistry::start(pusher.folder.path(), false);
    let (root, images) = layout(&pusher);
    let to = format!("{}/edge/app", registry.host);
    let archive = pusher.path("layout.tar");
    let report = pusher.push(&archive, &to).unwrap();
    assert_eq!(report.images[0].uploaded.blobs, 5);
    assert_eq!(raw(&format!("{to}:v1")).as_bytes(), root.bytes);

    let copied = pusher.path("copied");
    let (from, into) = (
        format!("docker://{to}:v1"),
        format!("oci:{}:v1", copied.display()),
    );
    let arguments = [
        "copy",
        "-q",
        "--all",
        "--src-tls-verify=false",
        &from,
        &into,
    ];
    judge("skopeo", "skopeo", &arguments);
    for image in &images {
        for blob in image.blobs().chain([&image.manifest, &root]) {
            let file = copied.join("blobs/sha256").join(blob.digest().hex());
            assert_eq!(std::fs::read(file).unwrap(), blob.bytes);
        }
    }

    let store = Store::open(&pusher.path("store")).unwrap();
    let pulled = pull_image(
        &pusher.client,
        &format!("{to}:v1").parse().unwrap(),
        &"linux/arm64".parse().unwrap(),
        &store,
        &Limits::default(),
        NonZeroUsize::MIN,
        &Progress::silent(),
    )
    .unwrap();
    assert_eq!(pulled.index_digest, Some(root.digest()));
    assert_eq!(pulled.manifest.raw, images[1].manifest.bytes);

    let again = pusher.push(&pusher.path("layout"), &to).unwrap();
    assert_eq!(again.images[0].state, State::AlreadyThere);
}

#[test]
fn crane_validates_what_was_pushed() {
    if !has_crane() {
        return;
    }
    let pusher = Pusher::new();
    let registry = DockerRegistry::start(pusher.folder.path(), false);
    let image = image();
    let to = format!("{}/edge/app:v1", registry.host);
    pusher.push(&pusher.layout(&image), &to).unwrap();
    let digest = judge("crane", "crane", &["digest", &to]);
    assert_eq!(digest.trim(), image.manifest.digest().to_string());
    let said = judge("crane", "crane", &["validate", "--remote", &to]);
    assert!(said.contains("PASS"), "{said}");
}

#[test]
fn a_real_registry_mounts_and_takes_pieces() {
    let mut pusher = Pusher::new();
    let registry = DockerRegistry::start(pusher.folder.path(), false);
    let image = built_upon(image(), &format!("{}/os/base:1", registry.host));
    let layout = pusher.layout(&image);
    pusher.pieces = Pieces {
        whole_bytes: 10_000,
        chunk_bytes: 30_000,
    };
    let base = pusher.push(&layout, &format!("{}/os/base:1", registry.host));
    assert_eq!(base.unwrap().images[0].uploaded.blobs, 3);
    let to = format!("{}/edge/app", registry.host);
    pusher.dry_run = true;
    let foreseen = pusher.push(&layout, &to).unwrap();
    pusher.dry_run = false;
    let report = pusher.push(&layout, &to).unwrap();
    let (foreseen, image_report) = (&foreseen.images[0], &report.images[0]);
    assert_eq!(
        image_report.mounted,
        amount(&[&image.layers[0], &image.layers[1]])
    );
    assert_eq!(image_report.uploaded, amount(&[&image.config]));
    assert_eq!(foreseen.mounted, image_report.mounted);
    assert_eq!(foreseen.uploaded, image_report.uploaded);
    assert_eq!(raw(&format!("{to}:v1")).as_bytes(), image.manifest.bytes);
}

#[test]
fn a_real_registry_with_passwords_is_pushed_to() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(folder.path(), true);
    let to = format!("{}/edge/app", registry.host);
    let image = image();
    let stranger = Pusher::new();
    let refused = stranger.push(&stranger.layout(&image), &to).unwrap_err();
    assert_eq!(refused.class(), Class::Network);
    let hint = refused.hint().unwrap();
    assert!(hint.contains("log in"), "{hint}");
    let pusher = Pusher::logged_in(&registry.host, USER, PASSWORD);
    pusher.push(&pusher.layout(&image), &to).unwrap();
    let credentials = format!("{USER}:{PASSWORD}");
    let from = format!("docker://{to}:v1");
    let arguments = [
        "inspect",
        "--raw",
        "--tls-verify=false",
        "--creds",
        &credentials,
        &from,
    ];
    assert_eq!(
        judge("skopeo", "skopeo", &arguments).as_bytes(),
        image.manifest.bytes
    );
    assert!(Path::new(&folder.path().join("data")).is_dir());
}
