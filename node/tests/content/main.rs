//! Content on the machine: the storage of Zot, filled by hand and judged by Zot
//! and skopeo.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod by_zot;
mod exported;
mod files;
mod interrupted;
mod oras;
mod owner;
mod registry;
mod served;
mod source;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use appliance::content::collect::collect;
use appliance::content::commit::NoService;
use appliance::content::images::Images as _;
use appliance::content::inspect::list;
use appliance::content::source::Source as _;
use appliance::content::storage::Storage;
use appliance::content::verify::verify;
use appliance::content::zot::{Existing, Options, Report, import};
use insta::assert_snapshot;
use isoforge_base::output::space::HostFileSystems;
use isoforge_base::progress::Progress;
use source::Memory;

const OPTIONS: Options<'_> = Options {
    existing: Existing::Trust,
    replace: false,
    service: &NoService,
    room: &HostFileSystems,
};

fn fill(root: &Path, source: &Memory) -> anyhow::Result<Report> {
    import(root, source, &OPTIONS, &Progress::silent())
}

/// Five images with all that is worth trying: an index of which a platform is
/// missing, one by digest alone, one name from two upstreams, a layer that two
/// have, something about an image.
fn bundle() -> Memory {
    let mut memory = Memory::default();
    let shared = vec![7_u8; 300_000];
    let node = memory.image(&[&shared, b"node"]);
    let other = memory.image(&[b"other platform"]);
    let whole = memory.index(&[&node, &other], false);
    let partial = memory.index(&[&node], true);
    memory.root("docker.io/calico/node:v3.29.2", &whole);
    memory.root("docker.io/calico/partial:v1", &partial);
    let cni = memory.image(&[&shared, b"cni"]);
    memory.root("quay.io/calico/node:v3.29.2", &cni);
    let pinned = memory.image(&[b"pinned"]);
    memory.root(
        &format!("registry.example:5000/a/b@{}", pinned.digest),
        &pinned,
    );
    let both = memory.image(&[b"both"]);
    memory.root(&format!("quay.io/x/both:1@{}", both.digest), &both);
    let about = memory.image_about(&[b"signature"], Some(&node));
    memory.about(&about);
    memory
}

fn expected(source: &Memory) -> Vec<(String, String)> {
    let stored = |name: &str| {
        let name = name.replace("example:5000", "example_5000");
        match name.split_once('@') {
            Some((name, digest)) if !name.contains(':') => {
                format!("{name}:digest-{}", digest.replace(':', "-"))
            }
            Some((name, _)) => name.to_owned(),
            None => name,
        }
    };
    let named = source.roots().iter().filter_map(|root| {
        let name = root.reference.as_ref()?;
        Some((stored(name), root.descriptor.digest.to_string()))
    });
    named.collect()
}

#[test]
fn blobs_of_several_repositories_are_hard_links() {
    let dir = tempfile::tempdir().unwrap();
    let source = bundle();
    let report = fill(dir.path(), &source).unwrap();
    assert_eq!(report.filled.copied, source.blobs.len() as u64);
    let storage = Storage::open(dir.path()).unwrap();
    let all = storage.blobs().unwrap();
    let several: Vec<_> = all.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(several.len() >= 3, "{several:?}");
    for (digest, places) in several {
        let inodes: std::collections::BTreeSet<u64> = places
            .keys()
            .map(|it| {
                std::fs::metadata(storage.blob_path(it, digest))
                    .unwrap()
                    .ino()
            })
            .collect();
        assert_eq!(inodes.len(), 1);
    }
    let listing = list(&storage).unwrap();
    let size = source
        .blobs
        .values()
        .map(|bytes| bytes.len() as u64)
        .sum::<u64>();
    assert_eq!(listing.bytes, size);
}

