//! Kinds of images, in a registry and in layouts and archives.

use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::progress::Progress;

use isoforge_oci::compression::Bounds;
use isoforge_oci::layer::LayerCompression::{Gzip, Plain, Zstd};
use isoforge_oci::media::Family;
use isoforge_oci::platform::Platform;
use isoforge_oci::pull::{Limits, PulledImage, diff_id};
use isoforge_oci::reference::ImageSource;
use isoforge_system::layer;
use serde_json::json;

use super::{Puller, without_port};
use crate::support::judge;
use crate::support::layers::{Blob, Image, compress, index, tar_layer, write_layout};
use crate::support::registry::{FakeRegistry, Fault};

const BASE: &str = "dir usr 0755\nfile usr/hello 0755 'hello\\n' xattr.user.a=b";
const TOP: &str = "link bin usr\nwhiteout usr/hello\nopaque etc\nhard usr/b usr/a uid=7";

/// The image is complete in the store, byte for byte.
fn assert_pulled(puller: &Puller, pulled: &PulledImage, image: &Image) {
    assert_eq!(pulled.manifest.raw, image.manifest.bytes);
    assert_eq!(pulled.manifest.digest, image.manifest.digest());
    assert_eq!(pulled.config, image.config.bytes);
    assert_eq!(pulled.config_digest, image.config.digest());
    assert_eq!(pulled.created, Some(1_714_557_600));
    let diff_ids: Vec<Digest> = pulled.layers.iter().map(|layer| layer.diff_id).collect();
    assert_eq!(diff_ids, image.diff_ids);
    for (layer, blob) in pulled.layers.iter().zip(&image.layers) {
        assert_eq!(
            (layer.digest, layer.size),
            (blob.digest(), blob.bytes.len() as u64)
        );
        assert_eq!(
            puller.store.read_blob(&layer.digest, layer.size).unwrap(),
            blob.bytes
        );
    }
    puller.assert_sound();
}

#[test]
fn docker_and_oci_images_with_plain_gzip_and_zstd_layers() {
    for family in [Family::Oci, Family::Docker] {
        let registry = FakeRegistry::start();
        let image = Image::new(
            family,
            "linux/amd64",
            &[(BASE, Plain), (TOP, Gzip), ("fill a 0644 z*100000", Zstd)],
        );
        registry.put_image("a/b", "1", &image);
        let puller = Puller::new();
        let source = format!("{}/a/b:1", registry.host());
        let pulled = puller.pull(&source).unwrap();
        assert_pulled(&puller, &pulled, &image);
        assert_eq!(pulled.index_digest, None);
        assert_eq!(pulled.reference, source);
        let compressions: Vec<_> = pulled
            .layers
            .iter()
            .map(|layer| layer.compression)
            .collect();
        assert_eq!(compressions, [Plain, Gzip, Zstd]);
        let requests = registry.requests();
        let agent = concat!("isoforge/", env!("CARGO_PKG_VERSION"));
        assert!(
            requests
                .iter()
                .all(|request| request.headers["user-agent"] == agent)
        );
    }
}

#[test]
fn the_platform_decides_which_image_of_an_index_is_pulled() {
    for family in [Family::Oci, Family::Docker] {
        let registry = FakeRegistry::start();
        let amd64 = Image::new(family, "linux/amd64", &[("file amd 0644 'a'", Gzip)]);
        let arm64 = Image::new(family, "linux/arm64/v8", &[("file arm 0644 'b'", Gzip)]);
        let root = index(family, &[&amd64, &arm64]);
        registry.put_image("a", "x", &amd64);
        registry.put_image("a", "y", &arm64);
        registry.put_manifest("a", "1", &root);
        let source = format!("{}/a:1", registry.host());
        for (platform, image) in [("linux/amd64", &amd64), ("linux/arm64", &arm64)] {
            let puller = Puller::new();
            let pulled = puller.pull_for(&source, platform).unwrap();
            assert_pulled(&puller, &pulled, image);
            assert_eq!(pulled.index_digest, Some(root.digest()));
            assert!(puller.store.has_blob(&root.digest()));
        }
        let puller = Puller::new();
        let error = puller.pull_for(&source, "linux/s390x").unwrap_err();
        let said = without_port(&super::chain(&error), &registry.host());
        assert_eq!(
            said,
            "127.0.0.1:PORT/a:1 can't be used: there is no image for linux/s390x; there are: linux/amd64, linux/arm64"
        );
    }
}

