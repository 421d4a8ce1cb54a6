//! `isoforge content find` and `isoforge pack …`.

use insta::assert_snapshot;
use serde_json::json;

use super::chart;
use crate::support::docker_registry::{DockerRegistry, PASSWORD, USER};
use crate::support::judge;
use crate::support::program::Project;
use isoforge_judges::has_client;

const MANIFEST: &str = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: node, namespace: kube-system}\n\
    spec:\n  template:\n    spec:\n      containers:\n      - name: node\n        image: calico/node:v3\n        \
    env:\n        - {name: HELPER_IMAGE, value: \"quay.io/x/helper:v1\"}\n";

/// A project with a pack, a chart and a manifest.
fn project() -> Project {
    let project = Project::empty();
    project.run(&["pack", "init", "packs/shop"]).assert_exit(0);
    project.write("manifests/node.yaml", MANIFEST);
    let archive = chart("web", "1.2.3", "image: {repository: quay.io/x/web}\n");
    std::fs::write(project.path("web-1.2.3.tgz"), archive).unwrap();
    project
}

#[test]
fn images_are_listed_with_place_and_method() {
    let project = project();
    let arguments = [
        "content",
        "find",
        "packs/shop",
        "manifests",
        "web-1.2.3.tgz",
        "--at",
        "env: *_IMAGE",
        "--no-helm",
    ];
    assert_snapshot!(project.run(&arguments).all(), @r"
    exit 0
    --- stdout
    docker.io/calico/node:v3
      manifests  manifests/node.yaml:9  DaemonSet kube-system/node  spec.template.spec.containers[0].image
    docker.io/library/busybox:1.36.1
      pack       packs/shop/values.yaml:11  pack.content.images[0].image
      manifests  packs/shop/manifests/hello.yaml:16  Deployment shop/hello  spec.template.spec.containers[0].image
    quay.io/x/helper:v1
      manifests  manifests/node.yaml:11  DaemonSet kube-system/node  spec.template.spec.containers[0].env[0].value
    quay.io/x/web:v9
      scan       web-1.2.3.tgz: values.yaml  image
    not proven: web-1.2.3.tgz: it was not rendered by Helm, only its values were looked at
    --- stderr
    Searching packs/shop
    Searching manifests
    Searching web-1.2.3.tgz
    ");
    let outcome = project.run(&[arguments.as_slice(), &["--format", "json", "-q"]].concat());
    assert_snapshot!(outcome.stdout, @r#"
    {
      "schema": 1,
      "proven": false,
      "images": {
        "docker.io/calico/node:v3": [
          {
            "method": "manifests",
            "file": "manifests/node.yaml",
            "line": 9,
            "object": {
              "kind": "DaemonSet",
              "namespace": "kube-system",
              "name": "node"
            },
            "path": "spec.template.spec.containers[0].image"
          }
        ],
        "docker.io/library/busybox:1.36.1": [
          {
            "method": "pack",
            "file": "packs/shop/values.yaml",
            "line": 11,
            "path": "pack.content.images[0].image"
          },
          {
            "method": "manifests",
            "file": "packs/shop/manifests/hello.yaml",
            "line": 16,
            "object": {
              "kind": "Deployment",
              "namespace": "shop",
              "name": "hello"
            },
            "path": "spec.template.spec.containers[0].image"
          }
        ],
        "quay.io/x/helper:v1": [
          {
            "method": "manifests",
            "file": "manifests/node.yaml",
            "line": 11,
            "object": {
              "kind": "DaemonSet",
              "namespace": "kube-system",
              "name": "node"
            },
            "path": "spec.template.spec.containers[0].env[0].value"
          }
        ],
        "quay.io/x/web:v9": [
          {
            "method": "scan",
            "file": "web-1.2.3.tgz: values.yaml",
            "path": "image"
          }
        ]
      },
      "unresolved": [],
      "unproven": [
        {
          "what": "web-1.2.3.tgz",
          "why": "it was not rendered by Helm, only its values were looked at"
        }
      ]
    }
    "#);
}

#[test]
fn values_change_what_is_found() {
    let project = project();
    project.write("mine.yaml", "image: {tag: v10}\n");
    let outcome = project.run(&[
        "-q",
        "content",
        "find",
        "web-1.2.3.tgz",
        "--values",
        "mine.yaml",
        "--no-helm",
    ]);
    outcome.assert_exit(0);
    assert!(outcome.stdout.starts_with("quay.io/x/web:v10\n"));
}

#[test]
fn what_can_not_be_searched_is_an_error() {
    let project = project();
    project.write("bad.yaml", "kind: Pod\nspec: [\n");
    project.write("list.yaml", "- 1\n");
    let errors: Vec<String> = [
        ["bad.yaml"].as_slice(),
        &["gone.yaml"],
        &["manifests/node.yaml", "--at", "spec.image"],
        &["web-1.2.3.tgz", "--values", "list.yaml"],
        &["packs/shop", "--preset", "Size:huge"],
        &[],
    ]
    .iter()
    .map(|arguments| {
        let arguments = [["content", "find"].as_slice(), arguments].concat();
        project.run(&arguments).error()
    })
    .collect();
    assert_snapshot!(errors.join(""), @r"
    exit 2
    error: bad.yaml:2:7: unclosed bracket '['
    exit 2
    error: 'gone.yaml' does not exist
    exit 2
    error: 'spec.image' says no place of images: a colon belongs behind the kind
    hint: write KIND: PATH, as in 'Widget: spec.engine.image', or env: NAME, as in 'env: RELATED_IMAGE_*'
    exit 2
    error: list.yaml:1:1: values are a map, not a list
    exit 2
    error: the pack 'shop' has no preset 'Size:huge'; it has Size:small, Size:large
    exit 2
    error: the following required arguments were not provided:
      <PATH>...

    Usage: isoforge content find <PATH>...

    For more information, try '--help'.
    ");
}

#[test]
fn lint_tells_every_problem_of_every_pack() {
    let project = project();
    project.write("packs/bad/pack.json", "{\"name\": \"bad\"}");
    project.write(
        "packs/bad/values.yaml",
        "pack: {content: {images: [{iamge: x}]}}\n",
    );
    assert_snapshot!(project.run(&["pack", "lint", "packs/shop", "packs/bad", "packs/gone"]).all(), @r"
    exit 2
    --- stdout
    packs/shop: warning: there is no logo.png
    packs/bad: warning: there is no logo.png
    packs/bad/pack.json:1:1: error: a pack must have 'displayName'
    packs/bad/pack.json:1:1: error: a pack must have 'layer'
    packs/bad/pack.json:1:1: error: a pack must have 'version'
    packs/bad/values.yaml:1:27: error: an entry must have 'image'; did you mean 'image'?
    packs/gone: error: 'packs/gone' does not exist
    3 packs: 5 errors, 2 warnings
    --- stderr
    error: 5 errors in 2 of 3 packs
    ");
    let outcome = project.run(&["pack", "lint", "packs/shop", "--format", "json"]);
    outcome.assert_exit(0);
    assert_eq!(
        outcome.json(),
        json!({"schema": 1, "packs": [{"path": "packs/shop", "problems": [
            {"file": "packs/shop", "severity": "warning", "message": "there is no logo.png"}
        ]}]})
    );
}

#[test]
fn a_pack_is_built_twice_alike_and_a_faulty_one_not() {
    let project = project();
    assert_snapshot!(project.run(&["pack", "build", "packs/shop"]).all(), @r"
    exit 0
    --- stdout
    shop-0.1.0.tar.gz
    --- stderr
    warning: packs/shop: there is no logo.png
    ");
    let again = project.run(&["pack", "build", "packs/shop", "-o", "again.tgz"]);
    again.assert_exit(0);
    let read = |name: &str| std::fs::read(project.path(name)).unwrap();
    assert_eq!(read("shop-0.1.0.tar.gz"), read("again.tgz"));
    let members = judge(
        "tar",
        "tar",
        &["tf", project.path("again.tgz").to_str().unwrap()],
    );
    assert_snapshot!(members, @r"
    shop-0.1.0/README.md
    shop-0.1.0/isoforge.toml
    shop-0.1.0/manifests/hello.yaml
    shop-0.1.0/pack.json
    shop-0.1.0/presets.yaml
    shop-0.1.0/values.yaml
    ");
    std::fs::write(project.path("packs/shop/pack.json"), "{}").unwrap();
    assert_snapshot!(project.run(&["pack", "build", "packs/shop", "-o", "again.tgz"]).error(), @r"
    exit 2
    error: the pack 'packs/shop' has errors:
        packs/shop/pack.json:1:1: error: a pack must have 'displayName'
        packs/shop/pack.json:1:1: error: a pack must have 'layer'
        packs/shop/pack.json:1:1: error: a pack must have 'name'
        packs/shop/pack.json:1:1: error: a pack must have 'version'
    hint: correct them; 'isoforge pack lint' says them with warnings
    ");
    assert_eq!(read("shop-0.1.0.tar.gz"), read("again.tgz"));
}

#[test]
fn a_new_pack_overwrites_nothing() {
    let project = project();
    assert_snapshot!(project.run(&["pack", "init", "packs/shop"]).error(), @r"
    exit 2
    error: 'packs/shop' is not empty
    hint: name a folder that is empty or not there; nothing is overwritten
    ");
}

#[test]
fn a_pushed_pack_is_read_by_another_client() {
    let project = project();
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(folder.path(), false);
    let to = format!("{}/packs/shop", registry.host);
    let push = ["pack", "push", "packs/shop", &to];
    let outcome = project.run(&[push.as_slice(), &["--format", "json"]].concat());
    outcome.assert_exit(0);
    assert_eq!(outcome.json()["images"][0]["state"], "pushed");
    let image = format!("docker://{to}:0.1.0");
    let raw = judge(
        "skopeo",
        "skopeo",
        &["inspect", "--raw", "--tls-verify=false", &image],
    );
    let manifest: serde_json::Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(manifest["artifactType"], "application/vnd.isoforge.pack.v1");
    project.run(&["pack", "build", "packs/shop"]).assert_exit(0);
    let archive = std::fs::read(project.path("shop-0.1.0.tar.gz")).unwrap();
    let digest = isoforge_base::digest::Digest::of(&archive);
    assert_eq!(manifest["layers"][0]["digest"], digest.to_string());
    let again = project.run(&[push.as_slice(), &["--format", "json"]].concat());
    assert_eq!(again.json()["images"][0]["state"], "already-there");
}

#[test]
fn oras_pulls_a_pack_under_its_files_name() {
    if !has_client("oras", "oras.land/oras/cmd/oras") {
        return;
    }
    let project = project();
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(folder.path(), false);
    let to = format!("{}/packs/shop", registry.host);
    project
        .run(&["pack", "push", "packs/shop", &to])
        .assert_exit(0);
    let from = format!("{to}:0.1.0");
    let pulled = project.path("pulled");
    let arguments = ["pull", "--plain-http", &from, "--output"];
    judge(
        "oras",
        "oras",
        &[&arguments, &[pulled.to_str().unwrap()][..]].concat(),
    );
    project.run(&["pack", "build", "packs/shop"]).assert_exit(0);
    assert_eq!(
        std::fs::read(pulled.join("shop-0.1.0.tar.gz")).unwrap(),
        std::fs::read(project.path("shop-0.1.0.tar.gz")).unwrap()
    );
}

#[test]
fn a_push_without_credentials_is_refused() {
    let project = project();
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(folder.path(), true);
    let to = format!("{}/packs/shop:1", registry.host);
    let outcome = project.run(&["pack", "push", "packs/shop", &to]);
    outcome.assert_exit(4);
    assert_snapshot!(outcome.error(), @r"
    exit 4
    error: 127.0.0.1:[PORT]/packs/shop:1 can't be pushed
      caused by: http://127.0.0.1:[PORT]/v2/packs/shop/manifests/1: access denied (there are no credentials for it)
    hint: log in with 'isoforge login 127.0.0.1:[PORT]'
    ");
    let login = [
        "login",
        &registry.host,
        "--username",
        USER,
        "--password-stdin",
    ];
    use std::io::Write as _;
    let mut child = project
        .command(&login)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(PASSWORD.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
    project
        .run(&["pack", "push", "packs/shop", &to])
        .assert_exit(0);
}

#[test]
fn the_help_of_content_and_pack() {
    let project = Project::empty();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d+ MiB", "[SIZE]");
    let _filters = settings.bind_to_scope();
    let help = |verbs: &[&str]| {
        let outcome = project.run(&[verbs, &["-h"]].concat());
        outcome.assert_exit(0);
        for line in outcome.stdout.lines() {
            assert!(line.chars().count() <= 80, "{verbs:?}: {line}");
        }
        // What every command takes is in other snapshots.
        let (own, rest) = outcome.stdout.split_once("      --progress").unwrap();
        format!("{own}…{}", &rest[rest.find("\n\n").unwrap()..])
    };
    assert_snapshot!(help(&["content"]), @r"
    Find the images that packs, charts and manifests need, and check that bundles
    have them

    Usage: isoforge content [OPTIONS] <COMMAND>

    Commands:
      find   List the images that packs, charts and manifests need, and where each
             was found
      check  Prove that a bundle has every image that the objects in it name
      help   Print this message or the help of the given subcommand(s)

    Options:
    …

    Examples:
      isoforge content find calico.yaml
      isoforge content find packs/piraeus --preset 'Size:large' --format json
      isoforge content check dist/demo-1.0.0.tar.zst
    ");
    assert_snapshot!(help(&["content", "find"]), @r"
    List the images that packs, charts and manifests need, and where each was found

    Usage: isoforge content find [OPTIONS] <PATH>...

    Arguments:
      <PATH>...  Packs and charts, as folder or archive; manifests, or folders of
                 such

    Options:
          --values <FILE>         Lay the values of a YAML file over those of packs
                                  and charts; may be repeated
          --preset <GROUP:NAME>   Switch a preset of a pack on, or off with a '-' in
                                  front; may be repeated
          --at <RULE>             Look for images there too; may be repeated
          --kubernetes <VERSION>  Version of Kubernetes, for macros and charts
          --macro <PATH=TEXT>     Fill a macro of packs, such as
                                  spectro.var.site=lab; may be repeated
          --helm <FILE>           Render charts with this Helm [default: the
                                  installed one, if any]
          --no-helm               Render no charts: look at their values alone
          --format <FORMAT>       How the result is written to standard output
                                  [default: text] [possible values: text, json]
    …

    How an image was found:
      pack       the pack lists it
      manifests  an object of a manifest names it
      helm       an object that Helm rendered from a chart names it
      scan       a chart's values look like it: a guess

    Places beside the containers of pods are given as KIND: PATH or env: NAME:
      --at 'Widget.example.com: spec.components[*].image'
      --at 'env: *_IMAGE'

    Examples:
      isoforge content find calico.yaml
      isoforge content find packs/piraeus --preset 'Size:large' --kubernetes 1.32.3
      isoforge content find zot-0.1.67.tgz --values mine.yaml --format json
    ");
    assert_snapshot!(help(&["content", "check"]), @r"
    Prove that a bundle has every image that the objects in it name

    Usage: isoforge content check [OPTIONS] <BUNDLE>

    Arguments:
      <BUNDLE>  A bundle: a folder, an archive, a part of a split one or the folder
                with its parts, or an installer ISO

    Options:
          --base <BUNDLE>        The base, where the bundle is a delta
          --strict               Also fail (exit code 5) where something is not
                                 proven
          --helm <FILE>          Render charts with this Helm [default: the
                                 installed one, if any]
          --no-helm              Render no charts: look at their values alone
          --format <FORMAT>      How the result is written to standard output
                                 [default: text] [possible values: text, json]
    …

    Searched are the cluster definition's layers with their values, then the packs,
    charts and manifests beside them. The exit code is 5 where an image is missing.
    What only a chart's values look like, and what could not be rendered, is not
    proven.

    Examples:
      isoforge content check dist/demo-1.0.0/demo-1.0.0.iso
      isoforge content check demo-1.0.0.tar.zst --strict --format json
    ");
    assert_snapshot!(help(&["pack"]), @r"
    Make, check and push packs

    Usage: isoforge pack [OPTIONS] <COMMAND>

    Commands:
      init   Write a new pack to start from
      lint   Say every problem of packs, with file and place
      build  Put a pack into one archive
      push   Push a pack to a registry, as an OCI artifact
      help   Print this message or the help of the given subcommand(s)

    Options:
    …

    Examples:
      isoforge pack init packs/shop
      isoforge pack lint packs/*
      isoforge pack build packs/shop -o shop.tar.gz
      isoforge pack push packs/shop registry.example/packs/shop:1.0.0
    ");
    assert_snapshot!(help(&["pack", "init"]), @r"
    Write a new pack to start from

    Usage: isoforge pack init [OPTIONS] <DIRECTORY>

    Arguments:
      <DIRECTORY>  Folder to write to; it must be empty or not exist. The pack gets
                   its name

    Options:
    …

    Example:
      isoforge pack init packs/shop
    ");
    assert_snapshot!(help(&["pack", "lint"]), @r"
    Say every problem of packs, with file and place

    Usage: isoforge pack lint [OPTIONS] <PATH>...

    Arguments:
      <PATH>...  Packs, as folders or archives

    Options:
          --format <FORMAT>      How the result is written to standard output
                                 [default: text] [possible values: text, json]
    …

    Example:
      isoforge pack lint packs/* --format json

    The exit code is 2 where there are errors; warnings leave it 0.
    ");
    assert_snapshot!(help(&["pack", "build"]), @r"
    Put a pack into one archive

    Usage: isoforge pack build [OPTIONS] <DIRECTORY>

    Arguments:
      <DIRECTORY>  The pack's folder

    Options:
      -o, --output <FILE>        The archive to write [default: NAME-VERSION.tar.gz]
    …

    Example:
      isoforge pack build packs/shop -o dist/shop.tar.gz
    ");
    assert_snapshot!(help(&["pack", "push"]), @r"
    Push a pack to a registry, as an OCI artifact

    Usage: isoforge pack push [OPTIONS] <PATH> <REPOSITORY[:TAG]>

    Arguments:
      <PATH>              The pack, as folder or archive
      <REPOSITORY[:TAG]>  Where to [default tag: the pack's version]

    Options:
          --dry-run              Ask the registry what it lacks, and send nothing
          --cache-dir <DIR>      Store [default: isoforge in the user's cache
                                 folder] [env: ISOFORGE_CACHE_DIR]
          --plain-http <HOST>    Talk to HOST without TLS; may be repeated
          --format <FORMAT>      How the result is written to standard output
                                 [default: text] [possible values: text, json]
    …

    Example:
      isoforge pack push packs/shop registry.example/packs/shop

    Clients of artifacts fetch it: oras pull registry.example/packs/shop:1.0.0
    ");
}
