use std::os::unix::fs::{MetadataExt as _, PermissionsExt};

use rustix::fs::StatVfsMountFlags;

use super::*;
use crate::state::testing::{in_mount_namespace, mounted};

const KEPT: [&str; 4] = ["/etc/kubernetes", "/home", "/opt/vendor", "/var/log"];

/// A slot's root file system, on a read-only mount as the SquashFS is.
fn slot(dir: &Path) -> EarlyPaths {
    let places = EarlyPaths {
        root: dir.join("root"),
        base: dir.join("base"),
        run: dir.join("run"),
        by_uuid: dir.join("by-uuid"),
    };
    let base = &places.base;
    for folder in [
        "etc/ssh",
        "var/log",
        "var/home",
        "opt/vendor",
        "tmp",
        "usr",
        "root",
        "oem",
    ] {
        fs_err::create_dir_all(base.join(folder)).unwrap();
    }
    std::os::unix::fs::symlink("/var/home", base.join("home")).unwrap();
    fs_err::write(base.join("etc/machine-id"), "").unwrap();
    fs_err::write(base.join("etc/motd"), "slot").unwrap();
    for (name, text) in [
        ("passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("shadow", "root:*:20000::::::\n"),
        ("group", "root:x:0:\n"),
        ("gshadow", "root:*::\n"),
    ] {
        fs_err::write(base.join("etc").join(name), text).unwrap();
    }
    fs_err::write(base.join("var/log/first"), "slot").unwrap();
    fs_err::set_permissions(base.join("var"), PermissionsExt::from_mode(0o751)).unwrap();
    for folder in [&places.root, &places.persistent(), &places.by_uuid] {
        fs_err::create_dir_all(folder).unwrap();
    }
    mounts::bind(base, base).unwrap();
    rustix::mount::mount_remount(
        base,
        rustix::mount::MountFlags::BIND | rustix::mount::MountFlags::RDONLY,
        c"",
    )
    .unwrap();
    places
}

/// One boot; the mounts of the one before are left below, as `root` is
/// covered anew.
fn boot(places: &EarlyPaths) {
    lay_root(places, &VOLATILE).unwrap();
    lay_kept(places, &KEPT.map(str::to_owned)).unwrap();
    lay_identity(places).unwrap();
}

fn text(path: PathBuf) -> String {
    fs_err::read_to_string(path).unwrap()
}

#[test]
fn two_boots_keep_what_is_kept_and_forget_the_rest() {
    if !in_mount_namespace("state::early::tests::two_boots_keep_what_is_kept_and_forget_the_rest") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let places = slot(dir.path());
    let root = &places.root;
    boot(&places);

    let error = fs_err::write(root.join("usr/x"), "").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    for path in [
        "etc/volatile",
        "etc/motd",
        "var/volatile",
        "etc/kubernetes/kept",
        "opt/vendor/kept",
        "var/home/kept",
        "var/log/kept",
        "tmp/x",
    ] {
        fs_err::write(root.join(path), "written").unwrap();
    }
    fs_err::write(root.join("etc/ssh/ssh_host_rsa_key"), "key").unwrap();
    fs_err::remove_file(root.join("var/log/first")).unwrap();
    identity::save_host_keys(&root.join("etc"), &places.persistent().join("identity")).unwrap();
    assert_eq!(
        fs_err::metadata(root.join("var")).unwrap().mode() & 0o7777,
        0o751
    );
    assert_eq!(mounted(&root.join("var")).as_deref(), Some("overlay"));
    let id = text(root.join("etc/machine-id"));
    assert_eq!(id.len(), 33);

    boot(&places);
    for path in [
        "etc/kubernetes/kept",
        "opt/vendor/kept",
        "var/home/kept",
        "var/log/kept",
    ] {
        assert_eq!(text(root.join(path)), "written", "{path}");
    }
    for path in ["etc/volatile", "var/volatile", "var/log/first", "tmp/x"] {
        assert!(!root.join(path).exists(), "{path}");
    }
    assert_eq!(text(root.join("etc/motd")), "slot");
    assert_eq!(text(root.join("etc/machine-id")), id);
    assert_eq!(text(root.join("etc/ssh/ssh_host_rsa_key")), "key");
    let without = |path: &str| {
        let flags = rustix::fs::statvfs(root.join(path)).unwrap().f_flag;
        let has = |flag| flags.contains(flag);
        (
            has(StatVfsMountFlags::NODEV),
            has(StatVfsMountFlags::NOSUID),
        )
    };
    for path in ["var/home", "var/log", "etc/kubernetes"] {
        assert_eq!(without(path), (true, true), "{path}");
    }
    assert_eq!(without("opt/vendor"), (true, false));
    // Nothing of all that arrives at the slot itself.
    assert_eq!(text(places.base.join("var/log/first")), "slot");
    assert_eq!(mounted(&places.base.join("etc")), None);
}

#[test]
fn accounts_that_were_kept_are_there_again() {
    if !in_mount_namespace("state::early::tests::accounts_that_were_kept_are_there_again") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let places = slot(dir.path());
    boot(&places);
    let etc = places.root.join("etc");
    for (name, line) in [
        ("passwd", "site:x:1000:1000::/home/site:/bin/sh\n"),
        ("shadow", "site:$6$salt$hash:20000::::::\n"),
        ("group", "site:x:1000:\n"),
    ] {
        let slots = text(etc.join(name));
        fs_err::write(etc.join(name), slots + line).unwrap();
    }
    let kept = places.persistent().join(paths::ACCOUNTS);
    accounts::save(&etc, &places.base.join("etc"), &kept).unwrap();
    boot(&places);
    assert!(text(etc.join("passwd")).contains("\nsite:x:1000:1000::"));
    assert!(text(etc.join("shadow")).contains("\nsite:$6$salt$hash:"));
    assert!(!text(places.base.join("etc/passwd")).contains("site"));
}

#[test]
fn a_kept_directory_that_the_image_lacks_is_named() {
    if !in_mount_namespace("state::early::tests::a_kept_directory_that_the_image_lacks_is_named") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let places = slot(dir.path());
    lay_root(&places, &VOLATILE).unwrap();
    let error = lay_kept(&places, &["/opt/other/data".to_owned()]).unwrap_err();
    insta::assert_snapshot!(error, @"the root file system has no directory '/opt/other' to mount on, and is read-only: it must be in the image");
}

#[test]
fn recovery_comes_up_without_any_other_file_system() {
    if !in_mount_namespace("state::early::tests::recovery_comes_up_without_any_other_file_system") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let places = slot(dir.path());
    // Links that lead to what is no file system of ours.
    let uuid = "22222222-2222-4333-8444-555555555555".to_owned();
    std::os::unix::fs::symlink("/dev/null", places.by_uuid.join(&uuid)).unwrap();
    let arguments = Arguments {
        slot: Slot::Recovery,
        trial: false,
        persistent: uuid.clone(),
        oem: uuid,
        state: None,
    };
    assert!(!recovery(&places, &arguments).unwrap());
    for path in ["etc/x", "var/x", "root/x", "var/home/x"] {
        fs_err::write(places.root.join(path), "").unwrap();
    }
    assert_eq!(text(places.root.join("etc/machine-id")), "");
    assert_eq!(fs_err::read_dir(places.persistent()).unwrap().count(), 0);
}

#[test]
fn a_configuration_that_is_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(CONFIG_PATH);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, "{}").unwrap();
    let text = config(dir.path()).unwrap_err().to_string();
    insta::assert_snapshot!(text.replace(dir.path().to_str().unwrap(), ""), @"/usr/lib/appliance/config.json: the configuration of the program 'appliance' can't be read: missing field `schema` at line 1 column 2");
}