#[test]
fn an_image_without_an_index_must_be_for_the_platform() {
    let registry = FakeRegistry::start();
    let image = Image::new(Family::Oci, "linux/arm64", &[(BASE, Gzip)]);
    registry.put_image("a", "1", &image);
    let said = Puller::new().fails(&format!("{}/a:1", registry.host()), Class::Profile);
    assert!(
        said.contains("no image for linux/amd64; there are: linux/arm64"),
        "{said}"
    );
}

#[test]
fn nested_indexes_are_followed_and_endless_ones_are_not() {
    let registry = FakeRegistry::start();
    let image = Image::simple(&[BASE]);
    registry.put_image("a", "x", &image);
    let mut root = index(Family::Oci, &[&image]);
    for depth in 1..=3 {
        registry.put_manifest("a", &depth.to_string(), &root);
        let outer = json!({ "schemaVersion": 2, "manifests": [root.descriptor()] });
        root = Blob::new(&root.media_type, outer.to_string().into_bytes());
    }
    registry.put_manifest("a", "4", &root);
    let puller = Puller::new();
    let pulled = puller.pull(&format!("{}/a:3", registry.host())).unwrap();
    assert_pulled(&puller, &pulled, &image);
    let said = puller.fails(&format!("{}/a:4", registry.host()), Class::Verification);
    assert!(said.contains("nest deeper than 3"), "{said}");
}

#[test]
fn what_the_store_has_is_not_fetched_again() {
    let registry = FakeRegistry::start();
    let image = Image::simple(&[BASE, TOP, BASE]);
    registry.put_image("a", "1", &image);
    let puller = Puller::new();
    let source = format!("{}/a:1", registry.host());
    puller.pull(&source).unwrap();
    assert_eq!(
        registry.count("/blobs/"),
        3,
        "a layer that comes twice is fetched once"
    );
    puller.pull(&source).unwrap();
    assert_eq!(registry.count("/blobs/"), 3);
    assert_eq!(registry.count("/manifests/"), 2);
    let pinned = format!("{source}@{}", image.manifest.digest());
    let pulled = puller.pull(&pinned).unwrap();
    assert_pulled(&puller, &pulled, &image);
    assert_eq!(
        registry.count("/manifests/"),
        2,
        "a digest is asked for once"
    );
    let layer = image.layers[0].digest();
    std::fs::write(puller.store.blob_path(&layer), "cut off").unwrap();
    let pulled = puller.pull(&source).unwrap();
    assert_pulled(&puller, &pulled, &image);
}

