//! What a second build does again, and what in an ISO follows a change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use isoforge_base::digest::Digest;

use super::{Built, Project, names};
use crate::support::judge;

const GREETING: &str = "vars.greeting";

#[test]
fn a_changed_cloud_config_compresses_nothing_again() {
    let project = Project::small();
    project.write(
        "cloud-config.yaml.tera",
        "#cloud-config\nhostname: {{ vars.greeting | yaml }}\ninstall:\n  nousers: true\n",
    );
    let build = |greeting: &str| {
        project.build(
            "profile.toml",
            &[
                "--set",
                &format!("{GREETING}={greeting}"),
                "--set",
                "cloud_config.template=\"cloud-config.yaml.tera\"",
                "--output",
                greeting,
            ],
        )
    };
    let slabs = || names(&project.program.cache().join("v1/slabs"));
    let first = build("one");
    assert!(
        compressed(&first).contains("compress OS"),
        "{:?}",
        first.tasks()
    );
    let before = slabs();
    assert!(!before.is_empty());
    let second = build("two");
    assert_eq!(compressed(&second), BTreeSet::new());
    assert_eq!(slabs(), before);
    assert_eq!(second.squashfs("amd64"), first.squashfs("amd64"));
    let provider = "small-1.0.0-provider.oci.tar";
    assert_eq!(second.digests()[provider], first.digests()[provider]);

    let first = files(&project, &first, "extracted-one");
    let second = files(&project, &second, "extracted-two");
    let differing: Vec<_> = first
        .iter()
        .filter(|(name, digest)| second.get(*name) != Some(digest))
        .map(|(name, _)| name.as_str())
        .collect();
    // The manifest has the profile's digest, the marker is named by the
    // manifest's, and the stubs look for the marker.
    assert_eq!(
        differing,
        [
            "/EFI/BOOT/grub.cfg",
            "/EFI/ubuntu/grub.cfg",
            "/boot/grub/grub.cfg",
            "/config.yaml",
            "/isoforge/id/*",
            "/isoforge/manifest.json",
        ]
    );
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        second.keys().collect::<Vec<_>>()
    );
}

#[test]
fn a_changed_layer_alone_is_compressed_again() {
    let project = Project::small();
    project.build("profile.toml", &["--only", "iso"]);
    project.write("kubernetes/usr/bin/kubelet", "another");
    let second = project.build("profile.toml", &["--only", "iso"]);
    let wanted = BTreeSet::from(["compress Kubernetes 1.32.3".to_owned()]);
    assert_eq!(compressed(&second), wanted);
}

/// The tasks that compress.
fn compressed(built: &Built) -> BTreeSet<String> {
    let tasks = built.tasks().into_iter();
    tasks.filter(|task| task.starts_with("compress ")).collect()
}

/// Digests of an ISO's files by path; the marker's name is left out.
fn files(project: &Project, built: &Built, name: &str) -> BTreeMap<String, Digest> {
    let to = project.path(name);
    let (iso, folder) = (built.iso(), to.to_str().unwrap());
    let mut arguments = vec!["-osirrox", "on", "-indev", iso.to_str().unwrap()];
    arguments.extend(["-extract", "/", folder]);
    judge("xorriso", "xorriso", &arguments);
    let mut found = BTreeMap::new();
    collect(&to, "", &mut found);
    found
}

fn collect(folder: &Path, path: &str, found: &mut BTreeMap<String, Digest>) {
    for name in names(folder) {
        let on_disk = folder.join(&name);
        let shown = if path == "/isoforge/id" { "*" } else { &name };
        let path = format!("{path}/{shown}");
        if on_disk.is_dir() {
            collect(&on_disk, &path, found);
        } else {
            let bytes = std::fs::read(&on_disk).unwrap();
            // Of equal markers the names tell apart.
            let bytes = if shown == "*" {
                name.into_bytes()
            } else {
                bytes
            };
            found.insert(path, Digest::of(&bytes));
        }
    }
}
