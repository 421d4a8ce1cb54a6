//! `isoforge content check`, and that a build refuses what it would find.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::chart;
use super::setup::{STORE, add_web, has_helm, lock, pod, start, write_pack};
use crate::support::program::{Outcome, Project};
use crate::support::registry::FakeRegistry;

/// A profile with a pack, of which a preset is on, and a manifest that a component
/// has and `[content]` too; `more` stands in `[csi]`.
fn project(more: &str) -> (FakeRegistry, Project) {
    let (registry, host, project) = start(&["listed", "needed", "other", "net"]);
    write_pack(&project, "packs/store", &host, &["listed"]);
    let net = pod(&host, "net").replace("{name: net}", "{name: net, namespace: edge}");
    project.write("net.yaml", &net);
    project.add_to_profile(&format!(
        "[cni]\nname = \"mine\"\nversion = \"1\"\nmanifests = [\"net.yaml\"]\n\
         {STORE}presets = [\"other\"]\n{more}[content]\nmanifests = [\"net.yaml\"]\n"
    ));
    (registry, project)
}

fn bundle(project: &Project) {
    let build = ["bundle", "build", "profile.toml", "--as", "dir"];
    let built = project.run(&[build.as_slice(), &["--accept-scan"]].concat());
    built.assert_exit(0);
}

const BUNDLE: &str = "dist/tiny-1.0.0";

fn check(project: &Project, arguments: &[&str]) -> Outcome {
    let check = ["content", "check", BUNDLE, "--no-helm"];
    project.run(&[check.as_slice(), arguments].concat())
}

