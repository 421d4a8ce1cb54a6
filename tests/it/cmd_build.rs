//! `isoforge build`: what it says and leaves.

use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::json;

use crate::support::bootable;
use crate::support::program::{Outcome, Project};
use crate::support::registry::FakeRegistry;

#[test]
fn the_summary_names_folder_files_and_components() {
    let project = Project::bootable();
    assert_snapshot!(project.build().all(), @r"
    exit 0
    --- stdout
    tiny 1.0.0
      debian  13
      pxk-e   1.32.3
    [DIR]/project/dist/tiny-1.0.0
     [SIZE]  [SHORT]  tiny-1.0.0.iso
     [SIZE]  [SHORT]  tiny-1.0.0-provider.oci.tar
      provider image registry.example/edge/tiny:pxk-e-1.32.3-1.0.0
    time stamp 1714557600 (newest image configuration)
    --- stderr
    Gathering inputs
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
      blobs: 8 from local files ( [SIZE])
      layers: 5 compressed ( [SIZE])
      to look into it: isoforge inspect dist/tiny-1.0.0
      to boot it: qemu-system-x86_64 -machine q35 -m 4096 -cdrom dist/tiny-1.0.0/tiny-1.0.0.iso
    ");
    assert_snapshot!(project.outputs().join("\n"), @r"
    tiny-1.0.0/manifest.json
    tiny-1.0.0/tiny-1.0.0-provider.oci.tar
    tiny-1.0.0/tiny-1.0.0-provider.oci.tar.sha256
    tiny-1.0.0/tiny-1.0.0.iso
    tiny-1.0.0/tiny-1.0.0.iso.sha256
    ");
    project.assert_store_sound();
}

#[test]
fn the_summary_in_json() {
    let project = Project::bootable();
    let outcome = project.run(&["build", "profile.toml", "--format", "json"]);
    outcome.assert_exit(0);
    let mut summary = outcome.json();
    for output in summary["outputs"].as_array_mut().unwrap() {
        let path = format!("dist/tiny-1.0.0/{}", output["name"].as_str().unwrap());
        let size = std::fs::metadata(project.path(&path)).unwrap().len();
        assert_eq!(output["size"], size);
        output["size"] = "the file's size".into();
    }
    assert_snapshot!(serde_json::to_string_pretty(&summary).unwrap(), @r#"
    {
      "schema": 1,
      "name": "tiny",
      "version": "1.0.0",
      "folder": "dist/tiny-1.0.0",
      "outputs": [
        {
          "name": "tiny-1.0.0.iso",
          "size": "the file's size",
          "digest": "sha256:[DIGEST]"
        },
        {
          "name": "tiny-1.0.0-provider.oci.tar",
          "size": "the file's size",
          "digest": "sha256:[DIGEST]"
        }
      ],
      "provider_images": [
        "registry.example/edge/tiny:pxk-e-1.32.3-1.0.0"
      ],
      "components": [
        {
          "kind": "os",
          "name": "debian",
          "version": "13",
          "source": "etc/os-release"
        },
        {
          "kind": "kubernetes",
          "name": "pxk-e",
          "version": "1.32.3",
          "source": "profile"
        }
      ],
      "epoch": {
        "seconds": 1714557600,
        "source": "image"
      },
      "run": {
        "milliseconds": [N],
        "stages": [
          {
            "name": "Gathering inputs",
            "milliseconds": [N]
          },
          {
            "name": "Building the ISO for amd64",
            "milliseconds": [N]
          },
          {
            "name": "Compressing layers",
            "milliseconds": [N]
          },
          {
            "name": "Building the system with Kubernetes 1.32.3 for amd64",
            "milliseconds": [N]
          },
          {
            "name": "Building the provider image",
            "milliseconds": [N]
          }
        ],
        "stored": {
          "count": 0,
          "bytes": [N]
        },
        "downloaded": {
          "count": 0,
          "bytes": [N]
        },
        "imported": {
          "count": 8,
          "bytes": [N]
        },
        "layers_stored": {
          "count": 0,
          "bytes": [N]
        },
        "layers_compressed": {
          "count": 5,
          "bytes": [N]
        }
      },
      "next": [
        {
          "purpose": "look into it",
          "command": "isoforge inspect dist/tiny-1.0.0"
        },
        {
          "purpose": "boot it",
          "command": "qemu-system-x86_64 -machine q35 -m 4096 -cdrom dist/tiny-1.0.0/tiny-1.0.0.iso"
        }
      ]
    }
    "#);
}

#[test]
fn two_architectures_give_two_isos_and_one_provider_archive() {
    let project = Project::bootable_for(&["amd64", "arm64"]);
    assert_snapshot!(project.build().stdout, @r"
    tiny 1.0.0
      debian  13
      pxk-e   1.32.3
    [DIR]/project/dist/tiny-1.0.0
     [SIZE]  [SHORT]  tiny-1.0.0-amd64.iso
     [SIZE]  [SHORT]  tiny-1.0.0-arm64.iso
     [SIZE]  [SHORT]  tiny-1.0.0-provider.oci.tar
      provider image registry.example/edge/tiny:pxk-e-1.32.3-1.0.0
    time stamp 1714557600 (newest image configuration)
    ");
    assert_snapshot!(project.outputs().join("\n"), @r"
    tiny-1.0.0/manifest.json
    tiny-1.0.0/tiny-1.0.0-amd64.iso
    tiny-1.0.0/tiny-1.0.0-amd64.iso.sha256
    tiny-1.0.0/tiny-1.0.0-arm64.iso
    tiny-1.0.0/tiny-1.0.0-arm64.iso.sha256
    tiny-1.0.0/tiny-1.0.0-provider.oci.tar
    tiny-1.0.0/tiny-1.0.0-provider.oci.tar.sha256
    ");
}

#[test]
fn only_one_artifact() {
    for (only, wanted) in [
        ("iso", "tiny-1.0.0.iso"),
        ("provider", "tiny-1.0.0-provider.oci.tar"),
    ] {
        let project = Project::bootable();
        project
            .run(&["build", "profile.toml", "--only", only, "--output", "out"])
            .assert_exit(0);
        let outputs = crate::support::program::files_below(&project.path("out/tiny-1.0.0"));
        let checksum = format!("{wanted}.sha256");
        assert_eq!(outputs, ["manifest.json", wanted, &checksum]);
    }
}

#[test]
fn a_second_build_finds_everything_in_the_store_and_gives_the_same() {
    let project = Project::bootable();
    let first = project.build();
    let slabs = crate::support::program::files_below(&project.cache());
    let iso = || std::fs::read(project.path("dist/tiny-1.0.0/tiny-1.0.0.iso")).unwrap();
    let bytes = iso();
    let second = project.build();
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(bytes, iso());
    assert_eq!(
        slabs,
        crate::support::program::files_below(&project.cache())
    );
}

#[test]
fn what_came_from_where_is_counted_and_is_in_no_output() {
    let registry = FakeRegistry::start();
    let image = bootable::image("amd64", &bootable::os_layer("amd64"));
    registry.put_image("edge/os", "1", &image);
    let project = Project::bootable();
    project.change_profile("oci:os", &format!("{}/edge/os:1", registry.host()));
    let run = || {
        let outcome = project.run(&["build", "profile.toml", "--format", "json"]);
        outcome.assert_exit(0);
        outcome.json()["run"].clone()
    };
    let first = run();
    let bytes: usize = image.blobs().map(|blob| blob.bytes.len()).sum();
    let bytes = bytes + image.manifest.bytes.len();
    assert_eq!(first["downloaded"], json!({"count": 3, "bytes": bytes}));
    assert_eq!(first["stored"]["count"], 0);
    assert_eq!(first["layers_stored"]["count"], 0);
    let layers = first["layers_compressed"]["count"].as_u64().unwrap();
    assert!(layers > 1);
    let second = run();
    // The tag's manifest may be asked for again, no more than that.
    assert!(
        second["downloaded"]["count"].as_u64().unwrap() <= 1,
        "{second}"
    );
    assert!(second["stored"]["count"].as_u64().unwrap() >= 2, "{second}");
    assert_eq!(second["layers_compressed"]["count"], 0);
    assert_eq!(second["layers_stored"]["count"], layers);
    let stages = second["stages"].as_array().unwrap();
    let sum: u64 = stages
        .iter()
        .map(|stage| stage["milliseconds"].as_u64().unwrap())
        .sum();
    assert!(sum <= second["milliseconds"].as_u64().unwrap());
    let manifest = std::fs::read_to_string(project.path("dist/tiny-1.0.0/manifest.json")).unwrap();
    assert!(!manifest.contains("milliseconds"));
}

#[test]
fn progress_plain_says_stages() {
    let project = Project::bootable();
    let outcome = project.run(&["build", "profile.toml", "--progress", "plain"]);
    assert_snapshot!(outcome.stderr, @r"
    Gathering inputs
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
      blobs: 8 from local files ( [SIZE])
      layers: 5 compressed ( [SIZE])
      to look into it: isoforge inspect dist/tiny-1.0.0
      to boot it: qemu-system-x86_64 -machine q35 -m 4096 -cdrom dist/tiny-1.0.0/tiny-1.0.0.iso
    ");
}

#[test]
fn verbose_says_every_piece_of_work() {
    let project = Project::bootable();
    let outcome = project.run(&["build", "profile.toml", "--verbose", "--jobs", "1"]);
    outcome.assert_exit(0);
    for work in [
        "compress OS",
        "compress overlay overlays/base",
        "write tiny-1.0.0-provider",
    ] {
        let line = format!("\n  {work}");
        assert!(outcome.stderr.contains(&line), "{work}: {}", outcome.stderr);
    }
}

#[test]
fn progress_none_and_quiet_say_nothing_but_warnings() {
    for flags in [["--progress", "none"].as_slice(), &["--quiet"]] {
        let project = Project::bootable();
        let outcome = project.run(&[["build", "profile.toml"].as_slice(), flags].concat());
        outcome.assert_exit(0);
        assert_eq!(outcome.stderr, "");
        assert!(outcome.stdout.starts_with("tiny 1.0.0\n"));
    }
}

#[test]
fn a_closed_standard_output_is_no_error() {
    let project = Project::bootable();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = project
        .command(&["build", "profile.toml", "--quiet"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    outcome.assert_exit(0);
    assert_eq!(outcome.stderr, "");
    assert!(project.path("dist/tiny-1.0.0/tiny-1.0.0.iso").exists());
}
