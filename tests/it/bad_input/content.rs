//! Content that a profile asks for and that its registry has no more, or otherwise.

use insta::assert_snapshot;
use isoforge_base::digest::Digest;
use isoforge_oci::media::Family;

use super::{builds_again, failed};
use crate::support::bootable;
use crate::support::layers::index;
use crate::support::program::Project;
use crate::support::registry::{FakeRegistry, Fault};

/// More often than the program tries.
const ALWAYS: usize = 100;

/// Lets the tag `1` of the repository `net` be an index over an image with this file;
/// gives the index's digest.
fn put(registry: &FakeRegistry, text: &str) -> Digest {
    let image = bootable::image("amd64", &format!("file net 0644 {text}"));
    let index = index(Family::Oci, &[&image]);
    registry.put_image("net", "amd64", &image);
    registry.put_manifest("net", "1", &index);
    index.digest()
}

/// A project whose CNI is a manifest that needs the tag `tag` of `net`.
fn project(registry: &FakeRegistry, tag: &str) -> Project {
    let project = Project::bootable();
    let host = registry.host();
    project.write(
        "net.yaml",
        &format!("kind: Pod\nspec: {{containers: [{{image: \"{host}/net:{tag}\"}}]}}\n"),
    );
    project.add_to_profile("[cni]\nname = \"mine\"\nversion = \"1\"\nmanifests = [\"net.yaml\"]\n");
    project
}

#[test]
fn an_image_of_a_manifest_that_its_registry_does_not_have() {
    let registry = FakeRegistry::start();
    put(&registry, "one");
    let project = project(&registry, "2");
    let outcome = project.run(&["lock", "profile.toml"]);
    assert!(!project.path("isoforge.lock").exists());
    let bundle = project.run(&["bundle", "build", "profile.toml"]);
    assert_eq!(bundle.error(), outcome.error());
    assert_eq!(failed(&project, &[]), outcome.error());
    assert_snapshot!(outcome.error(), @r"
    exit 4
    error: an image of cni mine 1 can't be had
      caused by: 127.0.0.1:[PORT]/net:2 can't be pulled
      caused by: http://127.0.0.1:[PORT]/v2/net/manifests/2: not found, the registry says MANIFEST_UNKNOWN: as told
    hint: check the image's name and tag
    ");
    builds_again(&project);
}

#[test]
fn an_image_whose_tag_moved_since_the_lock() {
    let registry = FakeRegistry::start();
    let locked = put(&registry, "one");
    let project = project(&registry, "1");
    project.run(&["lock", "profile.toml"]).assert_exit(0);
    let moved = put(&registry, "two");
    let content = |project: &Project| {
        project
            .run(&["build", "profile.toml", "--locked"])
            .assert_exit(0);
        let inspected = project.run(&["inspect", "dist/tiny-1.0.0/tiny-1.0.0.iso"]);
        inspected.stdout
    };
    assert!(content(&project).contains(&locked.to_string()));
    let bundle = [
        "bundle",
        "build",
        "profile.toml",
        "--locked",
        "--as",
        "dir",
        "--output",
        "b",
    ];
    project.run(&bundle).assert_exit(0);
    let list = std::fs::read_to_string(project.path("b/tiny-1.0.0/index.json"));
    assert!(!list.unwrap().contains(&moved.to_string()));
    // Its registry has thrown away what the lock names: nothing else is taken.
    std::fs::remove_dir_all(project.cache()).unwrap();
    let gone = format!("/manifests/{locked}");
    registry.fault(&gone, ALWAYS, Fault::Status(404, ""));
    assert_snapshot!(failed(&project, &["--locked"]), @r"
    exit 4
    error: an image of cni mine 1 can't be had
      caused by: 127.0.0.1:[PORT]/net:1@sha256:[DIGEST] can't be pulled
      caused by: http://127.0.0.1:[PORT]/v2/net/manifests/sha256:[DIGEST]: not found, the registry says TOLD_TO: as told
    hint: check the image's name and tag
    ");
    // The new one is taken by who asks for it.
    let upgrade = format!("{}/net:1", registry.host());
    let outcome = project.run(&["lock", "profile.toml", "--upgrade", &upgrade]);
    outcome.assert_exit(0);
    assert!(content(&project).contains(&moved.to_string()));
}
