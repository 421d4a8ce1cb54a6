use super::*;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

fn root() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    (dir, root)
}

fn mine(mode: u32) -> Attributes {
    Attributes {
        mode,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        keep: false,
    }
}

#[test]
fn files_appear_whole_with_their_directories() {
    let (dir, root) = root();
    assert!(root.write("/a/b/c", b"x", mine(0o640)).unwrap());
    assert!(!root.write("/a/b/c", b"x", mine(0o640)).unwrap());
    assert!(root.write("a/b/c", b"x", mine(0o600)).unwrap());
    assert!(root.write("/a/b/c", b"y", mine(0o644).or_kept()).unwrap());
    let meta = fs_err::metadata(dir.path().join("a/b/c")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, 0o600);
    let folder = root.dir("/a/b").unwrap().unwrap();
    assert_eq!(folder.names().unwrap(), ["c"]);
    assert_eq!(root.read("/a/b/c").unwrap().unwrap(), b"y");
}

#[test]
fn no_symlink_leads_out() {
    let (dir, root) = root();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join("out")).unwrap();
    symlink("../../../..", dir.path().join("up")).unwrap();
    // The link's target is a path below the root, where nothing is.
    assert!(root.write("/out/x", b"x", mine(0o644)).is_err());
    assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 0);
    root.write("/up/y", b"y", mine(0o644)).unwrap();
    assert!(dir.path().join("y").exists());
    assert!(root.read("/up/../../etc/passwd").unwrap().is_none());
}

#[test]
fn a_symlink_in_the_files_place_is_replaced() {
    let (dir, root) = root();
    let victim = dir.path().join("victim");
    fs_err::write(&victim, "before").unwrap();
    symlink("victim", dir.path().join("link")).unwrap();
    root.write("/link", b"new", mine(0o644).or_kept()).unwrap();
    assert_eq!(fs_err::read_to_string(&victim).unwrap(), "before");
    assert_eq!(fs_err::read(dir.path().join("link")).unwrap(), b"new");
    assert!(root.folder().sub("link", mine(0o700)).is_err());
}

#[test]
fn a_planted_temporary_file_is_no_way_in() {
    let (dir, root) = root();
    let victim = dir.path().join("victim");
    fs_err::write(&victim, "before").unwrap();
    symlink("victim", dir.path().join(".f.appliance-new")).unwrap();
    root.write("/f", b"new", mine(0o644)).unwrap();
    assert_eq!(fs_err::read_to_string(&victim).unwrap(), "before");
    let meta = fs_err::symlink_metadata(dir.path().join("f")).unwrap();
    assert!(meta.is_file() && meta.nlink() == 1);
}

#[test]
fn what_is_no_file_is_not_read() {
    let (dir, root) = root();
    let status = isoforge_base::process::Program::new("mkfifo", "coreutils")
        .arg(dir.path().join("fifo"))
        .output(0);
    assert!(status.is_ok());
    assert!(root.read("/fifo").is_err());
    assert!(root.read("/").is_err());
    for path in ["/", "", "/a/..", "/a/."] {
        assert!(root.write(path, b"", mine(0o644)).is_err(), "{path}");
    }
}
