use super::*;

fn home_of_mine(root: &Path) -> (Root, Account) {
    let account = Account {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        home: "/home/ann".to_owned(),
    };
    (Root::open(root).unwrap(), account)
}

#[test]
fn a_home_has_the_skeleton_and_is_its_owners() {
    let dir = tempfile::tempdir().unwrap();
    let skeleton = dir.path().join("etc/skel");
    fs_err::create_dir_all(skeleton.join(".config")).unwrap();
    fs_err::write(skeleton.join(".profile"), "x").unwrap();
    fs_err::write(skeleton.join(".config/a"), "y").unwrap();
    symlink("/etc/passwd", skeleton.join("link")).unwrap();
    let (root, mut account) = home_of_mine(dir.path());
    if rustix::process::geteuid().is_root() {
        (account.uid, account.gid) = (1000, 1001);
    }
    assert!(home::make(&root, &account).unwrap());
    assert!(!home::make(&root, &account).unwrap());
    assert!(home::authorize(&root, &account, &["ssh-ed25519 A a".to_owned()]).unwrap());
    let home = dir.path().join("home/ann");
    for (path, mode) in [
        ("", 0o700),
        (".profile", 0o644),
        (".config", 0o755),
        (".config/a", 0o644),
        (".ssh", 0o700),
        (".ssh/authorized_keys", 0o600),
    ] {
        let meta = fs_err::symlink_metadata(home.join(path)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, mode, "{path}");
        assert_eq!(
            (meta.uid(), meta.gid()),
            (account.uid, account.gid),
            "{path}"
        );
    }
    assert_eq!(
        fs_err::read_link(home.join("link")).unwrap(),
        Path::new("/etc/passwd")
    );
    let above = fs_err::metadata(dir.path().join("home")).unwrap();
    assert_eq!(above.permissions().mode() & 0o777, 0o755);
}

#[test]
fn keys_are_added_once_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (root, account) = home_of_mine(dir.path());
    home::make(&root, &account).unwrap();
    let file = dir.path().join("home/ann/.ssh/authorized_keys");
    fs_err::create_dir_all(file.parent().unwrap()).unwrap();
    fs_err::write(&file, "ssh-rsa own").unwrap();
    let keys = ["ssh-ed25519 A", "ssh-ed25519 B", "ssh-ed25519 A"].map(str::to_owned);
    assert!(home::authorize(&root, &account, &keys).unwrap());
    assert!(!home::authorize(&root, &account, &keys).unwrap());
    let text = fs_err::read_to_string(&file).unwrap();
    assert_eq!(text, "ssh-rsa own\nssh-ed25519 A\nssh-ed25519 B\n");
}

#[test]
fn keys_are_not_written_through_symlinks() {
    let dir = tempfile::tempdir().unwrap();
    let (root, account) = home_of_mine(dir.path());
    let keys = ["ssh-ed25519 A".to_owned()];
    assert!(home::authorize(&root, &account, &keys).is_err());
    home::make(&root, &account).unwrap();
    let victim = dir.path().join("victim");
    fs_err::create_dir(&victim).unwrap();
    let ssh = dir.path().join("home/ann/.ssh");
    symlink("../../victim", &ssh).unwrap();
    assert!(home::authorize(&root, &account, &keys).is_err());
    assert_eq!(fs_err::read_dir(&victim).unwrap().count(), 0);
    fs_err::remove_file(&ssh).unwrap();
    fs_err::create_dir(&ssh).unwrap();
    fs_err::write(victim.join("file"), "secret").unwrap();
    symlink("../../../victim/file", ssh.join("authorized_keys")).unwrap();
    assert!(home::authorize(&root, &account, &keys).is_err());
    assert_eq!(text(&victim, "file"), "secret");
}
