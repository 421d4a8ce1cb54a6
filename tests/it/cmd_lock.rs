//! `isoforge lock` and `pull`, and builds that use a lock.

mod offline;

use std::collections::BTreeMap;
use std::path::Path;

use insta::assert_snapshot;
use isoforge_base::digest::Digest;
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::media::Family;

use crate::support::bootable;
use crate::support::docker_registry::DockerRegistry;
use crate::support::judge;
use crate::support::layers::{compress, index, tar_layer, write_layout};
use crate::support::program::{Outcome, Project, files_below};
use crate::support::registry::FakeRegistry;

/// A registry with the images `os:1`, `kubernetes:1` and `content:1`.
fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start();
    put(&registry, "os", &bootable::os_layer("amd64"));
    put(
        &registry,
        "kubernetes",
        &bootable::kubernetes_layer("amd64"),
    );
    put(&registry, "content", "file a 0644 content");
    registry
}

/// Lets the tag `1` of a repository be an index over an image of this layer.
fn put(registry: &FakeRegistry, repository: &str, layer: &str) {
    let image = bootable::image("amd64", layer);
    registry.put_image(repository, "amd64", &image);
    registry.put_manifest(repository, "1", &index(Family::Oci, &[&image]));
}

/// Moves the tag of the OS to other bytes.
fn move_os(registry: &FakeRegistry) {
    let layer = format!("{}\nfile etc/moved 0644 moved", bootable::os_layer("amd64"));
    put(registry, "os", &layer);
}

/// A project over the images of `registry`.
fn project(registry: &FakeRegistry) -> Project {
    let project = Project::empty();
    let host = registry.host();
    let (os, kubernetes) = (format!("{host}/os:1"), format!("{host}/kubernetes:1"));
    project.write(
        "profile.toml",
        &bootable::profile_of(&["amd64"], &os, &kubernetes),
    );
    project.add_to_profile(&format!(
        "[content]\nimages = [\"{host}/content:1\"]\n[overlays]\nrootfs = [\"overlays/own\"]\n"
    ));
    project.write("overlays/own/etc/own", "own");
    project
}

fn read(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path(path)).unwrap()
}

/// Digests of all outputs, by name.
fn outputs(project: &Project) -> BTreeMap<String, Digest> {
    let dist = project.path("dist");
    files_below(&dist)
        .into_iter()
        .map(|name| {
            let bytes = std::fs::read(dist.join(&name)).unwrap();
            (name, Digest::of(&bytes))
        })
        .collect()
}

fn build(project: &Project, arguments: &[&str]) -> Outcome {
    project.run(&[&["build", "profile.toml"], arguments].concat())
}

