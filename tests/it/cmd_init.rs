//! `isoforge init` and `isoforge validate`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use insta::assert_snapshot;

use crate::support::program::{Project, files_below};

#[test]
fn init_writes_a_project_that_is_valid() {
    let project = Project::empty();
    assert_snapshot!(project.run(&["init", "mine"]).all(), @r"
    exit 0
    --- stdout
    mine/profile.toml
    --- stderr
      next: isoforge validate mine/profile.toml
    ");
    assert_snapshot!(files_below(&project.path("mine")).join("\n"), @r"
    overlays/base.toml
    overlays/base/etc/machine-id
    overlays/base/usr/lib/systemd/system/appliance-ssh-host-keys.service
    overlays/iso/README.txt.tera
    profile.toml
    templates/cloud-config.yaml.tera
    templates/grub/menu.cfg.tera
    templates/issue.tera
    ");
    assert_snapshot!(project.run(&["validate", "mine/profile.toml"]).all(), @r"
    exit 0
    --- stdout
    mine/profile.toml is valid: minimal 1.0.0, amd64 on ubuntu 22.04, Kubernetes pxk-e 1.32.3
    --- stderr
    ");
}

#[test]
fn init_writes_into_an_empty_folder_and_into_the_current_one() {
    let project = Project::empty();
    std::fs::create_dir(project.path("empty")).unwrap();
    project.run(&["init", "empty"]).assert_exit(0);
    assert!(project.path("empty/profile.toml").exists());

    let project = Project::empty();
    project.run(&["init"]).assert_exit(0);
    assert!(project.path("profile.toml").exists());
    project.run(&["validate", "profile.toml"]).assert_exit(0);
}

#[test]
fn every_template_of_init_is_valid() {
    let project = Project::empty();
    for name in [
        "appliance-framework",
        "byo-os",
        "demo",
        "management-appliance",
        "minimal",
    ] {
        project
            .run(&["init", name, "--template", name])
            .assert_exit(0);
        let profile = format!("{name}/profile.toml");
        project.run(&["validate", &profile]).assert_exit(0);
    }
}

#[test]
fn executable_files_stay_executable() {
    let project = Project::empty();
    project.run(&["init", "mine"]).assert_exit(0);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let executable = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o111 != 0;
    for file in files_below(&project.path("mine/overlays")) {
        let original = root.join("overlays").join(&file);
        let written = project.path("mine/overlays").join(&file);
        assert_eq!(executable(&original), executable(&written), "{file}");
        assert_eq!(
            std::fs::read(original).unwrap(),
            std::fs::read(written).unwrap()
        );
    }
}

#[test]
fn init_leaves_a_folder_with_something_in_it_alone() {
    let project = Project::empty();
    project.write("full/notes.txt", "mine");
    assert_snapshot!(project.run(&["init", "full"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: 'full' is not empty
    hint: name a folder that does not exist yet; nothing was written
    ");
    assert_eq!(files_below(&project.path("full")), ["notes.txt"]);
}

#[test]
fn init_knows_its_templates() {
    let project = Project::empty();
    assert_snapshot!(project.run(&["init", "mine", "--template", "big"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: there is no example profile 'big'; there are appliance-framework, byo-os, demo, management-appliance, minimal
    ");
    assert!(!project.path("mine").exists());
}

/// The profiles of the repository, as its README names them.
fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("profiles")
        .join(name);
    path.to_str().unwrap().to_owned()
}

/// `validate` of a shipped profile, without the folder of the repository.
fn validated(project: &Project, name: &str, format: &str) -> String {
    let path = shipped(name);
    let outcome = project.run(&["validate", &path, "--format", format]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).to_str().unwrap();
    outcome.all().replace(root, "[REPOSITORY]")
}

#[test]
fn the_shipped_profiles_are_valid() {
    let project = Project::empty();
    assert_snapshot!(validated(&project, "demo.toml", "text"), @r"
    exit 0
    --- stdout
    [REPOSITORY]/profiles/demo.toml is valid: demo 1.0.0, amd64 on debian 13, Kubernetes debian 1.32.3
    --- stderr
    ");
    assert_snapshot!(validated(&project, "management-appliance.toml", "text"), @r"
    exit 0
    --- stdout
    [REPOSITORY]/profiles/management-appliance.toml is valid: management-appliance 1.0.0, amd64 on ubuntu 22.04, Kubernetes pxk-e 1.32.3
    --- stderr
    ");
    assert_snapshot!(validated(&project, "appliance-framework.toml", "text"), @r"
    exit 0
    --- stdout
    [REPOSITORY]/profiles/appliance-framework.toml is valid: appliance-framework 1.0.0, amd64 on ubuntu 22.04, Kubernetes pxk 1.32.3
    --- stderr
    ");
    assert_snapshot!(validated(&project, "byo-os.toml", "text"), @r"
    exit 0
    --- stdout
    [REPOSITORY]/profiles/byo-os.toml is valid: byo-os 1.0.0, amd64 on ubuntu 24.04, Kubernetes kubeadm 1.32.3
    --- stderr
    ");
    assert_snapshot!(validated(&project, "minimal.toml", "text"), @r"
    exit 0
    --- stdout
    [REPOSITORY]/profiles/minimal.toml is valid: minimal 1.0.0, amd64 on ubuntu 22.04, Kubernetes pxk-e 1.32.3
    --- stderr
    ");
}

#[test]
fn validate_in_json_gives_the_whole_profile() {
    let project = Project::empty();
    assert_snapshot!(validated(&project, "minimal.toml", "json"), @r#"
    exit 0
    --- stdout
    {
      "schema": 1,
      "valid": true,
      "files": [
        {
          "path": "[REPOSITORY]/profiles/minimal.toml",
          "digest": "sha256:[DIGEST]"
        }
      ],
      "warnings": [],
      "profile": {
        "appliance": {
          "name": "minimal",
          "version": "1.0.0",
          "arch": [
            "amd64"
          ],
          "mode": "local"
        },
        "registration": null,
        "os": {
          "flavor": "kairos",
          "distribution": "ubuntu",
          "version": "22.04",
          "source": {
            "image": "quay.io/kairos/ubuntu:22.04-core-amd64-generic-v3.4.2"
          },
          "fips": false
        },
        "kubernetes": {
          "distribution": "pxk-e",
          "versions": [
            "1.32.3"
          ],
          "layers": [
            {
              "source": {
                "image": "registry.example/edge/pxk-e:1.32.3"
              },
              "include": [],
              "exclude": [],
              "iso": true,
              "provider": true,
              "arch": null
            }
          ],
          "packages": [],
          "files": [],
          "images": null,
          "exclude_images": []
        },
        "layers": [],
        "cni": null,
        "csi": null,
        "registry": null,
        "addons": [],
        "vars": {
          "users": [
            {
              "name": "admin"
            }
          ]
        },
        "cloud_config": "builtin",
        "overlays": {
          "rootfs": [],
          "iso": []
        },
        "boot": {
          "firmware": [
            "bios",
            "uefi"
          ],
          "cmdline": [],
          "timeout_seconds": 5,
          "title": null
        },
        "install": {
          "device": "auto",
          "mode": "interactive",
          "after": "reboot",
          "force": false,
          "pages": [],
          "account": null,
          "password": {
            "min_length": 8,
            "classes": 1
          },
          "partitions": {
            "esp": 67108864,
            "oem": 67108864,
            "state": null,
            "persistent": null,
            "extra": []
          },
          "require": {
            "cpus": null,
            "memory": null,
            "disk": null,
            "modules": [],
            "enforce": false
          }
        },
        "state": {
          "directories": [],
          "etc": []
        },
        "health": {
          "checks": [],
          "units": [],
          "time_limit_seconds": 600
        },
        "console": {
          "enabled": false
        },
        "hardening": null,
        "provider": {
          "repository": "minimal",
          "push": false
        },
        "content": {
          "images": []
        },
        "registries": {},
        "output": {
          "compression": "zstd:9",
          "block_size": 262144,
          "layer_compression": "gzip"
        },
        "limits": {
          "entries": null,
          "path_length": null,
          "layer_bytes": null,
          "ratio": null
        }
      }
    }
    --- stderr
    "#);
    for name in [
        "demo.toml",
        "management-appliance.toml",
        "appliance-framework.toml",
        "byo-os.toml",
    ] {
        let outcome = project.run(&["validate", &shipped(name), "--format", "json"]);
        outcome.assert_exit(0);
        let json = outcome.json();
        assert_eq!(json["schema"], 1, "{name}");
        assert_eq!(json["valid"], true, "{name}");
        assert_eq!(json["profile"]["appliance"]["version"], "1.0.0", "{name}");
    }
}

#[test]
fn validate_takes_overrides() {
    let project = Project::bootable();
    let outcome = project.run(&[
        "validate",
        "profile.toml",
        "--set",
        "appliance.version=2.0.1",
    ]);
    assert_snapshot!(outcome.stdout, @"profile.toml is valid: tiny 2.0.1, amd64 on debian 13, Kubernetes pxk-e 1.32.3");
}

/// A store whose folder is there before does not keep others out.
#[test]
fn layers_with_secrets_are_for_the_stores_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::bootable();
    std::fs::create_dir_all(project.cache()).unwrap();
    project.write("secret.txt", "s3cr3t-of-the-edge\n");
    project.add_to_profile(
        "\n[vars]\ntoken = { file = \"secret.txt\" }\n\n[overlays]\nrootfs = [\"more\"]\n",
    );
    project.write("more/etc/token.tera", "{{ vars.token }}\n");
    let outcome = project.run(&["build", "profile.toml"]);
    outcome.assert_exit(0);
    let place = "the root file system, the provider image and the layer in the store";
    assert!(outcome.stderr.contains(place), "{}", outcome.stderr);
    let mut private = std::collections::BTreeMap::new();
    for entry in walkdir::WalkDir::new(project.cache()) {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() {
            continue;
        }
        let is_private = entry.metadata().unwrap().permissions().mode() & 0o077 == 0;
        let bytes = std::fs::read(entry.path()).unwrap();
        let has_secret = bytes.windows(18).any(|at| at == b"s3cr3t-of-the-edge");
        assert!(!has_secret || is_private, "{}", entry.path().display());
        let kind = entry.path().strip_prefix(project.cache().join("v1")).ok();
        let kind = kind.and_then(|path| path.iter().next()?.to_str().map(str::to_owned));
        *private
            .entry((kind.unwrap_or_default(), is_private))
            .or_insert(0) += 1;
    }
    // The overlay's layer, the same compressed for the provider image, and its slab; the
    // rest is as it was.
    for kind in ["blobs", "slabs"] {
        for is_private in [true, false] {
            assert!(
                private.contains_key(&(kind.to_owned(), is_private)),
                "{private:?}"
            );
        }
    }
}

#[test]
fn what_the_built_in_cloud_config_leaves_out_is_told() {
    let project = Project::bootable();
    let validated = |flavor: &str| {
        let flavor = format!("os.flavor={flavor}");
        let arguments = ["validate", "profile.toml", "--set", &flavor];
        let sets = [
            "--set",
            "vars.project=edge",
            "--set",
            "vars.users=[{ name = \"admin\" }]",
            "--set",
            "vars.ntp=[\"ntp.example\"]",
        ];
        let outcome = project.run(&[arguments.as_slice(), &sets].concat());
        outcome.assert_exit(0);
        outcome.stderr
    };
    let told = "'vars.project' does not reach the machine";
    assert!(validated("appliance").contains(told));
    assert!(!validated("appliance").contains("vars.ntp"));
    assert!(!validated("kairos").contains(told));
    project.write(
        "templates/cloud-config.yaml.tera",
        "#cloud-config\nusers: [{name: admin, groups: [admin]}]\n",
    );
    assert!(!validated("appliance").contains(told));
}

#[test]
fn a_secret_is_shown_nowhere() {
    let project = Project::bootable();
    project.write("secret.txt", "s3cr3t-of-the-edge\n");
    project.add_to_profile(
        "\n[vars]\ntoken = { file = \"secret.txt\" }\n\n[overlays]\niso = [\"more\"]\n",
    );
    project.write("more/token.tera", "{{ vars.token }}\n");
    for arguments in [
        ["validate", "profile.toml", "--format", "text"],
        ["validate", "profile.toml", "--format", "json"],
        ["build", "profile.toml", "--format", "json"],
    ] {
        let outcome = project.run(&arguments);
        outcome.assert_exit(0);
        assert!(!outcome.stdout.contains("s3cr3t"), "{}", outcome.stdout);
        assert!(!outcome.stderr.contains("s3cr3t"), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("token") || outcome.stdout.contains("token"),
            "a warning names it: {}",
            outcome.stderr
        );
    }
}
