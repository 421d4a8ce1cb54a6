//! `isoforge bundle`, against a registry.

mod help;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use insta::assert_snapshot;
use isoforge_oci::media::Family;

use crate::support::docker_registry::DockerRegistry;
use crate::support::layers::{Image, index, write_layout};
use crate::support::program::{Outcome, Project};
use crate::support::registry::FakeRegistry;
use crate::support::{has_crane, judge};
use isoforge_base::digest::Digest;
use isoforge_oci::layer::LayerCompression;

/// Hex digits of hashes, which compress to half at best.
fn noise(n: u32) -> String {
    (0..n)
        .map(|number| Digest::of(&number.to_le_bytes()).hex())
        .collect()
}

struct Fixture {
    registry: FakeRegistry,
    project: Project,
}

impl Fixture {
    /// A registry with an image for two platforms and another for one.
    fn new() -> Self {
        let registry = FakeRegistry::start();
        let project = Project::empty();
        let image = |platform: &str, text: &str| {
            Image::new(Family::Oci, platform, &[(text, LayerCompression::Gzip)])
        };
        let large = format!("file noise 0644 {}", noise(60_000));
        let (amd64, arm64) = (
            image("linux/amd64", &large),
            image("linux/arm64", "file arm 0644 'arm'"),
        );
        let both = index(Family::Oci, &[&amd64, &arm64]);
        for one in [&amd64, &arm64] {
            registry.put_image("net/node", "unused", one);
        }
        registry.put_manifest("net/node", "v1", &both);
        let tool = Image::simple(&["file tool 0755 'a tool'"]);
        registry.put_image("tools/tool", "1", &tool);
        let newer = Image::simple(&["file tool 0755 'a newer tool'"]);
        registry.put_image("tools/tool", "2", &newer);
        Self { registry, project }
    }

    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.registry.host())
    }

    /// Builds a bundle named `b` into `out`.
    fn build(&self, version: &str, images: &[&str], more: &[&str]) -> Outcome {
        let images: Vec<String> = images.iter().map(|image| self.name(image)).collect();
        let mut arguments = vec!["bundle", "build", "--name", "b", "--version", version];
        arguments.extend(["--output", "out"]);
        for image in &images {
            arguments.extend(["--image", image]);
        }
        arguments.extend(more);
        self.project.run(&arguments)
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        self.project.run(&[&["bundle"], arguments].concat())
    }

    fn out(&self, name: &str) -> PathBuf {
        self.project.path("out").join(name)
    }
}

const IMAGES: [&str; 2] = ["net/node:v1", "tools/tool:1"];

