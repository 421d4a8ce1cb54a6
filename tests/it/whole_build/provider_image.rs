//! The provider image of whole builds: what it says of the root file system,
//! what is in it, and who can read it.

use isoforge_oci::layer::LayerCompression::{Gzip, Plain};
use isoforge_oci::media::Family;
use serde_json::Value;

use super::{Built, Project, SMALL, json_of, text};
use crate::support::bootable;
use crate::support::layers::Image;
use crate::support::{has_crane, judge};

const TAG: &str = "text-1.32.3-1.0.0";
const SQUASHFS: &str = "io.isoforge.squashfs.digest";

fn archive(built: &Built) -> String {
    built.file("-provider.oci.tar").to_str().unwrap().to_owned()
}

/// The one platform of the image with this tag.
fn platform(project: &Project, built: &Built, tag: &str) -> Value {
    let report = project.inspect(&built.file("-provider.oci.tar"));
    let images = report["images"].as_array().unwrap();
    let image = images.iter().find(|image| image["name"] == tag).unwrap();
    assert_eq!(image["platforms"].as_array().unwrap().len(), 1);
    image["platforms"][0].clone()
}

fn squashfs(platform: &Value) -> String {
    assert_eq!(
        platform["labels"][SQUASHFS],
        platform["annotations"][SQUASHFS]
    );
    text(&platform["labels"][SQUASHFS])
}

/// Copies the image with this tag into an OCI layout, with skopeo.
fn copied(project: &Project, built: &Built, tag: &str) -> String {
    let from = format!("oci-archive:{}:{tag}", archive(built));
    let folder = project.path(&format!("copied-{tag}"));
    let to = format!("oci:{}:{tag}", folder.display());
    judge("skopeo", "skopeo", &["copy", "-q", &from, &to]);
    folder.to_str().unwrap().to_owned()
}

#[test]
fn it_tells_of_the_root_file_system_on_the_iso_with_or_without_the_iso() {
    let project = Project::small();
    let both = project.build("profile.toml", &["--output", "both"]);
    let recorded = squashfs(&platform(&project, &both, TAG));
    assert_eq!(recorded, both.squashfs("amd64"));
    let alone = project.build(
        "profile.toml",
        &[
            "--only",
            "provider",
            "--output",
            "alone",
            "--cache-dir",
            "fresh",
        ],
    );
    assert!(alone.names().iter().all(|name| !name.ends_with(".iso")));
    let name = "small-1.0.0-provider.oci.tar";
    assert_eq!(alone.digests()[name], both.digests()[name]);
    let iso = project.build("profile.toml", &["--only", "iso", "--output", "iso"]);
    let name = "small-1.0.0.iso";
    assert_eq!(iso.digests()[name], both.digests()[name]);
    assert!(iso.names().iter().all(|name| !name.contains("provider")));
}

/// Kairos's agent reads it so, and takes what it can't read for the system itself.
#[test]
fn a_client_that_knows_no_layouts_reads_the_archive_too() {
    let project = Project::small();
    let built = project.build("profile.toml", &["--only", "provider"]);
    let config = |kind: &str| {
        let image = format!("{kind}:{}", archive(&built));
        let said = judge("skopeo", "skopeo", &["inspect", "--config", &image]);
        serde_json::from_str::<Value>(&said).unwrap()
    };
    assert_eq!(config("docker-archive"), config("oci-archive"));
    if has_crane() {
        let arguments = ["validate", "--tarball", &archive(&built)];
        let said = judge("crane", "crane", &arguments);
        assert!(said.contains("PASS"), "{said}");
    }
}

#[test]
fn a_layer_for_the_provider_alone_is_in_the_provider_alone() {
    let project = Project::small();
    project.write("agent/usr/bin/agent", "agent");
    let layer = |target: &str| format!("layers=[{{ folder = \"agent\", for = [{target}] }}]");
    let provider = layer("\"provider\"");
    let built = project.build("profile.toml", &["--set", &provider, "--output", "one"]);
    let listing = project.squashfs_listing(&built);
    assert!(listing.contains("/usr/bin/kubelet\n"), "{listing}");
    assert!(!listing.contains("/usr/bin/agent\n"), "{listing}");
    let image = format!("{}:{TAG}", copied(&project, &built, TAG));
    let bundle = project.path("bundle");
    let arguments = [
        "unpack",
        "--rootless",
        "--image",
        &image,
        bundle.to_str().unwrap(),
    ];
    judge("umoci", "umoci", &arguments);
    let root = bundle.join("rootfs");
    assert_eq!(std::fs::read(root.join("usr/bin/agent")).unwrap(), b"agent");
    assert_eq!(
        std::fs::read(root.join("usr/bin/kubelet")).unwrap(),
        b"kubelet"
    );

    // What the provider's tree gives is what an ISO of the same layers has.
    let recorded = squashfs(&platform(&project, &built, TAG));
    assert_ne!(recorded, built.squashfs("amd64"));
    let both = layer("\"iso\", \"provider\"");
    let same = project.build("profile.toml", &["--set", &both, "--output", "two"]);
    assert_eq!(recorded, same.squashfs("amd64"));
    let iso = layer("\"iso\"");
    let iso = project.build("profile.toml", &["--set", &iso, "--output", "three"]);
    assert!(project.squashfs_listing(&iso).contains("/usr/bin/agent\n"));
    assert_ne!(
        squashfs(&platform(&project, &iso, TAG)),
        iso.squashfs("amd64")
    );
}

