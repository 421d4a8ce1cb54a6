use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store {
            kept: dir.path().join("persistent/kept"),
            staging: dir.path().join("persistent/appliance/staging"),
        };
        prepare(&store).unwrap();
        Self { dir, store }
    }

    /// Writes a file of the slot, or with `/` at the end a directory.
    fn slot(&self, path: &str, text: &str) -> PathBuf {
        put(&self.dir.path().join("slot"), path, text)
    }

    fn kept(&self, path: &str, text: &str) -> PathBuf {
        put(&self.store.kept, path, text)
    }

    fn keep(&self, path: &str) -> PathBuf {
        let slot = self.dir.path().join("slot").join(&path[1..]);
        fs_err::create_dir_all(&slot).unwrap();
        self.store.keep(path, &slot).unwrap()
    }
}

fn put(top: &Path, path: &str, text: &str) -> PathBuf {
    let full = top.join(path);
    if path.ends_with('/') {
        fs_err::create_dir_all(&full).unwrap();
    } else {
        fs_err::create_dir_all(full.parent().unwrap()).unwrap();
        fs_err::write(&full, text).unwrap();
    }
    full
}

fn text(path: &Path) -> String {
    fs_err::read_to_string(path).unwrap()
}

#[test]
fn the_list_has_no_path_below_another() {
    let config = isoforge_contract::machine::State {
        directories: ["/var/lib/a/b", "/var/lib/a", "/var/lib/a-b", "/home/x/"]
            .map(str::to_owned)
            .to_vec(),
        etc: vec!["/etc/kubernetes".to_owned()],
    };
    assert_eq!(
        paths(&config).unwrap(),
        [
            "/etc/kubernetes",
            "/home",
            "/root",
            "/var/lib/a",
            "/var/lib/a-b",
            "/var/log"
        ]
    );
    let config = isoforge_contract::machine::State {
        directories: vec!["/var/../etc".to_owned()],
        etc: Vec::new(),
    };
    insta::assert_snapshot!(paths(&config).unwrap_err(), @"'/var/../etc' can't be kept: it must be absolute, without '.' and '..', and below /");
}

#[test]
fn the_first_use_copies_all_that_the_slot_has() {
    let fixture = Fixture::new();
    let secret = fixture.slot("root/.ssh/key", "k");
    fs_err::set_permissions(&secret, PermissionsExt::from_mode(0o4610)).unwrap();
    let folder = secret.parent().unwrap();
    fs_err::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
    symlink("nowhere", folder.join("link")).unwrap();
    rustix::fs::lsetxattr(&secret, "user.note", b"n", XattrFlags::empty()).unwrap();
    let kept = fixture.keep("/root");
    let copy = kept.join(".ssh/key");
    assert_eq!(text(&copy), "k");
    let (was, is) = (
        fs_err::metadata(&secret).unwrap(),
        fs_err::metadata(&copy).unwrap(),
    );
    assert_eq!((is.mode(), is.mtime()), (was.mode(), was.mtime()));
    assert_eq!(
        fs_err::metadata(kept.join(".ssh")).unwrap().mode() & 0o7777,
        0o700
    );
    assert_eq!(
        fs_err::read_link(kept.join(".ssh/link")).unwrap(),
        Path::new("nowhere")
    );
    let mut value = [0; 8];
    assert_eq!(rustix::fs::lgetxattr(&copy, "user.note", &mut value), Ok(1));
    assert!(!fixture.store.staging.exists());
    assert_eq!(
        fs_err::metadata(&fixture.store.kept).unwrap().mode() & 0o7777,
        0o700
    );
}

#[test]
fn later_slots_add_directories_and_no_files() {
    let fixture = Fixture::new();
    fixture.slot("var/log/old", "slot");
    let kept = fixture.keep("/var/log");
    fs_err::remove_file(kept.join("old")).unwrap();
    fixture.kept("var/log/mine", "mine");
    fixture.kept("var/log/was-directory", "now a file");
    fixture.slot("var/log/mine", "slot");
    fixture.slot("var/log/was-directory/x", "slot");
    fixture.slot("var/log/new/deep/file", "slot");
    fixture.keep("/var/log");
    assert!(!kept.join("old").exists());
    assert_eq!(text(&kept.join("mine")), "mine");
    assert_eq!(text(&kept.join("was-directory")), "now a file");
    assert!(kept.join("new/deep").is_dir());
    assert!(!kept.join("new/deep/file").exists());
}

/// A power cut while names are given: some have theirs, the rest does not.
#[test]
fn an_interrupted_filling_goes_on() {
    let fixture = Fixture::new();
    fixture.slot("home/one", "slot");
    fixture.slot("home/two/three", "slot");
    fixture.kept("home/one", "kept");
    put(&fixture.store.staging, "half", "");
    let kept = fixture.keep("/home");
    assert_eq!(text(&kept.join("one")), "kept");
    assert_eq!(text(&kept.join("two/three")), "slot");
    assert!(!kept.join("half").exists());
}

/// A version that keeps more, and one that keeps less, than the one before.
#[test]
fn directories_that_contain_each_other_keep_their_content() {
    let fixture = Fixture::new();
    fixture.slot("opt/vendor/program", "slot");
    fixture.slot("opt/vendor/data/table", "slot");
    let data = fixture.keep("/opt/vendor/data");
    fs_err::remove_file(data.join("table")).unwrap();
    fixture.kept("opt/vendor/data/mine", "mine");
    let vendor = fixture.keep("/opt/vendor");
    assert_eq!(text(&vendor.join("program")), "slot");
    assert_eq!(text(&data.join("mine")), "mine");
    fixture.kept("opt/vendor/log/x", "mine");
    fixture.slot("opt/vendor/log/y", "slot");
    let log = fixture.keep("/opt/vendor/log");
    assert_eq!(text(&log.join("x")), "mine");
    assert!(!log.join("y").exists());
}

#[test]
fn programs_run_as_somebody_else_and_devices_work_only_where_they_may_belong() {
    let none = MountFlags::empty();
    for (path, expected) in [
        ("/home", NO_PRIVILEGES),
        ("/root", NO_PRIVILEGES),
        ("/var/log", NO_PRIVILEGES),
        ("/etc/kubernetes", NO_PRIVILEGES),
        ("/var/lib/registry", NO_PRIVILEGES),
        ("/opt/cni", MountFlags::NODEV),
        ("/usr/local", MountFlags::NODEV),
        ("/var/lib/containerd", none),
        ("/var/lib/kubelet", none),
        ("/homework", none),
    ] {
        assert_eq!(flags(path), expected, "{path}");
    }
}
