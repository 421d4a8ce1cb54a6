use super::*;

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