#[test]
fn each_kubernetes_version_has_its_image_over_shared_layers() {
    let project = Project::small();
    for version in ["1.32.3", "1.31.7"] {
        project.write(&format!("k-{version}/usr/bin/kubelet"), version);
    }
    let profile = SMALL
        .replace(
            "version = \"1.32.3\"",
            "versions = [\"1.32.3\", \"1.31.7\"]",
        )
        .replace("folder = \"kubernetes\"", "folder = \"k-{version}\"");
    project.write("profile.toml", profile);
    let built = project.build("profile.toml", &[]);
    assert_eq!(
        built.summary["provider_images"],
        serde_json::json!([
            "registry.example/edge/small:text-1.32.3-1.0.0",
            "registry.example/edge/small:text-1.31.7-1.0.0",
        ])
    );
    let newer = platform(&project, &built, "text-1.32.3-1.0.0");
    let older = platform(&project, &built, "text-1.31.7-1.0.0");
    assert_eq!(newer["layers"][0], older["layers"][0]);
    assert_eq!(squashfs(&newer), built.squashfs("amd64"));
    assert_ne!(squashfs(&newer), squashfs(&older));
    let alone = project.build(
        "profile.toml",
        &[
            "--set",
            "kubernetes.versions=[\"1.31.7\"]",
            "--output",
            "older",
        ],
    );
    assert_eq!(squashfs(&older), alone.squashfs("amd64"));
    for version in ["1.32.3", "1.31.7"] {
        let image = format!("oci-archive:{}:text-{version}-1.0.0", archive(&built));
        let said = judge("skopeo", "skopeo", &["inspect", &image]);
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["Labels"]["io.isoforge.kubernetes.version"], version);
        assert_eq!(said["Labels"]["org.opencontainers.image.version"], "1.0.0");
    }
}

#[test]
fn own_layers_are_gzip_or_zstd_and_the_bases_stay() {
    let project = Project::small();
    let base = text(&json_of(&project.path("os/index.json"))["manifests"][0]["digest"]);
    for (codec, wanted) in [("gzip", "tar+gzip"), ("zstd", "tar+zstd")] {
        let option = format!("output.layer_compression={codec}");
        let built = project.build("profile.toml", &["--set", &option, "--output", codec]);
        let platform = platform(&project, &built, TAG);
        assert_eq!(
            platform["labels"]["org.opencontainers.image.base.digest"],
            base
        );
        let types: Vec<_> = platform["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| text(&layer["media_type"]))
            .collect();
        assert_eq!(types[0], "application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!(types[1], types[0]);
        assert!(types.len() > 3, "{types:?}");
        assert!(
            types[2..].iter().all(|one| one.ends_with(wanted)),
            "{types:?}"
        );
        copied(&project, &built, TAG);
    }
}

#[test]
fn a_base_of_docker_media_types_becomes_oci_over_the_same_blobs() {
    let project = Project::small();
    let layers = [
        (bootable::os_layer("amd64"), Gzip),
        ("file etc/x 0644 'x'".to_owned(), Plain),
    ];
    let layers: Vec<_> = layers.iter().map(|(text, c)| (text.as_str(), *c)).collect();
    let base = Image::new(Family::Docker, "linux/amd64", &layers);
    project.layout("docker", &base);
    let built = project.build("profile.toml", &["--set", "os.image=oci:docker:v1"]);
    let platform = platform(&project, &built, TAG);
    let layers = platform["layers"].as_array().unwrap();
    for (layer, blob) in layers.iter().zip(&base.layers) {
        assert_eq!(text(&layer["digest"]), blob.digest().to_string());
    }
    for layer in layers {
        let media_type = text(&layer["media_type"]);
        assert!(
            media_type.starts_with("application/vnd.oci.image.layer.v1.tar"),
            "{media_type}"
        );
    }
    let image = format!("oci-archive:{}:{TAG}", archive(&built));
    let raw = judge("skopeo", "skopeo", &["inspect", "--raw", &image]);
    assert!(!raw.contains("docker"), "{raw}");
}
