use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;

/// A system that notes what it is asked; what it is told to fails.
#[derive(Debug, Default)]
struct Noting {
    acts: Vec<String>,
    told: Vec<String>,
    fails: &'static str,
}

impl Noting {
    fn act(&mut self, act: String) -> Result<(), String> {
        let fails = !self.fails.is_empty() && act.contains(self.fails);
        self.acts.push(act);
        if fails {
            Err("it failed".to_owned())
        } else {
            Ok(())
        }
    }
}

impl Host for Noting {
    fn run(&mut self, program: &str, args: &[&str]) -> Result<(), String> {
        self.act(format!("{program} {}", args.join(" ")))
    }
    fn command(&mut self, line: &str) -> Result<(), String> {
        self.act(format!("sh: {line}"))
    }
    fn holds(&mut self, line: &str) -> bool {
        self.act(format!("if: {line}")).is_ok()
    }
    fn set_hostname(&mut self, name: &str) -> Result<(), String> {
        self.act(format!("sethostname {name}"))
    }
    fn tell(&mut self, line: &str) {
        self.told.push(line.to_owned());
    }
}

struct System {
    dir: tempfile::TempDir,
    host: Noting,
}

impl System {
    /// A root file system as an image has it.
    fn new() -> Self {
        let system = Self {
            dir: tempfile::tempdir().unwrap(),
            host: Noting::default(),
        };
        for (path, text) in [
            (
                "etc/passwd",
                "root:x:0:0:root:/root:/bin/bash\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\n",
            ),
            (
                "etc/shadow",
                "root:*:19000:0:99999:7:::\nubuntu:$6$image:19000:0:99999:7:::\n",
            ),
            (
                "etc/group",
                "root:x:0:\nsudo:x:27:\nshadow:x:42:\nubuntu:x:1000:\n",
            ),
            (
                "etc/gshadow",
                "root:*::\nsudo:*::\nshadow:*::\nubuntu:!::\n",
            ),
            ("etc/sudoers", ""),
            (
                "etc/hosts",
                "127.0.0.1 localhost\n127.0.1.1 image\n::1 localhost\n",
            ),
            ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
            (
                "etc/os-release",
                "ID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian 13\"\n",
            ),
            ("etc/environment", "PATH=\"/usr/bin\"\nNO_PROXY=old\n"),
            ("usr/lib/systemd/systemd-resolved", ""),
            ("usr/lib/systemd/systemd-timesyncd", ""),
            ("bin/bash", ""),
            ("proc/cmdline", "quiet\n"),
            ("root/.profile", ""),
        ] {
            system.write(path, text);
        }
        fs_err::create_dir(system.dir.path().join("slot")).unwrap();
        for name in ["passwd", "shadow"] {
            let from = system.dir.path().join("etc").join(name);
            fs_err::copy(from, system.dir.path().join("slot").join(name)).unwrap();
        }
        system
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs_err::read_to_string(self.dir.path().join(path)).unwrap_or_else(|_| "-".to_owned())
    }

    fn line(&self, path: &str, name: &str) -> String {
        let text = self.read(path);
        let mut lines = text.lines().filter(|l| l.split(':').next() == Some(name));
        lines.next().unwrap_or("-").to_owned()
    }

    fn mode(&self, path: &str) -> u32 {
        let meta = fs_err::metadata(self.dir.path().join(path)).unwrap();
        meta.permissions().mode() & 0o7777
    }

    /// Applies documents and gives what failed.
    fn apply(&mut self, stage: Stage, texts: &[&str]) -> String {
        let documents: Vec<Document> = texts
            .iter()
            .enumerate()
            .map(|(at, text)| Document::parse(&format!("{at}.yaml"), text).unwrap())
            .collect();
        let root = Root::open(self.dir.path()).unwrap();
        let slot = self.dir.path().join("slot");
        let failures = apply(stage, &documents, &root, Some(&slot), &mut self.host);
        let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
        lines
            .join("\n")
            .replace(&*self.dir.path().to_string_lossy(), "")
    }

    /// All files with their modes, as text.
    fn all(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut left = vec![self.dir.path().to_owned()];
        while let Some(dir) = left.pop() {
            for entry in fs_err::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs_err::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    left.push(path.clone());
                }
                let text = fs_err::read_to_string(&path).unwrap_or_default();
                all.push(format!(
                    "{} {:o} {} {text}",
                    path.display(),
                    meta.mode(),
                    meta.ino()
                ));
            }
        }
        all.sort();
        all
    }
}