#[test]
fn what_is_listed_has_its_upstreams_names() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), &bundle()).unwrap();
    let listing = list(&Storage::open(dir.path()).unwrap()).unwrap();
    assert_snapshot!(listing.text(), @r#"
    docker.io/calico/node:v3.29.2
        sha256:4fb0f955662e57d9a917a1bd07c3f9a7fbdc786d8478f8ee6fcbd2c0d79e12d3 300.2 KiB (linux/amd64, linux/arm64)
    docker.io/calico/partial:v1
        sha256:fe8a4914ac203466ae7f0b2a90aef3f8b8fe08eaa08def7c648a71f79a5f0b90 297.7 KiB (linux/amd64)
    quay.io/calico/node:v3.29.2
        sha256:0c140bca747542271f9c4e07497d5baa7ef23437b01cc7946c71cac5e86463e5 297.2 KiB
    quay.io/x/both:1
        sha256:afabdd1c52869da8453e7f880b1c3869b65d94e4d9e1a89593f0e1c7032e6ad6 2.5 KiB
    quay.io/x/both@sha256:afabdd1c52869da8453e7f880b1c3869b65d94e4d9e1a89593f0e1c7032e6ad6
        sha256:afabdd1c52869da8453e7f880b1c3869b65d94e4d9e1a89593f0e1c7032e6ad6 2.5 KiB
    registry.example:5000/a/b@sha256:8eb1585858ece10e1457ee71e1be3b396e63c054365bb6b6f4ffccc4224a0a4c
        sha256:8eb1585858ece10e1457ee71e1be3b396e63c054365bb6b6f4ffccc4224a0a4c 2.5 KiB
    6 images, 311.3 KiB on the disk
    "#);
}

#[test]
fn damage_is_named_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    let source = bundle();
    fill(dir.path(), &source).unwrap();
    let storage = Storage::open(dir.path()).unwrap();
    // The shared layer, in all three repositories at once.
    let (digest, bytes) = source.blobs.iter().max_by_key(|(_, b)| b.len()).unwrap();
    let path = storage.blob_path("quay.io/calico/node", digest);
    let mut altered = bytes.clone();
    altered[1000] ^= 1;
    std::fs::write(&path, &altered).unwrap();
    let pinned = storage.blobs_of("registry.example_5000/a/b").unwrap();
    let (lost, _) = pinned.iter().next().unwrap();
    std::fs::remove_file(storage.blob_path("registry.example_5000/a/b", lost)).unwrap();
    let verified = verify(&storage, &Progress::silent()).unwrap();
    assert_snapshot!(verified.text(), @r#"
    docker.io/calico/node: sha256:2139d3199c5d0a022a4444ce67fb271060aedbbf3b3a365958acc0bef8e15e45: its content is sha256:b4ca674a40a4a7f2e3f76b165968d73921179d30b2ae8d37a8615c8220019daa (301568 bytes)
        needed by docker.io/calico/node:v3.29.2
    docker.io/calico/partial: sha256:2139d3199c5d0a022a4444ce67fb271060aedbbf3b3a365958acc0bef8e15e45: its content is sha256:b4ca674a40a4a7f2e3f76b165968d73921179d30b2ae8d37a8615c8220019daa (301568 bytes)
        needed by docker.io/calico/partial:v1
    quay.io/calico/node: sha256:2139d3199c5d0a022a4444ce67fb271060aedbbf3b3a365958acc0bef8e15e45: its content is sha256:b4ca674a40a4a7f2e3f76b165968d73921179d30b2ae8d37a8615c8220019daa (301568 bytes)
        needed by quay.io/calico/node:v3.29.2
    registry.example_5000/a/b: sha256:565061c0fb8670777c71ac96d9e7d4b50d0d6a0169666bfed128b7e40bec4041: it is missing
        needed by registry.example:5000/a/b@sha256:8eb1585858ece10e1457ee71e1be3b396e63c054365bb6b6f4ffccc4224a0a4c
    20 blobs of 5 repositories (309.3 KiB): 4 are damaged
    "#);
    let options = Options {
        existing: Existing::Check,
        ..OPTIONS
    };
    let report = import(dir.path(), &source, &options, &Progress::silent()).unwrap();
    assert_eq!(report.filled.copied, 2);
    assert_eq!(verify(&storage, &Progress::silent()).unwrap().damage, []);
}

