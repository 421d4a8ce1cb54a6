use super::*;

/// A machine that was booted from a slot: its `/etc`, the slot's, what is kept.
struct Machine {
    slot: tempfile::TempDir,
    etc: tempfile::TempDir,
    kept: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let kept = tempfile::tempdir().unwrap();
        let mut machine = Self {
            slot: etc(),
            etc: etc(),
            kept,
        };
        machine.boot(etc()).unwrap();
        machine
    }

    /// Boots a slot: `/etc` starts from it, what is kept is merged.
    fn boot(&mut self, slot: tempfile::TempDir) -> anyhow::Result<merge::Merged> {
        self.etc = tempfile::tempdir().unwrap();
        for name in fs_err::read_dir(slot.path()).unwrap() {
            let name = name.unwrap();
            fs_err::copy(name.path(), self.etc.path().join(name.file_name())).unwrap();
        }
        self.slot = slot;
        let merged = restore(self.etc.path(), self.kept.path())?;
        assert_eq!(objections(self.etc.path()), [""; 0]);
        Ok(merged)
    }

    fn save(&self) -> bool {
        save(self.etc.path(), self.slot.path(), self.kept.path()).unwrap()
    }
}

#[test]
fn accounts_and_passwords_outlive_reboots_and_upgrades() {
    let mut machine = Machine::new();
    assert!(machine.save());
    assert!(!machine.save());
    edited(machine.etc.path(), |databases| {
        edit::add(databases, &person("ann")).unwrap();
        edit::add_member(databases, "sudo", "ann").unwrap();
        edit::add_member(databases, "admin", "ann").unwrap();
        edit::set_password(databases, "ann", "$6$ann", false).unwrap();
        edit::set_password(databases, "root", "$6$root", false).unwrap();
    });
    assert!(machine.save());
    let files = ["passwd", "shadow", "group", "gshadow", "subuid", "subgid"];
    let before = files.map(|file| text(machine.etc.path(), file));
    let merged = machine.boot(etc()).unwrap();
    assert!(merged.changed && merged.notes.is_empty());
    assert_eq!(files.map(|file| text(machine.etc.path(), file)), before);
    assert!(!machine.save());
    // The next version has another system account, and has changed one.
    let newer = etc();
    append(
        newer.path(),
        "passwd",
        "agent:x:997:997::/:/usr/sbin/nologin\n",
    );
    append(newer.path(), "shadow", "agent:!*:19500::::::\n");
    append(newer.path(), "group", "agent:x:997:\n");
    append(newer.path(), "gshadow", "agent:!*::\n");
    let changed = text(newer.path(), "passwd").replace("daemon:/usr/sbin", "daemon:/var");
    fs_err::write(newer.path().join("passwd"), changed).unwrap();
    machine.boot(newer).unwrap();
    let etc = machine.etc.path();
    assert_eq!(
        line(etc, "shadow", "root").split(':').nth(1),
        Some("$6$root")
    );
    assert_eq!(line(etc, "shadow", "ann").split(':').nth(1), Some("$6$ann"));
    assert_eq!(line(etc, "group", "sudo"), "sudo:x:27:ann");
    assert!(line(etc, "passwd", "agent").contains(":997:997:"));
    assert!(line(etc, "passwd", "daemon").contains(":daemon:/var:"));
}

#[test]
fn what_is_removed_on_the_machine_is_kept_no_more() {
    let mut machine = Machine::new();
    edited(machine.etc.path(), |databases| {
        edit::add(databases, &person("ann")).unwrap();
    });
    machine.save();
    edited(machine.etc.path(), |databases| {
        for kind in Kind::ALL {
            databases.table_mut(kind).remove(b"ann");
        }
    });
    assert!(machine.save());
    machine.boot(etc()).unwrap();
    assert_eq!(line(machine.etc.path(), "passwd", "ann"), "-");
}