/// What the template of isoforge makes of all its variables.
const TEMPLATE: &str = r##"#cloud-config
hostname: "edge-{{ trunc 4 .MachineID }}"
users:
  - name: "admin"
    passwd: "$6$a$b"
    groups: ["admin"]
    ssh_authorized_keys: ["ssh-ed25519 AAAA x"]
  - name: "ops"
    lock_passwd: true
    groups: ["adm", "sudo"]
    shell: "/bin/bash"
install:
  device: "/dev/vda"
  auto: true
  reboot: false
  poweroff: true
stylus:
  managementMode: "central"
  site: {}
stages:
  initramfs:
    - name: "Settings of this appliance"
      files:
        - path: "/etc/systemd/network/20-eth0.network"
          permissions: 0644
          owner: 0
          group: 0
          content: "[Match]\nName=eth0\n\n[Network]\nDHCP=yes\nDNS=9.9.9.9\n"
      dns:
        nameservers: ["9.9.9.9"]
      timesyncd:
        NTP: "a.ntp b.ntp"
      environment:
        HTTP_PROXY: "http://p:1"
        http_proxy: "http://p:1"
        NO_PROXY: "localhost,.svc"
    - name: "mine"
      commands:
        - "true"
  "boot":
    - name: "later"
      hostname: "x"
"##;