#[test]
fn bad_sources_are_refused_and_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), &bundle()).unwrap();
    let storage = Storage::open(dir.path()).unwrap();
    let before = list(&storage).unwrap().images;
    let refused = |alter: &dyn Fn(&mut Memory)| {
        let mut source = Memory::default();
        let image = source.image(&[b"new"]);
        source.root("r.example/new:1", &image);
        alter(&mut source);
        let error = fill(dir.path(), &source).unwrap_err();
        assert_eq!(list(&storage).unwrap().images, before);
        error.to_string()
    };
    let layer = |source: &Memory| {
        let tar = source.blobs.iter().find(|(_, bytes)| bytes.len() > 1500);
        *tar.unwrap().0
    };
    assert_snapshot!(refused(&|source| {
        let digest = layer(source);
        source.blobs.get_mut(&digest).unwrap()[512] ^= 1;
    }), @"the bundle is damaged: what should be sha256:f1ae483d6f2c8787e45640b2e19611cfa4ef049f033d6d37a093cce5e37303d3 is sha256:92fad4d07294aca04b0e2d73fc46136445449ee9b56ac196f4e371cffe6e1703 (2048 bytes)");
    assert_snapshot!(refused(&|source| {
        let digest = layer(source);
        source.blobs.get_mut(&digest).unwrap().truncate(700);
    }), @"the bundle is damaged: sha256:f1ae483d6f2c8787e45640b2e19611cfa4ef049f033d6d37a093cce5e37303d3 has 700 bytes, not 2048");
    assert_snapshot!(refused(&|source| {
        let digest = layer(source);
        source.blobs.remove(&digest);
    }), @"the bundle lacks sha256:f1ae483d6f2c8787e45640b2e19611cfa4ef049f033d6d37a093cce5e37303d3, which r.example/new:1 needs, and the storage does not have it");
    assert_snapshot!(refused(&|source| {
        let other = source.image(&[b"other"]);
        source.root("r.example/new:1", &other);
    }), @"the bundle has two different images with the name r.example/new:1: sha256:2f213a2e417b83d48832a250ea3b328b071cf85c4037ad71010b37f6e54b7215 and sha256:279245efb52492746b4a574da09cb611887b3a03bb07b1100df650df35ed6948");
    assert_snapshot!(refused(&|source| {
        let index = source.index(&[], true);
        source.root("r.example/index:1", &index);
    }), @"the bundle has the index r.example/index:1, but no image of it");
    assert_snapshot!(refused(&|source| source.roots[0].reference = Some("v1".to_owned())), @"'v1' can't be stored: it names no registry and repository; content is named as in docker.io/library/nginx:1.29");
    assert_snapshot!(refused(&|source| {
        let base = "sha256:2b2c40a6706d9e5f320d553628313833e3668d8b0c8f5b0a25a2ca7d926df6d4";
        source.annotations.base = Some(base.parse().unwrap());
    }), @"the bundle holds only what its base lacks, and that base (sha256:2b2c40a6706d9e5f320d553628313833e3668d8b0c8f5b0a25a2ca7d926df6d4) was not imported here; import the base first");
}

