use super::*;

#[test]
fn a_failing_part_does_not_keep_the_rest_away() {
    let mut system = System::new();
    system.host.fails = "broken";
    system.write("blocked", "");
    let config = "hostname: 'a-{{ .Values.node.hostname }}'
users: [{name: ann, uid: 1000}, {name: bob}]
write_files: [{path: /blocked/x}, {path: /etc/x, owner: 'nobody9:nogroup9'}, {path: /etc/y, content: y}]
stages:
  initramfs:
    - name: First
      dns: {nameservers: [9.9.9.9], options: [rotate]}
      commands: [broken, \"broken\\nlines\", fine]
      modules: [broken, dummy numdummies=2]
      environment: {D: d}
      authorized_keys: {carl: [ssh-ed25519 A]}
      systemctl: {enable: [broken.service], start: [fine.service]}
    - {name: Second, systemd_firstboot: {keymap: us}}
";
    let failures = system.apply(Stage::Initramfs, &[config]);
    insta::assert_snapshot!(failures, @r#"
    0.yaml: stage initramfs, 'hostname': hostname: 'a-' can't be a host's name: letters, digits and '-', in parts of 63 at most with dots between, 64 in all
    0.yaml: stage initramfs, 'users': account 'ann': 'ann' can't have the number 1000: 'ubuntu' has it
    0.yaml: stage initramfs, 'write_files': file /blocked/x: opening '/blocked' failed: Not a directory (os error 20)
    0.yaml: stage initramfs, 'write_files': file /etc/x: there is no account 'nobody9'
    0.yaml: stage initramfs, 'First': dns: systemd-resolved has no options 'rotate'; set 'path' to write resolv.conf
    0.yaml: stage initramfs, 'First': command `broken`: it failed
    0.yaml: stage initramfs, 'First': command `broken …`: it failed
    0.yaml: stage initramfs, 'First': keys of 'carl': there is no account 'carl'
    0.yaml: stage initramfs, 'First': module 'broken': it failed
    0.yaml: stage initramfs, 'First': systemctl enable broken.service: it failed
    "#);
    insta::assert_snapshot!(system.host.acts.join("\n"), @r#"
    sh: broken
    sh: broken
    lines
    sh: fine
    modprobe broken
    modprobe dummy numdummies=2
    systemctl --no-reload enable broken.service
    systemctl daemon-reload
    systemctl --no-block start fine.service
    systemd-firstboot --force --keymap=us
    systemctl daemon-reload
    systemctl --no-block start default.target
    "#);
    assert_eq!(system.read("etc/y"), "y");
    assert_ne!(system.line("etc/passwd", "bob"), "-");
    assert!(system.read("etc/environment").contains("D=d"));
}

#[test]
fn steps_run_where_their_conditions_hold() {
    let mut system = System::new();
    system.host.fails = "false";
    system.write("here", "");
    let arch = if cfg!(target_arch = "x86_64") {
        "amd64"
    } else {
        "arm64"
    };
    let config = format!(
        "hostname: edge-1
stages:
  initramfs:
    - {{only_os: 'Debian.*|ubuntu', commands: [os]}}
    - {{only_os: fedora, commands: [no]}}
    - {{only_os_version: '^1[23]$', commands: [version]}}
    - {{only_os_version: '^14', commands: [no]}}
    - {{only_arch: {arch}, commands: [arch]}}
    - {{only_arch: riscv64, commands: [no]}}
    - {{only_service_manager: systemd, commands: [systemd]}}
    - {{only_service_manager: openrc, commands: [no]}}
    - {{node: '^edge-[0-9]+$', commands: [node]}}
    - {{node: other, commands: [no]}}
    - {{if_files: {{any: [/no, /here], all: [/here], none: [/no]}}, commands: [files]}}
    - {{if_files: {{any: [/no]}}, commands: [no]}}
    - {{if_files: {{all: [/here, /no]}}, commands: [no]}}
    - {{if_files: {{none: [/here]}}, commands: [no]}}
    - {{if: 'test 1 = 1', commands: [if]}}
    - {{if: 'false', commands: [no]}}
"
    );
    assert_eq!(system.apply(Stage::Initramfs, &[&config]), "");
    let ran: Vec<&str> = system
        .host
        .acts
        .iter()
        .filter_map(|a| a.strip_prefix("sh: "))
        .collect();
    assert_eq!(
        ran,
        ["os", "version", "arch", "systemd", "node", "files", "if"]
    );
    let left_out = system
        .host
        .told
        .iter()
        .filter(|line| line.contains("left out"))
        .count();
    assert_eq!(left_out, 9);
}

#[test]
fn stages_come_in_order() {
    let mut system = System::new();
    let one = "runcmd: [first, [echo, \"it's\"]]\nstages: {boot.after: [{commands: [four]}], boot: [{commands: [two]}], network: [{commands: [no]}]}";
    let two = "stages: {boot: [{commands: [three]}], boot.before: [{commands: [one]}]}\nwrite_files: [{path: /etc/late, defer: true}]";
    assert_eq!(system.apply(Stage::Boot, &[one, two]), "");
    let ran: Vec<&str> = system
        .host
        .acts
        .iter()
        .filter_map(|a| a.strip_prefix("sh: "))
        .collect();
    assert_eq!(
        ran,
        ["first", r"'echo' 'it'\''s'", "one", "two", "three", "four"]
    );
    assert_eq!(system.read("etc/late"), "");
}

#[test]
fn late_changes_are_read_anew() {
    let mut system = System::new();
    system.write("usr/bin/networkctl", "");
    let config = "stages:
  boot:
    - files: [{path: /etc/systemd/network/1.network}, {path: /etc/systemd/system/x.service}]
      timesyncd: {NTP: x}
      systemctl: {start: [x.service]}
";
    assert_eq!(system.apply(Stage::Boot, &[config]), "");
    insta::assert_snapshot!(system.host.acts.join("\n"), @r#"
    systemctl --no-block try-restart systemd-timesyncd.service
    systemctl daemon-reload
    systemctl --no-block start x.service
    networkctl reload
    "#);
}
