use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::layout::{Builder, OciLayout};
use crate::manifest::Descriptor;
use crate::media::{Family, MediaType};
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

/// All files below the store's version folder, without locks.
fn files(root: &Path) -> Vec<String> {
    let mut found: Vec<String> = walkdir::WalkDir::new(root.join("v1"))
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| {
            let is_lock = entry.file_name() == "lock" || entry.file_name() == "in-use";
            entry.file_type().is_file() && !is_lock
        })
        .map(|entry| {
            entry
                .path()
                .strip_prefix(root)
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    found.sort();
    found
}

mod collecting;

use std::result::Result;

#[test]
fn a_blob_is_found_by_its_digest() {
    let (root, store) = store();
    let digest = store.put_blob(b"hello").unwrap();
    assert_eq!(digest, Digest::of(b"hello"));
    let hex = digest.hex();
    assert_eq!(
        files(root.path()),
        [format!("v1/blobs/sha256/{}/{hex}", &hex[..2])]
    );
    let mut bytes = Vec::new();
    store
        .open_blob(&digest)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes, b"hello");
    assert_eq!(store.blob_size(&digest).unwrap(), Some(5));
    assert_eq!(store.read_blob(&digest, 5).unwrap(), b"hello");
    store.verify(&digest).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&store.blob_path(&digest)), 0o644);
    assert_eq!(mode(store.blob_path(&digest).parent().unwrap()), 0o755);
}

#[test]
fn a_mismatch_names_both_digests_and_leaves_nothing() {
    let (root, store) = store();
    let wanted = Digest::of(b"wanted");
    let mut writer = store.blob_writer().unwrap();
    writer.write_all(b"other!").unwrap();
    let error = writer.commit(Some((&wanted, 6))).unwrap_err();
    let said = error.to_string();
    assert!(said.contains(&wanted.to_string()), "{said}");
    assert!(said.contains(&Digest::of(b"other!").to_string()), "{said}");
    assert_eq!(error.class(), Class::Verification);
    let mut writer = store.blob_writer().unwrap();
    writer.write_all(b"wanted and more").unwrap();
    assert!(matches!(
        writer.commit(Some((&wanted, 6))),
        Err(Error::SizeMismatch { found: 15, .. })
    ));
    assert!(!store.has_blob(&wanted));
    assert_eq!(files(root.path()), [""; 0]);
}

#[test]
fn a_damaged_blob_is_noticed_and_mended_by_writing_it_again() {
    let (_root, store) = store();
    let digest = store.put_blob(b"hello").unwrap();
    fs_err::write(store.blob_path(&digest), b"hellO").unwrap();
    assert!(matches!(store.verify(&digest), Err(Error::Damaged { .. })));
    assert!(matches!(
        store.read_blob(&digest, 10),
        Err(Error::Damaged { .. })
    ));
    fs_err::write(store.blob_path(&digest), b"hell").unwrap();
    assert!(matches!(
        store.open_sized_blob(&digest, 5),
        Err(Error::Damaged { .. })
    ));
    assert!(matches!(
        store.read_blob(&digest, 3),
        Err(Error::Damaged { .. })
    ));
    store.put_blob(b"hello").unwrap();
    store.verify(&digest).unwrap();
    let missing = Digest::of(b"missing");
    assert!(matches!(
        store.open_blob(&missing),
        Err(Error::Missing { .. })
    ));
    assert_eq!(store.blob_size(&missing).unwrap(), None);
}

#[test]
fn what_the_dead_left_is_removed_and_the_living_keep_theirs() {
    let (root, living) = store();
    let mut writer = living.blob_writer().unwrap();
    writer.write_all(b"under way").unwrap();
    let tmp = root.path().join("v1/tmp");
    for (dead, with_lock) in [("1-7", true), ("1-8", false)] {
        fs_err::create_dir(tmp.join(dead)).unwrap();
        fs_err::write(tmp.join(dead).join("0"), b"left over").unwrap();
        if with_lock {
            fs_err::write(tmp.join(dead).join("lock"), b"").unwrap();
        }
    }
    let second = Store::open(root.path()).unwrap();
    assert!(!tmp.join("1-7").exists() && !tmp.join("1-8").exists());
    assert_ne!(second.temp_dir(), living.temp_dir());
    let (digest, _) = writer.commit(None).unwrap();
    second.verify(&digest).unwrap();
    let folder = second.temp_dir().to_owned();
    assert!(folder.is_dir());
    drop(second);
    assert!(!folder.exists());
    assert!(living.temp_dir().is_dir());
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let (root, store) = store();
    store.blob_writer().unwrap().write_all(b"half").unwrap();
    store
        .slab_writer("key")
        .unwrap()
        .file()
        .write_all(b"half")
        .unwrap();
    assert_eq!(files(root.path()), [""; 0]);
}

#[test]
fn many_handles_write_the_same_blob_at_once() {
    let root = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let store = Store::open(root.path()).unwrap();
                    let digest = store.put_blob(&bytes).unwrap();
                    store.verify(&digest).unwrap();
                    store.put_fact("kind", "key", &digest).unwrap();
                }
            });
        }
    });
    assert_eq!(files(root.path()).len(), 2);
}