#[test]
fn a_second_bundle_of_one_name_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let make = |text: &[u8]| {
        let mut source = Memory::default();
        let image = source.image(&[text]);
        source.root("r.example/a:1", &image);
        source.annotations.name = Some("tools".to_owned());
        source.annotations.version = Some("1.0.0".to_owned());
        source
    };
    fill(dir.path(), &make(b"one")).unwrap();
    fill(dir.path(), &make(b"one")).unwrap();
    let error = fill(dir.path(), &make(b"two")).unwrap_err();
    assert_snapshot!(error, @"a different bundle tools 1.0.0 was imported before (sha256:335a006c12f422738ca70534a54b405ac2123c4e72cac2ac168e409658a874c2, this one is sha256:50d22ec18359c23ce0aee201fbf4596978af8c06778a253b16e9183dadc0b40f); give the new one another version, or import it with --replace");
    let options = Options {
        replace: true,
        ..OPTIONS
    };
    let report = import(dir.path(), &make(b"two"), &options, &Progress::silent()).unwrap();
    assert_eq!(report.moved.len(), 1);
    assert_eq!(report.moved[0].image, "r.example/a:1");
    // A delta on the first one fits no more.
    let mut delta = make(b"three");
    delta.annotations.name = None;
    delta.annotations.base = Some(make(b"one").digest());
    let error = fill(dir.path(), &delta).unwrap_err();
    assert!(
        error.to_string().ends_with("import the base first"),
        "{error}"
    );
}

#[test]
fn a_delta_takes_what_it_lacks_from_the_storage() {
    let dir = tempfile::tempdir().unwrap();
    let base = bundle();
    fill(dir.path(), &base).unwrap();
    let mut delta = bundle();
    let shared = vec![7_u8; 300_000];
    let new = delta.image(&[&shared, b"newer"]);
    let old: Vec<_> = base.blobs.keys().copied().collect();
    for digest in old {
        delta.blobs.remove(&digest);
    }
    delta.root("docker.io/calico/node:v3.30.0", &new);
    delta.annotations.base = Some(base.digest());
    let report = fill(dir.path(), &delta).unwrap();
    assert_eq!(report.images.len(), 6);
    assert_eq!(report.filled.copied, 3, "{report:?}");
    let verified = verify(&Storage::open(dir.path()).unwrap(), &Progress::silent()).unwrap();
    assert_eq!(verified.damage, []);
}

#[test]
fn what_nothing_names_is_collected() {
    let dir = tempfile::tempdir().unwrap();
    let source = bundle();
    fill(dir.path(), &source).unwrap();
    let storage = Storage::open_to_write(dir.path()).unwrap();
    // A tag that moves leaves what it led to.
    drop(storage);
    let mut newer = Memory::default();
    let image = newer.image(&[b"newer node"]);
    newer.root("docker.io/calico/node:v3.29.2", &image);
    fill(dir.path(), &newer).unwrap();
    let storage = Storage::open_to_write(dir.path()).unwrap();
    let listing = list(&storage).unwrap();
    // All of it is young.
    let kept = collect(&storage, &NoService, false).unwrap();
    assert_eq!((kept.blobs, kept.manifests), (0, 0));
    let collected = collect(&storage, &NoService, true).unwrap();
    assert!(collected.manifests >= 3, "{collected:?}");
    assert!(collected.blobs >= 6, "{collected:?}");
    assert_eq!(list(&storage).unwrap().images, listing.images);
    assert_eq!(verify(&storage, &Progress::silent()).unwrap().damage, []);
    assert_eq!(collect(&storage, &NoService, true).unwrap().blobs, 0);
}

#[test]
fn one_that_is_damaged_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = Memory::default();
    let image = source.image(&[b"sound"]);
    source.root("r.example/sound:1", &image);
    let subject = source.image(&[b"other"]);
    let about = source.image_about(&[b"pack"], Some(&subject));
    source.root("r.example/pack:1", &about);
    let damaged = source.image(&[b"damaged"]);
    source.root("r.example/damaged:1", &damaged);
    fill(dir.path(), &source).unwrap();
    let storage = Storage::open(dir.path()).unwrap();
    let path = storage.blob_path("r.example/damaged", &damaged.digest);
    std::fs::write(path, "no manifest").unwrap();
    let images = list(&storage).unwrap().images;
    let kinds: Vec<_> = images
        .iter()
        .map(|image| (image.reference.as_str(), image.kind.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("r.example/damaged:1", "damaged"),
            ("r.example/pack:1", "application/vnd.test.about"),
            (
                "r.example/sound:1",
                "application/vnd.oci.image.config.v1+json"
            ),
        ]
    );
}
