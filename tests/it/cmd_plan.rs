//! `isoforge plan`: what a build would do, and that it costs nothing.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use serde_json::Value;

use isoforge_oci::media::Family;

use crate::support::bootable;
use crate::support::layers::index;
use crate::support::program::{Project, files_below};
use crate::support::registry::FakeRegistry;

fn project(registry: &FakeRegistry) -> Project {
    for (name, layer) in [
        ("os", bootable::os_layer("amd64")),
        ("kubernetes", bootable::kubernetes_layer("amd64")),
        ("content", "file a 0644 a".to_owned()),
    ] {
        let image = bootable::image("amd64", &layer);
        registry.put_image(name, "amd64", &image);
        registry.put_manifest(name, "1", &index(Family::Oci, &[&image]));
    }
    let project = Project::empty();
    let host = registry.host();
    let (os, kubernetes) = (format!("{host}/os:1"), format!("{host}/kubernetes:1"));
    project.write(
        "profile.toml",
        &bootable::profile_of(&["amd64"], &os, &kubernetes),
    );
    project.add_to_profile(&format!("[content]\nimages = [\"{host}/content:1\"]\n"));
    project
}

fn plan(project: &Project) -> String {
    let outcome = project.run(&["plan", "profile.toml"]);
    outcome.assert_exit(0);
    outcome.stdout
}

fn json(project: &Project) -> Value {
    let outcome = project.run(&["plan", "profile.toml", "--format", "json"]);
    outcome.assert_exit(0);
    outcome.json()
}

#[test]
fn a_plan_costs_manifests_and_configurations_alone() {
    let registry = FakeRegistry::start();
    let project = project(&registry);
    assert_snapshot!(plan(&project), @"
    tiny 1.0.0
    no lock: isoforge.lock would be written
    inputs:
     [SIZE]  to be pulled  127.0.0.1:[PORT]/os:1 (amd64)
     [SIZE]  to be pulled  127.0.0.1:[PORT]/kubernetes:1 (amd64)
     [SIZE]  to be pulled  127.0.0.1:[PORT]/content:1 (amd64)
    to be compressed:
     [SIZE]  [SHORT]  127.0.0.1:[PORT]/os:1
     [SIZE]  [SHORT]  127.0.0.1:[PORT]/kubernetes:1
    to be written:
      tiny-1.0.0.iso
      tiny-1.0.0-provider.oci.tar
      registry.example/edge/tiny:pxk-e-1.32.3-1.0.0
     [SIZE] to pull, [SIZE] from the store, [SIZE] to compress
    at most [SIZE] for the store at [DIR]/cache/isoforge
    at most [SIZE] for the output at dist/tiny-1.0.0
    ");
    // One configuration of each image whose layers become a system; of content
    // the manifests alone.
    let blobs = |name: &str| registry.count(&format!("/{name}/blobs/"));
    assert_eq!(
        (blobs("os"), blobs("kubernetes"), blobs("content")),
        (1, 1, 0)
    );
    assert_eq!(files_below(&project.path("")), ["profile.toml"]);
    let first = json(&project);
    assert_eq!(first["locked"], false);
    assert!(first["pull_bytes"].as_u64().unwrap() > 0);
    assert_eq!(first["compress"].as_array().unwrap().len(), 2);

    project.build();
    let asked = registry.requests().len();
    assert_snapshot!(plan(&project), @"
    tiny 1.0.0
    isoforge.lock is up to date
    inputs:
     [SIZE]  in the store  127.0.0.1:[PORT]/os:1 (amd64)
     [SIZE]  in the store  127.0.0.1:[PORT]/kubernetes:1 (amd64)
     [SIZE]  in the store  127.0.0.1:[PORT]/content:1 (amd64)
    to be written:
      tiny-1.0.0.iso
      tiny-1.0.0-provider.oci.tar
      registry.example/edge/tiny:pxk-e-1.32.3-1.0.0
     [SIZE] to pull, [SIZE] from the store, [SIZE] to compress
    at most [SIZE] for the store at [DIR]/cache/isoforge
    at most [SIZE] for the output at dist/tiny-1.0.0
    ");
    let after = json(&project);
    assert_eq!(after["pull_bytes"], 0);
    let sum = |plan: &Value| {
        plan["pull_bytes"].as_u64().unwrap() + plan["reused_bytes"].as_u64().unwrap()
    };
    assert!(sum(&after) >= sum(&first));
    assert_eq!(
        registry.requests().len(),
        asked,
        "a locked profile asks nobody"
    );
}

#[test]
fn a_plan_says_what_moved_since_the_lock() {
    let project = Project::bootable();
    project.write("agent/usr/bin/agent", "agent");
    project.add_to_profile("[[layers]]\nfolder = \"agent\"\n");
    project.run(&["lock", "profile.toml"]).assert_exit(0);
    let lock = std::fs::read(project.path("isoforge.lock")).unwrap();
    project.write("agent/usr/bin/agent", "other");
    let image = bootable::image("amd64", "file usr/bin/kubelet 0755 other");
    bootable::write_image(&project.path("kubernetes"), &[&image]);
    assert_snapshot!(plan(&project), @"
    tiny 1.0.0
    isoforge.lock would change:
      agent: sha256:[DIGEST] → sha256:[DIGEST]
      oci:kubernetes: manifest for amd64 moved from sha256:[DIGEST] to sha256:[DIGEST]
    inputs:
     [SIZE]  in the store  oci:os (amd64)
     [SIZE]  to be read    oci:kubernetes (amd64)
    to be compressed:
     [SIZE]  [SHORT]  oci:os
     [SIZE]  [SHORT]  oci:kubernetes
    to be written:
      tiny-1.0.0.iso
      tiny-1.0.0-provider.oci.tar
      registry.example/edge/tiny:pxk-e-1.32.3-1.0.0
     [SIZE] to pull, [SIZE] from the store, [SIZE] to compress
    at most [SIZE] for the store at [DIR]/cache/isoforge
    at most [SIZE] for the output at dist/tiny-1.0.0
    ");
    let after = std::fs::read(project.path("isoforge.lock")).unwrap();
    assert_eq!(after, lock, "a plan writes no lock");
}

/// Every key of the JSON, paths with dots, lists by their entries.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                found.insert(path.clone());
                keys(value, &path, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| keys(value, path, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_json_is_documented() {
    let project = Project::bootable();
    project.run(&["lock", "profile.toml"]).assert_exit(0);
    project.write("templates/issue.tera", "banner\n");
    let mut found = BTreeSet::new();
    keys(&json(&project), "", &mut found);
    assert!(found.contains("changes.input"), "{found:?}");
    let documented = include_str!("../../docs/plan.md");
    for key in found {
        assert!(documented.contains(&format!("`{key}`")), "{key}");
    }
}
