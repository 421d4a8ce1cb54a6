//! The image configuration of a provider image: the base's, with our layers,
//! labels and history added.
//!
//! OCI Image Specification v1.1, "Image Configuration". Of the base's members
//! those that the specification defines are taken, and its `config` as a whole
//! (Docker's additions such as `Healthcheck` mean something to Docker). What
//! Docker's schema 2 has besides (`container`, `docker_version`, …) tells of the
//! machine that built the base and is left out.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Error;
use crate::error::unfit;
use isoforge_base::digest::Digest;
use isoforge_base::error::Context as _;
use isoforge_oci::manifest::ImageConfig;
use isoforge_oci::platform::Platform;

/// What OCI's image configuration has besides what is set here.
const KEPT_MEMBERS: [&str; 3] = ["author", "os.version", "os.features"];

/// One layer for the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfigLayer {
    pub(super) diff_id: Digest,
    pub(super) created_by: String,
}

/// What goes into a configuration.
#[derive(Debug)]
pub(super) struct ConfigInput<'a> {
    /// The base's configuration, byte for byte.
    pub(super) base: Option<&'a [u8]>,
    /// How many layers the base has.
    pub(super) base_diff_ids: &'a [Digest],
    pub(super) layers: &'a [ConfigLayer],
    pub(super) platform: &'a Platform,
    /// RFC 3339.
    pub(super) created: &'a str,
    pub(super) labels: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Config<'a> {
    created: &'a str,
    architecture: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    os: &'a str,
    #[serde(flatten)]
    kept: BTreeMap<&'static str, Value>,
    config: Map<String, Value>,
    rootfs: RootFs,
    history: Vec<Value>,
}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<Digest>,
}

/// The configuration's bytes.
pub(super) fn merge(input: &ConfigInput<'_>) -> Result<Vec<u8>, Error> {
    let mut base = match input.base {
        Some(bytes) => parse_base(bytes, input)?,
        None => Map::new(),
    };
    let kept = KEPT_MEMBERS
        .into_iter()
        .filter_map(|name| Some((name, base.remove(name)?)))
        .collect();
    let mut config = match base.remove("config") {
        Some(Value::Object(config)) => config,
        Some(Value::Null) | None => Map::new(),
        Some(_) => return Err(base_error("'config' is no object")),
    };
    merge_labels(&mut config, input.labels)?;
    let mut history = base_history(base.remove("history"), input.base_diff_ids.len());
    history.extend(input.layers.iter().map(|layer| {
        Value::Object(Map::from_iter([
            ("created".to_owned(), Value::from(input.created)),
            ("created_by".to_owned(), Value::from(&*layer.created_by)),
        ]))
    }));
    let merged = Config {
        created: input.created,
        architecture: input.platform.architecture(),
        variant: input.platform.variant(),
        os: input.platform.os(),
        kept,
        config,
        rootfs: RootFs {
            kind: "layers",
            diff_ids: input
                .base_diff_ids
                .iter()
                .copied()
                .chain(input.layers.iter().map(|layer| layer.diff_id))
                .collect(),
        },
        history,
    };
    Ok(serde_json::to_vec(&merged).context(super::NO_JSON)?)
}

fn base_error(reason: impl Into<String>) -> Error {
    let reason = reason.into();
    unfit(format!(
        "the base image's configuration can't be used: {reason}"
    ))
    .with_hint("name an image for Linux on the profile's architecture")
    .into()
}

fn parse_base(bytes: &[u8], input: &ConfigInput<'_>) -> Result<Map<String, Value>, Error> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| base_error(error.to_string()))?;
    let Value::Object(base) = value else {
        return Err(base_error("it is no JSON object"));
    };
    let parsed = ImageConfig::parse(bytes).map_err(|error| base_error(error.to_string()))?;
    if let Some(found) = parsed.platform
        && input.platform.distance(&found).is_none()
    {
        return Err(base_error(format!(
            "it is for {found}, not for {}",
            input.platform
        )));
    }
    if parsed.diff_ids != input.base_diff_ids {
        return Err(base_error("its diff_ids are not those of its layers"));
    }
    Ok(base)
}

/// The base's labels, ours over them, sorted.
fn merge_labels(
    config: &mut Map<String, Value>,
    ours: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let mut labels: BTreeMap<String, Value> = match config.remove("Labels") {
        Some(Value::Object(labels)) => labels.into_iter().collect(),
        Some(Value::Null) | None => BTreeMap::new(),
        Some(_) => return Err(base_error("'config.Labels' is no object")),
    };
    for (name, value) in ours {
        labels.insert(name.clone(), Value::from(&**value));
    }
    config.insert("Labels".to_owned(), Value::from_iter(labels));
    Ok(())
}

