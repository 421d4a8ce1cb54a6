//! Nothing here needs a network: the archives are folders, and what mmdebstrap
//! would have made is recorded by hand. `cargo xtask e2e` bootstraps for real.

use std::path::Path;
use std::sync::{Arc, Mutex};

use fs_err as fs;
use insta::assert_snapshot;

use super::*;
use isoforge_base::error::Class;
use isoforge_base::progress::{Reporter, TaskId};

fn spec() -> Spec {
    Spec {
        suite: "trixie".to_owned(),
        packages: vec!["linux-image-amd64".to_owned(), "dracut".to_owned()],
        mirrors: Vec::new(),
        components: vec!["main".to_owned()],
        keyring: None,
        variant: "minbase".to_owned(),
        arch: "amd64".to_owned(),
    }
}

/// Writes an archive's Release file and gives a spec that uses it.
fn archive(dir: &Path, date: &str) -> Spec {
    let suite = dir.join("dists/trixie");
    fs::create_dir_all(&suite).unwrap();
    fs::write(suite.join("Release"), format!("Date: {date} UTC\n")).unwrap();
    Spec {
        mirrors: vec![format!("file://{}", dir.display())],
        ..spec()
    }
}

/// Records a result for `spec` as a build would have.
fn record(spec: &Spec, store: &Store, host: &Host) -> Bootstrapped {
    let digest = store.put_blob(b"a root file system").unwrap();
    let sources = sources(spec).unwrap();
    let made = Bootstrapped {
        layer: Layer::plain(digest, 18),
        epoch: 7,
        releases: release::fetch_all(&sources, host, store.temp_dir())
            .unwrap()
            .unwrap(),
        packages: BTreeMap::new(),
        hashes: BTreeMap::new(),
        made_by: "mmdebstrap".to_owned(),
    };
    store.put_fact(FACT, &key(spec).unwrap(), &made).unwrap();
    made
}

#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Reporter for Recorder {
    fn start(&self, _: TaskId, _: &str, _: Option<u64>) {}
    fn advance(&self, _: TaskId, _: u64) {}
    fn finish(&self, _: TaskId) {}
    fn note(&self, message: &str) {
        self.0.lock().unwrap().push(format!("note: {message}"));
    }
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(format!("warning: {message}"));
    }
    fn stage(&self, _: &str) {}
}

#[test]
fn debian_brings_updates_and_security_where_there_are_any() {
    let lines = |spec: &Spec| {
        let sources = sources(spec).unwrap();
        sources
            .into_iter()
            .map(|s| s.line)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_snapshot!(lines(&spec()), @r"
    deb http://deb.debian.org/debian trixie main
    deb http://deb.debian.org/debian trixie-updates main
    deb http://deb.debian.org/debian-security trixie-security main
    ");
    let sid = Spec {
        suite: "sid".to_owned(),
        ..spec()
    };
    assert_snapshot!(lines(&sid), @"deb http://deb.debian.org/debian sid main");
    let own = Spec {
        mirrors: vec![
            "http://mirror.example/debian".to_owned(),
            "deb http://a/b c d".to_owned(),
        ],
        ..spec()
    };
    assert_snapshot!(lines(&own), @r"
    deb http://mirror.example/debian trixie main
    deb http://a/b c d
    ");
}

#[test]
fn an_unchanged_archive_means_no_new_bootstrap() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let host = Host::default();
    let spec = archive(dir.path(), "Sat, 12 Sep 2026 07:55:41");
    let made = record(&spec, &store, &host);
    let again = bootstrap(&spec, None, &store, &host, &Progress::silent()).unwrap();
    assert_eq!(again, made);
    // Another package is another result, which has to be made; this
    // architecture can't be, which shows that it was tried.
    let other = Spec {
        arch: "riscv64".to_owned(),
        ..spec
    };
    let error = bootstrap(&other, None, &store, &host, &Progress::silent()).unwrap_err();
    assert!(error.to_string().contains("riscv64"), "{error}");
}

#[test]
fn a_changed_archive_and_a_lost_layer_mean_a_new_bootstrap() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let host = Host::default();
    let old = Spec {
        arch: "riscv64".to_owned(),
        ..archive(dir.path(), "Sat, 12 Sep 2026 07:55:41")
    };
    let made = record(&old, &store, &host);
    bootstrap(&old, None, &store, &host, &Progress::silent()).unwrap();
    archive(dir.path(), "Sun, 13 Sep 2026 07:55:41");
    let error = bootstrap(&old, None, &store, &host, &Progress::silent()).unwrap_err();
    assert!(error.to_string().contains("riscv64"), "{error}");
    archive(dir.path(), "Sat, 12 Sep 2026 07:55:41");
    fs::remove_file(store.blob_path(&made.layer.digest)).unwrap();
    let error = bootstrap(&old, None, &store, &host, &Progress::silent()).unwrap_err();
    assert!(error.to_string().contains("riscv64"), "{error}");
}

#[test]
fn an_unreachable_archive_is_warned_of_where_a_result_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let host = Host::default();
    let spec = archive(dir.path(), "Sat, 12 Sep 2026 07:55:41");
    let made = record(&spec, &store, &host);
    fs::remove_dir_all(dir.path().join("dists")).unwrap();
    let recorder = Arc::new(Recorder::default());
    let progress = Progress::new(recorder.clone());
    assert_eq!(
        bootstrap(&spec, None, &store, &host, &progress).unwrap(),
        made
    );
    let said = recorder.0.lock().unwrap().join("\n");
    assert!(
        said.starts_with("warning: the package archive's file:"),
        "{said}"
    );
    assert!(
        said.ends_with("the root file system made earlier is used"),
        "{said}"
    );

    let unknown = Spec {
        packages: Vec::new(),
        ..spec
    };
    let error = bootstrap(&unknown, None, &store, &host, &progress).unwrap_err();
    assert!(error.to_string().ends_with("can't be fetched"), "{error}");
    assert_eq!(error.class(), Class::Network);
}

