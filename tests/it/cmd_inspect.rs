//! `isoforge inspect` of what a build left.

use insta::assert_snapshot;

use crate::support::program::Project;

const ISO: &str = "dist/tiny-1.0.0/tiny-1.0.0.iso";
const PROVIDER: &str = "dist/tiny-1.0.0/tiny-1.0.0-provider.oci.tar";

fn built() -> Project {
    let project = Project::bootable();
    project.build();
    project
}

fn value(project: &Project, path: &str) -> serde_json::Value {
    let outcome = project.run(&["inspect", path, "--format", "json"]);
    outcome.assert_exit(0);
    outcome.json()
}

fn json(project: &Project, path: &str) -> String {
    serde_json::to_string_pretty(&value(project, path)).unwrap()
}

#[test]
fn an_iso() {
    let project = built();
    assert_snapshot!(project.run(&["inspect", ISO]).all(), @r"
    exit 0
    --- stdout
    ISO image    COS_LIVE
    size [SIZE] ( [SIZE])
    names        ISO 9660, Rock Ridge, Joliet
    boot         BIOS, at byte [N]
    boot         UEFI, at byte [N]
    appliance    tiny 1.0.0
    for          amd64
    made by      isoforge [VERSION]
    time         2024-05-01T10:00:00Z (newest image configuration)
    profile      sha256:[DIGEST]
    root [SIZE] ( [SIZE])
                 sha256:[DIGEST]

    components
      os          debian  13      etc/os-release
      kubernetes  pxk-e   1.32.3  profile

    all digests hold
    --- stderr
    ");
    assert_snapshot!(json(&project, ISO), @r#"
    {
      "schema": 1,
      "kind": "iso",
      "volume_id": "COS_LIVE",
      "created": "2024050110000000",
      "size": [N],
      "joliet": true,
      "rock_ridge": true,
      "boot": [
        {
          "platform": "BIOS",
          "bootable": true,
          "offset": [N],
          "sectors": [N]
        },
        {
          "platform": "UEFI",
          "bootable": true,
          "offset": [N],
          "sectors": [N]
        }
      ],
      "manifest": {
        "schema": 1,
        "tool": {
          "name": "isoforge",
          "version": "[VERSION]"
        },
        "appliance": {
          "name": "tiny",
          "version": "1.0.0"
        },
        "profile": "sha256:[DIGEST]",
        "epoch": {
          "seconds": 1714557600,
          "source": "image"
        },
        "architectures": {
          "amd64": {
            "images": [
              {
                "role": "os",
                "reference": "oci:os",
                "index": "sha256:[DIGEST]",
                "manifest": "sha256:[DIGEST]",
                "layers": [
                  "sha256:[DIGEST]"
                ]
              },
              {
                "role": "kubernetes",
                "reference": "oci:kubernetes",
                "index": "sha256:[DIGEST]",
                "manifest": "sha256:[DIGEST]",
                "layers": [
                  "sha256:[DIGEST]"
                ]
              }
            ],
            "files": [
              {
                "role": "overlay",
                "name": "overlays/base",
                "digest": "sha256:[DIGEST]",
                "size": [N]
              },
              {
                "role": "overlay",
                "name": "templates/cloud-config.yaml.tera",
                "digest": "sha256:[DIGEST]",
                "size": [N]
              }
            ],
            "program": {
              "digest": "sha256:[DIGEST]",
              "size": [N]
            },
            "boot": {
              "EFI/BOOT/bootx64.efi": {
                "digest": "sha256:[DIGEST]",
                "size": [N]
              },
              "EFI/BOOT/grubx64.efi": {
                "digest": "sha256:[DIGEST]",
                "size": [N]
              },
              "boot/initrd": {
                "digest": "sha256:[DIGEST]",
                "size": [N]
              },
              "boot/kernel": {
                "digest": "sha256:[DIGEST]",
                "size": [N]
              },
              "isoforge/boot/bios-core.img": {
                "digest": "sha256:[DIGEST]",
                "size": [N]
              },
              "isoforge/boot/bios-mbr.img": {
                "digest": "sha256:[DIGEST]",
                "size": [N]
              }
            },
            "layers": [
              {
                "digest": "sha256:[DIGEST]",
                "size": [N],
                "compression": "gzip",
                "diff_id": "sha256:[DIGEST]"
              },
              {
                "digest": "sha256:[DIGEST]",
                "size": [N],
                "compression": "gzip",
                "diff_id": "sha256:[DIGEST]"
              },
              {
                "digest": "sha256:[DIGEST]",
                "size": [N],
                "compression": "plain",
                "diff_id": "sha256:[DIGEST]"
              },
              {
                "digest": "sha256:[DIGEST]",
                "size": [N],
                "compression": "plain",
                "diff_id": "sha256:[DIGEST]"
              },
              {
                "digest": "sha256:[DIGEST]",
                "size": [N],
                "compression": "plain",
                "diff_id": "sha256:[DIGEST]"
              }
            ],
            "squashfs": {
              "digest": "sha256:[DIGEST]",
              "size": [N],
              "compression": "zstd:9",
              "block_size": 262144,
              "epoch": 1714557600
            },
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
            ]
          }
        }
      },
      "squashfs": {
        "size": [N],
        "digest": "sha256:[DIGEST]",
        "sound": true
      },
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
      "content": [],
      "content_bytes": [N],
      "problems": []
    }
    "#);
}

#[test]
fn a_provider_archive() {
    let project = built();
    assert_snapshot!(project.run(&["inspect", PROVIDER]).all(), @r"
    exit 0
    --- stdout
    OCI images   1
    blobs        8, [SIZE] ( [SIZE])

    pxk-e-1.32.3-1.0.0
      sha256:[DIGEST]
      linux/amd64
        manifest sha256:[DIGEST]
        created  2024-05-01T10:00:00Z
        layer    sha256:[DIGEST] gzip [SIZE] ( [SIZE])
        layer    sha256:[DIGEST] gzip [SIZE]
        layer    sha256:[DIGEST] gzip [SIZE] ( [SIZE])
        layer    sha256:[DIGEST] gzip [SIZE]
        layer    sha256:[DIGEST] gzip [SIZE]
        labels
          io.isoforge.kubernetes.distribution = pxk-e
          io.isoforge.kubernetes.version = 1.32.3
          io.isoforge.os.distribution = debian
          io.isoforge.os.version = 13
          io.isoforge.squashfs.block-size = 262144
          io.isoforge.squashfs.compression = zstd:9
          io.isoforge.squashfs.digest = sha256:[DIGEST]
          io.isoforge.squashfs.epoch = 1714557600
          io.isoforge.squashfs.size = [N]
          io.isoforge.version = [VERSION]
          org.opencontainers.image.base.digest = sha256:[DIGEST]
          org.opencontainers.image.created = 2024-05-01T10:00:00Z
          org.opencontainers.image.description = debian 13 with pxk-e 1.32.3
          org.opencontainers.image.title = tiny
          org.opencontainers.image.version = 1.0.0

    all digests hold
    --- stderr
    ");
    assert_snapshot!(json(&project, PROVIDER), @r#"
    {
      "schema": 1,
      "kind": "image",
      "images": [
        {
          "name": "pxk-e-1.32.3-1.0.0",
          "digest": "sha256:[DIGEST]",
          "annotations": {
            "io.isoforge.kubernetes.distribution": "pxk-e",
            "io.isoforge.kubernetes.version": "1.32.3",
            "io.isoforge.os.distribution": "debian",
            "io.isoforge.os.version": "13",
            "io.isoforge.version": "[VERSION]",
            "org.opencontainers.image.created": "2024-05-01T10:00:00Z",
            "org.opencontainers.image.description": "debian 13 with pxk-e 1.32.3",
            "org.opencontainers.image.title": "tiny",
            "org.opencontainers.image.version": "1.0.0"
          },
          "platforms": [
            {
              "platform": "linux/amd64",
              "manifest": "sha256:[DIGEST]",
              "created": "2024-05-01T10:00:00Z",
              "layers": [
                {
                  "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
                  "digest": "sha256:[DIGEST]",
                  "size": [N]
                },
                {
                  "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
                  "digest": "sha256:[DIGEST]",
                  "size": [N]
                },
                {
                  "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
                  "digest": "sha256:[DIGEST]",
                  "size": [N]
                },
                {
                  "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
                  "digest": "sha256:[DIGEST]",
                  "size": [N]
                },
                {
                  "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
                  "digest": "sha256:[DIGEST]",
                  "size": [N]
                }
              ],
              "labels": {
                "io.isoforge.kubernetes.distribution": "pxk-e",
                "io.isoforge.kubernetes.version": "1.32.3",
                "io.isoforge.os.distribution": "debian",
                "io.isoforge.os.version": "13",
                "io.isoforge.squashfs.block-size": "262144",
                "io.isoforge.squashfs.compression": "zstd:9",
                "io.isoforge.squashfs.digest": "sha256:[DIGEST]",
                "io.isoforge.squashfs.epoch": "1714557600",
                "io.isoforge.squashfs.size": "[N]",
                "io.isoforge.version": "[VERSION]",
                "org.opencontainers.image.base.digest": "sha256:[DIGEST]",
                "org.opencontainers.image.created": "2024-05-01T10:00:00Z",
                "org.opencontainers.image.description": "debian 13 with pxk-e 1.32.3",
                "org.opencontainers.image.title": "tiny",
                "org.opencontainers.image.version": "1.0.0"
              },
              "annotations": {
                "io.isoforge.kubernetes.distribution": "pxk-e",
                "io.isoforge.kubernetes.version": "1.32.3",
                "io.isoforge.os.distribution": "debian",
                "io.isoforge.os.version": "13",
                "io.isoforge.squashfs.block-size": "262144",
                "io.isoforge.squashfs.compression": "zstd:9",
                "io.isoforge.squashfs.digest": "sha256:[DIGEST]",
                "io.isoforge.squashfs.epoch": "1714557600",
                "io.isoforge.squashfs.size": "[N]",
                "io.isoforge.version": "[VERSION]",
                "org.opencontainers.image.base.digest": "sha256:[DIGEST]",
                "org.opencontainers.image.created": "2024-05-01T10:00:00Z",
                "org.opencontainers.image.description": "debian 13 with pxk-e 1.32.3",
                "org.opencontainers.image.title": "tiny",
                "org.opencontainers.image.version": "1.0.0"
              }
            }
          ]
        }
      ],
      "blobs": 8,
      "bytes": [N],
      "problems": []
    }
    "#);
}

#[test]
fn an_output_folder() {
    let project = built();
    assert_snapshot!(project.run(&["inspect", "dist/tiny-1.0.0"]).all(), @r"
    exit 0
    --- stdout
    appliance    tiny 1.0.0
    for          amd64
    made by      isoforge [VERSION]
    time         2024-05-01T10:00:00Z (newest image configuration)
    profile      sha256:[DIGEST]

    components
      os          debian  13      etc/os-release
      kubernetes  pxk-e   1.32.3  profile

    outputs
      ok     tiny-1.0.0-provider.oci.tar [SIZE] ( [SIZE])
      ok     tiny-1.0.0.iso [SIZE] ( [SIZE])

    all digests hold
    --- stderr
    ");
    let mut folder = value(&project, "dist/tiny-1.0.0");
    let mut of_folder = folder["manifest"].take();
    let mut of_iso = value(&project, ISO)["manifest"].take();
    // What comes out of a build is known when the ISO is finished.
    let outputs = of_folder["outputs"].take();
    of_iso["outputs"].take();
    assert_eq!(of_folder, of_iso);
    folder["manifest"] = serde_json::json!({ "outputs": outputs });
    assert_snapshot!(serde_json::to_string_pretty(&folder).unwrap(), @r#"
    {
      "schema": 1,
      "kind": "dist",
      "manifest": {
        "outputs": {
          "tiny-1.0.0-provider.oci.tar": {
            "digest": "sha256:[DIGEST]",
            "size": [N]
          },
          "tiny-1.0.0.iso": {
            "digest": "sha256:[DIGEST]",
            "size": [N]
          }
        }
      },
      "files": {
        "tiny-1.0.0-provider.oci.tar": {
          "size": [N],
          "digest": "sha256:[DIGEST]",
          "sound": true
        },
        "tiny-1.0.0.iso": {
          "size": [N],
          "digest": "sha256:[DIGEST]",
          "sound": true
        }
      },
      "problems": []
    }
    "#);
}

#[test]
fn an_oci_layout() {
    let project = Project::bootable();
    assert_snapshot!(project.run(&["inspect", "os"]).all(), @r"
    exit 0
    --- stdout
    OCI images   1
    blobs        4, [SIZE] ( [SIZE])

    latest
      sha256:[DIGEST]
      linux/amd64
        manifest sha256:[DIGEST]
        created  2024-05-01T10:00:00Z
        layer    sha256:[DIGEST] gzip [SIZE] ( [SIZE])

    all digests hold
    --- stderr
    ");
}

#[test]
fn a_file_that_is_none_of_these() {
    let project = built();
    assert_snapshot!(project.run(&["inspect", "profile.toml"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: 'profile.toml' is no ISO image, OCI layout, OCI archive or output directory
    hint: name an .iso file, a directory with an 'oci-layout', an OCI archive, or dist/<name>-<version>; for a content bundle, isoforge bundle inspect
    ");
    assert_snapshot!(project.run(&["inspect", "nowhere"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: can't read 'nowhere'
      caused by: failed to query resolved metadata `nowhere`: No such file or directory (os error 2)
    ");
}

#[test]
fn an_output_that_was_changed() {
    let project = built();
    let iso = std::fs::read(project.path(ISO)).unwrap();
    std::fs::write(project.path(ISO), &iso[..iso.len() / 2]).unwrap();
    assert_snapshot!(project.run(&["inspect", "dist/tiny-1.0.0"]).all(), @r"
    exit 5
    --- stdout
    appliance    tiny 1.0.0
    for          amd64
    made by      isoforge [VERSION]
    time         2024-05-01T10:00:00Z (newest image configuration)
    profile      sha256:[DIGEST]

    components
      os          debian  13      etc/os-release
      kubernetes  pxk-e   1.32.3  profile

    outputs
      ok     tiny-1.0.0-provider.oci.tar [SIZE] ( [SIZE])
      WRONG  tiny-1.0.0.iso [SIZE] ( [SIZE])

    problems
      tiny-1.0.0.iso: has digest sha256:[DIGEST] and [N] bytes; the manifest says sha256:[DIGEST] and [N] bytes
      tiny-1.0.0.iso.sha256: it says sha256:[DIGEST], not sha256:[DIGEST]
    --- stderr
    error: 'dist/tiny-1.0.0' is not sound: tiny-1.0.0.iso: has digest sha256:[DIGEST] and [N] bytes; the manifest says sha256:[DIGEST] and [N] bytes
    hint: copy it or build it again; do not use this one
    ");
    assert_snapshot!(project.run(&["inspect", ISO]).all(), @r"
    exit 5
    --- stdout
    --- stderr
    error: 'dist/tiny-1.0.0/tiny-1.0.0.iso' can't be read as an ISO image
      caused by: reading the ISO image
      caused by: the image ends at byte [N] within a file
    hint: it is damaged or incomplete; copy it or build it again
    ");
}