#[test]
fn images_that_cannot_be_used_say_why() {
    let registry = FakeRegistry::start();
    let put = |tag: &str, change: fn(&mut serde_json::Value)| {
        let mut image = Image::simple(&[BASE]);
        image.seal(change);
        registry.put_image("a", tag, &image);
    };
    put("unknown-layer", |m| {
        m["layers"][0]["mediaType"] = json!("application/x-tar")
    });
    put("helm", |m| {
        m["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json")
    });
    put("layers", |m| m["layers"] = json!([]));
    let schema1 = json!({ "schemaVersion": 1, "name": "a", "fsLayers": [] });
    let schema1 = Blob::new(
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        schema1.to_string().into_bytes(),
    );
    registry.put_manifest("a", "schema1", &schema1);
    registry.put_manifest(
        "a",
        "unknown",
        &Blob::new("application/x-other", b"{}".to_vec()),
    );
    let said: Vec<String> = [
        ("unknown-layer", Class::Profile),
        ("helm", Class::Profile),
        ("schema1", Class::Profile),
        ("unknown", Class::Profile),
        ("layers", Class::Verification),
    ]
    .into_iter()
    .map(|(tag, class)| {
        let said = Puller::new().fails(&format!("{}/a:{tag}", registry.host()), class);
        without_port(&said, &registry.host())
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    127.0.0.1:PORT/a:unknown-layer can't be used: layer sha256:b0c163abba23676e538e55afad81c83f0ddd066e870f4704354bea454498decf has the unknown media type 'application/x-tar'
    127.0.0.1:PORT/a:helm can't be used: this is an artifact of the type 'application/vnd.cncf.helm.config.v1+json', not an image
    127.0.0.1:PORT/a:schema1 can't be used: the image has a manifest of Docker's schema 1, which cannot be verified
    127.0.0.1:PORT/a:unknown can't be used: 'application/x-other' is not a manifest or index that isoforge knows
    127.0.0.1:PORT/a:layers can't be used: the manifest has 0 layers, but the configuration has 1 diff_ids
    ");
}

/// An image with a layer that registries need not hold.
fn foreign(media_type: &str) -> Image {
    let mut image = Image::simple(&[BASE]);
    image.layers[0].media_type = media_type.to_owned();
    image.seal(|manifest| {
        manifest["layers"][0]["urls"] = json!(["https://elsewhere.invalid/layer"]);
    });
    image
}

#[test]
fn a_foreign_layer_is_taken_where_it_is() {
    let mut said = Vec::new();
    for media_type in [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    ] {
        let image = foreign(media_type);
        let (registry, puller) = (FakeRegistry::start(), Puller::new());
        registry.put_image("a", "1", &image);
        let source = format!("{}/a:1", registry.host());
        assert_pulled(&puller, &puller.pull(&source).unwrap(), &image);
        let folder = puller.root().join("layout");
        write_layout(&folder, &[("v1", &image.manifest)], &[&image]);
        let layout = format!("oci:{}:v1", folder.display());
        let puller = Puller::new();
        assert_pulled(&puller, &puller.pull(&layout).unwrap(), &image);
        // Where it is not, nobody else is asked.
        let layer = image.layers[0].digest();
        std::fs::remove_file(folder.join("blobs/sha256").join(layer.hex())).unwrap();
        said.push(
            Puller::new()
                .fails(&layout, Class::Profile)
                .replace(&layout, "LAYOUT"),
        );
        registry.fault(&layer.to_string(), usize::MAX, Fault::Status(404, ""));
        let problem = Puller::new().fails(&source, Class::Profile);
        said.push(without_port(&problem, &registry.host()));
    }
    insta::assert_snapshot!(said.join("\n"), @"");
}

/// Pulls the image and then checks the diffIDs of all its layers.
fn checked(puller: &Puller, source: &str, bounds: Bounds) -> Result<(), isoforge_oci::Error> {
    let pulled = puller.pull(source)?;
    puller.assert_sound();
    let silent = Progress::silent();
    pulled
        .layers
        .iter()
        .try_for_each(|layer| diff_id::check(&puller.store, layer, source, bounds, &silent))
}

#[test]
fn a_layer_that_unpacks_to_something_else_is_refused_before_it_is_used() {
    let bounds = layer::bounds(&isoforge_formats::tar::Limits::DEFAULT);
    let registry = FakeRegistry::start();
    let honest = Image::simple(&[BASE]);
    let tar = tar_layer(TOP);
    let blob = Blob::new(&honest.layers[0].media_type, compress(&tar, Gzip));
    let claimed = honest.diff_ids.clone();
    let image = Image::from_blobs(Family::Oci, "linux/amd64", vec![blob], claimed.clone());
    registry.put_image("a", "1", &image);
    let puller = Puller::new();
    let source = format!("{}/a:1", registry.host());
    for _ in 0..2 {
        let error = checked(&puller, &source, bounds).unwrap_err();
        assert_eq!(error.class(), Class::Verification);
        let (layer, found) = (image.layers[0].digest(), Digest::of(&tar));
        assert_eq!(
            error.to_string(),
            format!(
                "{source}: layer {layer} unpacks to {found}, but the configuration gives {}",
                claimed[0]
            )
        );
    }
    let no_gzip = Blob::new(&honest.layers[0].media_type, tar.clone());
    let image = Image::from_blobs(
        Family::Oci,
        "linux/amd64",
        vec![no_gzip],
        vec![Digest::of(&tar)],
    );
    registry.put_image("a", "2", &image);
    let error = checked(&puller, &format!("{}/a:2", registry.host()), bounds).unwrap_err();
    assert_eq!(error.class(), Class::Verification);
    let said = error.to_string();
    assert!(said.contains("can't be decompressed"), "{said}");
}

#[test]
fn a_blob_is_fetched_once_and_each_claim_about_it_is_checked() {
    let bounds = layer::bounds(&isoforge_formats::tar::Limits::DEFAULT);
    let registry = FakeRegistry::start();
    let honest = Image::simple(&[BASE]);
    let other = Digest::of(&tar_layer(TOP));
    let blobs = vec![honest.layers[0].clone(); 2];
    let twice = vec![honest.diff_ids[0]; 2];
    let image = Image::from_blobs(Family::Oci, "linux/amd64", blobs.clone(), twice);
    registry.put_image("a", "honest", &image);
    let claims = vec![honest.diff_ids[0], other];
    let image = Image::from_blobs(Family::Oci, "linux/amd64", blobs, claims);
    registry.put_image("a", "wrong", &image);
    let puller = Puller::new();
    let source = |tag: &str| format!("{}/a:{tag}", registry.host());
    checked(&puller, &source("honest"), bounds).unwrap();
    let digest = honest.layers[0].digest().to_string();
    assert_eq!(registry.count(&digest), 1);
    let said = checked(&puller, &source("wrong"), bounds)
        .unwrap_err()
        .to_string();
    assert!(said.contains(&other.to_string()), "{said}");
    assert_eq!(registry.count(&digest), 1);
}

#[test]
fn bombs_and_oversized_images_hit_a_named_limit() {
    let registry = FakeRegistry::start();
    let image = Image::simple(&["fill zeros 0644 0*4000000", BASE]);
    registry.put_image("a", "1", &image);
    let source = format!("{}/a:1", registry.host());
    let assert_named = |name: &str, error: isoforge_oci::Error| {
        assert!(
            error.to_string().contains(&format!("the limit {name} is")),
            "{error}"
        );
        assert_eq!(error.class(), Class::Verification);
    };
    let usual = layer::bounds(&isoforge_formats::tar::Limits::DEFAULT);
    let bombs = [
        (
            "ratio",
            Bounds {
                ratio_floor_bytes: 1_000_000,
                ratio: 50,
                ..usual
            },
        ),
        (
            "layer_bytes",
            Bounds {
                bytes: 2_000_000,
                ..usual
            },
        ),
    ];
    for (name, bounds) in bombs {
        let puller = Puller::new();
        assert_named(name, checked(&puller, &source, bounds).unwrap_err());
        puller.assert_sound();
    }
    let oversized = [
        (
            "blob_bytes",
            Limits {
                blob_bytes: 100,
                ..Limits::default()
            },
        ),
        (
            "layers",
            Limits {
                layers: 1,
                ..Limits::default()
            },
        ),
    ];
    for (name, limits) in oversized {
        let puller = Puller::new();
        let error = puller.pull_within(&source, "amd64", &limits).unwrap_err();
        assert_named(name, error);
        puller.assert_sound();
    }
    checked(&Puller::new(), &source, usual).unwrap();
}

#[test]
fn a_plain_file_server_as_registry_is_understood() {
    let registry = FakeRegistry::start();
    let mut image = Image::simple(&[BASE]);
    image.seal(|manifest| {
        manifest.as_object_mut().unwrap().remove("mediaType");
    });
    registry.put_image("a", "1", &image);
    registry.fault(
        "/manifests/",
        9,
        Fault::ContentType("text/plain; charset=utf-8"),
    );
    let puller = Puller::new();
    let pulled = puller.pull(&format!("{}/a:1", registry.host())).unwrap();
    assert_pulled(&puller, &pulled, &image);
}

#[test]
fn a_layout_gives_the_image_that_is_named() {
    let puller = Puller::new();
    let one = Image::simple(&[BASE]);
    let amd64 = Image::simple(&[TOP]);
    let arm64 = Image::new(Family::Oci, "linux/arm64", &[(BASE, Zstd)]);
    let two = index(Family::Oci, &[&amd64, &arm64]);
    let folder = puller.root().join("layout");
    write_layout(
        &folder,
        &[("one", &one.manifest), ("two", &two)],
        &[&one, &amd64, &arm64],
    );
    let source = format!("oci:{}", folder.display());
    assert_pulled(
        &puller,
        &puller.pull(&format!("{source}:one")).unwrap(),
        &one,
    );
    let pulled = puller.pull_for(&format!("{source}:two"), "arm64").unwrap();
    assert_pulled(&puller, &pulled, &arm64);
    assert_eq!(pulled.platform, Platform::linux("arm64"));
    for (source, wanted) in [
        (
            source.clone(),
            "it holds several images; there are: one, two",
        ),
        (
            format!("{source}:three"),
            "no image is called three; there are: one, two",
        ),
    ] {
        let said = puller.fails(&source, Class::Profile);
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn damaged_layouts_are_noticed() {
    let puller = Puller::new();
    let image = Image::simple(&[BASE]);
    let folder = puller.root().join("layout");
    let source = format!("oci:{}", folder.display());
    let rewrite = || write_layout(&folder, &[("a", &image.manifest)], &[&image]);
    let blob = |digest: Digest| folder.join("blobs/sha256").join(digest.hex());
    rewrite();
    let mut other = image.layers[0].bytes.clone();
    other[20] ^= 1;
    std::fs::write(blob(image.layers[0].digest()), other).unwrap();
    assert!(
        puller
            .fails(&source, Class::Verification)
            .contains("digest mismatch")
    );
    std::fs::write(blob(image.layers[0].digest()), b"short").unwrap();
    assert!(
        puller
            .fails(&source, Class::Verification)
            .contains("but is 5")
    );
    std::fs::remove_file(blob(image.layers[0].digest())).unwrap();
    assert!(puller.fails(&source, Class::Profile).contains("is missing"));
    let fresh = Puller::new();
    rewrite();
    std::fs::write(blob(image.manifest.digest()), &image.config.bytes).unwrap();
    fresh.fails(&source, Class::Verification);
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).unwrap();
    assert!(
        fresh
            .fails(&source, Class::Profile)
            .contains("unknown version 9")
    );
    let said = fresh.fails("oci:quay.io/kairos/ubuntu:22.04", Class::Profile);
    assert!(
        said.contains("quay.io/kairos/ubuntu does not exist"),
        "{said}"
    );
    let relative: ImageSource = "oci:quay.io/kairos/ubuntu:22.04".parse().unwrap();
    let error = fresh
        .pull(&relative.resolve_from(fresh.root()).to_string())
        .unwrap_err();
    assert_eq!(
        error.hint().unwrap(),
        "if an image in a registry is meant, write quay.io/kairos/ubuntu:22.04"
    );
}

#[test]
fn skopeos_archives_give_the_same_layers() {
    let puller = Puller::new();
    let image = Image::simple(&[BASE, TOP, "file usr/a 0644 'x'"]);
    let path = |name: &str| puller.root().join(name).display().to_string();
    write_layout(
        puller.root().join("layout").as_path(),
        &[("v1", &image.manifest)],
        &[&image],
    );
    let from = format!("oci:{}:v1", path("layout"));
    let (oci, docker) = (path("oci.tar"), path("docker.tar"));
    judge(
        "skopeo",
        "skopeo",
        &["copy", "-q", &from, &format!("oci-archive:{oci}:v1")],
    );
    judge(
        "skopeo",
        "skopeo",
        &[
            "copy",
            "-q",
            &from,
            &format!("docker-archive:{docker}:example.com/os:v1"),
        ],
    );
    for name in [&oci, &docker] {
        let tar = std::fs::read(name).unwrap();
        std::fs::write(format!("{name}.gz"), compress(&tar, Gzip)).unwrap();
    }
    assert_pulled(&puller, &puller.pull(&from).unwrap(), &image);
    for source in [
        format!("oci-archive:{oci}"),
        format!("oci-archive:{oci}:v1"),
        format!("oci-archive:{oci}.gz"),
        format!("docker-archive:{docker}"),
        format!("docker-archive:{docker}.gz:example.com/os:v1"),
    ] {
        let fresh = Puller::new();
        let pulled = fresh.pull(&source).unwrap();
        let diff_ids: Vec<Digest> = pulled.layers.iter().map(|layer| layer.diff_id).collect();
        assert_eq!(diff_ids, image.diff_ids, "{source}");
        fresh.assert_sound();
    }
    for (source, wanted) in [
        (format!("oci-archive:{docker}"), "write docker-archive:FILE"),
        (format!("docker-archive:{oci}"), "write oci-archive:FILE"),
        (
            format!("docker-archive:{docker}:other:1"),
            "there are: example.com/os:v1",
        ),
        (format!("oci-archive:{}", path("layout")), "write oci:DIR"),
        (format!("oci:{oci}"), "write oci-archive:FILE"),
    ] {
        let said = puller.fails(&source, Class::Profile);
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn archives_of_older_and_newer_docker_are_read() {
    let puller = Puller::new();
    let (base, top) = (tar_layer(BASE), tar_layer(TOP));
    let top_gzip = compress(&top, Gzip);
    let diff_ids = vec![Digest::of(&base), Digest::of(&top), Digest::of(&base)];
    let media_type = "application/vnd.docker.image.rootfs.diff.tar";
    let blobs = vec![Blob::new(media_type, base.clone()); 3];
    let config = Image::from_blobs(Family::Docker, "amd64", blobs, diff_ids.clone()).config;
    let list = json!([{
        "Config": "config.json",
        "RepoTags": null,
        "Layers": ["one/layer.tar", "blobs/sha256/two", "three/layer.tar"],
    }]);
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    };
    add("one/layer.tar", &base);
    add("blobs/sha256/two", &top_gzip);
    add("config.json", &config.bytes);
    add("manifest.json", list.to_string().as_bytes());
    // A layer that comes twice is a symbolic link in the older form.
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    archive
        .append_link(&mut link, "three/layer.tar", "../one/layer.tar")
        .unwrap();
    let file = puller.root().join("docker.tar");
    std::fs::write(&file, archive.into_inner().unwrap()).unwrap();
    let pulled = puller
        .pull(&format!("docker-archive:{}", file.display()))
        .unwrap();
    let found: Vec<Digest> = pulled.layers.iter().map(|layer| layer.diff_id).collect();
    assert_eq!(found, diff_ids);
    assert_eq!(pulled.layers[1].digest, Digest::of(&top_gzip));
    assert_eq!(pulled.layers[1].compression, Gzip);
    let half = std::fs::read(&file).unwrap();
    std::fs::write(&file, &half[..base.len() / 2]).unwrap();
    puller.fails(
        &format!("docker-archive:{}", file.display()),
        Class::Profile,
    );
}
