//! Copying images as they are, and writing them out as a layout.

use std::num::NonZeroUsize;

use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::progress::Progress;
use isoforge_oci::layer::LayerCompression::{Gzip, Zstd};
use isoforge_oci::layout::Builder;
use isoforge_oci::media::Family;
use isoforge_oci::pull::{Limits, MirroredImage, Platforms, mirror_image};
use serde_json::json;

use super::Puller;
use crate::support::judge;
use crate::support::layers::{Blob, Image, index};
use crate::support::registry::FakeRegistry;

fn mirror(
    puller: &Puller,
    source: &str,
    platforms: &Platforms,
) -> Result<MirroredImage, isoforge_oci::Error> {
    mirror_image(
        &puller.client,
        &source.parse().unwrap(),
        platforms,
        &puller.store,
        &Limits::default(),
        NonZeroUsize::new(2).unwrap(),
        &Progress::silent(),
    )
}

fn only(platform: &str) -> Platforms {
    Platforms::Only(vec![platform.parse().unwrap()])
}

fn two_platforms(registry: &FakeRegistry) -> (Blob, Image, Image) {
    let amd64 = Image::new(
        Family::Docker,
        "linux/amd64",
        &[("file amd 0644 'a'", Gzip), ("file both 0644 ''", Gzip)],
    );
    let arm64 = Image::new(
        Family::Docker,
        "linux/arm64",
        &[("file arm 0644 'b'", Gzip), ("file both 0644 ''", Gzip)],
    );
    let root = index(Family::Docker, &[&amd64, &arm64]);
    registry.put_image("a", "x", &amd64);
    registry.put_image("a", "y", &arm64);
    registry.put_manifest("a", "1", &root);
    (root, amd64, arm64)
}

fn digests(root: &Blob, images: &[&Image]) -> Vec<Digest> {
    let mut digests: Vec<Digest> = vec![root.digest()];
    for image in images {
        digests.push(image.manifest.digest());
        digests.extend(image.blobs().map(Blob::digest));
    }
    digests.sort();
    digests.dedup();
    digests
}

#[test]
fn an_index_is_kept_as_it_is_with_all_or_with_chosen_platforms() {
    let registry = FakeRegistry::start();
    let (root, amd64, arm64) = two_platforms(&registry);
    let source = format!("{}/a:1", registry.host());
    for (platforms, images) in [
        (Platforms::All, vec![&amd64, &arm64]),
        (only("arm64"), vec![&arm64]),
    ] {
        let puller = Puller::new();
        let mirrored = mirror(&puller, &source, &platforms).unwrap();
        assert_eq!(mirrored.root.digest, root.digest());
        assert_eq!(mirrored.root.media_type.as_str(), root.media_type);
        let found: Vec<Digest> = mirrored.blobs.iter().map(|blob| blob.digest).collect();
        assert_eq!(found, digests(&root, &images));
        for blob in &mirrored.blobs {
            assert_eq!(
                puller.store.blob_size(&blob.digest).unwrap(),
                Some(blob.size)
            );
        }
        assert_eq!(
            puller.store.read_blob(&root.digest(), 1 << 20).unwrap(),
            root.bytes
        );
        puller.assert_sound();
    }
    let error = mirror(&Puller::new(), &source, &only("s390x")).unwrap_err();
    assert_eq!(error.class(), Class::Profile);
}

#[test]
fn an_index_within_an_index_is_copied_with_all_or_with_chosen_platforms() {
    let registry = FakeRegistry::start();
    let (inner, amd64, arm64) = two_platforms(&registry);
    let mut root = inner.clone();
    let mut outer = Vec::new();
    for depth in 1..=3 {
        let document = json!({ "schemaVersion": 2, "manifests": [root.descriptor()] });
        root = Blob::new(&inner.media_type, document.to_string().into_bytes());
        registry.put_manifest("a", &format!("in-{depth}"), &root);
        outer.push(root.clone());
    }
    let source = |depth: usize| format!("{}/a:in-{depth}", registry.host());
    for (platforms, images) in [
        (Platforms::All, vec![&amd64, &arm64]),
        (only("arm64"), vec![&arm64]),
    ] {
        let mirrored = mirror(&Puller::new(), &source(2), &platforms).unwrap();
        let mut expected = digests(&inner, &images);
        expected.extend(outer[..2].iter().map(Blob::digest));
        expected.sort();
        let found: Vec<Digest> = mirrored.blobs.iter().map(|blob| blob.digest).collect();
        assert_eq!(found, expected);
        assert_eq!(mirrored.root.digest, outer[1].digest());
        assert_eq!(mirrored.manifest, images[0].manifest.digest());
        let error = mirror(&Puller::new(), &source(3), &platforms).unwrap_err();
        assert_eq!(error.class(), Class::Verification);
        assert!(error.to_string().contains("nest deeper than 3"), "{error}");
    }
    let error = mirror(&Puller::new(), &source(2), &only("s390x")).unwrap_err();
    let said = super::chain(&error);
    assert!(
        said.contains("no image for linux/s390x; there are: linux/amd64, linux/arm64"),
        "{said}"
    );
}