#[test]
fn offline_takes_what_is_recorded_or_fails() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let spec = archive(dir.path(), "Sat, 12 Sep 2026 07:55:41");
    let offline = Host {
        offline: true,
        ..Host::default()
    };
    let error = bootstrap(&spec, None, &store, &offline, &Progress::silent()).unwrap_err();
    assert_snapshot!(error, @"the bootstrapped root file system is not in the store, and the build is offline");
    assert_eq!(error.class(), Class::Network);
    let made = record(&spec, &store, &Host::default());
    fs::remove_dir_all(dir.path().join("dists")).unwrap();
    assert_eq!(
        bootstrap(&spec, None, &store, &offline, &Progress::silent()).unwrap(),
        made
    );
}

#[test]
fn what_a_lock_pins_is_taken_without_a_question_while_the_store_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let offline = Host {
        offline: true,
        ..Host::default()
    };
    let spec = archive(dir.path(), "Sat, 12 Sep 2026 07:55:41");
    let recorded = record(&spec, &store, &Host::default());
    let digest = store.put_blob(b"another root").unwrap();
    let pinned = Bootstrapped {
        layer: Layer::plain(digest, 12),
        ..recorded.clone()
    };
    fs::remove_dir_all(dir.path().join("dists")).unwrap();
    let get = |host: &Host| bootstrap(&spec, Some(&pinned), &store, host, &Progress::silent());
    assert_eq!(get(&offline).unwrap(), pinned);
    assert_eq!(get(&Host::default()).unwrap(), pinned);
    // Without its layer it is what can be had, which the lock is compared with.
    fs::remove_file(store.blob_path(&digest)).unwrap();
    assert_eq!(get(&offline).unwrap(), recorded);
}

#[test]
fn a_spec_is_known_by_its_keyrings_content_not_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let with = |name: &str, content: &str| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        Spec {
            keyring: Some(path),
            ..spec()
        }
    };
    let one = with("one.gpg", "1").digest().unwrap();
    assert_eq!(with("two.gpg", "1").digest().unwrap(), one);
    assert_ne!(with("two.gpg", "2").digest().unwrap(), one);
    assert_ne!(spec().digest().unwrap(), one);
}

#[test]
fn lines_about_packages_give_their_digests() {
    let hex = "a".repeat(64);
    let line = format!("isoforge-package bash {hex}");
    let (name, digest) = hooks::package(&line).unwrap();
    assert_eq!((name, digest.hex()), ("bash", hex));
    for other in [
        "isoforge-package bash",
        "isoforge-package bash zz",
        "Setting up bash (5.2) ...",
    ] {
        assert_eq!(hooks::package(other), None, "{other}");
    }
}

#[test]
fn mmdebstraps_failures_are_told_apart() {
    let class = |says: &str| {
        let failed = Program::new("sh", "dash")
            .args(["-c", "echo \"$0\" >&2; exit 25", says])
            .output(0)
            .unwrap_err();
        let error = error::of_mmdebstrap(failed);
        (error.class(), error.hint().unwrap_or_default())
    };
    assert_eq!(class("E: Unable to locate package foo").0, Class::Profile);
    assert_eq!(class("E: Failed to fetch http://x  404").0, Class::Network);
    let (class_of_space, hint) = class("tar: x: No space left on device");
    assert_eq!(class_of_space, Class::Environment);
    assert!(hint.contains("/var/tmp"), "{hint}");
    let (_, hint) = class("E: cannot find newuidmap");
    assert!(hint.contains("uidmap"), "{hint}");
}

#[test]
fn many_lines_become_few() {
    let recorder = Arc::new(Recorder::default());
    let progress = Progress::new(recorder.clone());
    let mut narrator = Narrator::new(&progress);
    for n in 0..45 {
        narrator.line(&format!("Unpacking p{n} (1) ..."));
        narrator.line(&format!("Setting up p{n} (1) ..."));
        narrator.line("Preparing to unpack");
    }
    narrator.line("I: creating tarball...");
    narrator.line("I: running --customize-hook in shell: sh -c 'set -e");
    narrator.line("W: something");
    assert_snapshot!(recorder.0.lock().unwrap().join("\n"), @r"
    note: bootstrap: 20 packages unpacked
    note: bootstrap: 20 packages set up
    note: bootstrap: 40 packages unpacked
    note: bootstrap: 40 packages set up
    note: bootstrap: creating tarball...
    warning: bootstrap: something
    ");
}
