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

/// As a home directory is to root: somebody else may put anything into it.
fn open_to_others(dir: &std::path::Path) {
    fs_err::create_dir_all(dir).unwrap();
    fs_err::set_permissions(dir, std::fs::Permissions::from_mode(0o757)).unwrap();
}

#[test]
fn a_link_that_another_account_may_have_made_is_not_followed() {
    let (dir, root) = root();
    root.write("/etc/shadow", b"secret", mine(0o600)).unwrap();
    root.write("/etc/profile.d/own", b"own", mine(0o644))
        .unwrap();
    let home = dir.path().join("home/ann");
    open_to_others(&home);
    symlink("/etc/shadow", home.join("file")).unwrap();
    symlink("/etc/profile.d", home.join("folder")).unwrap();
    fs_err::create_dir(home.join("below")).unwrap();
    symlink("../../../etc/profile.d", home.join("below/folder")).unwrap();
    let refused = |problem: Error| {
        let text = problem.to_string();
        assert!(text.contains("it is not followed"), "{text}");
    };
    refused(root.read("/home/ann/file").unwrap_err());
    for path in ["/home/ann/folder", "/home/ann/below/folder"] {
        refused(root.dir(path).unwrap_err());
        refused(root.make_dir(path, mine(0o755)).unwrap_err());
        let file = format!("{path}/hers");
        refused(root.write(&file, b"hers", mine(0o644)).unwrap_err());
        refused(root.read(&format!("{path}/own")).unwrap_err());
        assert!(!root.exists(path));
    }
    let folder = root.dir("/etc/profile.d").unwrap().unwrap();
    assert_eq!(folder.names().unwrap(), ["own"]);
    // What is no link is there as ever, and a link in a file's place is replaced.
    root.write("/home/ann/below/new", b"new", mine(0o644))
        .unwrap();
    root.write("/home/ann/file", b"new", mine(0o644)).unwrap();
    assert_eq!(root.read("/etc/shadow").unwrap().unwrap(), b"secret");
}

#[test]
fn links_of_the_system_are_followed() {
    let (dir, root) = root();
    root.write("/run/resolve/stub", b"stub", mine(0o644))
        .unwrap();
    fs_err::create_dir_all(dir.path().join("etc")).unwrap();
    fs_err::create_dir_all(dir.path().join("var")).unwrap();
    symlink("../run/resolve/stub", dir.path().join("etc/resolv.conf")).unwrap();
    symlink("/run", dir.path().join("var/run")).unwrap();
    symlink("round", dir.path().join("round")).unwrap();
    assert_eq!(root.read("/etc/resolv.conf").unwrap().unwrap(), b"stub");
    assert_eq!(
        root.read("/var/run/resolve/stub").unwrap().unwrap(),
        b"stub"
    );
    assert_eq!(
        root.read("/var/run/../etc/resolv.conf").unwrap().unwrap(),
        b"stub"
    );
    // One into a folder of others is the system's own, one within it is not.
    open_to_others(&dir.path().join("home/ann"));
    fs_err::write(dir.path().join("home/ann/x"), "x").unwrap();
    symlink("/home/ann", dir.path().join("ann")).unwrap();
    assert_eq!(root.read("/ann/x").unwrap().unwrap(), b"x");
    assert!(root.read("/round").is_err());
}

#[test]
fn a_hard_link_to_the_file_of_another_account_is_not_read() {
    let (dir, root) = root();
    if !rustix::process::geteuid().is_root() {
        return isoforge_judges::skip("it needs root");
    }
    let home = dir.path().join("home/ann");
    open_to_others(&home);
    fs_err::os::unix::fs::chown(&home, Some(1001), Some(1001)).unwrap();
    root.write("/etc/shadow", b"secret", mine(0o600)).unwrap();
    fs_err::hard_link(dir.path().join("etc/shadow"), home.join("file")).unwrap();
    assert!(root.read("/home/ann/file").is_err());
    let folder = root.dir("/home/ann").unwrap().unwrap();
    assert!(folder.read("file").is_err());
    root.write("/home/ann/file", b"new", mine(0o644)).unwrap();
    assert_eq!(root.read("/etc/shadow").unwrap().unwrap(), b"secret");
}

#[test]
fn what_is_given_away_is_nothing_from_elsewhere() {
    let (dir, root) = root();
    if !rustix::process::geteuid().is_root() {
        return isoforge_judges::skip("it needs root");
    }
    root.write("/shadow", b"secret", mine(0o600)).unwrap();
    root.write("/given/a/one", b"x", mine(0o600)).unwrap();
    fs_err::create_dir(dir.path().join("given/b")).unwrap();
    let path = |name: &str| dir.path().join(name);
    fs_err::hard_link(path("given/a/one"), path("given/b/two")).unwrap();
    fs_err::hard_link(path("shadow"), path("given/b/shadow")).unwrap();
    symlink("../shadow", path("given/link")).unwrap();
    root.dir("/given")
        .unwrap()
        .unwrap()
        .give_below(1001, 1002)
        .unwrap();
    let owner = |name: &str| {
        let meta = fs_err::symlink_metadata(path(name)).unwrap();
        (meta.uid(), meta.gid())
    };
    let theirs = ["given/a", "given/b", "given/a/one", "given/b/two"];
    assert_eq!(theirs.map(owner), [(1001, 1002); 4]);
    let others = ["given", "given/link", "given/b/shadow", "shadow"];
    assert_eq!(others.map(owner), [(0, 0); 4]);
}

#[test]
fn acting_as_an_account_ends() {
    if !rustix::process::geteuid().is_root() {
        return isoforge_judges::skip("it needs root");
    }
    let (uid, gid) = (
        rustix::fs::Uid::from_raw(1001),
        rustix::fs::Gid::from_raw(1002),
    );
    let (dir, _) = root();
    let acting = Acting::of(uid, gid).unwrap();
    let again = Acting::of(uid, gid).unwrap();
    drop(again);
    assert_eq!(rustix::process::geteuid(), uid);
    assert_eq!(rustix::process::getegid(), gid);
    assert!(fs_err::write(dir.path().join("x"), "x").is_err());
    drop(acting);
    assert!(rustix::process::geteuid().is_root());
    assert!(rustix::process::getegid().is_root());
    fs_err::write(dir.path().join("x"), "x").unwrap();
}
