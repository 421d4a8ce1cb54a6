//! Packs, charts and manifests of a profile: what the lock records, and that a
//! build takes it from there.

use insta::assert_snapshot;
use isoforge_base::digest::Digest;

use super::chart;
use super::setup::{STORE, add_web, has_helm, installer_config, lock, pod, start, write_pack};
use crate::support::judge;
use crate::support::program::Project;

/// The lock's components and charts.
fn sections(project: &Project) -> String {
    let text = std::fs::read_to_string(project.path("isoforge.lock")).unwrap();
    let wanted = [
        "[[component]]",
        "[[chart]]",
        "kind = \"pack\"",
        "kind = \"manifest\"",
        "kind = \"chart\"",
    ];
    text.split("\n\n")
        .filter(|part| wanted.iter().any(|word| part.contains(word)))
        .collect::<Vec<_>>()
        .join("\n\n")
}

#[test]
fn the_lock_names_packs_manifests_and_how_images_were_found() {
    let (_registry, host, project) = start(&["listed", "needed", "other", "net"]);
    write_pack(&project, "packs/store", &host, &["listed"]);
    project.write("manifests/net.yaml", &pod(&host, "net"));
    project.add_to_profile(&format!(
        "[cni]\nname = \"mine\"\nversion = \"1\"\nmanifests = [\"manifests\"]\n\
         {STORE}[content]\npacks = [\"packs/store\"]\n",
    ));
    lock(&project, &[]).assert_exit(0);
    assert_snapshot!(sections(&project), @r#"
    [[input]]
    kind = "pack"
    path = "packs/store"
    digest = "sha256:[DIGEST]"

    [[input]]
    kind = "manifest"
    path = "manifests/net.yaml"
    digest = "sha256:[DIGEST]"

    [[component]]
    kind = "kubernetes"
    name = "pxk-e"
    version = "1.32.3"
    method = "catalog"
    images = []

    [[component]]
    kind = "cni"
    name = "mine"
    version = "1"
    method = "manifests"
    searched = "sha256:[DIGEST]"
    images = ["127.0.0.1:[PORT]/net:1"]

    [[component]]
    kind = "csi"
    name = "store"
    version = "1.0.0"
    method = "manifests"
    searched = "sha256:[DIGEST]"
    images = [
        "127.0.0.1:[PORT]/listed:1",
        "127.0.0.1:[PORT]/needed:1",
    ]

    [[component]]
    kind = "content"
    name = "store"
    version = "1.0.0"
    method = "manifests"
    searched = "sha256:[DIGEST]"
    images = [
        "127.0.0.1:[PORT]/listed:1",
        "127.0.0.1:[PORT]/needed:1",
    ]
    "#);
    // The preset is another list.
    project.change_profile(
        "pack = \"packs/store\"\n",
        "pack = \"packs/store\"\npresets = [\"other\"]\n",
    );
    let outcome = lock(&project, &[]);
    outcome.assert_exit(0);
    assert_snapshot!(outcome.stderr, @r"
    Finding out the inputs
      lock: profile.toml: sha256:[DIGEST] → sha256:[DIGEST]
      lock: csi store 1.0.0: list of images moved from 127.0.0.1:[PORT]/listed:1, 127.0.0.1:[PORT]/needed:1 to 127.0.0.1:[PORT]/needed:1, 127.0.0.1:[PORT]/other:1
      lock: 127.0.0.1:[PORT]/other:1: new, not in the lock
      wrote the lock isoforge.lock
    ");
}

#[test]
fn a_build_takes_the_list_from_the_lock_and_a_changed_manifest_is_drift() {
    let (_registry, host, project) = start(&["net", "more"]);
    project.write("net.yaml", &pod(&host, "net"));
    project.add_to_profile("[cni]\nname = \"mine\"\nversion = \"1\"\nmanifests = [\"net.yaml\"]\n");
    lock(&project, &[]).assert_exit(0);
    project
        .run(&["build", "profile.toml", "--locked"])
        .assert_exit(0);
    let outcome = project.run(&["inspect", "dist/tiny-1.0.0", "--format", "json"]);
    assert!(
        outcome.stdout.contains(&format!("{host}/net:1")),
        "{}",
        outcome.stdout
    );
    project.write(
        "net.yaml",
        &format!("{}---\n{}", pod(&host, "net"), pod(&host, "more")),
    );
    let outcome = project.run(&["build", "profile.toml", "--locked"]);
    outcome.assert_exit(7);
    assert_snapshot!(outcome.error(), @r"
    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      net.yaml: sha256:[DIGEST] → sha256:[DIGEST]
      cni mine 1: list of images moved from 127.0.0.1:[PORT]/net:1 to 127.0.0.1:[PORT]/more:1, 127.0.0.1:[PORT]/net:1
      127.0.0.1:[PORT]/more:1: new, not in the lock
    hint: where these changes are meant, run `isoforge lock` and commit the file
    ");
    project.write("net.yaml", "kind: [Pod\n");
    let outcome = project.run(&["validate", "profile.toml"]);
    outcome.assert_exit(2);
    assert_snapshot!(outcome.error(), @r"
    exit 2
    error: net.yaml:1:7: unclosed bracket '['
    ");
}

#[test]
fn a_chart_that_nobody_vouches_for_is_taken_only_if_asked() {
    if has_helm() {
        return;
    }
    let (_registry, host, project) = start(&["web"]);
    let archive = chart(
        "web",
        "1.2.3",
        &format!("image: {{repository: {host}/web, tag: 1}}\n"),
    );
    add_web(&project, &archive, "");
    let outcome = lock(&project, &[]);
    outcome.assert_exit(2);
    assert_snapshot!(outcome.error(), @r"
    exit 2
    error: the images of addon web 1.2.3 are not certain:
        web.tgz: it was not rendered by Helm, only its values were looked at
    hint: install Helm, list the images in the pack or with 'images' in the profile, or take what was found with --accept-scan
    ");
    lock(&project, &["--accept-scan"]).assert_exit(0);
    assert_snapshot!(sections(&project), @r#"
    [[input]]
    kind = "chart"
    path = "web.tgz"
    digest = "sha256:[DIGEST]"

    [[component]]
    kind = "kubernetes"
    name = "pxk-e"
    version = "1.32.3"
    method = "catalog"
    images = []

    [[component]]
    kind = "addon"
    name = "web"
    version = "1.2.3"
    method = "scan"
    searched = "sha256:[DIGEST]"
    images = ["127.0.0.1:[PORT]/web:1"]
    "#);
    // What was accepted once holds as long as the chart is the same.
    lock(&project, &["--check"]).assert_exit(0);
    let other = chart(
        "web",
        "1.2.3",
        &format!("image: {{repository: {host}/web, tag: 1}}\na: 1\n"),
    );
    std::fs::write(project.path("web.tgz"), other).unwrap();
    lock(&project, &[]).assert_exit(2);
}

#[test]
fn a_chart_of_a_repository_is_pinned_and_one_that_moved_is_refused() {
    if has_helm() {
        return;
    }
    let (registry, host, project) = start(&["web"]);
    let values = format!("image: {{repository: {host}/web, tag: 1}}\n");
    let archive = chart("web", "1.2.3", &values);
    let serve = |path: &str, bytes: &[u8]| {
        let blob = crate::support::layers::Blob::new("application/octet-stream", bytes.to_vec());
        registry.put_at(path, &blob);
    };
    let index = "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n";
    serve("/charts/index.yaml", index.as_bytes());
    serve("/charts/web.tgz", &archive);
    project.add_to_profile(&format!(
        "[[addons]]\nname = \"web\"\nversion = \"1.2.3\"\nchart = \"http://{host}/charts#web:1.2.3\"\n"
    ));
    lock(&project, &["--accept-scan"]).assert_exit(0);
    assert_snapshot!(sections(&project), @r#"
    [[component]]
    kind = "kubernetes"
    name = "pxk-e"
    version = "1.32.3"
    method = "catalog"
    images = []

    [[component]]
    kind = "addon"
    name = "web"
    version = "1.2.3"
    method = "scan"
    searched = "sha256:[DIGEST]"
    images = ["127.0.0.1:[PORT]/web:1"]

    [[chart]]
    source = "http://127.0.0.1:[PORT]/charts#web:1.2.3"
    digest = "sha256:[DIGEST]"
    "#);
    let text = std::fs::read_to_string(project.path("isoforge.lock")).unwrap();
    assert!(text.contains(&Digest::of(&archive).to_string()));
    // Out of the store, the repository is not asked again.
    let asked = registry.count("/charts/");
    lock(&project, &["--check"]).assert_exit(0);
    assert_eq!(registry.count("/charts/"), asked);
    // Published anew under the same name: seen by who looks for it.
    let newer = chart("web", "1.2.3", &format!("{values}a: 2\n"));
    serve("/charts/web.tgz", &newer);
    lock(&project, &["--check"]).assert_exit(0);
    let source = format!("http://{host}/charts#web:1.2.3");
    for name in ["web", &source] {
        let upgrade = ["--upgrade", name, "--accept-scan"];
        let outcome = lock(&project, &upgrade);
        outcome.assert_exit(0);
        let text = std::fs::read_to_string(project.path("isoforge.lock")).unwrap();
        assert!(text.contains(&Digest::of(&newer).to_string()), "{text}");
    }
    assert_snapshot!(lock(&project, &["--upgrade", "nothing"]).error(), @r"
    exit 2
    error: the profile has no input named 'nothing'
    hint: its inputs that can move: 127.0.0.1:[PORT]/web:1, oci:kubernetes, oci:os, web, http://127.0.0.1:[PORT]/charts#web:1.2.3
    ");
    let asked = registry.count("/charts/");
    // The chart travels with the other inputs.
    project.run(&["pull", "profile.toml"]).assert_exit(0);
    let export = ["cache", "export", "profile.toml", "--output", "input.tar"];
    project.run(&export).assert_exit(0);
    std::fs::remove_dir_all(project.cache()).unwrap();
    project
        .run(&["cache", "import", "input.tar"])
        .assert_exit(0);
    let offline = ["build", "profile.toml", "--offline", "--locked"];
    project.run(&offline).assert_exit(0);
    assert_eq!(registry.count("/charts/"), asked);
    // Another machine gets other bytes under the same name.
    std::fs::remove_dir_all(project.cache()).unwrap();
    serve("/charts/web.tgz", &chart("web", "1.2.3", "a: 1\n"));
    let outcome = lock(&project, &["--check"]);
    outcome.assert_exit(5);
    assert_snapshot!(outcome.error(), @r"
    exit 5
    error: http://127.0.0.1:[PORT]/charts/web.tgz: digest mismatch: expected sha256:[DIGEST], got sha256:[DIGEST]
    hint: the chart was published anew or damaged; if its publisher says so, pin sha256:[DIGEST]
    ");
}

#[test]
fn a_build_checks_what_a_pack_needs_and_writes_the_cluster_definition() {
    let (_registry, host, project) = start(&["listed", "needed"]);
    write_pack(&project, "packs/store", &host, &["listed"]);
    project.write(
        "packs/store/isoforge.toml",
        "[requirements]\nkernel_modules = [\"drbd >= 9\", \"loop\"]\ncommands = [\"lvcreate\"]\n\
         sysctls = [\"vm.max_map_count >= 262144\", \"vm.swappiness\"]\nnodes = 3\n",
    );
    project.write(
        "rootfs/usr/lib/sysctl.d/50-maps.conf",
        "vm.max_map_count = 65530\n",
    );
    project.add_to_profile(&format!(
        "{STORE}values = {{ replicas = 2 }}\n\
         [content]\nmanifests = [\"packs/store/manifests/m.yaml\"]\n[overlays]\nrootfs = [\"rootfs\"]\n",
    ));
    let build = ["build", "profile.toml", "--only", "iso"];
    let outcome = project.run(&build);
    outcome.assert_exit(2);
    assert_snapshot!(outcome.error(), @r"
    exit 2
    error: the system for amd64 lacks what is needed:
        store 1.0.0 needs the kernel module drbd >= 9: the kernel 6.1.0-test has none
        store 1.0.0 needs the command lvcreate
        store 1.0.0 needs the kernel setting vm.max_map_count >= 262144, and usr/lib/sysctl.d/50-maps.conf sets 65530
    hint: take an image that has it, or add it with [[layers]] or an overlay; --force builds nonetheless
    ");
    assert_eq!(project.outputs(), [""; 0]);
    let forced = project.run(&[build.as_slice(), &["--force"]].concat());
    forced.assert_exit(0);
    assert!(forced.stderr.contains("drbd >= 9"), "{}", forced.stderr);
    let iso = project.path("dist/tiny-1.0.0/tiny-1.0.0.iso");
    let out = project.path("definition.yaml");
    judge(
        "xorriso",
        "xorriso",
        &[
            "-osirrox",
            "on",
            "-indev",
            iso.to_str().unwrap(),
            "-extract",
            "/isoforge/cluster/definition.yaml",
            out.to_str().unwrap(),
        ],
    );
    let manifest = std::fs::read(project.path("dist/tiny-1.0.0/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let carried = &manifest["architectures"]["amd64"]["content"];
    let text = std::fs::read(project.path("packs/store/manifests/m.yaml")).unwrap();
    assert_eq!(carried[1]["digest"], Digest::of(&text).to_string());
    assert_snapshot!(serde_json::to_string_pretty(carried).unwrap(), @r#"
    [
      {
        "kind": "definition",
        "name": "tiny",
        "version": "1.0.0",
        "reference": "isoforge.internal/cluster/tiny:1.0.0",
        "manifest": "sha256:[DIGEST]",
        "digest": "sha256:[DIGEST]"
      },
      {
        "kind": "manifest",
        "name": "m.yaml",
        "version": "[SHORT]",
        "reference": "isoforge.internal/manifests/m.yaml:[SHORT]",
        "manifest": "sha256:[DIGEST]",
        "digest": "sha256:[DIGEST]"
      },
      {
        "kind": "pack",
        "name": "store",
        "version": "1.0.0",
        "reference": "isoforge.internal/packs/store:1.0.0",
        "manifest": "sha256:[DIGEST]",
        "digest": "sha256:[DIGEST]"
      }
    ]
    "#);
    // The installer checks the machine.
    let config = installer_config(&project);
    let asked = config.install.requirements;
    assert!(asked.modules.contains(&"drbd".to_owned()), "{asked:?}");
    assert_eq!(
        asked.sysctls,
        ["vm.max_map_count >= 262144", "vm.swappiness"]
    );
    let inspected = project.run(&["inspect", iso.to_str().unwrap()]);
    inspected.assert_exit(0);
    let listed: Vec<&str> = inspected
        .stdout
        .lines()
        .filter(|line| line.contains("isoforge.internal"))
        .collect();
    assert_snapshot!(listed.join("\n"), @r"
    isoforge.internal/cluster/tiny:1.0.0 sha256:[DIGEST]
    isoforge.internal/manifests/m.yaml:[SHORT] sha256:[DIGEST]
    isoforge.internal/packs/store:1.0.0 sha256:[DIGEST]
    ");
    assert_snapshot!(std::fs::read_to_string(out).unwrap(), @r#"
    schema: 1
    name: tiny
    version: "1.0.0"
    kubernetes:
      distribution: pxk-e
      version: "1.32.3"
    nodes:
      count: 3
    layers:
    - layer: csi
      name: store
      version: "1.0.0"
      namespace: store
      requirements:
        kernel_modules:
        - drbd >= 9
        - loop
        commands:
        - lvcreate
        sysctls:
        - vm.max_map_count >= 262144
        - vm.swappiness
        nodes: 3
      manifests:
      - name: m
        content: |
          kind: Pod
          metadata: {name: needed}
          spec: {containers: [{image: "127.0.0.1:[PORT]/needed:1"}]}
    "#);
}

#[test]
fn a_bundle_carries_what_the_profile_has_beside_images() {
    let (registry, host, project) = start(&["listed", "needed", "net"]);
    write_pack(&project, "packs/store", &host, &["listed"]);
    project.write("net.yaml", &pod(&host, "net"));
    let web = chart("web", "1.2.3", "");
    std::fs::write(project.path("web-1.2.3.tgz"), web).unwrap();
    project.add_to_profile(&format!(
        "{STORE}[content]\npacks = [\"packs/store\"]\nmanifests = [\"net.yaml\"]\n\
         charts = [\"web-1.2.3.tgz\"]\n",
    ));
    let bundle = ["bundle", "build", "profile.toml", "--accept-scan"];
    let bundle = |more: &[&str]| project.run(&[&bundle, more].concat());
    let refused = bundle(&["--locked"]);
    refused.assert_exit(7);
    lock(&project, &["--accept-scan"]).assert_exit(0);
    bundle(&["--locked"]).assert_exit(0);
    let inspected = project.run(&["bundle", "inspect", "dist/tiny-1.0.0.tar.zst"]);
    assert_snapshot!(inspected.all(), @r"
    exit 0
    --- stdout
    tiny 1.0.0 [SIZE]  dist/tiny-1.0.0.tar.zst
      sha256:[DIGEST]
    127.0.0.1:[PORT]/listed:1 [SIZE]
      sha256:[DIGEST]
      linux/amd64 [SIZE]
    127.0.0.1:[PORT]/needed:1 [SIZE]
      sha256:[DIGEST]
      linux/amd64 [SIZE]
    127.0.0.1:[PORT]/net:1 [SIZE]
      sha256:[DIGEST]
      linux/amd64 [SIZE]
    chart isoforge.internal/charts/web:1.2.3 [SIZE]
      sha256:[DIGEST]
    definition isoforge.internal/cluster/tiny:1.0.0 [SIZE]
      sha256:[DIGEST]
    manifest isoforge.internal/manifests/net.yaml:[SHORT] [SIZE]
      sha256:[DIGEST]
    pack isoforge.internal/packs/store:1.0.0 [SIZE]
      sha256:[DIGEST]
    --- stderr
    ");
    // Neither the registry nor anything but the lock is asked now.
    drop(registry);
    let again = bundle(&["--locked", "--offline", "--as", "dir"]);
    again.assert_exit(0);
    let arguments = ["dist/tiny-1.0.0", "dist/tiny-1.0.0.tar.zst"];
    let diff = [
        ["bundle", "diff", "--format", "json"].as_slice(),
        &arguments,
    ]
    .concat();
    let diff = project.run(&diff).json();
    assert_eq!(diff["from"], diff["to"]);
    project.write("net.yaml", &format!("{}# more\n", pod(&host, "net")));
    let moved = bundle(&["--locked", "--force"]);
    moved.assert_exit(7);
    assert_snapshot!(format!("{}{}", refused.error(), moved.error()), @r"
    exit 7
    error: packs, charts and manifests are not as the lock isoforge.lock has them: those of csi store 1.0.0, content store 1.0.0, content web 1.2.3, content net.yaml
    hint: bring the lock up to date with isoforge lock
    exit 7
    error: packs, charts and manifests are not as the lock isoforge.lock has them: those of content net.yaml
    hint: bring the lock up to date with isoforge lock
    ");
}
