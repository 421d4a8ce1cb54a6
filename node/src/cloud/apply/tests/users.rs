use super::*;

#[test]
fn a_password_that_was_set_on_the_machine_stays() {
    let config = "users: [{name: ann, passwd: $6$one}, {name: ubuntu, passwd: $6$two}, {name: root, passwd: $6$three}]";
    let mut system = System::new();
    system.apply(Stage::Initramfs, &[config]);
    for (name, hash) in [
        ("ann", "$6$one"),
        ("ubuntu", "$6$two"),
        ("root", "$6$three"),
    ] {
        assert_eq!(
            system.line("etc/shadow", name).split(':').nth(1),
            Some(hash),
            "{name}"
        );
    }
    // Changed on the machine, locked there, and opened there.
    for (name, hash) in [("ann", "$6$own"), ("ubuntu", "!$6$two"), ("root", "")] {
        let old = system.line("etc/shadow", name);
        let text = system
            .read("etc/shadow")
            .replace(&old, &format!("{name}:{hash}:1::::::"));
        system.write("etc/shadow", &text);
        system.apply(Stage::Initramfs, &[config]);
        assert_eq!(
            system.line("etc/shadow", name).split(':').nth(1),
            Some(hash),
            "{name}"
        );
    }
}

#[test]
fn of_an_account_in_two_documents_the_later_counts() {
    let mut system = System::new();
    let one = "users: [{name: ann, passwd: $6$one, groups: [sudo], gecos: Ann}]\nhostname: a";
    let two = "users: [{name: ann, passwd: $6$two, groups: 'admin, sudo', must_change_password: true}]\nhostname: b";
    let three = "stages: {initramfs: [{users: {ann: {passwd: $6$three}}}, {hostname: c}]}";
    assert_eq!(system.apply(Stage::Initramfs, &[one, two]), "");
    assert_eq!(
        system.line("etc/shadow", "ann"),
        "ann:$6$two:0:0:99999:7:::"
    );
    assert_eq!(
        system.line("etc/passwd", "ann"),
        "ann:x:1001:1001:Ann:/home/ann:/bin/bash"
    );
    assert_eq!(system.line("etc/group", "sudo"), "sudo:x:27:ann");
    assert_eq!(system.read("etc/hostname"), "b\n");
    let mut system = System::new();
    assert_eq!(system.apply(Stage::Initramfs, &[one, two, three]), "");
    assert_eq!(
        system.line("etc/shadow", "ann").split(':').nth(1),
        Some("$6$three")
    );
    assert_eq!(system.read("etc/hostname"), "c\n");
}

#[test]
fn who_may_become_root() {
    let rules = "etc/sudoers.d/90-appliance-initramfs";
    let mut system = System::new();
    let config = "users:
  - {name: boss, groups: [admin], passwd: $6$x}
  - {name: robot, groups: [admin], ssh_authorized_keys: [ssh-ed25519 A]}
  - {name: shut, groups: [admin], passwd: $6$x, lock_passwd: true}
  - {name: op, groups: [sudo], sudo: ['ALL=(ALL) NOPASSWD: /bin/x', 'ALL=(ALL) /bin/y']}
  - {name: nobody1, sudo: false}
";
    assert_eq!(system.apply(Stage::Initramfs, &[config]), "");
    insta::assert_snapshot!(system.read(rules), @r#"
    %admin ALL=(ALL:ALL) ALL
    robot ALL=(ALL:ALL) NOPASSWD: ALL
    op ALL=(ALL) NOPASSWD: /bin/x
    op ALL=(ALL) /bin/y
    "#);
    // One that sudo does not understand is left out.
    let mut system = System::new();
    system.write("usr/sbin/visudo", "");
    system.host.fails = "visudo";
    let failures = system.apply(Stage::Initramfs, &[config]);
    assert_eq!(failures.lines().count(), 4, "{failures}");
    assert_eq!(system.read(rules), "");
    // An image without sudo.
    let mut system = System::new();
    fs_err::remove_file(system.dir.path().join("etc/sudoers")).unwrap();
    let failures = system.apply(Stage::Initramfs, &[config]);
    insta::assert_snapshot!(failures, @r#"0.yaml: stage initramfs, 'users': rules of 'op': the system has no sudo"#);
    assert_eq!(system.read(rules), "-");
}

#[test]
fn a_name_that_needs_an_id_waits_for_one() {
    let mut system = System::new();
    system.write("etc/machine-id", "uninitialized\n");
    let failures = system.apply(Stage::Initramfs, &["hostname: 'e-{{ .MachineID }}'"]);
    insta::assert_snapshot!(failures, @r#"0.yaml: stage initramfs, 'hostname': hostname 'e-{{ .MachineID }}': the machine has no id"#);
    assert_eq!(system.read("etc/hostname"), "-");
}
