//! What the stages are given: names, command line, secrets, context.

use super::*;

const CENTRAL: &str = "[registration]\nendpoint = \"api.example\"\ntoken = { env = \"TOKEN\" }\n\
    [vars]\nusers = [{ name = \"root\", password = { file = \"pw\" } }]\nntp = [\"a\", \"b\"]\n";

fn central() -> Loaded {
    let text = format!("{MINIMAL}\n{CENTRAL}");
    load_files(&[("p/main.toml", &text)], &["appliance.mode=central"]).unwrap()
}

#[test]
fn names_and_tags() {
    let profile = minimal_with(&[
        "appliance.arch=[\"amd64\", \"arm64\"]",
        "appliance.version=1.0.0+b1",
        "kubernetes.version=1.32.3+k3s1",
        "provider.repository=e.x:5000/edge",
    ])
    .profile;
    assert_eq!(profile.base_name(), "minimal-1.0.0+b1");
    assert_eq!(profile.output_name(Arch::Arm64), "minimal-1.0.0+b1-arm64");
    assert_eq!(
        profile.provider_reference("1.32.3+k3s1"),
        "e.x:5000/edge:pxk-e-1.32.3_k3s1-1.0.0_b1"
    );
    assert_eq!(profile.firmware(Arch::Arm64), [Firmware::Uefi]);
}

#[test]
fn fips_is_on_the_command_line_once() {
    let sets = ["os.fips=true", "boot.cmdline=[\"fips=1\", \"quiet\"]"];
    assert_eq!(
        minimal_with(&sets).profile.kernel_cmdline_extra(),
        ["fips=1", "quiet"]
    );
    let sets = ["boot.cmdline=[\"quiet\"]"];
    assert_eq!(
        minimal_with(&sets).profile.kernel_cmdline_extra(),
        ["quiet"]
    );
}

#[test]
fn files_are_taken_for_their_architecture() {
    let file = |arch: &str| {
        format!(
            "{{ url = \"https://e.x/v{{version}}/{{arch}}/kubelet\", sha256 = \"{}\", path = \"/usr/bin/kubelet\", arch = \"{arch}\" }}",
            Digest::of(arch.as_bytes()).hex()
        )
    };
    let set = format!("kubernetes.files=[{}, {}]", file("amd64"), file("arm64"));
    let loaded = minimal_with(&["appliance.arch=[\"amd64\", \"arm64\"]", &set]);
    let plan = loaded
        .kubernetes_plan(loaded.profile.iso_target(Arch::Arm64))
        .unwrap();
    assert_eq!(plan.files.len(), 1);
    assert_eq!(plan.files[0].url, "https://e.x/v1.32.3/arm64/kubelet");
    assert_eq!(plan.files[0].mode, 0o755);
}

#[test]
fn secrets_are_read_and_never_shown() {
    let loaded = central();
    let reader = SecretReader {
        env: &|name| (name == "TOKEN").then(|| "t0ken".to_owned()),
        file: &|path| match path == Path::new("p/pw") {
            true => Ok("hunter2\n".to_owned()),
            false => Err(io::Error::from(io::ErrorKind::NotFound)),
        },
    };
    let secrets = loaded.resolve_secrets(&reader).unwrap();
    assert_eq!(
        secrets.get("vars.users.0.password").unwrap().reveal(),
        "hunter2"
    );
    assert!(!format!("{secrets:?}").contains("hunter2"));

    let profile = &loaded.profile;
    let shown = profile.context(&Secrets::default()).to_string();
    assert!(
        shown.contains(REDACTED) && !shown.contains("t0ken"),
        "{shown}"
    );
    let full = profile.context(&secrets);
    assert_eq!(full["registration"]["token"], "t0ken");
    assert_eq!(full["vars"]["users"][0]["password"], "hunter2");
    assert_eq!(full["vars"]["ntp"], serde_json::json!(["a", "b"]));
    assert_eq!(full["kubernetes"]["version"], "1.32.3");
    let local = minimal_with(&[]).profile.context(&Secrets::default());
    assert!(local["registration"].is_null() && local["cni"].is_null());
    let json = serde_json::to_string(profile).unwrap();
    assert!(json.contains("TOKEN") && !json.contains("t0ken"), "{json}");
}

#[test]
fn missing_secrets_have_a_place() {
    let reader = SecretReader {
        env: &|_| None,
        file: &|_| Ok("\n".to_owned()),
    };
    let problems = central().resolve_secrets(&reader).unwrap_err();
    assert_snapshot!(problems.to_string(), @r#"
    error: 'registration.token': the environment variable TOKEN is not set
      --> p/main.toml:22:9
       |
    22 | token = { env = "TOKEN" }
       |         ^^^^^^^^^^^^^^^^^
       = help: set TOKEN to the secret's value

    error: 'vars.users.0.password': the secret is empty
      --> p/main.toml:24:38
       |
    24 | users = [{ name = "root", password = { file = "pw" } }]
       |                                      ^^^^^^^^^^^^^^^
       = help: an empty value is surely a mistake; leave the key out if there is no secret

    2 problems in the profile
    "#);
}

#[test]
fn defaults() {
    let profile = minimal_with(&[]).profile;
    assert_snapshot!(serde_json::to_string_pretty(&profile).unwrap(), @r#"
    {
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
      "vars": {},
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
    "#);
}

#[test]
fn what_a_finished_cloud_config_leaves_unused_is_noted() {
    let loaded = minimal_with(&[
        "cloud_config.file=user-data",
        "install.device=/dev/sda",
        "vars.a=1",
    ]);
    let named: Vec<_> = loaded
        .notes
        .iter()
        .filter_map(|n| n.split('\'').nth(1))
        .collect();
    assert_eq!(named, ["vars", "install.device"]);
}

#[test]
fn templates_can_ask_for_keys_of_absent_tables() {
    let mut tera = tera::Tera::default();
    let text = "{% if registration.endpoint is defined %}yes{% else %}no{% endif %} {{ cni.name | default(value=\"none\") }}";
    tera.add_raw_template("t", text).unwrap();
    let show = |profile: &Profile| {
        let context = tera::Context::from_serialize(&profile.context(&Secrets::default())).unwrap();
        tera.render("t", &context).unwrap()
    };
    assert_eq!(show(&minimal_with(&[]).profile), "no none");
    assert_eq!(show(&central().profile), "yes none");
}