#[test]
fn numbers_of_people_are_the_machines_and_others_the_slots() {
    let mut machine = Machine::new();
    edited(machine.etc.path(), |databases| {
        edit::add(databases, &person("ann")).unwrap();
        let system = NewAccount {
            is_system: true,
            ..person("store")
        };
        assert_eq!(edit::add(databases, &system).unwrap().uid, 999);
    });
    machine.save();
    let newer = etc();
    append(
        newer.path(),
        "passwd",
        "ubuntu:x:1000:1000::/home/ubuntu:/bin/sh\nnew:x:999:999::/:/usr/sbin/nologin\n",
    );
    append(newer.path(), "shadow", "ubuntu:*:1::::::\nnew:*:1::::::\n");
    append(newer.path(), "group", "ubuntu:x:1000:\nnew:x:999:\n");
    append(newer.path(), "gshadow", "ubuntu:!::\nnew:!::\n");
    append(newer.path(), "subuid", "ubuntu:100000:65536\n");
    let merged = machine.boot(newer).unwrap();
    let dir = machine.etc.path();
    insta::assert_snapshot!(
        ["ann", "ubuntu", "new", "store"].map(|name| {
            ["passwd", "group", "subuid"].map(|file| line(dir, file, name)).join("  ")
        }).join("\n") + "\n" + &merged.notes.join("\n"),
        @r#"
    ann:x:1000:1000::/home/ann:/bin/sh  ann:x:1000:  ann:100000:65536
    ubuntu:x:1001:1001::/home/ubuntu:/bin/sh  ubuntu:x:1001:  ubuntu:165536:65536
    new:x:999:999::/:/usr/sbin/nologin  new:x:999:  -
    store:x:997:997::/home/store:/bin/sh  store:x:997:  -
    group 'ubuntu' of the system has the number 1001: 'ann' keeps 1000
    group 'store' has the number 997, not the kept 999: that is 'new' of the system
    account 'ubuntu' of the system has the number 1001: 'ann' keeps 1000
    account 'store' has the number 997, not the kept 999: that is 'new' of the system
    "#
    );
}

#[test]
fn an_account_that_the_next_version_brings_too_keeps_its_number() {
    let mut machine = Machine::new();
    edited(machine.etc.path(), |databases| {
        edit::add(databases, &person("ann")).unwrap();
        let system = NewAccount {
            is_system: true,
            ..person("store")
        };
        edit::add(databases, &system).unwrap();
    });
    machine.save();
    let newer = etc();
    append(
        newer.path(),
        "passwd",
        "store:x:990:990::/:/usr/sbin/nologin\nbob:x:1000:1000::/home/bob:/bin/sh\nann:x:1001:1001::/srv/ann:/bin/sh\n",
    );
    append(
        newer.path(),
        "shadow",
        "store:*:1::::::\nbob:*:1::::::\nann:*:1::::::\n",
    );
    append(
        newer.path(),
        "group",
        "store:x:990:\nbob:x:1000:\nann:x:1001:\n",
    );
    append(newer.path(), "gshadow", "store:!::\nbob:!::\nann:!::\n");
    machine.boot(newer).unwrap();
    let dir = machine.etc.path();
    assert!(line(dir, "passwd", "store").contains(":990:990:"));
    assert_eq!(
        line(dir, "passwd", "ann"),
        "ann:x:1000:1000::/home/ann:/bin/sh"
    );
    assert_eq!(line(dir, "group", "ann"), "ann:x:1000:");
    let bob = line(dir, "passwd", "bob");
    assert!(
        bob.contains(":1002:1002:") || bob.contains(":1002:1001:"),
        "{bob}"
    );
}

