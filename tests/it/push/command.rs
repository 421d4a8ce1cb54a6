//! `isoforge push`, and a build that pushes.

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::docker_registry::DockerRegistry;
use crate::support::judge;
use crate::support::layers::{Image, write_layout};
use crate::support::program::Project;
use crate::support::registry::FakeRegistry;

/// The project's profile, for a repository of `host`, with more in `[provider]`.
fn for_registry(host: &str, more: &str) -> Project {
    let project = Project::bootable();
    project.change_profile(
        "repository = \"registry.example/edge/tiny\"",
        &format!("repository = \"{host}/edge/app\"\n{more}"),
    );
    project
}

fn build(project: &Project, arguments: &[&str]) -> Value {
    let fixed = [
        "build",
        "profile.toml",
        "--only",
        "provider",
        "--format",
        "json",
    ];
    let outcome = project.run(&[&fixed, arguments].concat());
    outcome.assert_exit(0);
    outcome.json()
}

#[test]
fn a_build_pushes_and_its_folder_can_be_pushed_again() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(folder.path(), false);
    let project = for_registry(&registry.host, "push = true");
    let kept = build(&project, &["--no-push"]);
    assert_eq!(kept["pushed"], Value::Null);
    let built = build(&project, &[]);
    let image = &built["pushed"]["images"][0];
    assert_eq!(image["state"], "pushed");
    assert_eq!(image["reference"], built["provider_images"][0]);
    let reference = image["reference"].as_str().unwrap();
    let remote = format!("docker://{reference}");
    let raw = judge(
        "skopeo",
        "skopeo",
        &["inspect", "--raw", "--tls-verify=false", &remote],
    );
    let digest = isoforge_base::digest::Digest::of(raw.as_bytes());
    assert_eq!(image["digest"], digest.to_string());

    let folder = built["folder"].as_str().unwrap();
    let again = project.run(&["push", folder]);
    again.assert_exit(0);
    assert!(
        again.stdout.contains(": already there\n"),
        "{}",
        again.stdout
    );
    let other = format!("{}/edge/other:latest", registry.host);
    let moved = project.run(&["push", folder, "--to", &other, "--format", "json"]);
    moved.assert_exit(0);
    assert_eq!(moved.json()["images"][0]["reference"], other);
}

#[test]
fn a_build_that_cant_push_keeps_its_outputs() {
    // Nobody listens there.
    let project = for_registry("127.0.0.1:1", "push = true");
    let outcome = project.run(&["build", "profile.toml", "--only", "provider"]);
    outcome.assert_exit(4);
    let said = &outcome.stderr[outcome.stderr.find("error: ").unwrap()..];
    let first = said.lines().next().unwrap();
    assert!(
        first.starts_with("error: the outputs are in 'dist/")
            && first.ends_with("', but the provider image was not pushed"),
        "{said}"
    );
    assert!(said.contains("hint: check the network"), "{said}");
    assert!(outcome.stdout.contains("-provider.oci.tar"));
    let outputs = project.outputs();
    assert!(
        outputs
            .iter()
            .any(|name| name.ends_with("-provider.oci.tar")),
        "{outputs:?}"
    );
}

