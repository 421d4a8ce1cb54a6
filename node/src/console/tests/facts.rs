//! Device Info of machines that are written down as files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use isoforge_base::digest::Digest;
use isoforge_system::slots::{Image, Record, Slot};

use super::*;
use crate::console::facts::{Running, Sources, lines};
use crate::upgrade::status::{Damaged, Fate, LastUpgrade, Status};

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

fn sources(root: &Path) -> Sources {
    Sources {
        sys: root.join("sys"),
        proc: root.join("proc"),
        etc: root.join("etc"),
        persistent: root.join("nowhere"),
    }
}

fn shown(lines: &[Fact]) -> String {
    let line = |fact: &Fact| format!("{:<14}{} [{:?}]", fact.label, fact.value, fact.tone);
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn status() -> Status {
    let digest = Digest::of(b"");
    let squashfs = Image {
        digest,
        size: 0,
        epoch: None,
    };
    let record = Record {
        kubernetes: Some("1.32.3".to_owned()),
        ..Record::new("demo", "1.0.0", squashfs, digest, digest)
    };
    Status {
        schema: 1,
        booted: Slot::A,
        on_trial: false,
        good: Slot::A,
        next_once: None,
        slots: BTreeMap::from([(Slot::A, record)]),
        last_upgrade: None,
        damaged: Vec::new(),
    }
}

#[test]
fn a_machine_that_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root, "proc/sys/kernel/hostname", "node-1\n");
    put(
        root,
        "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: CPU 9000\n\nprocessor\t: 1\n",
    );
    put(
        root,
        "proc/meminfo",
        "MemTotal:        4028000 kB\nMemFree: 1 kB\n",
    );
    put(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    put(root, "sys/class/dmi/id/sys_vendor", "ACME\n");
    put(root, "sys/class/dmi/id/product_name", "Box 3\n");
    put(root, "sys/class/dmi/id/product_serial", "S-1\n");
    for (name, carrier) in [("eth0", "1"), ("eth1", "0"), ("eth2", "1")] {
        put(
            root,
            &format!("sys/class/net/{name}/address"),
            "52:54:00:00:00:01\n",
        );
        put(root, &format!("sys/class/net/{name}/carrier"), carrier);
        put(root, &format!("sys/class/net/{name}/device/x"), "");
    }
    let address = |ip: &str, prefix| (ip.parse().unwrap(), prefix);
    let addresses = BTreeMap::from([
        ("bond0.7".to_owned(), vec![address("198.51.100.9", 24)]),
        ("cali12345".to_owned(), vec![address("198.51.100.10", 32)]),
        (
            "eth0".to_owned(),
            vec![
                address("192.0.2.5", 24),
                address("fe80::1", 64),
                address("2001:db8::5", 64),
            ],
        ),
        ("eth2".to_owned(), vec![address("fe80::2", 64)]),
    ]);
    let running = Running {
        addresses,
        failed: Some(Vec::new()),
    };
    let config = crate::testing::config();
    let found = lines(&config, Ok(&status()), &sources(root), &running);
    assert_snapshot!(shown(&found), @r"
    Version       demo 1.0.0 [Plain]
    System        slot a, good [Good]
    Kubernetes    1.32.3 [Plain]
    Network       eth0  192.0.2.5/24, 2001:db8::5/64  (52:54:00:00:00:01) [Good]
                  eth1  not connected  (52:54:00:00:00:01) [Warn]
                  eth2  no address  (52:54:00:00:00:01) [Warn]
                  bond0.7  198.51.100.9/24 [Plain]
    Host name     node-1 [Plain]
    Machine       ACME Box 3 [Plain]
    Serial number S-1 [Plain]
    Machine id    0123456789abcdef0123456789abcdef [Plain]
    Processor     2 processors, CPU 9000 [Plain]
    Memory        3.8 GiB [Plain]
    Services      none has failed [Good]
    ");
}

#[test]
fn what_is_wrong_stands_out() {
    let folder = tempfile::tempdir().unwrap();
    let status = Status {
        on_trial: false,
        booted: Slot::B,
        last_upgrade: Some(LastUpgrade {
            slot: Slot::A,
            from: "1".to_owned(),
            to: "2".to_owned(),
            result: Fate::FellBack,
            problems: vec!["the check 'true' failed".to_owned()],
        }),
        damaged: vec![Damaged {
            label: Some("STATE"),
            device: PathBuf::from("/dev/sda4"),
            errors: 2,
        }],
        ..status()
    };
    let failed = (1..=6).map(|n| format!("u{n}.service")).collect();
    let running = Running {
        failed: Some(failed),
        ..Running::default()
    };
    let config = crate::testing::config();
    let found = lines(&config, Ok(&status), &sources(folder.path()), &running);
    assert_snapshot!(shown(&found), @r"
    Version       demo 1.0.0 [Plain]
    System        slot b [Warn]
    Upgrade       2 did not come up [Bad]
                  the check 'true' failed [Bad]
    Disk          /dev/sda4 is damaged; 'appliance status' tells what to do [Bad]
    Network       no adapter was found [Bad]
    Services      failed: u1.service, u2.service, u3.service, u4.service and 2 more [Bad]
    ");
    let running = Running::default();
    let found = lines(
        &config,
        Err("there is no STATE"),
        &sources(folder.path()),
        &running,
    );
    assert_snapshot!(shown(&found), @r"
    Version       demo 1.0.0 [Plain]
    System        there is no STATE [Warn]
    Network       no adapter was found [Bad]
    ");
}

#[test]
fn this_machine_answers() {
    let running = Running::ask();
    // Where there is an adapter with an address, it is found with its prefix.
    for (name, addresses) in &running.addresses {
        for (ip, prefix) in addresses {
            assert!((1..=128).contains(prefix), "{name} {ip}/{prefix}");
        }
    }
}
