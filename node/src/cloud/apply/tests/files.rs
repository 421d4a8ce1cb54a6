use super::*;

#[test]
fn files_are_written_as_they_are_described() {
    let mut system = System::new();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), system.dir.path().join("leave")).unwrap();
    let config = "users: [{name: ann}]
write_files:
  - {path: /f/plain, content: 'id {{ .MachineID }}'}
  - {path: /f/base64, encoding: b64, content: 'AAEC\n /w=='}
  - {path: /f/gzip, encoding: gz+b64, content: H4sIAAAAAAAAA8tIzcnJBwCGphA2BQAAAA==}
  - {path: /f/octal, permissions: '600', owner: 'ann:sudo'}
  - {path: /f/number, permissions: 0o4755}
  - {path: /f/decimal, permissions: 420}
  - {path: /leave/x, content: x}
stages:
  initramfs:
    - directories: [{path: /d/e, permissions: 0700, ownerstring: ann}]
      files: [{path: /d/e/f, owner: 12, group: 34, permissions: \"0640\"}]
";
    let failures = system.apply(Stage::Initramfs, &[config]);
    assert!(
        failures.contains("file /leave/x:") && failures.lines().count() == 1,
        "{failures}"
    );
    assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(
        system.read("f/plain"),
        "id 0123456789abcdef0123456789abcdef"
    );
    assert_eq!(
        fs_err::read(system.dir.path().join("f/base64")).unwrap(),
        [0, 1, 2, 255]
    );
    assert_eq!(system.read("f/gzip"), "hello");
    let modes = [
        "f/plain",
        "f/octal",
        "f/number",
        "f/decimal",
        "d",
        "d/e",
        "d/e/f",
    ];
    assert_eq!(
        modes.map(|path| system.mode(path)),
        [0o644, 0o600, 0o4755, 0o644, 0o755, 0o700, 0o640]
    );
    if rustix::process::geteuid().is_root() {
        let owners = ["f/plain", "f/octal", "d/e", "d/e/f"].map(|path| {
            let meta = fs_err::metadata(system.dir.path().join(path)).unwrap();
            (meta.uid(), meta.gid())
        });
        assert_eq!(owners, [(0, 0), (1001, 27), (1001, 0), (12, 34)]);
    }
}

#[test]
fn without_resolved_name_servers_go_to_resolv_conf() {
    let mut system = System::new();
    fs_err::remove_file(system.dir.path().join("usr/lib/systemd/systemd-resolved")).unwrap();
    fs_err::remove_file(system.dir.path().join("usr/lib/systemd/systemd-timesyncd")).unwrap();
    symlink(
        "../run/gone/resolv.conf",
        system.dir.path().join("etc/resolv.conf"),
    )
    .unwrap();
    let config = "stages: {network: [{name: n, timesyncd: {NTP: x}, dns: {nameservers: [9.9.9.9, '::1'], search: [a, b], options: [rotate]}}]}";
    let failures = system.apply(Stage::Network, &[config]);
    insta::assert_snapshot!(failures, @r#"0.yaml: stage network, 'n': timesyncd: the system has no systemd-timesyncd"#);
    insta::assert_snapshot!(system.read("etc/resolv.conf"), @r#"
    nameserver 9.9.9.9
    nameserver ::1
    search a b
    options rotate
    "#);
}

/// What an account has put below its home has root write nowhere else, and read nothing
/// for it.
#[test]
fn links_below_a_home_lead_nowhere() {
    let mut system = System::new();
    let home = system.dir.path().join("home/ubuntu");
    fs_err::create_dir_all(&home).unwrap();
    // To the writer of these tests, as to root, it is not its own alone.
    fs_err::set_permissions(&home, std::fs::Permissions::from_mode(0o777)).unwrap();
    fs_err::create_dir_all(system.dir.path().join("etc/profile.d")).unwrap();
    symlink("../../etc/shadow", home.join(".bashrc")).unwrap();
    symlink("/etc/profile.d", home.join("bin")).unwrap();
    symlink("/etc", home.join(".config")).unwrap();
    let config = "write_files:
  - {path: /home/ubuntu/.bashrc, append: true, content: 'umask 077', owner: ubuntu}
  - {path: /home/ubuntu/bin/tool.sh, content: 'x', owner: ubuntu}
stages:
  initramfs:
    - directories: [{path: /home/ubuntu/.config/app, ownerstring: ubuntu}]
    - directories: [{path: /home/ubuntu/bin, ownerstring: ubuntu}]
";
    let shadow = system.read("etc/shadow");
    let failures = system.apply(Stage::Initramfs, &[config]);
    assert_eq!(failures.lines().count(), 4, "{failures}");
    assert_eq!(
        failures.matches("it is not followed").count(),
        3,
        "{failures}"
    );
    let link = fs_err::symlink_metadata(home.join(".bashrc")).unwrap();
    assert!(link.is_symlink());
    assert_eq!(system.read("etc/shadow"), shadow);
    let profile = system.dir.path().join("etc/profile.d");
    assert_eq!(fs_err::read_dir(&profile).unwrap().count(), 0);
    assert!(!system.dir.path().join("etc/app").exists());
}
