//! Keys of the installed machine.

use super::*;
use isoforge_contract::machine::{Device, Page, Rule};

const HASH: &str = "$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.";

fn appliance_with(sets: &[&str]) -> Result<Loaded, Problems> {
    let sets = [&["os.flavor=appliance"], sets].concat();
    load_files(&[("p/main.toml", MINIMAL)], &sets)
}

fn right(sets: &[&str]) -> Profile {
    match appliance_with(sets) {
        Ok(loaded) => loaded.profile,
        Err(problems) => panic!("{problems}"),
    }
}

/// The first line of the first problem.
fn first_problem(set: &str) -> String {
    let problems = appliance_with(&[set]).unwrap_err().to_string();
    problems.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_rule_for_the_disk() {
    let profile = right(&["install.device={ min_size = \"100G\", model = \"QEMU*\" }"]);
    let rule = Rule {
        min_bytes: Some(100 << 30),
        model: Some("QEMU*".to_owned()),
        ..Rule::default()
    };
    assert_eq!(profile.install.device, Device::Rule(rule));
    // Of that a cloud-config can say nothing.
    assert!(profile.context(&Secrets::default())["install"]["device"].is_null());
    let profile = right(&["install.device=/dev/sda"]);
    assert_eq!(
        profile.context(&Secrets::default())["install"]["device"],
        "/dev/sda"
    );
}

#[test]
fn sizes_account_and_what_is_kept() {
    let profile = right(&[
        "install.partitions={ esp = \"128M\", state = \"8G\", extra = [{ label = \"DATA\", size = \"1G\", mount = \"/srv/data\" }] }",
        &format!("install.account={{ name = \"admin\", password_hash = \"{HASH}\" }}"),
        "install.pages=[\"network\", \"hostname\", \"network\"]",
        "install.require={ cpus = 2, memory = \"4G\", modules = [\"br-netfilter\"], enforce = true }",
        "state.directories=[\"/var/lib/mine\"]",
        "state.etc=[\"/etc/mine\"]",
        "health={ checks = [\"test -e /run/well\"], units = [\"containerd.service\"], time_limit = 300 }",
    ]);
    let install = profile.install;
    assert_eq!(install.partitions.esp, 128 << 20);
    assert_eq!(install.partitions.oem, 64 << 20);
    assert_eq!(install.partitions.state, Some(8 << 30));
    assert_eq!(
        install.partitions.extra[0].mount.as_deref(),
        Some("/srv/data")
    );
    let account = install.account.unwrap();
    assert_eq!(
        (account.name.as_str(), account.groups),
        ("admin", vec!["admin".to_owned()])
    );
    assert_eq!(install.pages, [Page::Hostname, Page::Network]);
    assert_eq!(install.require.modules, ["br_netfilter"]);
    assert_eq!(profile.state.directories, ["/var/lib/mine"]);
    assert_eq!(profile.health.time_limit_seconds, 300);
}

#[test]
fn values_of_the_wrong_form() {
    let wrong = [
        "install.device={ }",
        "install.device={ min_size = \"2G\", max_size = \"1G\" }",
        "install.device={ model = \"a[\" }",
        "install.pages=[\"disk\"]",
        "install.partitions={ esp = \"1M\" }",
        "install.partitions={ oem = 100000000 }",
        "install.partitions={ extra = [{ label = \"state\", size = \"1G\" }] }",
        "install.partitions={ extra = [{ label = \"a\", size = \"1G\" }, { label = \"a\", size = \"1G\" }] }",
        "install.partitions={ extra = [{ label = \"a\", size = \"1G\", mount = \"/usr/lib\" }] }",
        "install.partitions={ extra = [{ label = \"a\", size = \"1G\", filesystem = \"none\", mount = \"/srv/a\" }] }",
        "install.require={ modules = [\"a b\"] }",
        "state.directories=[\"/usr/lib/x\"]",
        "state.directories=[\"/var/lib\"]",
        "state.directories=[\"/var/lib/../x\"]",
        "state.etc=[\"/etc\"]",
        "health.units=[\"containerd\"]",
        "health.time_limit=1",
        "disks=[]",
    ];
    let problems: Vec<_> = wrong.iter().map(|set| first_problem(set)).collect();
    assert_snapshot!(problems.join("\n"), @r"
    error: the rule says nothing of the disk
    error: no disk is at least 'min_size' and at most 'max_size'
    error: 'a[' is not a glob: unclosed character class; missing ']'
    error: 'install.pages' can't be 'disk'
    error: a partition 'esp' can't have 1048576 bytes
    error: a partition 'oem' can't have 100000000 bytes
    error: 'state' is the label of a partition that the installer makes itself
    error: two partitions 'a'
    error: no partition can be mounted at '/usr/lib'
    error: a partition without a file system can't be mounted
    error: 'a b' is not the name of a kernel module
    error: '/usr/lib/x' is not a directory that can be kept
    error: '/var/lib' belongs to the system: kept, it would mask every upgrade
    error: '/var/lib/../x' is not a directory that can be kept
    error: '/etc' is not a directory below /etc
    error: 'containerd' is not the name of a unit
    error: 'health.time_limit' can't be 1
    error: 'disks' is not accepted
    ");
}

#[test]
fn a_password_is_neither_taken_nor_shown() {
    let set = "install.account={ name = \"admin\", password_hash = \"s3cret\" }";
    let problems = appliance_with(&[set]).unwrap_err().to_string();
    assert!(!problems.contains("s3cret"), "{problems}");
    assert_snapshot!(problems, @r#"
    error: 'install.account.password_hash' is not a password's hash
     --> --set argument 2, column 35
      |
      | install.account={ name = "admin", password_hash = [redacted] }
      |                                   ^^^^^^^^^^^^^
      = expected a hash as crypt(5) has it, such as "$6$…"
      = help: `openssl passwd -6` makes one

    1 problem in the profile
    "#);
    let set = format!(
        "install.account={{ name = \"admin\", password_hash = \"{HASH}\", password = \"x\" }}"
    );
    assert_snapshot!(first_problem(&set), @"error: 'password' in [install.account] is not accepted");
}

#[test]
fn what_kairos_would_ignore_is_an_error() {
    let sets = [
        "install.force=true",
        "install.device={ model = \"QEMU*\" }",
        "state.etc=[\"/etc/mine\"]",
        "health.time_limit=60",
    ];
    let problems = problems_with(&sets);
    let told: Vec<_> = problems
        .lines()
        .filter(|l| l.starts_with("error"))
        .collect();
    assert_snapshot!(told.join("\n"), @r"
    error: 'install.force' has no effect in flavor 'kairos'
    error: a rule for the disk has no effect in flavor 'kairos'
    error: 'state.etc' has no effect in flavor 'kairos'
    error: 'health.time_limit' has no effect in flavor 'kairos'
    ");
}