#[test]
fn what_is_pushed_and_where_to_is_chosen() {
    let project = Project::empty();
    let (one, two) = (Image::simple(&[]), Image::simple(&["file a 0644 'a'"]));
    let layout = project.path("layout");
    let roots = [("v1", &one.manifest), ("a b", &two.manifest)];
    write_layout(&layout, &roots, &[&one, &two]);
    let fails = |arguments: &[&str]| {
        let outcome = project.run(&[&["push"], arguments].concat());
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        outcome.error()
    };
    assert_snapshot!(fails(&["layout"]), @r"
    exit 2
    error: layout does not say which repository it is for
    hint: name one with --to, as in registry.example/edge/ubuntu; a build records provider.repository where it begins with a registry's host
    ");
    assert_snapshot!(fails(&["layout", "--to", "127.0.0.1:1/x"]), @r"
    exit 2
    error: layout holds an image 'a b', which is no tag
    hint: give it a tag: --to REPOSITORY:TAG, for one image at a time
    ");
    assert_snapshot!(fails(&["layout", "--to", "127.0.0.1:1/x:y"]), @r"
    exit 2
    error: '127.0.0.1:[PORT]/x:y' has a tag, but there are 2 images to push
    hint: leave the tag out, or choose one image with --tag
    ");
    assert_snapshot!(fails(&["layout", "--to", "127.0.0.1:1/x", "--tag", "v2"]), @r"
    exit 2
    error: layout holds no image 'v2'; there are: v1, a b
    hint: without --tag all of them are pushed
    ");
    assert_snapshot!(fails(&["layout", "--to", "127.0.0.1:1/X"]), @r"
    exit 2
    error: '127.0.0.1:[PORT]/X' is not an image reference: repository names are lower-case, 'X' is not
    hint: only the host and the tag may have upper-case letters
    ");
    // What one name leads to must be one image, and no tag is given twice.
    let named = |name: &str, full: &str, image: &Image| {
        let mut entry = image.manifest.descriptor();
        entry["annotations"] = serde_json::json!({
            "org.opencontainers.image.ref.name": name, "io.containerd.image.name": full,
        });
        entry
    };
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [
        named("v1", "q.io/a:v1", &one), named("v1", "q.io/b:v1", &two),
    ]});
    project.write("layout/index.json", &index.to_string());
    assert_snapshot!(fails(&["layout", "--to", "127.0.0.1:1/x"]), @"");
    assert_snapshot!(fails(&["layout", "--to", "127.0.0.1:1/x:y", "--tag", "v1"]), @"");
    assert_snapshot!(fails(&["layout", "--to", "127.0.0.1:1/x", "--tag", "v2"]), @"");
    let registry = FakeRegistry::start();
    let to = format!("{}/x:y", registry.host());
    project
        .run(&["push", "layout", "--to", &to, "--tag", "q.io/b:v1"])
        .assert_exit(0);
    super::assert_there(&registry, "x", "y", &two);
    // Two names of one image are one image.
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [
        named("v1", "q.io/a:v1", &two), named("v2", "q.io/a:v2", &two),
    ]});
    project.write("layout/index.json", &index.to_string());
    project.run(&["push", "layout", "--to", &to]).assert_exit(0);
    project.write("empty/file", "");
    assert_snapshot!(fails(&["empty"]), @r"
    exit 2
    error: 'empty' is neither an OCI layout nor a build's output folder
    hint: name dist/<name>-<version>, an archive that ends with -provider.oci.tar, or a folder with an 'oci-layout'
    ");
    assert_snapshot!(fails(&["missing.tar"]), @r"
    exit 2
    error: missing.tar does not exist
    ");
}

#[test]
fn a_push_says_what_went_and_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(folder.path(), false);
    let project = Project::empty();
    let image = Image::simple(&["file a 0644 'a'"]);
    write_layout(
        &project.path("layout"),
        &[("v1", &image.manifest)],
        &[&image],
    );
    let to = format!("{}/x", registry.host);
    let push = |more: &[&str]| {
        let fixed = ["push", "layout", "--to", &to];
        project.run(&[&fixed, more].concat()).all()
    };
    assert_snapshot!(push(&["--dry-run"]), @r"
    exit 0
    --- stdout
    127.0.0.1:[PORT]/x:v1: would be pushed
      sha256:[DIGEST]
      uploaded 2 blobs ( [SIZE]), mounted 0 blobs ( [SIZE]), already there 0 blobs ( [SIZE])
    --- stderr
    Pushing 127.0.0.1:[PORT]/x:v1
    ");
    assert_snapshot!(push(&[]), @r"
    exit 0
    --- stdout
    127.0.0.1:[PORT]/x:v1: pushed
      sha256:[DIGEST]
      uploaded 2 blobs ( [SIZE]), mounted 0 blobs ( [SIZE]), already there 0 blobs ( [SIZE])
    --- stderr
    Pushing 127.0.0.1:[PORT]/x:v1
    ");
    assert_snapshot!(push(&["--tag", "v1"]), @r"
    exit 0
    --- stdout
    127.0.0.1:[PORT]/x:v1: already there
      sha256:[DIGEST]
      uploaded 0 blobs ( [SIZE]), mounted 0 blobs ( [SIZE]), already there 2 blobs ( [SIZE])
    --- stderr
    Pushing 127.0.0.1:[PORT]/x:v1
    ");
}
