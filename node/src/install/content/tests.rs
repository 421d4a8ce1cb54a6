//! Installations from media with content, onto loop devices.

use fs_err as fs;
use insta::assert_snapshot;
use isoforge_base::digest::Digest;
use isoforge_contract::machine::{REGISTRY_FOLDER, Registry, RegistryKind};
use isoforge_oci::layout::{Builder, LayoutFile};
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::{Family, MediaType};

use super::super::model::Event;
use super::super::testing::{Bench, noise, quiet};
use isoforge_judges::can_loop;
use isoforge_system::disk_plan::MIB;

/// A medium with two images that share a layer, and a registry of the profile.
fn bench(name: RegistryKind) -> (Bench, Digest) {
    let mut bench = Bench::new(512);
    bench.config.registry = Some(Registry {
        name,
        port: 30003,
        listen: None,
        anonymous: true,
        folder: REGISTRY_FOLDER.to_owned(),
    });
    let mut builder = Builder::new();
    let layer = noise(77, 3 * MIB);
    let size = layer.len();
    let layer = builder.bytes(layer);
    for image in [
        "docker.io/calico/node:v3.29.2",
        "quay.io/calico/node:v3.29.2",
    ] {
        let config = format!(r#"{{"image":"{image}","rootfs":{{"diff_ids":["{layer}"]}}}}"#);
        let config_size = config.len();
        let config = builder.bytes(config.into_bytes());
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config, "size": config_size,
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": layer, "size": size,
            }],
        });
        let bytes = manifest.to_string().into_bytes();
        let size = bytes.len() as u64;
        let digest = builder.bytes(bytes);
        let media_type = MediaType::Manifest(Family::Oci);
        builder.reference(image, Descriptor::new(media_type, digest, size));
    }
    for (path, file) in builder.build().files {
        let LayoutFile::Bytes(bytes) = file else {
            panic!("all of it is in memory");
        };
        let path = bench.iso("isoforge/content").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    (bench, layer)
}

#[test]
fn the_content_is_in_zots_storage_before_the_disk_starts() {
    if !can_loop() {
        return;
    }
    let (bench, _) = bench(RegistryKind::Zot);
    let mut ear = quiet();
    bench.install(&mut ear).unwrap();
    bench.is_clean();
    assert_eq!(bench.starts(), ["BIOS", "UEFI"]);
    let files = "cd kept/var/lib/registry/storage; find . -type f ! -path './.import/*' \
        | sed 's:[0-9a-f]\\{60\\}:…:' | sort; find . -links +1 -type f | wc -l; \
        for blobs in $(find . -name sha256); do (cd $blobs; for f in *; do echo \"$f  $f\"; done \
        | sha256sum --check --quiet); done";
    assert_snapshot!(bench.inside(5, files), @r#"
    ./docker.io/calico/node/blobs/sha256/…37b4
    ./docker.io/calico/node/blobs/sha256/…456e
    ./docker.io/calico/node/blobs/sha256/…d5a6
    ./docker.io/calico/node/index.json
    ./docker.io/calico/node/oci-layout
    ./quay.io/calico/node/blobs/sha256/…37b4
    ./quay.io/calico/node/blobs/sha256/…73be
    ./quay.io/calico/node/blobs/sha256/…edc1
    ./quay.io/calico/node/index.json
    ./quay.io/calico/node/oci-layout
    2
    "#);
    let steps: Vec<&str> = ear
        .told
        .iter()
        .filter_map(|event| match event {
            Event::Step { name, of: 9, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(steps.len(), 9);
    assert_eq!(steps[6], "Copying the content");
    let all = ear.told.iter().any(|event| {
        matches!(event, Event::Bytes { done, total } if done == total && *total > 3 * MIB && *total < 4 * MIB)
    });
    assert!(all, "its bytes are told");
}

#[test]
fn for_distribution_the_content_waits() {
    if !can_loop() {
        return;
    }
    let (bench, layer) = bench(RegistryKind::Distribution);
    bench.install(&mut quiet()).unwrap();
    let files = "cd kept/var/lib/registry; find . -type f | sed 's:[0-9a-f]\\{60\\}:…:' | sort; \
        cmp pending/index.json $3/isoforge/content/index.json; cd pending/blobs/sha256; \
        for f in *; do echo \"$f  $f\"; done | sha256sum --check --quiet";
    let found = bench.inside(5, files);
    assert!(found.contains("./pending/oci-layout"), "{found}");
    assert!(found.contains(&layer.hex()[60..]), "{found}");
}

#[test]
fn damaged_content_leaves_a_disk_that_starts_nothing() {
    if !can_loop() {
        return;
    }
    for name in [RegistryKind::Zot, RegistryKind::Distribution] {
        let (bench, layer) = bench(name);
        let path = bench.iso("isoforge/content/blobs/sha256").join(layer.hex());
        let mut bytes = fs::read(&path).unwrap();
        bytes[1_000_000] ^= 1;
        fs::write(&path, bytes).unwrap();
        let failure = bench.install(&mut quiet()).unwrap_err();
        assert_eq!(failure.step, "Copying the content");
        assert!(failure.cause.contains("is damaged"), "{failure}");
        assert!(
            failure.advice.starts_with("The install medium is damaged"),
            "{}",
            failure.advice
        );
        assert!(bench.starts().is_empty());
        bench.is_clean();
    }
}

#[test]
fn content_that_does_not_fit_is_told_before_the_disk_is_touched() {
    if !can_loop() {
        return;
    }
    let (bench, layer) = bench(RegistryKind::Zot);
    let path = bench.iso("isoforge/content/blobs/sha256").join(layer.hex());
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(5 << 30)
        .unwrap();
    let before = bench.written();
    let failure = bench.install(&mut quiet()).unwrap_err();
    assert_snapshot!(failure.cause.replace(bench.device.to_str().unwrap(), "DISK"), @"the disk DISK (4.0 GiB) can't be taken: the content of the install medium needs 5.0 GiB on PERSISTENT, which would have 3.4 GiB");
    assert_eq!(bench.written(), before);
}
