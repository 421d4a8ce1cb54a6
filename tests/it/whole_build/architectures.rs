//! Two architectures from one multi-platform image.

use isoforge_base::digest::Digest;
use isoforge_oci::media::Family;
use serde_json::Value;

use super::{Project, SMALL, os, text};
use crate::support::judge;
use crate::support::layers::{index, write_layout};

#[test]
fn one_iso_for_each_architecture_and_one_provider_index() {
    let (amd64, arm64) = (os("amd64"), os("arm64"));
    let project = Project::new();
    let root = index(Family::Oci, &[&amd64, &arm64]);
    write_layout(&project.path("os"), &[("v1", &root)], &[&amd64, &arm64]);
    project.write("kubernetes/usr/bin/kubelet", "kubelet");
    project.write("profile.toml", SMALL);
    let both = "appliance.arch=[\"amd64\", \"arm64\"]";
    let built = project.build("profile.toml", &["--set", both]);
    let names: Vec<_> = built
        .names()
        .into_iter()
        .filter(|name| !name.ends_with(".sha256"))
        .collect();
    assert_eq!(
        names,
        [
            "manifest.json",
            "small-1.0.0-amd64.iso",
            "small-1.0.0-arm64.iso",
            "small-1.0.0-provider.oci.tar",
        ]
    );

    let iso = built.file("-arm64.iso");
    let report = project.inspect(&iso);
    assert_eq!(boot_platforms(&report), ["UEFI"]);
    let listing = judge(
        "genisoimage",
        "isoinfo",
        &["-i", iso.to_str().unwrap(), "-R", "-f"],
    );
    for wanted in ["bootaa64.efi", "grubaa64.efi", "mmaa64.efi"] {
        let path = format!("/EFI/BOOT/{wanted}");
        assert!(
            listing.lines().any(|line| line == path),
            "{path}: {listing}"
        );
    }
    assert!(!listing.contains("x64.efi"), "{listing}");
    let report = project.inspect(&built.file("-amd64.iso"));
    assert_eq!(boot_platforms(&report), ["BIOS", "UEFI"]);

    let report = project.inspect(&built.file("-provider.oci.tar"));
    let images = report["images"].as_array().unwrap();
    assert_eq!(images.len(), 1);
    let platforms = images[0]["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), 2);
    for (platform, base) in platforms.iter().zip([&amd64, &arm64]) {
        let arch = base.platform.architecture();
        assert_eq!(platform["platform"], format!("linux/{arch}"));
        let lowest = Digest::of(&base.layers[0].bytes).to_string();
        assert_eq!(text(&platform["layers"][0]["digest"]), lowest);
        assert_eq!(
            text(&platform["labels"]["io.isoforge.squashfs.digest"]),
            built.squashfs(arch)
        );
    }
    assert_ne!(built.squashfs("amd64"), built.squashfs("arm64"));
}

fn boot_platforms(report: &Value) -> Vec<String> {
    let boot = report["boot"].as_array().unwrap();
    boot.iter().map(|entry| text(&entry["platform"])).collect()
}
