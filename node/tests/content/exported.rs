//! Content out of the registries' storages, judged by skopeo and by importing it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use appliance::content::distribution;
use appliance::content::export::export;
use appliance::content::images::Images as _;
use appliance::content::inspect::list;
use appliance::content::source::{OfBundle, Source};
use appliance::content::storage::Storage;
use appliance::content::verify::verify;
use appliance::content::zot::import;
use appliance::registry::prepare::prepare;
use appliance::registry::push_port;
use insta::assert_snapshot;
use isoforge_base::progress::{Progress, Reporter, TaskId};
use isoforge_contract::machine::RegistryKind;

use crate::registry::skopeo;
use crate::served::{Machine, debians, whole_bundle};
use crate::source::Memory;
use crate::{OPTIONS, bundle, fill};

#[test]
fn what_is_exported_is_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("storage");
    let source = bundle();
    fill(&root, &source).unwrap();
    let storage = Storage::open(&root).unwrap();
    let all = dir.path().join("all");
    let exported = export(&storage, &all, &[], &Progress::silent()).unwrap();
    assert_eq!(exported.images.len(), 5 + 1);
    let blobs = std::fs::read_dir(all.join("blobs/sha256")).unwrap().count();
    assert_eq!(blobs, source.blobs.len());
    // What was exported is imported elsewhere, whole.
    let other = dir.path().join("other");
    let opened = OfBundle::open(&all).unwrap();
    import(&other, &opened, &OPTIONS, &Progress::silent()).unwrap();
    let listing = |root: &Path| list(&Storage::open(root).unwrap()).unwrap();
    assert_eq!(listing(&other), listing(&root));
    let one = dir.path().join("one");
    let wanted = ["docker.io/calico/node:v3.29.2".to_owned()];
    let exported = export(&storage, &one, &wanted, &Progress::silent()).unwrap();
    assert_eq!(exported.images, wanted);
    let from = format!("oci:{}:{}", one.display(), wanted[0]);
    let to = format!("dir:{}", dir.path().join("copy").display());
    let output = skopeo(&["copy", "--all", &from, &to]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let unknown = ["docker.io/calico/node:v9".to_owned()];
    let error = export(
        &storage,
        &dir.path().join("none"),
        &unknown,
        &Progress::silent(),
    );
    assert_snapshot!(error.unwrap_err(), @"the storage has no 'docker.io/calico/node:v9'");
    let error = export(&storage, &one, &[], &Progress::silent()).unwrap_err();
    assert!(error.to_string().contains("can't be written"), "{error}");
    let names = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 5, "no partial output stays");
}

/// Puts a link in the place of the folder that is written, as soon as it is there.
struct Swapping {
    home: PathBuf,
    elsewhere: PathBuf,
}

impl Reporter for Swapping {
    fn start(&self, _: TaskId, _: &str, _: Option<u64>) {
        for entry in std::fs::read_dir(&self.home).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "partial") {
                std::fs::rename(&path, self.home.join("moved")).unwrap();
                std::os::unix::fs::symlink(&self.elsewhere, &path).unwrap();
            }
        }
    }
    fn advance(&self, _: TaskId, _: u64) {}
    fn finish(&self, _: TaskId) {}
    fn note(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn stage(&self, _: &str) {}
}

/// Root exports into a folder of somebody who would like it to write elsewhere.
#[test]
fn nobody_says_with_a_link_where_an_export_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("storage");
    fill(&root, &bundle()).unwrap();
    let storage = Storage::open(&root).unwrap();
    let (home, elsewhere) = (dir.path().join("home"), dir.path().join("elsewhere"));
    for folder in [&home, &elsewhere] {
        std::fs::create_dir(folder).unwrap();
    }
    let swapping = Progress::new(Arc::new(Swapping {
        home: home.clone(),
        elsewhere: elsewhere.clone(),
    }));
    // What becomes of it is the folder's owner's loss.
    let _ = export(&storage, &home.join("out"), &[], &swapping);
    assert!(home.join("moved/index.json").exists(), "it was swapped");
    let written = std::fs::read_dir(&elsewhere).unwrap().count();
    assert_eq!(written, 0, "nothing is written elsewhere");
    // Nor by a link on the way, where others may change the folder.
    std::fs::set_permissions(&home, Permissions::from_mode(0o777)).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.join("link")).unwrap();
    let error = export(&storage, &home.join("link/out"), &[], &Progress::silent()).unwrap_err();
    assert!(format!("{error:#}").contains("not followed"), "{error:#}");
}

/// A machine whose distribution has a bundle, and does not run any more.
fn of_distribution() -> (Machine, Memory) {
    let machine = Machine::new(RegistryKind::Distribution);
    prepare(&machine.config, &machine.places, &BTreeSet::new()).unwrap();
    let port = push_port(&machine.config);
    let _pushing = machine.start(&debians(), "push.json", port);
    let source: Arc<dyn Source> = Arc::new(with_signature());
    machine.import(&source).unwrap();
    (machine, with_signature())
}

/// Distribution gets what refers to an image that has a name, not what refers to one
/// of an index.
fn with_signature() -> Memory {
    let mut memory = whole_bundle();
    memory.roots.retain(|root| root.reference.is_some());
    let subject = memory.roots[1].descriptor.clone();
    let about = memory.image_about(&[b"signature"], Some(&subject));
    memory.about(&about);
    memory
}