#[test]
fn the_lock_names_every_input() {
    let registry = registry();
    let project = project(&registry);
    let archive = compress(
        &tar_layer("file opt/a 0644 a mtime=1714557601"),
        LayerCompression::Zstd,
    );
    std::fs::write(project.path("agent.tar.zst"), archive).unwrap();
    let os = bootable::image("amd64", "file opt/b 0644 b");
    write_layout(&project.path("local"), &[("1", &os.manifest)], &[&os]);
    project.add_to_profile(
        "[[layers]]\narchive = \"agent.tar.zst\"\n[[layers]]\nimage = \"oci:local:1\"\n",
    );
    let outcome = project.run(&["lock", "profile.toml", "--set", "appliance.version=2.0.0"]);
    assert_snapshot!(outcome.all(), @r"
    exit 0
    --- stdout
    isoforge.lock is new: 4 images, 1 file, 0 packages
    --- stderr
    Finding out the inputs
      wrote the lock isoforge.lock
    ");
    assert_snapshot!(read(&project, "isoforge.lock"), @r#"
    # Written by `isoforge lock`. Review it and commit it; do not edit it.
    version = 1
    revision = 0
    profile = "profile.toml"
    inputs = "sha256:[DIGEST]"
    profile_digest = "sha256:[DIGEST]"

    [time]
    epoch = 1714557601
    source = "archive"

    [flags]
    set = ["appliance.version=2.0.0"]

    [[input]]
    kind = "profile"
    path = "profile.toml"
    digest = "sha256:[DIGEST]"

    [[input]]
    kind = "template"
    path = "built-in templates/grub/menu.cfg.tera"
    digest = "sha256:[DIGEST]"

    [[input]]
    kind = "template"
    path = "built-in templates/issue.tera"
    digest = "sha256:[DIGEST]"

    [[input]]
    kind = "cloud-config"
    path = "built-in templates/cloud-config.yaml.tera"
    digest = "sha256:[DIGEST]"

    [[input]]
    kind = "overlay"
    path = "built-in overlays/appliance"
    digest = "sha256:[DIGEST]"

    [[input]]
    kind = "overlay"
    path = "built-in overlays/base"
    digest = "sha256:[DIGEST]"

    [[input]]
    kind = "overlay"
    path = "overlays/own"
    digest = "sha256:[DIGEST]"

    [[input]]
    kind = "program"
    path = "appliance for amd64"
    digest = "sha256:[DIGEST]"

    [[component]]
    kind = "kubernetes"
    name = "pxk-e"
    version = "1.32.3"
    method = "catalog"
    images = []

    [[image]]
    reference = "127.0.0.1:[PORT]/content:1"
    roles = ["content"]
    index = "sha256:[DIGEST]"

    [image.manifests]
    amd64 = "sha256:[DIGEST]"

    [[image]]
    reference = "127.0.0.1:[PORT]/kubernetes:1"
    roles = ["kubernetes"]
    index = "sha256:[DIGEST]"

    [image.manifests]
    amd64 = "sha256:[DIGEST]"

    [[image]]
    reference = "127.0.0.1:[PORT]/os:1"
    roles = ["os"]
    index = "sha256:[DIGEST]"

    [image.manifests]
    amd64 = "sha256:[DIGEST]"

    [[image]]
    reference = "oci:local:1"
    roles = ["layer"]

    [image.manifests]
    amd64 = "sha256:[DIGEST]"

    [[archive]]
    path = "agent.tar.zst"
    digest = "sha256:[DIGEST]"
    size = 86
    roles = ["layer"]
    newest_seconds = 1714557601

    [archive.layer]
    digest = "sha256:[DIGEST]"
    size = 86
    compression = "zstd"
    diff_id = "sha256:[DIGEST]"
    "#);
    // Nothing else was written, and the lock stays as it is.
    let before = read(&project, "isoforge.lock");
    let again = project.run(&["lock", "profile.toml", "--set", "appliance.version=2.0.0"]);
    assert_eq!(
        again.stdout,
        "isoforge.lock is up to date: 4 images, 1 file, 0 packages\n"
    );
    assert_eq!(read(&project, "isoforge.lock"), before);
    assert!(!project.path("dist").exists());
    project.assert_store_sound();
}

#[test]
fn a_tag_that_moves_changes_nothing_under_a_lock() {
    let registry = registry();
    let project = project(&registry);
    project.run(&["lock", "profile.toml"]).assert_exit(0);
    build(&project, &[]).assert_exit(0);
    let first = outputs(&project);
    let lock = read(&project, "isoforge.lock");
    move_os(&registry);
    std::fs::remove_dir_all(project.cache()).unwrap();
    std::fs::remove_dir_all(project.path("dist")).unwrap();
    build(&project, &["--locked"]).assert_exit(0);
    assert_eq!(outputs(&project), first);
    assert_eq!(
        registry.count("/os/manifests/1"),
        1,
        "the tag is asked once"
    );
    build(&project, &[]).assert_exit(0);
    assert_eq!(outputs(&project), first);
    assert_eq!(read(&project, "isoforge.lock"), lock);
    // Names in outputs are the profile's, without digests.
    let manifest = read(&project, "dist/tiny-1.0.0/manifest.json");
    assert!(manifest.contains(&format!("\"reference\": \"{}/os:1\"", registry.host())));
    assert!(!manifest.contains(":1@sha256:"));
    // Without the lock the new image is built.
    std::fs::remove_file(project.path("isoforge.lock")).unwrap();
    build(&project, &[]).assert_exit(0);
    assert_ne!(outputs(&project), first);
}

#[test]
fn drift_of_each_kind_is_refused_with_its_name() {
    let registry = registry();
    let project = project(&registry);
    let image = |text: &str| bootable::image("amd64", text);
    let layout = |text: &str| {
        let image = image(text);
        write_layout(&project.path("local"), &[("1", &image.manifest)], &[&image]);
    };
    layout("file opt/b 0644 b");
    let archive = |text: &str| std::fs::write(project.path("agent.tar"), tar_layer(text)).unwrap();
    archive("file opt/a 0644 a");
    project.write("templates/issue.tera", "banner\n");
    project.write("cloud-config.yaml", "#cloud-config\n");
    project.add_to_profile(
        "[[layers]]\narchive = \"agent.tar\"\n[[layers]]\nimage = \"oci:local:1\"\n\
         [cloud_config]\nfile = \"cloud-config.yaml\"\n",
    );
    project.run(&["lock", "profile.toml"]).assert_exit(0);
    let lock = read(&project, "isoforge.lock");
    let profile = read(&project, "profile.toml");
    let asked = registry.requests().len();
    let mut said = Vec::new();
    let mut refused = |arguments: &[&str]| {
        let outcome = build(&project, &[&["--locked"], arguments].concat());
        outcome.assert_exit(7);
        said.push(outcome.error());
        assert!(!project.path("dist").exists(), "nothing is written");
        assert_eq!(read(&project, "isoforge.lock"), lock);
        assert_eq!(registry.requests().len(), asked, "nobody is asked");
    };
    refused(&["--set", "appliance.version=3.0.0"]);
    project.write("overlays/own/etc/own", "other");
    refused(&[]);
    project.write("overlays/own/etc/own", "own");
    project.write("templates/issue.tera", "other banner\n");
    refused(&[]);
    project.write("templates/issue.tera", "banner\n");
    project.write("cloud-config.yaml", "#cloud-config\nhostname: x\n");
    refused(&[]);
    project.write("cloud-config.yaml", "#cloud-config\n");
    archive("file opt/a 0644 other");
    refused(&[]);
    archive("file opt/a 0644 a");
    layout("file opt/b 0644 other");
    refused(&[]);
    layout("file opt/b 0644 b");
    let host = registry.host();
    project.change_profile(&format!("{host}/content:1"), &format!("{host}/content:2"));
    refused(&[]);
    project.write("profile.toml", &profile);
    assert_snapshot!(said.join("\n"), @"
    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      --set: none → 'appliance.version=3.0.0'
    hint: where these changes are meant, run `isoforge lock` and commit the file

    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      overlays/own: sha256:[DIGEST] → sha256:[DIGEST]
    hint: where these changes are meant, run `isoforge lock` and commit the file

    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      templates/issue.tera: sha256:[DIGEST] → sha256:[DIGEST]
    hint: where these changes are meant, run `isoforge lock` and commit the file

    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      cloud-config.yaml: sha256:[DIGEST] → sha256:[DIGEST]
    hint: where these changes are meant, run `isoforge lock` and commit the file

    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      agent.tar: sha256:[DIGEST] → sha256:[DIGEST]
    hint: where these changes are meant, run `isoforge lock` and commit the file

    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      oci:local:1: manifest for amd64 moved from sha256:[DIGEST] to sha256:[DIGEST]
    hint: where these changes are meant, run `isoforge lock` and commit the file

    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      profile.toml: sha256:[DIGEST] → sha256:[DIGEST]
      127.0.0.1:[PORT]/content:1: gone, only in the lock
      127.0.0.1:[PORT]/content:2: new, not in the lock
    hint: where these changes are meant, run `isoforge lock` and commit the file
    ");
    build(&project, &["--locked"]).assert_exit(0);
}

#[test]
fn check_says_whether_the_lock_would_change() {
    let registry = registry();
    let project = project(&registry);
    let check = || project.run(&["lock", "profile.toml", "--check"]);
    assert_snapshot!(check().error(), @"
    exit 7
    error: there is no lock file 'isoforge.lock'
    hint: write one with `isoforge lock`
    ");
    project.run(&["lock", "profile.toml"]).assert_exit(0);
    check().assert_exit(0);
    let lock = read(&project, "isoforge.lock");
    move_os(&registry);
    check().assert_exit(0);
    let moved = project.run(&["lock", "profile.toml", "--check", "--upgrade"]);
    assert_snapshot!(moved.error(), @"
    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      127.0.0.1:[PORT]/os:1: manifest for amd64 moved from sha256:[DIGEST] to sha256:[DIGEST]
    hint: where these changes are meant, run `isoforge lock` and commit the file
    ");
    assert_eq!(read(&project, "isoforge.lock"), lock);
}

#[test]
fn one_input_is_upgraded_and_the_others_stay() {
    let registry = registry();
    let project = project(&registry);
    project.run(&["lock", "profile.toml"]).assert_exit(0);
    let digest_of = |name: &str| {
        let lock: toml::Table = read(&project, "isoforge.lock").parse().unwrap();
        let images = lock["image"].as_array().unwrap().clone();
        let image = images.iter().find(|image| {
            let reference = image["reference"].as_str().unwrap();
            reference.ends_with(name)
        });
        image.unwrap()["index"].as_str().unwrap().to_owned()
    };
    let before = (digest_of("/os:1"), digest_of("/content:1"));
    move_os(&registry);
    put(&registry, "content", "file a 0644 moved");
    let upgrade = |name: &str| project.run(&["lock", "profile.toml", "--upgrade", name]);
    upgrade(&format!("{}/content", registry.host())).assert_exit(0);
    assert_eq!(digest_of("/os:1"), before.0);
    assert_ne!(digest_of("/content:1"), before.1);
    assert_snapshot!(upgrade("nothing").error(), @"
    exit 2
    error: the profile has no input named 'nothing'
    hint: its inputs that can move: 127.0.0.1:[PORT]/content:1, 127.0.0.1:[PORT]/kubernetes:1, 127.0.0.1:[PORT]/os:1
    ");
    project
        .run(&["lock", "profile.toml", "--upgrade"])
        .assert_exit(0);
    assert_ne!(digest_of("/os:1"), before.0);
}

#[test]
fn a_changed_profile_keeps_the_pins_of_what_it_still_names() {
    let registry = registry();
    let project = project(&registry);
    build(&project, &[]).assert_exit(0);
    move_os(&registry);
    put(&registry, "more", "file opt/more 0644 more");
    project.add_to_profile(&format!(
        "[[layers]]\nimage = \"{}/more:1\"\n",
        registry.host()
    ));
    let outcome = build(&project, &[]);
    assert_snapshot!(outcome.stderr, @r"
    Gathering inputs
      lock: profile.toml: sha256:[DIGEST] → sha256:[DIGEST]
      lock: 127.0.0.1:[PORT]/more:1: new, not in the lock
      wrote the lock isoforge.lock
    Building the ISO for amd64
    Building the system with Kubernetes 1.32.3 for amd64
    Building the provider image
    Done in [TIME]
      Gathering inputs [TIME]
      Building the ISO for amd64 [TIME]
      Compressing layers [TIME]
      Building the system with Kubernetes 1.32.3 for amd64 [TIME]
      Building the provider image [TIME]
      blobs: 12 from the store ( [SIZE]), 4 downloaded ( [SIZE])
      layers: 1 compressed ( [SIZE]), 6 compressed before ( [SIZE])
      to look into it: isoforge inspect dist/tiny-1.0.0
      to boot it: qemu-system-x86_64 -machine q35 -m 4096 -cdrom dist/tiny-1.0.0/tiny-1.0.0.iso
    ");
    assert_eq!(registry.count("/os/manifests/1"), 1);
    assert_eq!(registry.count("/more/manifests/1"), 1);
    build(&project, &["--locked"]).assert_exit(0);
}

#[test]
fn each_of_two_profiles_in_a_folder_has_its_lock() {
    let project = Project::bootable();
    build(&project, &[]).assert_exit(0);
    std::fs::copy(project.path("profile.toml"), project.path("second.toml")).unwrap();
    let second = ["build", "second.toml", "--output", "other"];
    project.run(&second).assert_exit(0);
    assert!(project.path("second.isoforge.lock").exists());
    project
        .run(&[&second[..], &["--locked"]].concat())
        .assert_exit(0);
    build(&project, &["--locked"]).assert_exit(0);
    let outcome = project.run(&[&second[..], &["--lock", "isoforge.lock"]].concat());
    assert_snapshot!(outcome.error(), @"
    exit 2
    error: the lock file 'isoforge.lock' was made for the profile 'profile.toml', not for 'second.toml'
    hint: name another file with --lock
    ");
}

#[test]
fn a_lock_that_cannot_be_read_or_written_is_told() {
    let project = Project::bootable();
    let mut said = Vec::new();
    let mut fails = |arguments: &[&str], code| {
        let outcome = build(&project, arguments);
        outcome.assert_exit(code);
        said.push(outcome.error());
        assert!(!project.path("dist").exists(), "nothing is written");
    };
    fails(&["--lock", "none/isoforge.lock"], 6);
    fails(&["--locked"], 7);
    project.write("isoforge.lock", "version = 9\nprofile = \"profile.toml\"\n");
    fails(&[], 2);
    project.write("isoforge.lock", "<<<<<<< HEAD\n");
    fails(&[], 2);
    std::fs::remove_file(project.path("isoforge.lock")).unwrap();
    project.run(&["lock", "profile.toml"]).assert_exit(0);
    let newer = read(&project, "isoforge.lock").replace("revision = 0", "revision = 5");
    project.write("isoforge.lock", &newer);
    project.write("templates/issue.tera", "banner\n");
    fails(&[], 2);
    std::fs::remove_file(project.path("templates/issue.tera")).unwrap();
    build(&project, &["--locked"]).assert_exit(0);
    assert_eq!(read(&project, "isoforge.lock"), newer);
    assert_snapshot!(said.join("\n"), @r#"
    exit 6
    error: the lock file 'none/isoforge.lock' can't be written
      caused by: failed to open file `none`: No such file or directory (os error 2)
    hint: name a file in a folder that can be written with --lock

    exit 7
    error: there is no lock file 'isoforge.lock'
    hint: write one with `isoforge lock`

    exit 2
    error: 'isoforge.lock' is a lock file of version 9; this isoforge reads version 1
    hint: use a newer isoforge, or remove the file and lock anew

    exit 2
    error: 'isoforge.lock' is no sound lock file: line 1: key with no value, expected `=`
    hint: restore it from version control, or remove it and lock anew

    exit 2
    error: 'isoforge.lock' is a lock file of revision 5, of which this isoforge knows 0; writing it would lose what is new in it
    hint: use a newer isoforge to change this lock
    "#);
}

#[test]
fn source_date_epoch_wins_and_is_not_in_the_lock() {
    let project = Project::bootable();
    let mut command = project.command(&["build", "profile.toml"]);
    command.env("SOURCE_DATE_EPOCH", "1000");
    Outcome::of(command.output().unwrap()).assert_exit(0);
    let manifest = read(&project, "dist/tiny-1.0.0/manifest.json");
    assert!(manifest.contains("\"seconds\": 1000"), "{manifest}");
    let lock: toml::Table = read(&project, "isoforge.lock").parse().unwrap();
    assert_eq!(lock["time"]["epoch"].as_integer(), Some(1_714_557_600));
    build(&project, &["--locked"]).assert_exit(0);
}

/// Writes GRUB's modules for BIOS of this machine as an archive.
fn write_modules(path: &Path) {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all("usr/lib/grub/i386-pc", "/usr/lib/grub/i386-pc")
        .expect("GRUB's BIOS modules are needed (Debian package grub-pc-bin)");
    std::fs::write(path, tar.into_inner().unwrap()).unwrap();
}

#[test]
fn a_core_image_that_the_host_makes_is_locked() {
    let project = Project::empty();
    bootable::write_sources(&project.path(""), &["amd64"]);
    let without = bootable::os_layer("amd64")
        .lines()
        .filter(|line| !line.contains("isoforge/i386-pc/"))
        .collect::<Vec<_>>()
        .join("\n");
    bootable::write_image(&project.path("os"), &[&bootable::image("amd64", &without)]);
    project.write("profile.toml", &bootable::profile(&["amd64"]));
    write_modules(&project.path("modules.tar"));
    project.add_to_profile("[[layers]]\narchive = \"modules.tar\"\n");
    project.run(&["lock", "profile.toml"]).assert_exit(0);
    let lock = read(&project, "isoforge.lock");
    for of in [
        "arch = \"amd64\"\nkey",
        "arch = \"amd64\"\ntarget = \"disk\"\nkey",
    ] {
        assert!(lock.contains(&format!("[[core_image]]\n{of}")), "{lock}");
    }
    build(&project, &["--locked"]).assert_exit(0);
    // A build finds the same, and writes it into a lock that lacks it.
    let at = lock.find("[[core_image]]").unwrap();
    project.write("isoforge.lock", &format!("{}\n", lock[..at].trim_end()));
    let outcome = build(&project, &["--locked"]);
    outcome.assert_exit(7);
    for of in ["amd64", "disks of amd64"] {
        let told = format!("GRUB core image for {of}: new");
        assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
    }
    build(&project, &[]).assert_exit(0);
    assert_eq!(read(&project, "isoforge.lock"), lock);
}

#[test]
fn a_real_registry_keeps_what_the_lock_names_after_the_tag_moved() {
    let project = Project::bootable();
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(folder.path(), false);
    let push = |layout: &str, name: &str| {
        let from = format!("oci:{}:latest", project.path(layout).display());
        let to = format!("docker://{}/{name}:1", registry.host);
        judge(
            "skopeo",
            "skopeo",
            &["copy", "--all", "--dest-tls-verify=false", &from, &to],
        );
    };
    push("os", "os");
    push("kubernetes", "kubernetes");
    let text = bootable::profile_of(
        &["amd64"],
        &format!("{}/os:1", registry.host),
        &format!("{}/kubernetes:1", registry.host),
    );
    project.write("profile.toml", &text);
    project.run(&["lock", "profile.toml"]).assert_exit(0);
    build(&project, &["--locked"]).assert_exit(0);
    let first = outputs(&project);
    push("kubernetes", "os");
    std::fs::remove_dir_all(project.cache()).unwrap();
    build(&project, &["--locked"]).assert_exit(0);
    assert_eq!(outputs(&project), first);
}