#[test]
fn artifacts_are_copied_and_single_images_must_fit_the_platform() {
    let registry = FakeRegistry::start();
    let mut chart = Image::new(Family::Oci, "linux/amd64", &[("file chart 0644 'c'", Zstd)]);
    chart.seal(|manifest| {
        manifest["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json");
        manifest["layers"][0]["mediaType"] =
            json!("application/vnd.cncf.helm.chart.content.v1.tar+gzip");
    });
    registry.put_image("chart", "1", &chart);
    let puller = Puller::new();
    let mirrored = mirror(
        &puller,
        &format!("{}/chart:1", registry.host()),
        &only("amd64"),
    )
    .unwrap();
    assert_eq!(mirrored.blobs.len(), 3);
    registry.put_image("a", "1", &Image::simple(&["file a 0644 'a'"]));
    let source = format!("{}/a:1", registry.host());
    mirror(&puller, &source, &only("amd64")).unwrap();
    let error = mirror(&puller, &source, &only("arm64")).unwrap_err();
    assert_eq!(error.class(), Class::Profile);
}

#[test]
fn a_mirrored_index_written_as_layout_is_accepted_by_skopeo_and_umoci() {
    let registry = FakeRegistry::start();
    let amd64 = Image::simple(&["dir usr 0755\nfile usr/x 0644 'x'"]);
    let arm64 = Image::new(Family::Oci, "linux/arm64", &[("file arm 0644 'b'", Gzip)]);
    let root = index(Family::Oci, &[&amd64, &arm64]);
    registry.put_image("a", "x", &amd64);
    registry.put_image("a", "y", &arm64);
    registry.put_manifest("a", "1", &root);
    let puller = Puller::new();
    let mirrored = mirror(
        &puller,
        &format!("{}/a:1", registry.host()),
        &Platforms::All,
    )
    .unwrap();
    let mut builder = Builder::new();
    for blob in &mirrored.blobs {
        builder.blob(blob.digest, blob.size);
    }
    builder.reference("v1", mirrored.root.clone());
    let layout = builder.build();
    let path = |name: &str| puller.root().join(name).display().to_string();
    layout
        .write_dir(&puller.store, &puller.root().join("out"))
        .unwrap();
    let mut tar = Vec::new();
    layout
        .write_tar(&puller.store, &mut tar, 1_700_000_000)
        .unwrap();
    std::fs::write(path("out.tar"), tar).unwrap();
    for form in [
        format!("oci:{}:v1", path("out")),
        format!("oci-archive:{}:v1", path("out.tar")),
    ] {
        let raw = judge("skopeo", "skopeo", &["inspect", "--raw", &form]);
        assert_eq!(raw.as_bytes(), root.bytes);
        let copy = format!("oci:{}:v1", path("copy"));
        judge("skopeo", "skopeo", &["copy", "-q", "--all", &form, &copy]);
        assert_eq!(
            puller.pull(&form).unwrap().layers,
            puller.pull(&copy).unwrap().layers
        );
    }
    let only_amd64 = format!("oci:{}:amd64", path("single"));
    judge(
        "skopeo",
        "skopeo",
        &[
            "copy",
            "-q",
            "--override-arch=amd64",
            &format!("oci:{}:v1", path("out")),
            &only_amd64,
        ],
    );
    let image = format!("{}:amd64", path("single"));
    judge(
        "umoci",
        "umoci",
        &["unpack", "--rootless", "--image", &image, &path("bundle")],
    );
    assert_eq!(std::fs::read(path("bundle/rootfs/usr/x")).unwrap(), b"x");
}