/// The base's history where it accounts for each of its layers; one that does
/// not would name our layers for the base's, so such a base gets plain entries.
fn base_history(history: Option<Value>, layers: usize) -> Vec<Value> {
    if let Some(Value::Array(history)) = history {
        let filled = history
            .iter()
            .filter(|entry| entry.get("empty_layer").and_then(Value::as_bool) != Some(true))
            .count();
        if filled == layers {
            return history;
        }
    }
    let entry = Value::Object(Map::from_iter([(
        "created_by".to_owned(),
        Value::from("base image"),
    )]));
    vec![entry; layers]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> BTreeMap<String, String> {
        BTreeMap::from([
            (
                "org.opencontainers.image.title".to_owned(),
                "demo".to_owned(),
            ),
            ("io.isoforge.version".to_owned(), "0.1.0".to_owned()),
        ])
    }

    fn merged(base: Option<&str>, base_diff_ids: &[Digest]) -> Result<String, Error> {
        let layers = [ConfigLayer {
            diff_id: Digest::of(b"kubernetes"),
            created_by: "isoforge: kubernetes".into(),
        }];
        let bytes = merge(&ConfigInput {
            base: base.map(str::as_bytes),
            base_diff_ids,
            layers: &layers,
            platform: &Platform::linux("arm64"),
            created: "2023-11-14T22:13:20Z",
            labels: &labels(),
        })?;
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        Ok(serde_json::to_string_pretty(&value)
            .unwrap()
            .replace(&Digest::of(b"base").hex(), "BASE")
            .replace(&Digest::of(b"kubernetes").hex(), "KUBERNETES"))
    }

    fn base(extra: &str) -> String {
        format!(
            r#"{{"os":"linux","architecture":"arm64","container":"0123","docker_version":"20",
               "rootfs":{{"type":"layers","diff_ids":["{}"]}}{extra}}}"#,
            Digest::of(b"base")
        )
    }

    #[test]
    fn the_base_is_kept_and_ours_is_added() {
        let base = base(
            r#","author":"someone","created":"2020-01-01T00:00:00Z",
            "config":{"Env":["PATH=/bin"],"Entrypoint":["/init"],"Healthcheck":{"Test":["NONE"]},
                "Labels":{"vendor":"them","org.opencontainers.image.title":"theirs"}},
            "history":[{"created_by":"FROM"},{"created_by":"ENV","empty_layer":true}]"#,
        );
        insta::assert_snapshot!(merged(Some(&base), &[Digest::of(b"base")]).unwrap(), @r#"
        {
          "created": "2023-11-14T22:13:20Z",
          "architecture": "arm64",
          "os": "linux",
          "author": "someone",
          "config": {
            "Env": [
              "PATH=/bin"
            ],
            "Entrypoint": [
              "/init"
            ],
            "Healthcheck": {
              "Test": [
                "NONE"
              ]
            },
            "Labels": {
              "io.isoforge.version": "0.1.0",
              "org.opencontainers.image.title": "demo",
              "vendor": "them"
            }
          },
          "rootfs": {
            "type": "layers",
            "diff_ids": [
              "sha256:BASE",
              "sha256:KUBERNETES"
            ]
          },
          "history": [
            {
              "created_by": "FROM"
            },
            {
              "created_by": "ENV",
              "empty_layer": true
            },
            {
              "created": "2023-11-14T22:13:20Z",
              "created_by": "isoforge: kubernetes"
            }
          ]
        }
        "#);
    }

    #[test]
    fn without_a_base_only_ours_is_there() {
        insta::assert_snapshot!(merged(None, &[]).unwrap(), @r#"
        {
          "created": "2023-11-14T22:13:20Z",
          "architecture": "arm64",
          "os": "linux",
          "config": {
            "Labels": {
              "io.isoforge.version": "0.1.0",
              "org.opencontainers.image.title": "demo"
            }
          },
          "rootfs": {
            "type": "layers",
            "diff_ids": [
              "sha256:KUBERNETES"
            ]
          },
          "history": [
            {
              "created": "2023-11-14T22:13:20Z",
              "created_by": "isoforge: kubernetes"
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_history_that_leaves_layers_out_is_not_taken() {
        let base = base(r#","history":[]"#);
        let text = merged(Some(&base), &[Digest::of(b"base")]).unwrap();
        assert!(text.contains("\"created_by\": \"base image\""), "{text}");
    }

    #[test]
    fn a_base_that_does_not_fit_is_refused() {
        for (text, reason) in [
            ("[]".to_owned(), "no JSON object"),
            ("{".to_owned(), "EOF"),
            (
                base("").replace("arm64", "amd64"),
                "it is for linux/amd64, not for linux/arm64",
            ),
            (
                base("").replace("linux", "windows"),
                "it is for windows/arm64",
            ),
            (base(r#","config":[]"#), "'config' is no object"),
            (base(r#","config":{"Labels":3}"#), "'config.Labels'"),
            (
                base("").replace(&Digest::of(b"base").hex(), &Digest::of(b"x").hex()),
                "diff_ids",
            ),
        ] {
            let error = merged(Some(&text), &[Digest::of(b"base")]).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