/// Takes the roots whose name has `name` in it out of the bundle's index.
fn lose(project: &Project, name: &str) {
    let path = project.path(BUNDLE).join("index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let roots = index["manifests"].as_array_mut().unwrap();
    let before = roots.len();
    roots.retain(|root| !root["annotations"].to_string().contains(name));
    assert_eq!(roots.len() + 1, before);
    std::fs::write(&path, index.to_string()).unwrap();
}

#[test]
fn a_bundle_of_a_profile_is_complete_in_every_form() {
    let (_registry, project) = project("");
    bundle(&project);
    let checked = check(&project, &["--strict"]);
    assert_snapshot!(checked.all(), @r"
    exit 0
    --- stdout
    dist/tiny-1.0.0: complete, 3 images named
    --- stderr
    Checking dist/tiny-1.0.0
    ");
    let archive = ["bundle", "build", "profile.toml"];
    project.run(&archive).assert_exit(0);
    let check = |path: &str| project.run(&["content", "check", "--strict", path]);
    check("dist/tiny-1.0.0.tar.zst").assert_exit(0);
    let build = ["build", "profile.toml", "--only", "iso", "--output", "iso"];
    project.run(&build).assert_exit(0);
    check("iso/tiny-1.0.0/tiny-1.0.0.iso").assert_exit(0);
}

#[test]
fn a_missing_image_is_told_with_what_names_it() {
    let (_registry, project) = project("");
    bundle(&project);
    lose(&project, "/needed:1");
    let checked = check(&project, &[]);
    assert_snapshot!(checked.all(), @r"
    exit 5
    --- stdout
    missing: 127.0.0.1:[PORT]/needed:1
      manifests  isoforge.internal/packs/store:1.0.0/manifests/m.yaml:3  Pod needed  spec.containers[0].image
    dist/tiny-1.0.0: not complete, 1 missing, 3 images named
    --- stderr
    Checking dist/tiny-1.0.0
    error: 'dist/tiny-1.0.0' is not complete: 127.0.0.1:[PORT]/needed:1 is missing
    hint: build the bundle from a profile that has the pack, chart or manifest, or name the image with --image
    ");
    lose(&project, "/net:1");
    let checked = check(&project, &["--format", "json"]);
    checked.assert_exit(5);
    assert_snapshot!(checked.stdout, @r#"
    {
      "schema": 1,
      "path": "dist/tiny-1.0.0",
      "complete": false,
      "proven": true,
      "images": 3,
      "missing": [
        {
          "image": "127.0.0.1:[PORT]/needed:1",
          "places": [
            {
              "method": "manifests",
              "file": "isoforge.internal/packs/store:1.0.0/manifests/m.yaml",
              "line": 3,
              "object": {
                "kind": "Pod",
                "name": "needed"
              },
              "path": "spec.containers[0].image"
            }
          ]
        },
        {
          "image": "127.0.0.1:[PORT]/net:1",
          "places": [
            {
              "method": "manifests",
              "file": "isoforge.internal/cluster/tiny:1.0.0: mine/net",
              "line": 3,
              "object": {
                "kind": "Pod",
                "namespace": "edge",
                "name": "net"
              },
              "path": "spec.containers[0].image"
            },
            {
              "method": "manifests",
              "file": "isoforge.internal/manifests/net.yaml:[SHORT]",
              "line": 3,
              "object": {
                "kind": "Pod",
                "namespace": "edge",
                "name": "net"
              },
              "path": "spec.containers[0].image"
            }
          ]
        }
      ],
      "left_out": [],
      "not_proven": {
        "sources": [],
        "texts": [],
        "images": []
      }
    }
    "#);
    lose(&project, "/other:1");
    // What the preset lists that is on; the list that it replaces is not meant.
    let missing = check(&project, &["--format", "json"]).json()["missing"].clone();
    assert_eq!(missing.as_array().unwrap().len(), 3);
}

#[test]
fn what_the_profile_leaves_out_is_told_as_such() {
    let (_registry, project) = project("exclude_images = [\"*/needed:*\"]\n");
    bundle(&project);
    let checked = check(&project, &["--strict"]);
    assert_snapshot!(checked.all(), @r"
    exit 0
    --- stdout
    left out by the profile: 127.0.0.1:[PORT]/needed:1
      manifests  isoforge.internal/packs/store:1.0.0/manifests/m.yaml:3  Pod needed  spec.containers[0].image
    dist/tiny-1.0.0: complete, 3 images named
    --- stderr
    Checking dist/tiny-1.0.0
    ");
    // With the list out of the lock nothing is another.
    let before = std::fs::read(project.path(BUNDLE).join("index.json")).unwrap();
    lock(&project, &[]).assert_exit(0);
    std::fs::remove_dir_all(project.path(BUNDLE)).unwrap();
    bundle(&project);
    let after = std::fs::read(project.path(BUNDLE).join("index.json")).unwrap();
    assert_eq!(before, after);
    // Another layer's objects are not meant.
    lose(&project, "/net:1");
    let checked = check(&project, &["--format", "json"]);
    checked.assert_exit(5);
    let report = checked.json();
    assert_eq!(report["left_out"].as_array().unwrap().len(), 1);
    assert_eq!(report["missing"].as_array().unwrap().len(), 1);
}

#[test]
fn words_that_may_be_images_are_told_unless_they_are_there() {
    let (_registry, host, project) = start(&["needed", "there"]);
    let words = format!(
        "---\nkind: ConfigMap\nmetadata: {{name: m}}\ndata:\n  a: quay.io/x/engine:v1\n  b: \
         {host}/there:1\n"
    );
    project.write("words.yaml", &(pod(&host, "needed") + &words));
    project.add_to_profile(&format!(
        "[content]\nmanifests = [\"words.yaml\"]\nimages = [\"{host}/there:1\"]\n"
    ));
    bundle(&project);
    let checked = check(&project, &["--strict"]);
    checked.assert_exit(0);
    let told = checked.stdout.matches("may be an image: ").count();
    assert_eq!(told, 1, "{}", checked.stdout);
    assert!(
        checked
            .stdout
            .contains("may be an image: 'quay.io/x/engine:v1'")
    );
    let report = check(&project, &["--format", "json"]).json();
    assert_eq!(report["may_be"][0]["text"], "quay.io/x/engine:v1");
    assert_eq!(report["may_be"][0]["place"]["path"], "data.a");
}

#[test]
fn beside_a_kustomization_nothing_is_missing_for_certain() {
    let (_registry, host, project) = start(&["built"]);
    project.write("app/pod.yaml", &pod("registry.invalid", "placeholder"));
    let text = format!(
        "resources: [pod.yaml]\nimages: [{{name: registry.invalid/placeholder, newName: \
         '{host}/built', newTag: '1'}}]\n"
    );
    project.write("app/kustomization.yaml", &text);
    project.add_to_profile("[csi]\nname = \"x\"\nversion = \"1\"\nmanifests = [\"app\"]\n");
    if isoforge_content::find::kustomize::Kustomize::installed().is_none() {
        isoforge_judges::skip("neither kustomize nor kubectl is installed");
        return;
    }
    lock(&project, &[]).assert_exit(0);
    let text = std::fs::read_to_string(project.path("isoforge.lock")).unwrap();
    assert!(
        text.contains("/built:1") && !text.contains("registry.invalid"),
        "{text}"
    );
    bundle(&project);
    let checked = check(&project, &[]);
    checked.assert_exit(0);
    assert!(
        checked
            .stdout
            .contains("not proven: registry.invalid/placeholder:1, which is not there"),
        "{}",
        checked.stdout
    );
    check(&project, &["--strict"]).assert_exit(5);
}

#[test]
fn a_guess_is_neither_there_nor_missing() {
    if has_helm() {
        return;
    }
    let (_registry, host, project) = start(&["web"]);
    let values = format!("image: {{repository: {host}/web, tag: 1}}\n");
    add_web(&project, &chart("web", "1.2.3", &values), "");
    bundle(&project);
    let checked = check(&project, &[]);
    checked.assert_exit(0);
    let strict = check(&project, &["--strict"]);
    strict.assert_exit(5);
    lose(&project, &format!("{host}/web:1"));
    let report = check(&project, &["--format", "json"]).json();
    assert_eq!(
        (&report["complete"], &report["proven"], &report["missing"]),
        (&json!(true), &json!(false), &json!([]))
    );
    let lost = check(&project, &[]);
    lost.assert_exit(0);
    assert_snapshot!([checked.stdout, strict.error(), lost.stdout].join("\n"), @r"
    not proven: isoforge.internal/charts/web:1.2.3: it was not rendered by Helm, only its values were looked at
    dist/tiny-1.0.0: not proven to be complete, 0 images named

    exit 5
    error: 'dist/tiny-1.0.0' is not proven to be complete
    hint: install Helm, or list the images in the pack

    not proven: isoforge.internal/charts/web:1.2.3: it was not rendered by Helm, only its values were looked at
    not proven: 127.0.0.1:[PORT]/web:1, which is not there
      scan       isoforge.internal/charts/web:1.2.3: values.yaml  image
    dist/tiny-1.0.0: not proven to be complete, 0 images named
    ");
    // Rendered, it is certain. This Helm gives one object, whatever the chart.
    let object = format!("# Source: web/templates/pod.yaml\n{}", pod(&host, "web"));
    project.write(
        "helm",
        &format!("#!/bin/sh\ncat <<'EOF'\n---\n{object}EOF\n"),
    );
    let program = project.path("helm");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let helm = [
        "content",
        "check",
        BUNDLE,
        "--helm",
        program.to_str().unwrap(),
    ];
    let rendered = project.run(&helm);
    rendered.assert_exit(5);
    assert_snapshot!(rendered.stdout, @r"
    missing: 127.0.0.1:[PORT]/web:1
      helm       isoforge.internal/charts/web:1.2.3: web/templates/pod.yaml  Pod web  spec.containers[0].image
    dist/tiny-1.0.0: not complete, 1 missing, 1 image named
    ");
    lose(&project, "/charts/web");
    let lost = check(&project, &[]);
    lost.assert_exit(5);
    assert_snapshot!(lost.error(), @r"
    exit 5
    error: there is no chart web 1.2.3 (sha256:[DIGEST]), which isoforge.internal/cluster/tiny:1.0.0: web names
    hint: build the bundle again, from a profile that has the chart
    ");
}

#[test]
fn a_build_refuses_a_list_that_lacks_what_an_object_names() {
    let (registry, project) = project("images = []\n");
    let list = |listed: &str| project.change_profile("images = []", listed);
    let host = registry.host();
    list(&format!("images = [\"{host}/other:1\"]"));
    let build = ["build", "profile.toml", "--only", "iso"];
    let refused = project.run(&build);
    refused.assert_exit(5);
    let of_bundle = project.run(&["bundle", "build", "profile.toml"]);
    of_bundle.assert_exit(5);
    assert_eq!(project.outputs(), [""; 0]);
    assert_snapshot!([refused.error(), of_bundle.error()].join("\n"), @r"
    exit 5
    error: objects name images that the content lacks:
        127.0.0.1:[PORT]/needed:1 (csi store 1.0.0): packs/store/manifests/m.yaml:3  Pod needed  spec.containers[0].image
    hint: add them to the component's 'images', or say that they are left out with 'exclude_images'

    exit 5
    error: objects name images that the content lacks:
        127.0.0.1:[PORT]/needed:1 (csi store 1.0.0): packs/store/manifests/m.yaml:3  Pod needed  spec.containers[0].image
    hint: add them to the component's 'images', or say that they are left out with 'exclude_images'
    ");
    project.change_profile(
        "presets = [\"other\"]\n",
        "presets = [\"other\"]\nexclude_images = [\"*/needed:*\"]\n",
    );
    let built = project.run(&build);
    built.assert_exit(0);
    assert!(
        built.stderr.contains(&format!("left out: {host}/needed:1")),
        "{}",
        built.stderr
    );
    // From the lock, too.
    let locked = ["--locked", "--offline", "--output", "again"];
    project
        .run(&[build.as_slice(), &locked].concat())
        .assert_exit(0);
}

#[test]
fn a_list_in_the_profile_vouches_for_a_chart() {
    let (_registry, host, project) = start(&["web"]);
    let values = "image: {repository: registry.invalid/a/guess, tag: 1}\n";
    let listed = format!("images = [\"{host}/web:1\"]\n");
    add_web(&project, &chart("web", "1.2.3", values), &listed);
    lock(&project, &[]).assert_exit(0);
    let text = std::fs::read_to_string(project.path("isoforge.lock")).unwrap();
    assert!(text.contains("method = \"profile\""), "{text}");
    assert!(!text.contains("registry.invalid"), "{text}");
    lock(&project, &["--check"]).assert_exit(0);
    let build = ["bundle", "build", "profile.toml", "--locked", "--as", "dir"];
    project.run(&build).assert_exit(0);
}
