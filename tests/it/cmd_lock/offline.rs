//! Builds without a network.

use super::*;

#[test]
fn what_an_offline_build_lacks_is_listed_at_once() {
    let registry = registry();
    let project = project(&registry);
    let outcome = build(&project, &["--offline"]);
    assert_snapshot!(outcome.error(), @"
    exit 7
    error: there is no lock file 'isoforge.lock'
    hint: write one with `isoforge lock`
    ");
    project.run(&["lock", "profile.toml"]).assert_exit(0);
    // BIOS is wanted, so the OS was looked into; the content was not pulled.
    let asked = registry.requests().len();
    let outcome = build(&project, &["--offline"]);
    assert_snapshot!(outcome.error(), @"
    exit 4
    error: the store lacks what the lock names, and no connection may be opened:
      127.0.0.1:[PORT]/content:1 for amd64: sha256:[DIGEST] ([N] bytes)
      127.0.0.1:[PORT]/content:1 for amd64: sha256:[DIGEST] ([N] bytes)
    hint: fill the store with `isoforge pull` where there is a network, or with `isoforge cache import`
    ");
    std::fs::remove_dir_all(project.cache()).unwrap();
    let outcome = build(&project, &["--offline", "--locked"]);
    assert_snapshot!(outcome.error(), @"
    exit 4
    error: the store lacks what the lock names, and no connection may be opened:
      127.0.0.1:[PORT]/content:1 for amd64: the manifest of 127.0.0.1:[PORT]/content:1@sha256:[DIGEST]
      127.0.0.1:[PORT]/kubernetes:1 for amd64: the manifest of 127.0.0.1:[PORT]/kubernetes:1@sha256:[DIGEST]
      127.0.0.1:[PORT]/os:1 for amd64: the manifest of 127.0.0.1:[PORT]/os:1@sha256:[DIGEST]
    hint: fill the store with `isoforge pull` where there is a network, or with `isoforge cache import`
    ");
    assert_eq!(registry.requests().len(), asked);
    assert!(!project.path("dist").exists());
}

#[test]
fn a_pulled_profile_builds_without_any_connection() {
    let registry = registry();
    let project = project(&registry);
    let outcome = project.run(&["pull", "profile.toml"]);
    assert_snapshot!(outcome.all(), @"
    exit 0
    --- stdout
    isoforge.lock is in the store: 3 images, 0 files, 0 packages
    --- stderr
    Gathering inputs
      wrote the lock isoforge.lock
    ");
    let asked = registry.requests().len();
    build(&project, &["--offline", "--locked"]).assert_exit(0);
    assert_eq!(registry.requests().len(), asked);
    let offline = outputs(&project);
    std::fs::remove_dir_all(project.path("dist")).unwrap();
    std::fs::remove_dir_all(project.cache()).unwrap();
    build(&project, &["--locked"]).assert_exit(0);
    assert_eq!(outputs(&project), offline);
    // A changed overlay is nothing that a connection is needed for.
    project.write("overlays/own/etc/own", "other");
    build(&project, &["--offline"]).assert_exit(0);
    project.add_to_profile("[[layers]]\nimage = \"127.0.0.1:1/other:1\"\n");
    assert_snapshot!(build(&project, &["--offline"]).error(), @"
    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      127.0.0.1:[PORT]/other:1: new, not in the lock
    hint: where these changes are meant, run `isoforge lock` and commit the file
    ");
    let pull = project.run(&["pull", "profile.toml", "--locked"]);
    pull.assert_exit(7);
}

#[test]
fn local_images_and_archives_may_be_in_the_store_alone() {
    let project = Project::bootable();
    std::fs::write(project.path("agent.tar"), tar_layer("file opt/a 0644 a")).unwrap();
    project.add_to_profile("[[layers]]\narchive = \"agent.tar\"\n");
    build(&project, &[]).assert_exit(0);
    let first = outputs(&project);
    for name in ["os", "kubernetes"] {
        std::fs::remove_dir_all(project.path(name)).unwrap();
    }
    std::fs::remove_file(project.path("agent.tar")).unwrap();
    build(&project, &["--offline", "--locked"]).assert_exit(0);
    assert_eq!(outputs(&project), first);
}