#[test]
fn damage_is_not_kept_and_takes_nothing_away() {
    let mut machine = Machine::new();
    edited(machine.etc.path(), |databases| {
        edit::add(databases, &person("ann")).unwrap();
    });
    machine.save();
    let before = text(&machine.kept.path().join("current"), "passwd");
    fs_err::write(machine.etc.path().join("passwd"), "").unwrap();
    let saved = save(machine.etc.path(), machine.slot.path(), machine.kept.path());
    assert!(
        saved
            .unwrap_err()
            .to_string()
            .ends_with("it is taken for damaged and not kept")
    );
    // An /etc into which nothing was merged has lost nobody.
    let plain = etc();
    let saved = save(plain.path(), machine.slot.path(), machine.kept.path());
    assert!(
        saved
            .unwrap_err()
            .to_string()
            .ends_with("is not in /etc; it stays as it is")
    );
    assert_eq!(text(&machine.kept.path().join("current"), "passwd"), before);
    // Lines that are none are left out.
    append(
        &machine.kept.path().join("current"),
        "passwd",
        "\nbroken\nx:x:y:z:::\n",
    );
    let merged = machine.boot(etc()).unwrap();
    assert!(line(machine.etc.path(), "passwd", "ann").contains("1000"));
    assert_eq!(line(machine.etc.path(), "passwd", "x"), "-");
    assert_eq!(merged.notes.len(), 1);
}

#[test]
fn what_a_power_cut_left_of_saving_does_not_count() {
    let mut machine = Machine::new();
    edited(machine.etc.path(), |databases| {
        edit::add(databases, &person("ann")).unwrap();
    });
    machine.save();
    let next = machine.kept.path().join("next");
    fs_err::create_dir(&next).unwrap();
    fs_err::write(next.join("passwd"), "evil:x:0:0:::\n").unwrap();
    machine.boot(etc()).unwrap();
    assert_eq!(line(machine.etc.path(), "passwd", "evil"), "-");
    edited(machine.etc.path(), |databases| {
        edit::add(databases, &person("bob")).unwrap();
    });
    assert!(machine.save());
    assert!(!next.exists());
    let kept = machine.kept.path().join("current");
    let meta = fs_err::metadata(kept.join("shadow")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    assert_eq!(text(&kept, "passwd").lines().count(), 2);
}

#[test]
fn damaged_databases_are_merged_as_far_as_they_can_be() {
    let machine = Machine::new();
    edited(machine.etc.path(), |databases| {
        edit::add(databases, &person("ann")).unwrap();
        edit::add_member(databases, "sudo", "ann").unwrap();
    });
    machine.save();
    let current = machine.kept.path().join("current");
    let whole = Kind::ALL.map(|kind| fs_err::read(current.join(kind.file())).unwrap());
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let mut random = |below: usize| random.usize(..below);
    for _ in 0..300 {
        for (kind, bytes) in Kind::ALL.iter().zip(&whole) {
            let mut bytes = bytes.clone();
            for _ in 0..random(4) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = b":\n,9-\xff\0x"[random(8)],
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b":\n,9+#0 "[random(8)]),
                }
            }
            fs_err::write(current.join(kind.file()), bytes).unwrap();
        }
        let etc = etc();
        // Numbers may run out of their range; nobody of the slot is lost.
        if restore(etc.path(), machine.kept.path()).is_ok() {
            for account in ["root", "daemon", "sys", "nobody"] {
                assert_ne!(line(etc.path(), "passwd", account), "-");
                assert_ne!(line(etc.path(), "shadow", account), "-");
            }
        }
    }
}

#[test]
fn a_line_of_the_slot_without_a_number_gets_the_kept_one() {
    let mut machine = Machine::new();
    edited(machine.etc.path(), |databases| {
        edit::add(databases, &person("ann")).unwrap();
    });
    assert!(machine.save());
    let before = line(machine.etc.path(), "group", "ann");
    let newer = etc();
    append(newer.path(), "group", "ann:x:none:\n");
    append(newer.path(), "gshadow", "ann:!*::\n");
    machine.boot(newer).unwrap();
    let group = text(machine.etc.path(), "group");
    let lines: Vec<_> = group
        .lines()
        .filter(|line| line.starts_with("ann:"))
        .collect();
    assert_eq!(lines, [before]);
}
