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

fn json(project: &Project, path: &str) -> String {
    let outcome = project.run(&["inspect", path, "--format", "json"]);
    outcome.assert_exit(0);
    serde_json::to_string_pretty(&outcome.json()).unwrap()
}

#[test]
fn an_iso() {
    let project = built();
    assert_snapshot!(project.run(&["inspect", ISO]).all(), @r"
    exit 0
    --- stdout
    ISO image    COS_LIVE
    size         10.0 MiB (10588160 B)
    names        ISO 9660, Rock Ridge, Joliet
    boot         BIOS, at byte 9437184
    boot         UEFI, at byte 1048576
    appliance    tiny 1.0.0
    for          amd64
    made by      isoforge [VERSION]
    time         2024-05-01T10:00:00Z (newest image configuration)
    profile      sha256:[DIGEST]
    root         4.0 KiB (4096 B)
                 sha256:[DIGEST]

    components
      os          debian  13      etc/os-release
      kubernetes  pxk-e   1.32.3  profile

    all digests hold
    --- stderr
    ");
    assert_snapshot!(json(&project, ISO), @r#"
    {
      "kind": "iso",
      "volume_id": "COS_LIVE",
      "created": "2024050110000000",
      "size": 10588160,
      "joliet": true,
      "rock_ridge": true,
      "boot": [
        {
          "platform": "BIOS",
          "bootable": true,
          "offset": 9437184,
          "sectors": 4
        },
        {
          "platform": "UEFI",
          "bootable": true,
          "offset": 1048576,
          "sectors": 16384
        }
      ],
      "manifest": {
        "schema": 1,
        "tool": {
          "name": "isoforge",
          "version": "0.1.0"
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
                "size": 6144
              },
              {
                "role": "overlay",
                "name": "templates/cloud-config.yaml.tera",
                "digest": "sha256:[DIGEST]",
                "size": 3989
              }
            ],
            "layers": [
              {
                "digest": "sha256:[DIGEST]",
                "size": 2807,
                "compression": "gzip",
                "diff_id": "sha256:[DIGEST]"
              },
              {
                "digest": "sha256:[DIGEST]",
                "size": 155,
                "compression": "gzip",
                "diff_id": "sha256:[DIGEST]"
              },
              {
                "digest": "sha256:[DIGEST]",
                "size": 3072,
                "compression": "plain",
                "diff_id": "sha256:[DIGEST]"
              },
              {
                "digest": "sha256:[DIGEST]",
                "size": 6144,
                "compression": "plain",
                "diff_id": "sha256:[DIGEST]"
              }
            ],
            "squashfs": {
              "digest": "sha256:[DIGEST]",
              "size": 4096,
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
        "size": 4096,
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
      "content_bytes": 0,
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
    blobs        7, 7.4 KiB (7663 B)

    pxk-e-1.32.3-1.0.0
      sha256:[DIGEST]
      linux/amd64
        manifest sha256:[DIGEST]
        created  2024-05-01T10:00:00Z
        layer    sha256:[DIGEST] gzip 2.7 KiB (2807 B)
        layer    sha256:[DIGEST] gzip 155 B
        layer    sha256:[DIGEST] gzip 281 B
        layer    sha256:[DIGEST] gzip 555 B
        labels
          io.isoforge.kubernetes.distribution = pxk-e
          io.isoforge.kubernetes.version = 1.32.3
          io.isoforge.os.distribution = debian
          io.isoforge.os.version = 13
          io.isoforge.squashfs.block-size = 262144
          io.isoforge.squashfs.compression = zstd:9
          io.isoforge.squashfs.digest = sha256:[DIGEST]
          io.isoforge.squashfs.epoch = 1714557600
          io.isoforge.squashfs.size = 4096
          io.isoforge.version = 0.1.0
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
            "io.isoforge.version": "0.1.0",
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
                  "size": 2807
                },
                {
                  "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
                  "digest": "sha256:[DIGEST]",
                  "size": 155
                },
                {
                  "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
                  "digest": "sha256:[DIGEST]",
                  "size": 281
                },
                {
                  "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
                  "digest": "sha256:[DIGEST]",
                  "size": 555
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
                "io.isoforge.squashfs.size": "4096",
                "io.isoforge.version": "0.1.0",
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
                "io.isoforge.squashfs.size": "4096",
                "io.isoforge.version": "0.1.0",
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
      "blobs": 7,
      "bytes": 7663,
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
      ok     tiny-1.0.0-provider.oci.tar  16.0 KiB (16384 B)
      ok     tiny-1.0.0.iso  10.0 MiB (10588160 B)

    all digests hold
    --- stderr
    ");
    assert_snapshot!(json(&project, "dist/tiny-1.0.0"), @r#"
    {
      "kind": "dist",
      "manifest": {
        "schema": 1,
        "tool": {
          "name": "isoforge",
          "version": "0.1.0"
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
                "size": 6144
              },
              {
                "role": "overlay",
                "name": "templates/cloud-config.yaml.tera",
                "digest": "sha256:[DIGEST]",
                "size": 3989
              }
            ],
            "layers": [
              {
                "digest": "sha256:[DIGEST]",
                "size": 2807,
                "compression": "gzip",
                "diff_id": "sha256:[DIGEST]"
              },
              {
                "digest": "sha256:[DIGEST]",
                "size": 155,
                "compression": "gzip",
                "diff_id": "sha256:[DIGEST]"
              },
              {
                "digest": "sha256:[DIGEST]",
                "size": 3072,
                "compression": "plain",
                "diff_id": "sha256:[DIGEST]"
              },
              {
                "digest": "sha256:[DIGEST]",
                "size": 6144,
                "compression": "plain",
                "diff_id": "sha256:[DIGEST]"
              }
            ],
            "squashfs": {
              "digest": "sha256:[DIGEST]",
              "size": 4096,
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
        },
        "outputs": {
          "tiny-1.0.0-provider.oci.tar": {
            "digest": "sha256:[DIGEST]",
            "size": 16384
          },
          "tiny-1.0.0.iso": {
            "digest": "sha256:[DIGEST]",
            "size": 10588160
          }
        }
      },
      "files": {
        "tiny-1.0.0-provider.oci.tar": {
          "size": 16384,
          "digest": "sha256:[DIGEST]",
          "sound": true
        },
        "tiny-1.0.0.iso": {
          "size": 10588160,
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
    blobs        4, 3.6 KiB (3717 B)

    latest
      sha256:[DIGEST]
      linux/amd64
        manifest sha256:[DIGEST]
        created  2024-05-01T10:00:00Z
        layer    sha256:[DIGEST] gzip 2.7 KiB (2807 B)

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
    hint: name an .iso file, a directory with an 'oci-layout', an OCI archive, or dist/<name>-<version>
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
      ok     tiny-1.0.0-provider.oci.tar  16.0 KiB (16384 B)
      WRONG  tiny-1.0.0.iso  5.0 MiB (5294080 B)

    problems
      tiny-1.0.0.iso: has digest sha256:[DIGEST] and 5294080 bytes; the manifest says sha256:[DIGEST] and 10588160 bytes
      tiny-1.0.0.iso.sha256: it says sha256:[DIGEST], not sha256:[DIGEST]
    --- stderr
    ");
    assert_snapshot!(project.run(&["inspect", ISO]).all(), @r"
    exit 6
    --- stdout
    --- stderr
    error: 'dist/tiny-1.0.0/tiny-1.0.0.iso' can't be read as an ISO image
      caused by: reading the ISO image
      caused by: the image ends at byte 9447424 within a file
    ");
}
