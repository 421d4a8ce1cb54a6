use super::*;
use isoforge_oci::layer::LayerCompression;

fn component(kind: ComponentKind, name: &str, version: &str) -> Component {
    Component {
        kind,
        name: name.into(),
        version: version.into(),
        source: "dpkg".into(),
    }
}

fn full() -> Manifest {
    let digest = Digest::of(b"");
    let architecture = Architecture {
        images: vec![Image {
            role: Role::Os,
            reference: "registry.example/os:1".into(),
            index: Some(digest),
            manifest: Some(digest),
            layers: vec![digest],
        }],
        content: vec![ContentItem {
            kind: "chart".into(),
            name: "web".into(),
            version: "1.2.3".into(),
            reference: "isoforge.internal/charts/web:1.2.3".into(),
            manifest: digest,
            digest,
        }],
        files: vec![File {
            role: Role::Kubernetes,
            name: "https://example.org/kubelet".into(),
            digest,
            size: 7,
        }],
        bootstrap: Some(Bootstrap {
            suite: "trixie".into(),
            packages: BTreeMap::from([("runc".into(), "1.1.15".into())]),
        }),
        grub_mkimage: Some(GrubMkimage {
            version: "2.12-9".into(),
            core_image: digest,
        }),
        program: Some(Content { digest, size: 5 }),
        boot: BTreeMap::from([("boot/kernel".into(), Content { digest, size: 6 })]),
        layers: vec![Layer {
            digest,
            size: 32,
            compression: LayerCompression::Zstd,
            diff_id: digest,
        }],
        squashfs: Some(Squashfs {
            digest,
            size: 4096,
            compression: "zstd:9".parse().unwrap(),
            block_size: 262_144,
            epoch: 1_700_000_000,
        }),
        components: vec![
            component(ComponentKind::Kubernetes, "runc", "1.1.15"),
            component(ComponentKind::Os, "debian", "13"),
        ],
    };
    Manifest {
        schema: SCHEMA,
        tool: Tool {
            name: "isoforge".into(),
            version: "1.2.3".into(),
        },
        appliance: Appliance {
            name: "demo".into(),
            version: "1.0.0".into(),
        },
        profile: digest,
        epoch: Epoch {
            seconds: 1_700_000_000,
            source: EpochSource::Bootstrap,
        },
        hardening: Some(Hardening {
            profile: "stig".into(),
            guide: "A guide".into(),
            rules: vec!["RULE-1".into()],
            except: vec!["RULE-2".into()],
        }),
        architectures: BTreeMap::from([
            ("amd64".into(), architecture.clone()),
            ("arm64".into(), architecture),
        ]),
        outputs: BTreeMap::from([("demo.iso".into(), Output { digest, size: 9 })]),
    }
}

#[test]
fn the_text_is_pinned() {
    let mut manifest = full();
    manifest.architectures.remove("arm64");
    let text = String::from_utf8(manifest.to_json().unwrap()).unwrap();
    let text = text.replace(&Digest::of(b"").hex(), "HEX");
    insta::assert_snapshot!(text, @r#"
    {
      "schema": 1,
      "tool": {
        "name": "isoforge",
        "version": "1.2.3"
      },
      "appliance": {
        "name": "demo",
        "version": "1.0.0"
      },
      "profile": "sha256:HEX",
      "epoch": {
        "seconds": 1700000000,
        "source": "bootstrap"
      },
      "hardening": {
        "profile": "stig",
        "guide": "A guide",
        "rules": [
          "RULE-1"
        ],
        "except": [
          "RULE-2"
        ]
      },
      "architectures": {
        "amd64": {
          "images": [
            {
              "role": "os",
              "reference": "registry.example/os:1",
              "index": "sha256:HEX",
              "manifest": "sha256:HEX",
              "layers": [
                "sha256:HEX"
              ]
            }
          ],
          "content": [
            {
              "kind": "chart",
              "name": "web",
              "version": "1.2.3",
              "reference": "isoforge.internal/charts/web:1.2.3",
              "manifest": "sha256:HEX",
              "digest": "sha256:HEX"
            }
          ],
          "files": [
            {
              "role": "kubernetes",
              "name": "https://example.org/kubelet",
              "digest": "sha256:HEX",
              "size": 7
            }
          ],
          "bootstrap": {
            "suite": "trixie",
            "packages": {
              "runc": "1.1.15"
            }
          },
          "grub_mkimage": {
            "version": "2.12-9",
            "core_image": "sha256:HEX"
          },
          "program": {
            "digest": "sha256:HEX",
            "size": 5
          },
          "boot": {
            "boot/kernel": {
              "digest": "sha256:HEX",
              "size": 6
            }
          },
          "layers": [
            {
              "digest": "sha256:HEX",
              "size": 32,
              "compression": "zstd",
              "diff_id": "sha256:HEX"
            }
          ],
          "squashfs": {
            "digest": "sha256:HEX",
            "size": 4096,
            "compression": "zstd:9",
            "block_size": 262144,
            "epoch": 1700000000
          },
          "components": [
            {
              "kind": "os",
              "name": "debian",
              "version": "13",
              "source": "dpkg"
            },
            {
              "kind": "kubernetes",
              "name": "runc",
              "version": "1.1.15",
              "source": "dpkg"
            }
          ]
        }
      },
      "outputs": {
        "demo.iso": {
          "digest": "sha256:HEX",
          "size": 9
        }
      }
    }
    "#);
}

#[test]
fn it_reads_what_it_writes_and_sorts_lists() {
    let manifest = full();
    let text = manifest.to_json().unwrap();
    let read = Manifest::from_json(&text).unwrap();
    let kinds: Vec<_> = read.architectures["amd64"]
        .components
        .iter()
        .map(|c| c.kind)
        .collect();
    assert_eq!(kinds, [ComponentKind::Os, ComponentKind::Kubernetes]);
    assert_eq!(read.to_json().unwrap(), text);
    assert!(text.ends_with(b"}\n"));
}

#[test]
fn the_embedded_form_has_one_architecture_and_no_outputs() {
    let embedded = full().embedded("arm64");
    assert_eq!(embedded.architectures.len(), 1);
    assert!(embedded.architectures.contains_key("arm64"));
    let text = String::from_utf8(embedded.to_json().unwrap()).unwrap();
    assert!(!text.contains("outputs"), "{text}");
}

#[test]
fn another_schema_is_refused() {
    let text = String::from_utf8(full().to_json().unwrap()).unwrap();
    let text = text.replacen("\"schema\": 1", "\"schema\": 2", 1);
    let error = Manifest::from_json(text.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("schema 2"), "{error}");
}

#[test]
fn every_field_is_documented() {
    fn keys(value: &serde_json::Value, under: &str, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    // Below these, keys are names and not fields.
                    let named = ["architectures", "boot", "outputs", "packages"].contains(&under);
                    if !named {
                        found.push(key.clone());
                    }
                    keys(value, if named { "" } else { key }, found);
                }
            }
            serde_json::Value::Array(list) => {
                for value in list {
                    keys(value, "", found);
                }
            }
            _ => {}
        }
    }
    let value: serde_json::Value = serde_json::from_slice(&full().to_json().unwrap()).unwrap();
    let mut fields = Vec::new();
    keys(&value, "", &mut fields);
    let documentation = include_str!("../../../../docs/manifest.md");
    for field in fields {
        assert!(
            documentation.contains(&format!("`{field}`")),
            "docs/manifest.md does not tell of '{field}'"
        );
    }
}