#[test]
fn what_the_template_says_is_done() {
    let mut system = System::new();
    assert_eq!(system.apply(Stage::Initramfs, &[TEMPLATE]), "");
    insta::assert_snapshot!([
        "etc/hostname",
        "etc/hosts",
        "etc/passwd",
        "etc/shadow",
        "etc/group",
        "etc/gshadow",
        "etc/sudoers.d/90-appliance-initramfs",
        "home/admin/.ssh/authorized_keys",
        "etc/systemd/network/20-eth0.network",
        "etc/systemd/resolved.conf.d/50-appliance.conf",
        "etc/systemd/timesyncd.conf.d/50-appliance.conf",
        "etc/environment",
        "etc/systemd/system.conf.d/50-appliance-proxy.conf",
    ].map(|path| format!("== {path}\n{}", system.read(path))).join(""), @r#"
    == etc/hostname
    edge-0123
    == etc/hosts
    127.0.0.1 localhost
    127.0.1.1	edge-0123
    ::1 localhost
    == etc/passwd
    root:x:0:0:root:/root:/bin/bash
    ubuntu:x:1000:1000::/home/ubuntu:/bin/sh
    admin:x:1001:1001::/home/admin:/bin/bash
    ops:x:1002:1002::/home/ops:/bin/bash
    == etc/shadow
    root:*:19000:0:99999:7:::
    ubuntu:$6$image:19000:0:99999:7:::
    admin:$6$a$b::0:99999:7:::
    ops:!::0:99999:7:::
    == etc/group
    root:x:0:
    sudo:x:27:ops
    shadow:x:42:
    ubuntu:x:1000:
    admin:x:1001:admin
    ops:x:1002:
    adm:x:999:ops
    == etc/gshadow
    root:*::
    sudo:*::ops
    shadow:*::
    ubuntu:!::
    admin:!::admin
    ops:!::
    adm:!::ops
    == etc/sudoers.d/90-appliance-initramfs
    %admin ALL=(ALL:ALL) ALL
    == home/admin/.ssh/authorized_keys
    ssh-ed25519 AAAA x
    == etc/systemd/network/20-eth0.network
    [Match]
    Name=eth0

    [Network]
    DHCP=yes
    DNS=9.9.9.9
    == etc/systemd/resolved.conf.d/50-appliance.conf
    [Resolve]
    DNS=9.9.9.9
    == etc/systemd/timesyncd.conf.d/50-appliance.conf
    [Time]
    NTP=a.ntp b.ntp
    == etc/environment
    PATH="/usr/bin"
    NO_PROXY=localhost,.svc
    HTTP_PROXY=http://p:1
    http_proxy=http://p:1
    == etc/systemd/system.conf.d/50-appliance-proxy.conf
    [Manager]
    DefaultEnvironment="NO_PROXY=localhost,.svc" "HTTP_PROXY=http://p:1" "http_proxy=http://p:1"
    "#);
    insta::assert_snapshot!(system.host.acts.join("\n"), @r#"
    sethostname edge-0123
    systemctl daemon-reload
    sh: true
    systemctl daemon-reload
    systemctl --no-block start default.target
    "#);
    insta::assert_snapshot!(system.host.told.join("\n"), @r#"
    0.yaml: stage initramfs, 'Settings of this appliance'
    0.yaml: stage initramfs, 'mine'
    "#);
    assert_eq!(system.mode("home/admin"), 0o700);
    assert_eq!(system.mode("home/admin/.ssh/authorized_keys"), 0o600);
    assert_eq!(system.mode("etc/sudoers.d/90-appliance-initramfs"), 0o440);
    assert_eq!(system.apply(Stage::Boot, &[TEMPLATE]), "");
    assert_eq!(system.read("etc/hostname"), "x\n");
    assert_eq!(system.apply(Stage::Network, &[TEMPLATE]), "");
}

#[test]
fn applied_twice_is_applied_once() {
    let more = "
write_files:
  - {path: /var/log/notes, content: \"line\\n\", append: true}
users: [{name: pat, plain_text_passwd: secret, must_change_password: true}]
stages:
  fs:
    - sysctl: {vm.swappiness: 10}
      directories: [{path: /var/lib/x, permissions: 0750}]
      systemctl: {overrides: [{service: a.service, content: x}]}
";
    let mut system = System::new();
    assert_eq!(system.apply(Stage::Initramfs, &[TEMPLATE, more]), "");
    let before = system.all();
    assert_eq!(
        system.line("etc/shadow", "pat").split(':').nth(2),
        Some("0")
    );
    assert_eq!(system.apply(Stage::Initramfs, &[TEMPLATE, more]), "");
    assert_eq!(system.all(), before);
}

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
fn a_failing_part_does_not_keep_the_rest_away() {
    let mut system = System::new();
    system.host.fails = "broken";
    system.write("blocked", "");
    let config = "hostname: 'a_b'
users: [{name: ann, uid: 1000}, {name: bob}]
write_files: [{path: /blocked/x}, {path: /etc/x, owner: 'nobody9:nogroup9'}, {path: /etc/y, content: y}]
stages:
  initramfs:
    - name: First
      dns: {nameservers: [9.9.9.9], options: [rotate]}
      commands: [broken, \"broken\\nlines\", fine]
      modules: [broken, dummy numdummies=2]
      environment: {A-B: x, C: 'a\"b', D: d}
      authorized_keys: {carl: [ssh-ed25519 A]}
      systemctl: {enable: [broken.service], start: [fine.service]}
    - {name: Second, systemd_firstboot: {Bad: x, keymap: us}}
";
    let failures = system.apply(Stage::Initramfs, &[config]);
    insta::assert_snapshot!(failures, @r#"
    0.yaml: stage initramfs, 'hostname': hostname: 'a_b' can't be a host's name
    0.yaml: stage initramfs, 'users': account 'ann': 'ann' can't have the number 1000: 'ubuntu' has it
    0.yaml: stage initramfs, 'write_files': file /blocked/x: opening '/blocked' failed: Not a directory (os error 20)
    0.yaml: stage initramfs, 'write_files': file /etc/x: there is no account 'nobody9'
    0.yaml: stage initramfs, 'First': dns: systemd-resolved has no options 'rotate'; set 'path' to write resolv.conf
    0.yaml: stage initramfs, 'First': command `broken`: it failed
    0.yaml: stage initramfs, 'First': command `broken …`: it failed
    0.yaml: stage initramfs, 'First': keys of 'carl': there is no account 'carl'
    0.yaml: stage initramfs, 'First': module 'broken': it failed
    0.yaml: stage initramfs, 'First': systemctl enable broken.service: it failed
    0.yaml: stage initramfs, 'First': environment: 'A-B' can't be written on a line
    0.yaml: stage initramfs, 'First': environment: 'C' can't be written on a line
    0.yaml: stage initramfs, 'Second': systemd_firstboot: there is no 'Bad'
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

#[test]
fn a_name_that_needs_an_id_waits_for_one() {
    let mut system = System::new();
    system.write("etc/machine-id", "uninitialized\n");
    let failures = system.apply(Stage::Initramfs, &["hostname: 'e-{{ .MachineID }}'"]);
    insta::assert_snapshot!(failures, @r#"0.yaml: stage initramfs, 'hostname': hostname 'e-{{ .MachineID }}': the machine has no id"#);
    assert_eq!(system.read("etc/hostname"), "-");
}
