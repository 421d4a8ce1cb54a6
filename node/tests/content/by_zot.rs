//! A storage that was filled by hand, judged by Zot and skopeo.

use std::time::{Duration, Instant};

use appliance::content::source::Source as _;
use appliance::content::storage::Storage;
use appliance::content::verify::verify;
use isoforge_base::progress::Progress;

use crate::registry::{Registry, digest_at, lines, skopeo};
use crate::{bundle, expected, fill, registry};

#[test]
fn a_storage_filled_by_hand_is_served_by_zot() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("storage");
    let source = bundle();
    let report = fill(&root, &source).unwrap();
    assert_eq!(report.images.len(), 5);
    let Some(zot) = registry::zot() else { return };
    let registry = Registry::zot(&zot, &root, dir.path(), None);
    for (image, digest) in expected(&source) {
        assert_eq!(digest_at(&registry.host, &image), digest, "{image}");
        let from = format!("docker://{}/{image}", registry.host);
        let to = format!("dir:{}", dir.path().join("copy").display());
        let args = [
            "copy",
            "--src-tls-verify=false",
            "--override-arch=amd64",
            &from,
            &to,
        ];
        let output = skopeo(&args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{image}: {said}");
    }
    // All of an index whose platforms are all there.
    let from = format!("docker://{}/docker.io/calico/node:v3.29.2", registry.host);
    let to = format!("oci:{}:x", dir.path().join("all").display());
    let output = skopeo(&["copy", "--all", "--src-tls-verify=false", &from, &to]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // What is about an image is found by it.
    let node = source.roots()[1].descriptor.digest;
    let index: serde_json::Value = serde_json::from_slice(&source.blobs[&node]).unwrap();
    let node = index["manifests"][0]["digest"].as_str().unwrap();
    let answer = registry.get(&format!("/v2/docker.io/calico/node/referrers/{node}"));
    assert!(answer.contains("application/vnd.test.about"), "{answer}");
}

/// Zot's garbage collection removes manifests without a tag, and what they alone
/// name. It leaves what was imported, whole.
#[test]
fn zots_garbage_collection_leaves_what_was_imported() {
    let Some(zot) = registry::zot() else { return };
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("storage");
    let source = bundle();
    fill(&root, &source).unwrap();
    let storage = Storage::open(&root).unwrap();
    let repository = "registry.example_5000/a/b";
    // The same image without its tag is what Zot removes.
    let bare = root.join("bare.example/a/b");
    std::fs::create_dir_all(bare.join("blobs/sha256")).unwrap();
    for entry in std::fs::read_dir(storage.folder(repository).join("blobs/sha256")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(
            entry.path(),
            bare.join("blobs/sha256").join(entry.file_name()),
        )
        .unwrap();
    }
    std::fs::copy(
        root.join(repository).join("oci-layout"),
        bare.join("oci-layout"),
    )
    .unwrap();
    std::fs::create_dir(bare.join(".uploads")).unwrap();
    let index = std::fs::read_to_string(root.join(repository).join("index.json")).unwrap();
    let mut index: serde_json::Value = serde_json::from_str(&index).unwrap();
    index["manifests"][0]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    std::fs::write(bare.join("index.json"), index.to_string()).unwrap();

    let before = storage.blobs().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let registry = Registry::zot(&zot, &root, dir.path(), Some("1s"));
    let log = dir.path().join("zot.log");
    let of = |text: &str| {
        lines(&log)
            .iter()
            .filter(|line| line.contains(text))
            .count()
    };
    let start = Instant::now();
    while of("gc successfully completed for") + of("gc unsuccessfully completed for") < 6
        || of("removed untagged manifest") == 0
    {
        assert!(
            start.elapsed() < Duration::from_secs(300),
            "gc does not run"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    for (image, digest) in expected(&source) {
        assert_eq!(digest_at(&registry.host, &image), digest, "{image}");
    }
    drop(registry);
    let after = storage.blobs().unwrap();
    for (digest, repositories) in &before {
        for repository in repositories.keys().filter(|it| !it.starts_with("bare.")) {
            assert!(
                after[digest].contains_key(repository),
                "{repository} {digest}"
            );
        }
    }
    let bare = storage.index("bare.example/a/b").unwrap();
    assert_eq!(bare.entries, [], "what has no tag is removed");
    let verified = verify(&storage, &Progress::silent()).unwrap();
    assert_eq!(verified.damage, []);
}
