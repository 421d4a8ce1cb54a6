//! Listing, last use, and removing alone.

use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn set_age(path: &Path, age: Duration) -> SystemTime {
    let time = fs_err::metadata(path).unwrap().modified().unwrap() - age;
    let file = fs_err::OpenOptions::new().append(true).open(path).unwrap();
    file.file().set_modified(time).unwrap();
    time
}

fn modified(path: &Path) -> SystemTime {
    fs_err::metadata(path).unwrap().modified().unwrap()
}

/// Names of what is in the store, as `kind name`.
fn names(store: &Store) -> Vec<String> {
    let contents = store.contents().unwrap();
    let name = |entry: &Entry| match &entry.kind {
        EntryKind::Blob(digest) => format!("blob {}", digest.short()),
        EntryKind::Slab(key) => format!("slab {key}"),
        EntryKind::Fact { kind, name } => format!("fact {kind}/{name}"),
        EntryKind::Partial(digest) => format!("partial {}", digest.short()),
        EntryKind::Stranger => {
            format!("stranger {}", entry.path.file_name().unwrap().display())
        }
    };
    contents.iter().map(name).collect()
}

#[test]
fn everything_is_listed_by_what_it_is() {
    let (root, store) = store();
    let digest = store.put_blob(b"hello").unwrap();
    store.slab_writer("key").unwrap().commit().unwrap();
    store.put_fact("kind", "name", &1).unwrap();
    let base = root.path().join("v1");
    fs_err::create_dir_all(base.join("partial")).unwrap();
    let hex = Digest::of(b"cut off").hex();
    fs_err::write(base.join("partial").join(&hex), b"cut").unwrap();
    // A name of the wrong form, a wrong folder, a link.
    fs_err::write(base.join("blobs/sha256/README"), b"").unwrap();
    fs_err::write(base.join("facts/loose.json"), b"").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", base.join("slabs/link")).unwrap();
    let listed = names(&store);
    assert_eq!(
        listed,
        [
            format!("blob {}", digest.short()),
            "slab key".to_owned(),
            "fact kind/name".to_owned(),
            format!("partial {}", Digest::of(b"cut off").short()),
            "stranger README".to_owned(),
            "stranger loose.json".to_owned(),
            "stranger link".to_owned(),
        ]
    );
    let contents = store.contents().unwrap();
    assert_eq!(contents[0].size, 5);
    assert_eq!(contents[0].path, store.blob_path(&digest));
}

#[test]
fn every_use_is_recorded_once_a_day_and_listing_is_none() {
    let (_root, store) = store();
    let digest = store.put_blob(b"hello").unwrap();
    let slab = store.slab_writer("key").unwrap().commit().unwrap();
    store.put_fact("kind", "name", &1).unwrap();
    let blob = store.blob_path(&digest);
    let fact = store.fact_path("kind", "name");
    type Use = (&'static str, fn(&Store, &Digest));
    let uses: [Use; 5] = [
        ("has", |store, digest| assert!(store.has_blob(digest))),
        ("size", |store, digest| {
            assert_eq!(store.blob_size(digest).unwrap(), Some(5));
        }),
        ("open", |store, digest| {
            drop(store.open_blob(digest).unwrap())
        }),
        ("slab", |store, _| assert!(store.slab("key").is_some())),
        ("fact", |store, _| {
            assert_eq!(store.fact("kind", "name").unwrap(), Some(1));
        }),
    ];
    for (name, use_it) in uses {
        let path = match name {
            "slab" => &slab,
            "fact" => &fact,
            _ => &blob,
        };
        let before = set_age(path, 3 * DAY);
        let unused_for = |store: &Store| {
            let mut contents = store.contents().unwrap().into_iter();
            contents
                .find(|entry| entry.path == *path)
                .unwrap()
                .unused_for
        };
        assert!(unused_for(&store) > 2 * DAY, "{name}");
        assert_eq!(modified(path), before, "listing is no use");
        use_it(&store, &digest);
        assert!(modified(path) > before + 2 * DAY, "{name}");
        assert!(unused_for(&store) < DAY, "{name}");
        let recent = set_age(path, DAY / 2);
        use_it(&store, &digest);
        assert_eq!(modified(path), recent, "{name}: once a day is enough");
    }
    // A clock that was wrong makes nothing old, and the next use mends it.
    let future = modified(&blob) + 900 * DAY;
    let file = fs_err::OpenOptions::new().append(true).open(&blob).unwrap();
    file.file().set_modified(future).unwrap();
    assert_eq!(store.contents().unwrap()[0].unused_for, Duration::ZERO);
    assert!(store.has_blob(&digest));
    assert!(modified(&blob) < future);
}

#[test]
fn a_collector_waits_for_open_stores_and_they_for_it() {
    let (root, store) = store();
    let digest = store.put_blob(b"hello").unwrap();
    std::thread::scope(|scope| {
        let (waits, waiting) = mpsc::channel();
        let path = root.path();
        let collector = scope.spawn(move || Collector::open(path, move || waits.send(()).unwrap()));
        waiting.recv().unwrap();
        // It waits without keeping others from opening the store, too.
        let second = Store::open(path).unwrap();
        assert!(second.has_blob(&digest));
        assert!(!collector.is_finished());
        drop((store, second));
        let collector = collector.join().unwrap().unwrap();

        let (waits, waiting) = mpsc::channel();
        let opener = scope.spawn(move || Store::open_noting(path, move || waits.send(()).unwrap()));
        waiting.recv().unwrap();
        let contents = collector.store().contents().unwrap();
        for entry in &contents {
            collector.remove(entry).unwrap();
            // Gone already.
            collector.remove(entry).unwrap();
        }
        assert!(!opener.is_finished());
        drop(collector);
        let store = opener.join().unwrap().unwrap();
        assert_eq!(names(&store), [""; 0]);
    });
}

#[test]
fn strangers_are_never_removed() {
    let (root, store) = store();
    drop(store);
    let path = root.path().join("v1/blobs/sha256/mine.txt");
    fs_err::write(&path, b"mine").unwrap();
    let collector = Collector::open(root.path(), || panic!("nobody else is there")).unwrap();
    for entry in collector.store().contents().unwrap() {
        collector.remove(&entry).unwrap();
    }
    assert_eq!(fs_err::read(path).unwrap(), b"mine");
}

#[test]
fn origins_add_up() {
    let (_root, store) = store();
    let digest = store.put_blob(b"hello").unwrap();
    for name in ["b:2", "a:1", "b:2"] {
        store.add_origin(&digest, name).unwrap();
    }
    let names: Option<Vec<String>> = store.fact(ORIGIN_FACT, &digest.hex()).unwrap();
    assert_eq!(names.unwrap(), ["a:1", "b:2"]);
}

#[test]
fn a_file_of_its_own_in_a_layout_is_held_to_digest_and_size() {
    let (root, store) = store();
    let path = root.path().join("slab");
    fs_err::write(&path, b"slab data").unwrap();
    let write = |digest, size| {
        let mut builder = Builder::new();
        builder.file(path.clone(), digest, size);
        let mut out = Vec::new();
        builder
            .build()
            .write_tar(&store, &mut out, 0)
            .map(|()| out.len())
    };
    write(Digest::of(b"slab data"), 9).unwrap();
    for (digest, size) in [
        (Digest::of(b"slab Data"), 9),
        (Digest::of(b"slab data"), 8),
        (Digest::of(b"slab data"), 10),
    ] {
        assert!(
            matches!(write(digest, size), Err(Error::Damaged { .. })),
            "{size}"
        );
    }
}