#[test]
fn slabs_and_facts_are_found_by_key() {
    let (_root, store) = store();
    let mut writer = store.slab_writer("abc-zstd9-v1").unwrap();
    writer.file().write_all(b"slab").unwrap();
    assert!(!store.slab_path("abc-zstd9-v1").exists());
    let path = writer.commit().unwrap();
    assert_eq!(path, store.slab_path("abc-zstd9-v1"));
    assert_eq!(fs_err::read(path).unwrap(), b"slab");
    assert_eq!(store.fact::<u32>("answers", "all").unwrap(), None);
    store.put_fact("answers", "all", &42_u32).unwrap();
    assert_eq!(store.fact::<u32>("answers", "all").unwrap(), Some(42));
    assert_eq!(store.fact::<String>("answers", "all").unwrap(), None);
}

#[test]
fn keys_never_lead_out_of_their_folder() {
    let (root, store) = store();
    let keys = [
        "",
        ".",
        "..",
        "a/b",
        "../x",
        "a\0",
        "sha256:0",
        &"x".repeat(300),
    ];
    for (n, key) in keys.iter().enumerate() {
        store.put_fact(key, key, &n).unwrap();
        store.slab_writer(key).unwrap().commit().unwrap();
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(store.fact::<usize>(key, key).unwrap(), Some(n), "{key}");
        assert_eq!(
            store.slab_path(key).parent(),
            Some(root.path().join("v1/slabs").as_path())
        );
    }
    assert_eq!(files(root.path()).len(), 2 * keys.len());
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let (root, store) = store();
    drop(store);
    Store::open(root.path()).unwrap();
    fs_err::write(root.path().join("store.json"), r#"{"version":2,"more":[]}"#).unwrap();
    let error = Store::open(root.path()).unwrap_err();
    assert_eq!(error.class(), Class::Environment);
    let said = error
        .to_string()
        .replace(&root.path().display().to_string(), "ROOT");
    insta::assert_snapshot!(said, @"ROOT/store.json is of version 2, this isoforge knows versions up to 1");
    fs_err::write(root.path().join("store.json"), "[]").unwrap();
    assert!(matches!(
        Store::open(root.path()),
        Err(Error::Other {
            class: Class::Environment,
            ..
        })
    ));
}

fn layout(store: &Store) -> OciLayout {
    let mut builder = Builder::new();
    let layer = store.put_blob(b"layer").unwrap();
    builder.blob(layer, 5);
    let manifest = builder.bytes(b"{}".to_vec());
    builder.reference(
        "a:1",
        Descriptor::new(MediaType::Manifest(Family::Oci), manifest, 2),
    );
    builder.build()
}

#[test]
fn a_layout_is_written_as_folder_and_as_the_same_archive_each_time() {
    let (root, store) = store();
    let layout = layout(&store);
    let write = || {
        let mut out = Vec::new();
        layout.write_tar(&store, &mut out, 1_700_000_000).unwrap();
        out
    };
    let archive = write();
    assert_eq!(archive, write());
    let folder = root.path().join("layout");
    layout.write_dir(&store, &folder).unwrap();
    let mut members = Vec::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(header.mtime().unwrap(), 1_700_000_000);
        assert_eq!((header.mode().unwrap(), header.uid().unwrap()), (0o644, 0));
        let path = entry.path().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        assert_eq!(fs_err::read(folder.join(&path)).unwrap(), bytes);
        members.push(path.display().to_string());
    }
    let listed: Vec<_> = layout.files.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(members, listed);
}

#[test]
fn a_damaged_blob_does_not_get_into_a_layout() {
    let (root, store) = store();
    let layout = layout(&store);
    fs_err::write(store.blob_path(&Digest::of(b"layer")), b"LAYER").unwrap();
    assert!(matches!(
        layout.write_tar(&store, std::io::sink(), 0),
        Err(Error::Damaged { .. })
    ));
    assert!(matches!(
        layout.write_dir(&store, &root.path().join("layout")),
        Err(Error::Damaged { .. })
    ));
}

#[test]
fn what_is_private_stays_for_the_owner_alone() {
    let (_root, store) = store();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    let write = |is_private: bool| {
        let mut writer = store.blob_writer().unwrap();
        writer.write_all(b"s3cret").unwrap();
        writer.set_private(is_private);
        writer.commit(None).unwrap().0
    };
    let digest = write(false);
    assert!(!store.is_private(&digest));
    // Of a store that is older than this, and written again by who knows of no secret.
    for is_private in [true, false] {
        assert_eq!(write(is_private), digest);
        assert_eq!(mode(&store.blob_path(&digest)), 0o600);
        assert!(store.is_private(&digest));
    }
    let mut slab = store.slab_writer("x").unwrap();
    assert_eq!(mode(slab.path()), 0o600);
    slab.set_private(true);
    assert_eq!(mode(&slab.commit().unwrap()), 0o600);
}