/// Paths and contents below a folder.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn what_distribution_has_is_exported_as_what_zot_has() {
    let (machine, source) = of_distribution();
    let dir = tempfile::tempdir().unwrap();
    let zots = dir.path().join("storage");
    fill(&zots, &source).unwrap();
    let silent = Progress::silent();
    let zots = Storage::open(&zots).unwrap();
    let storage = distribution::Storage::new(&machine.places.storage());
    assert_eq!(list(&storage).unwrap(), list(&zots).unwrap());
    let [first, second, one] = ["first", "second", "one"].map(|name| dir.path().join(name));
    let exported = export(&zots, &first, &[], &silent).unwrap();
    assert!(
        OfBundle::open(&first)
            .unwrap()
            .roots()
            .iter()
            .any(|it| it.reference.is_none())
    );
    assert_eq!(export(&storage, &second, &[], &silent).unwrap(), exported);
    assert_eq!(exported.images.len(), 4 + 1);
    let (first, second) = (files(&first), files(&second));
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        Vec::from_iter(second.keys())
    );
    assert!(first == second, "the same files with other contents");
    let wanted = ["docker.io/calico/node:v3.29.2".to_owned()];
    let exported = export(&storage, &one, &wanted, &silent).unwrap();
    assert_eq!(exported.images, wanted);
    let from = format!("oci:{}:{}", one.display(), wanted[0]);
    let to = format!("dir:{}", dir.path().join("copy").display());
    let output = skopeo(&["copy", "--all", &from, &to]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn what_a_client_deleted_or_keeps_as_a_list_is_no_image() {
    let (machine, source) = of_distribution();
    let storage = distribution::Storage::new(&machine.places.storage());
    let top = "docker/registry/v2/repositories/quay.io/x/both/_manifests";
    let manifests = machine.places.storage().join(top);
    let digest = source.roots()[3].descriptor.digest;
    // As oras makes them, and as a deletion leaves it.
    let list = manifests.join(format!("tags/sha256-{}/current", digest.hex()));
    std::fs::create_dir_all(&list).unwrap();
    std::fs::write(list.join("link"), digest.to_string()).unwrap();
    let tags = |storage: &distribution::Storage| {
        let entries = storage.entries("quay.io/x/both").unwrap();
        let tags = entries.into_iter().filter_map(|entry| entry.tag);
        tags.filter(|tag| !tag.starts_with("digest-"))
            .collect::<Vec<_>>()
    };
    assert_eq!(tags(&storage), ["1"]);
    std::fs::remove_file(manifests.join("tags/1/current/link")).unwrap();
    assert_eq!(tags(&storage), [] as [String; 0]);
    std::fs::write(manifests.join("tags/1/current/link"), "x\ny").unwrap();
    let error = storage.entries("quay.io/x/both").unwrap_err().to_string();
    assert!(error.ends_with(r"is damaged: it names 'x\ny'"), "{error}");
}

#[test]
fn damage_of_distributions_storage_is_told_and_not_handed_out() {
    let (machine, source) = of_distribution();
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let storage = distribution::Storage::new(&machine.places.storage());
    let silent = Progress::silent();
    assert_eq!(verify(&storage, &silent).unwrap().damage, []);
    let shared = source.blobs.iter().max_by_key(|(_, b)| b.len()).unwrap();
    let layer = storage.blob_path("", shared.0);
    let refused = || {
        let error = export(&storage, &target, &[], &silent).unwrap_err();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        error
            .to_string()
            .replace(&machine.places.storage().display().to_string(), "STORAGE")
    };
    let mut altered = shared.1.clone();
    altered[1000] ^= 1;
    std::fs::write(&layer, altered).unwrap();
    assert_snapshot!(refused(), @"the registry's storage is damaged: what should be sha256:2139d3199c5d0a022a4444ce67fb271060aedbbf3b3a365958acc0bef8e15e45 is sha256:b4ca674a40a4a7f2e3f76b165968d73921179d30b2ae8d37a8615c8220019daa (301568 bytes)");
    std::fs::remove_file(&layer).unwrap();
    assert_snapshot!(refused(), @"'STORAGE/docker/registry/v2/blobs/sha256/21/2139d3199c5d0a022a4444ce67fb271060aedbbf3b3a365958acc0bef8e15e45/data' can't be read");
    let pinned = source.roots()[2].descriptor.digest;
    std::fs::remove_file(storage.blob_path("", &pinned)).unwrap();
    assert_snapshot!(refused(), @"'STORAGE/docker/registry/v2/blobs/sha256/8e/8eb1585858ece10e1457ee71e1be3b396e63c054365bb6b6f4ffccc4224a0a4c/data' is damaged: it is missing, and registry.example:5000/a/b@sha256:8eb1585858ece10e1457ee71e1be3b396e63c054365bb6b6f4ffccc4224a0a4c needs it");
    assert_snapshot!(verify(&storage, &silent).unwrap().text(), @r#"
    docker.io/calico/node: sha256:2139d3199c5d0a022a4444ce67fb271060aedbbf3b3a365958acc0bef8e15e45: it is missing
        needed by docker.io/calico/node:v3.29.2
    quay.io/calico/node: sha256:2139d3199c5d0a022a4444ce67fb271060aedbbf3b3a365958acc0bef8e15e45: it is missing
        needed by quay.io/calico/node:v3.29.2
    registry.example_5000/a/b: sha256:8eb1585858ece10e1457ee71e1be3b396e63c054365bb6b6f4ffccc4224a0a4c: it is missing
        needed by registry.example:5000/a/b@sha256:8eb1585858ece10e1457ee71e1be3b396e63c054365bb6b6f4ffccc4224a0a4c
    18 blobs of 4 repositories (16.0 KiB): 3 are damaged
    "#);
}