#[test]
fn a_bundle_is_built_looked_into_and_checked() {
    let fixture = Fixture::new();
    let built = fixture.build("1", &IMAGES, &["--platform", "linux/amd64"]);
    assert_snapshot!(built.all(), @r"
    exit 0
    --- stdout
    out/b-1.tar.zst [SIZE]
      sha256:[DIGEST]
      index.json sha256:[DIGEST]
      127.0.0.1:[PORT]/net/node:v1
      127.0.0.1:[PORT]/tools/tool:1
    --- stderr
    Gathering images
    Writing the bundle
    ");
    let inspected = fixture.run(&["inspect", "out/b-1.tar.zst"]);
    assert_snapshot!(inspected.all(), @r"
    exit 0
    --- stdout
    b 1 [SIZE]  out/b-1.tar.zst
      sha256:[DIGEST]
    127.0.0.1:[PORT]/net/node:v1 [SIZE]
      sha256:[DIGEST]
      linux/amd64 [SIZE]
      left out: linux/arm64
    127.0.0.1:[PORT]/tools/tool:1 [SIZE]
      sha256:[DIGEST]
      linux/amd64 [SIZE]
    --- stderr
    ");
    let verified = fixture.run(&["verify", "out/b-1.tar.zst"]);
    assert_snapshot!(verified.all(), @r"
    exit 0
    --- stdout
    out/b-1.tar.zst: whole, 2 roots, 7 blobs, [SIZE]
      sha256:[DIGEST]
    --- stderr
    ");
    // With all platforms it is another; without a connection the same again.
    fixture.build("2", &IMAGES, &[]).assert_exit(0);
    let roots = fixture
        .run(&["inspect", "out/b-2.tar.zst", "--format", "json"])
        .json();
    let platforms = roots["roots"][0]["platforms"].as_array().unwrap().len();
    assert_eq!((platforms, &roots["schema"]), (2, &serde_json::json!(1)));
    let digest = |name: &str| Digest::of(&std::fs::read(fixture.out(name)).unwrap());
    let first = digest("b-1.tar.zst");
    let again = fixture.build("1", &IMAGES, &["--platform", "linux/amd64", "--force"]);
    again.assert_exit(0);
    assert_eq!(digest("b-1.tar.zst"), first);
    let as_folder = fixture.build("1", &IMAGES, &["--platform", "linux/amd64", "--as", "dir"]);
    as_folder.assert_exit(0);
    let folder = fixture
        .run(&["diff", "out/b-1", "out/b-1.tar.zst", "--format", "json"])
        .json();
    assert_eq!(folder["from"], folder["to"]);
    assert_eq!(folder["new"]["blobs"], 0);
}

#[test]
fn two_bundles_of_one_name_do_not_overwrite_each_other() {
    let fixture = Fixture::new();
    fixture.build("1", &["tools/tool:1"], &[]).assert_exit(0);
    let before = std::fs::read(fixture.out("b-1.tar.zst")).unwrap();
    let second = fixture.build("1", &["tools/tool:2"], &[]);
    second.assert_exit(2);
    assert_snapshot!(second.error(), @r"
    exit 2
    error: 'out/b-1.tar.zst' is there already
    hint: give the bundle another name or version, or replace an archive with --force
    ");
    assert_eq!(std::fs::read(fixture.out("b-1.tar.zst")).unwrap(), before);
}

#[test]
fn a_delta_is_applied_to_its_base_and_to_no_other() {
    let fixture = Fixture::new();
    let amd64 = ["--platform", "linux/amd64"];
    fixture.build("1", &IMAGES, &amd64).assert_exit(0);
    let new = ["net/node:v1", "tools/tool:2"];
    let since = [&amd64[..], &["--since", "out/b-1.tar.zst"]].concat();
    fixture.build("2", &new, &since).assert_exit(0);
    let size = |path: &str| std::fs::metadata(fixture.project.path(path)).unwrap().len();
    assert!(size("out/b-2.tar.zst") * 10 < size("out/b-1.tar.zst"));
    let applied = fixture.run(&["apply", "out/b-1.tar.zst", "out/b-2.tar.zst", "-o", "whole"]);
    applied.assert_exit(0);
    // The same as if it had been built whole.
    let full = [&amd64[..], &["--output", "full"]].concat();
    let images = new.map(|image| fixture.name(image));
    let mut arguments = vec!["build", "--name", "b", "--version", "2"];
    for image in &images {
        arguments.extend(["--image", image]);
    }
    fixture
        .run(&[&arguments[..], &full].concat())
        .assert_exit(0);
    let read = |path: &str| Digest::of(&std::fs::read(fixture.project.path(path)).unwrap());
    assert_eq!(read("whole/b-2.tar.zst"), read("full/b-2.tar.zst"));
    assert_snapshot!(
        fixture
            .run(&["diff", "out/b-1.tar.zst", "whole/b-2.tar.zst"])
            .all()
    , @r"
    exit 0
    --- stdout
    + 127.0.0.1:[PORT]/tools/tool:2  [SHORT]
    - 127.0.0.1:[PORT]/tools/tool:1  [SHORT]
    new: 3 blobs, [SIZE]
    gone: 3 blobs, [SIZE]
    shared: 4 blobs, [SIZE]
    --- stderr
    ");
    let wrong = fixture.run(&[
        "apply",
        "whole/b-2.tar.zst",
        "out/b-2.tar.zst",
        "-o",
        "wrong",
    ]);
    wrong.assert_exit(5);
    assert_snapshot!(wrong.error(), @r"
    exit 5
    error: out/b-2.tar.zst is a delta to the bundle sha256:[DIGEST], and whole/b-2.tar.zst is the bundle sha256:[DIGEST]
    hint: give the bundle whose index.json has the digest sha256:[DIGEST]: isoforge bundle inspect shows it
    ");
    assert!(!fixture.project.path("wrong").exists());
}

#[test]
fn a_split_bundle_is_read_in_its_parts_and_a_lost_one_is_named() {
    let fixture = Fixture::new();
    fixture
        .build("1", &IMAGES, &["--split=1MiB"])
        .assert_exit(0);
    let list = "out/b-1.tar.zst.parts.json";
    fixture.run(&["verify", list]).assert_exit(0);
    fixture.run(&["inspect", "out"]).assert_exit(0);
    std::fs::remove_file(fixture.out("b-1.tar.zst.002")).unwrap();
    let lost = fixture.run(&["inspect", "out/b-1.tar.zst.001"]);
    lost.assert_exit(5);
    assert_snapshot!(lost.error(), @r"
    exit 5
    error: part 2 of 4 of a split bundle, out/b-1.tar.zst.002: it is missing
    hint: copy the part again from where the bundle comes from
    ");
    let lost = fixture.run(&["verify", list]);
    lost.assert_exit(5);
    assert_snapshot!(lost.all(), @r"
    exit 5
    --- stdout
    out/b-1.tar.zst.002: it is missing
    out/b-1.tar.zst.parts.json: not whole, 1 fault
    --- stderr
    error: 'out/b-1.tar.zst.parts.json' is not whole: out/b-1.tar.zst.002: it is missing
    hint: copy it or build it again; do not use this one
    ");
}

#[test]
fn damage_is_told_with_digest_and_place() {
    let fixture = Fixture::new();
    fixture.build("1", &IMAGES, &["--as", "dir"]).assert_exit(0);
    let blobs = fixture.out("b-1/blobs/sha256");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&blobs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort_by_key(|path| std::fs::metadata(path).unwrap().len());
    let largest = files.last().unwrap();
    let mut bytes = std::fs::read(largest).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(largest, &bytes).unwrap();
    let altered = fixture.run(&["verify", "out/b-1"]);
    altered.assert_exit(5);
    assert!(
        altered
            .stdout
            .contains(largest.file_name().unwrap().to_str().unwrap())
    );
    assert_snapshot!(altered.all(), @r"
    exit 5
    --- stdout
    out/b-1/blobs/sha256/[HEX]: it is altered: its digest is sha256:[DIGEST]
    out/b-1: not whole, 1 fault
    --- stderr
    error: 'out/b-1' is not whole: out/b-1/blobs/sha256/[HEX]: it is altered: its digest is sha256:[DIGEST]
    hint: copy it or build it again; do not use this one
    ");
    std::fs::remove_file(largest).unwrap();
    let missing = fixture.run(&["verify", "out/b-1"]);
    missing.assert_exit(5);
    assert_snapshot!(missing.all(), @r"
    exit 5
    --- stdout
    out/b-1/blobs/sha256/[HEX]: it is missing; manifest sha256:[DIGEST] of 127.0.0.1:[PORT]/net/node:v1 names it
    out/b-1: not whole, 1 fault
    --- stderr
    error: 'out/b-1' is not whole: out/b-1/blobs/sha256/[HEX]: it is missing; manifest sha256:[DIGEST] of 127.0.0.1:[PORT]/net/node:v1 names it
    hint: copy it or build it again; do not use this one
    ");

    fixture.build("1", &IMAGES, &[]).assert_exit(0);
    let path = fixture.out("b-1.tar.zst");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 100]).unwrap();
    let cut = fixture.run(&["verify", "out/b-1.tar.zst"]);
    cut.assert_exit(5);
    assert_snapshot!(cut.error(), @r"
    exit 5
    error: out/b-1.tar.zst is no bundle: it was cut short: the table at its end is missing
    ");
}

#[test]
fn what_is_asked_for_and_can_not_be_is_said() {
    let fixture = Fixture::new();
    let none = fixture.build("1", &["tools/tool:3"], &[]);
    none.assert_exit(4);
    assert!(!fixture.project.path("out").exists());
    let image = fixture.name("tools/tool:1");
    let nameless = fixture.run(&["build", "--image", &image]);
    let platform = fixture.build("1", &["net/node:v1"], &["--platform", "linux/s390x"]);
    let public = fixture.build("1", &["tools/tool:1"], &[]);
    public.assert_exit(0);
    let public = fixture.run(&["serve", "out/b-1.tar.zst", "--listen", "0.0.0.0:0"]);
    let nothing = fixture.run(&["inspect", "nothing.tar.zst"]);
    let split = fixture.build("1", &["tools/tool:1"], &["--as", "dir", "--split"]);
    let replaced = fixture.build("1", &["tools/tool:1"], &["--as", "dir", "--force"]);
    let locked = fixture.build("1", &["tools/tool:1"], &["--locked"]);
    let said = [nameless, platform, public, nothing, split, replaced, locked];
    let said = said.map(|outcome| outcome.error());
    assert_snapshot!(said.join("\n"), @r"
    exit 2
    error: a bundle without a profile needs a name and a version
    hint: give --name and --version

    exit 2
    error: 127.0.0.1:[PORT]/net/node:v1 can't be used
      caused by: there is no image for linux/s390x; there are: linux/amd64, linux/arm64
    hint: take one of the platforms there, or another tag

    exit 2
    error: 0.0.0.0:0 is no address of this machine alone
    hint: the server has no access control: listen on 127.0.0.1 or [::1]

    exit 2
    error: there is no nothing.tar.zst

    exit 2
    error: a folder is not split: --split goes with an archive

    exit 2
    error: a folder is not replaced: --force goes with an archive

    exit 2
    error: --lock and --locked go with a profile; without one, name images by digest
    ");
}

#[test]
fn a_profiles_content_and_its_provider_image_go_into_a_bundle() {
    let fixture = Fixture::new();
    let project = Project::bootable();
    let images = IMAGES.map(|image| format!("\"{}\"", fixture.name(image)));
    project.add_to_profile(&format!("\n[content]\nimages = [{}]\n", images.join(", ")));
    let build = |more: &[&str]| project.run(&[&["bundle", "build", "profile.toml"], more].concat());
    build(&["--locked"]).assert_exit(7);
    project.build();
    let provider = "dist/tiny-1.0.0/tiny-1.0.0-provider.oci.tar";
    let built = build(&["--locked", "--offline", "--provider", provider]);
    assert_snapshot!(built.all(), @r"
    exit 0
    --- stdout
    dist/tiny-1.0.0.tar.zst [SIZE]
      sha256:[DIGEST]
      index.json sha256:[DIGEST]
      127.0.0.1:[PORT]/net/node:v1
      127.0.0.1:[PORT]/tools/tool:1
      registry.example/edge/tiny:pxk-e-1.32.3-1.0.0
    --- stderr
    Gathering images
    Writing the bundle
    ");
    let inspected = project.run(&["bundle", "inspect", "dist/tiny-1.0.0.tar.zst"]);
    assert_snapshot!(inspected.all(), @r"
    exit 0
    --- stdout
    tiny 1.0.0 [SIZE]  dist/tiny-1.0.0.tar.zst
      sha256:[DIGEST]
    127.0.0.1:[PORT]/net/node:v1 [SIZE]
      sha256:[DIGEST]
      linux/amd64 [SIZE]
      left out: linux/arm64
    127.0.0.1:[PORT]/tools/tool:1 [SIZE]
      sha256:[DIGEST]
      linux/amd64 [SIZE]
    provider registry.example/edge/tiny:pxk-e-1.32.3-1.0.0 [SIZE]
      sha256:[DIGEST]
      linux/amd64 [SIZE]
    --- stderr
    ");
    project
        .run(&["bundle", "verify", "dist/tiny-1.0.0.tar.zst"])
        .assert_exit(0);
    // The ISO is a bundle as well.
    let iso = "dist/tiny-1.0.0/tiny-1.0.0.iso";
    project.run(&["bundle", "verify", iso]).assert_exit(0);
    let diff = project.run(&[
        "bundle",
        "diff",
        iso,
        "dist/tiny-1.0.0.tar.zst",
        "--format",
        "json",
    ]);
    let diff = diff.json();
    assert_eq!(diff["removed"], serde_json::json!([]));
    assert_eq!(diff["moved"], serde_json::json!([]));
    assert_eq!(diff["added"][0]["kind"], "provider");
    assert_eq!(diff["gone"]["blobs"], 0);
}

#[test]
fn what_a_real_registry_has_comes_back_out_of_a_bundle_with_its_digest() {
    let project = Project::empty();
    std::fs::create_dir(project.path("registry")).unwrap();
    let registry = DockerRegistry::start(&project.path("registry"), false);
    let large = format!("file noise 0644 {}", noise(30_000));
    let image = |platform: &str, text: &str| {
        Image::new(Family::Oci, platform, &[(text, LayerCompression::Gzip)])
    };
    let (amd64, arm64) = (
        image("linux/amd64", &large),
        image("linux/arm64", "file a 0644 'a'"),
    );
    let both = index(Family::Oci, &[&amd64, &arm64]);
    let layout = project.path("layout");
    write_layout(&layout, &[("v1", &both)], &[&amd64, &arm64]);
    let host = &registry.host;
    let from = format!("oci:{}:v1", layout.display());
    let name = format!("{host}/calico/node:v1");
    let to = format!("docker://{name}");
    judge(
        "skopeo",
        "skopeo",
        &[
            "copy",
            "-q",
            "--all",
            "--preserve-digests",
            "--dest-tls-verify=false",
            &from,
            &to,
        ],
    );
    let arguments = [
        "bundle",
        "build",
        "--name",
        "b",
        "--version",
        "1",
        "--image",
        &name,
    ];
    project.run(&arguments).assert_exit(0);

    let mut child = project
        .command(&["bundle", "serve", "dist/b-1.tar.zst"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut address)
        .unwrap();
    let served = format!(
        "docker://{}/{}/calico/node:v1",
        address.trim(),
        host.replace(':', "_")
    );
    let out = project.path("out");
    let back = format!("dir:{}", out.display());
    judge(
        "skopeo",
        "skopeo",
        &[
            "copy",
            "-q",
            "--all",
            "--preserve-digests",
            "--src-tls-verify=false",
            &served,
            &back,
        ],
    );
    if has_crane() {
        let served = served.trim_start_matches("docker://");
        let said = judge("crane", "crane", &["validate", "--remote", served]);
        assert!(said.contains("PASS"), "{said}");
        let digest = judge("crane", "crane", &["digest", served]);
        assert_eq!(digest.trim(), both.digest().to_string());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let manifest = std::fs::read(out.join("manifest.json")).unwrap();
    assert_eq!(Digest::of(&manifest), both.digest());
    for blob in amd64.blobs().chain(arm64.blobs()) {
        assert_eq!(
            std::fs::read(out.join(blob.digest().hex())).unwrap(),
            blob.bytes
        );
    }
}

#[test]
fn a_bundle_is_served_until_it_is_interrupted() {
    let fixture = Fixture::new();
    fixture.build("1", &IMAGES, &[]).assert_exit(0);
    let mut child = fixture
        .project
        .command(&["bundle", "serve", "out/b-1.tar.zst"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut address)
        .unwrap();
    let host = fixture.registry.host().replace(':', "_");
    let served = format!("docker://{}/{host}/tools/tool:1", address.trim());
    let out = judge(
        "skopeo",
        "skopeo",
        &[
            "inspect",
            "--tls-verify=false",
            "--format",
            "{{.Digest}}",
            &served,
        ],
    );
    let tool = Image::simple(&["file tool 0755 'a tool'"]);
    assert_eq!(out.trim(), tool.manifest.digest().to_string());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(130));
}
