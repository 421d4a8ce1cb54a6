//! What is chosen of layouts that other tools write.

use std::path::Path;

use isoforge_base::error::Diagnose as _;
use serde_json::{Value, json};

use super::*;

/// Writes a blob and gives its descriptor.
fn put(layout: &Path, media_type: &str, content: &Value) -> Value {
    let bytes = content.to_string().into_bytes();
    let digest = Digest::of(&bytes);
    let blobs = layout.join("blobs/sha256");
    fs_err::create_dir_all(&blobs).unwrap();
    fs_err::write(blobs.join(digest.hex()), &bytes).unwrap();
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

/// An image without layers for an architecture.
fn image(layout: &Path, architecture: &str, os: &str) -> Value {
    let config = json!({
        "architecture": architecture, "os": os, "config": {},
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let config = put(layout, "application/vnd.oci.image.config.v1+json", &config);
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
    put(
        layout,
        "application/vnd.oci.image.manifest.v1+json",
        &manifest,
    )
}

fn named(mut entry: Value, names: [&str; 2]) -> Value {
    let [short, full] = names;
    entry["annotations"] = json!({
        "org.opencontainers.image.ref.name": short, "io.containerd.image.name": full,
    });
    entry
}

/// Lists the entries in `index.json` and resolves `oci:layout` and what is behind it.
fn resolve(layout: &Path, entries: &[&Value], name: &str) -> Result<ResolvedImage, Error> {
    let index = json!({ "schemaVersion": 2, "manifests": entries }).to_string();
    fs_err::write(layout.join("index.json"), index).unwrap();
    let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
    fs_err::write(layout.join("oci-layout"), marker).unwrap();
    let store = Store::open(&layout.join("store")).unwrap();
    let client = Client::new(crate::registry::RegistryConfig::default());
    let source = format!("oci:{}{name}", layout.display()).parse().unwrap();
    let (platform, limits) = (Platform::linux("amd64"), Limits::DEFAULT);
    resolve_image(
        &client,
        &source,
        &platform,
        &store,
        &limits,
        &Progress::silent(),
    )
}

#[test]
fn index_entries_without_a_platform_are_judged_by_their_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path();
    let (arm, amd) = (
        image(layout, "arm64", "linux"),
        image(layout, "amd64", "linux"),
    );
    let index = |entries: &[&Value]| {
        let index = json!({ "schemaVersion": 2, "manifests": entries });
        put(layout, "application/vnd.oci.image.index.v1+json", &index)
    };
    let found = resolve(layout, &[&index(&[&arm, &amd])], "").unwrap();
    assert_eq!(found.image.manifest.digest.to_string(), amd["digest"]);
    let error = resolve(layout, &[&index(&[&arm])], "").unwrap_err();
    let said = error.cause().to_string();
    assert!(said.contains("there are: linux/arm64"), "{error:?}");
    // Where an index says what it is for, nothing else is asked.
    let mut said = arm.clone();
    said["platform"] = json!({ "architecture": "arm64", "os": "linux" });
    let found = resolve(layout, &[&index(&[&said, &amd])], "").unwrap();
    assert_eq!(found.image.manifest.digest.to_string(), amd["digest"]);
}

#[test]
fn two_names_of_one_digest_are_one_image() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path();
    let one = image(layout, "amd64", "linux");
    let (a, b) = (
        named(one.clone(), ["1", "r.io/a:1"]),
        named(one.clone(), ["2", "r.io/a:2"]),
    );
    for name in ["", ":1", ":r.io/a:2"] {
        let found = resolve(layout, &[&a, &b], name).unwrap();
        assert_eq!(found.image.manifest.digest.to_string(), one["digest"]);
    }
}

#[test]
fn names_that_are_offered_lead_to_one_image() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path();
    let one = named(image(layout, "amd64", "linux"), ["1", "r.io/a:1"]);
    let other = named(image(layout, "amd64", "Linux"), ["1", "r.io/b:1"]);
    let third = named(image(layout, "arm64", "linux"), ["3", "r.io/c:3"]);
    for name in ["", ":1"] {
        let error = resolve(layout, &[&one, &other, &third], name).unwrap_err();
        let said = format!("{error:?}");
        assert!(said.contains("there are: r.io/a:1, r.io/b:1, 3"), "{said}");
        assert_eq!(error.hint().unwrap(), "add the name after a colon");
    }
    let found = resolve(layout, &[&one, &other, &third], ":r.io/b:1").unwrap();
    assert_eq!(found.image.manifest.digest.to_string(), other["digest"]);
}
