use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::database::Databases;
use super::edit::{Account, NewAccount};
use super::table::{Kind, Table};
use super::*;
use crate::rooted::Root;
use isoforge::util::process::Program;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
sys:x:998:998::/:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";
const SHADOW: &str = "root:*:19000:0:99999:7:::
daemon:*:19000:0:99999:7:::
sys:!*:19000::::::
nobody:*:19000:0:99999:7:::
";
const GROUP: &str = "root:x:0:
daemon:x:1:
sudo:x:27:
shadow:x:42:
sys:x:998:
nogroup:x:65534:
";
const GSHADOW: &str = "root:*::
daemon:*::
sudo:*::
shadow:*::
sys:!*::
nogroup:*::
";

/// An `/etc` as an image has it.
fn etc() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("passwd", PASSWD),
        ("shadow", SHADOW),
        ("group", GROUP),
        ("gshadow", GSHADOW),
        ("subuid", ""),
        ("subgid", ""),
    ] {
        fs_err::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn text(dir: &Path, name: &str) -> String {
    String::from_utf8_lossy(&fs_err::read(dir.join(name)).unwrap()).into_owned()
}

fn line(dir: &Path, name: &str, account: &str) -> String {
    let text = text(dir, name);
    let mut lines = text
        .lines()
        .filter(|l| l.split(':').next() == Some(account));
    let line = lines.next().unwrap_or("-").to_owned();
    assert_eq!(lines.next(), None, "{account} twice in {name}");
    line
}

fn append(dir: &Path, name: &str, lines: &str) {
    fs_err::write(dir.join(name), text(dir, name) + lines).unwrap();
}

fn edited(dir: &Path, edit: impl FnOnce(&mut Databases)) {
    let mut databases = Databases::change(dir).unwrap();
    edit(&mut databases);
    databases.write().unwrap();
}

fn person(name: &str) -> NewAccount {
    NewAccount {
        name: name.to_owned(),
        ..NewAccount::default()
    }
}

/// What shadow's own tools object to in a root with this `/etc`, but for
/// directories and programs, which it does not have.
fn objections(etc: &Path) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    let copy = root.path().join("etc");
    fs_err::create_dir(&copy).unwrap();
    for kind in Kind::ALL {
        fs_err::copy(etc.join(kind.file()), copy.join(kind.file())).unwrap();
    }
    let mut all = Vec::new();
    for program in ["pwck", "grpck"] {
        // Changing the root needs the rights of the superuser, or their like.
        let script =
            "id=$(id -u); test $id = 0 || set -- unshare --map-root-user \"$@\"; \"$@\" 2>&1; true";
        let out = Program::new("sh", "dash")
            .args(["-c", script, "sh", program, "-r", "-R"])
            .arg(root.path())
            .output(100_000)
            .unwrap();
        let out = String::from_utf8(out).unwrap();
        let real = |line: &&str| {
            !line.ends_with("does not exist") && !line.ends_with("no changes") && !line.is_empty()
        };
        all.extend(out.lines().filter(real).map(str::to_owned));
    }
    all
}

#[test]
fn a_hash_is_what_openssl_makes_of_the_same_salt() {
    for password in [
        "x",
        "correct horse battery staple",
        "pässwörd",
        &"l".repeat(200),
    ] {
        let hash = hash_password(password).unwrap();
        let fields: Vec<&str> = hash.split('$').collect();
        assert_eq!(fields[1..3], ["6", "rounds=65536"], "{hash}");
        assert_eq!(fields[3].len(), 16);
        let out = Program::new("openssl", "openssl")
            .args(["passwd", "-6", "-salt"])
            .arg(format!("{}${}", fields[2], fields[3]))
            .arg(password)
            .output(1000)
            .unwrap();
        assert_eq!(String::from_utf8(out).unwrap().trim(), hash);
    }
}

#[test]
fn hashes_differ_and_bad_passwords_are_refused() {
    assert_ne!(hash_password("x").unwrap(), hash_password("x").unwrap());
    for password in ["", "a\0b", &"x".repeat(513)] {
        assert!(matches!(hash_password(password), Err(Error::Password)));
    }
}

#[test]
fn names_are_those_of_shadows_tools() {
    for name in ["a", "_x", "Ab-c_d.e9", &"x".repeat(32)] {
        assert!(check_name(name).is_ok(), "{name}");
    }
    for name in [
        "",
        "1a",
        "-a",
        ".a",
        "a b",
        "a:b",
        "a\n",
        "ä",
        "../x",
        &"x".repeat(33),
    ] {
        assert!(check_name(name).is_err(), "{name}");
    }
}

#[test]
fn lines_that_are_not_understood_stay_byte_for_byte() {
    for odd in [
        &b"# comment\n\nroot:x:0:0:root:/root:/bin/sh\nshort:x\n\xff:x:1:1:\xfe:/:/x\n+@nis::::::\n"[..],
        b"root:x:0:0::/:/x",
        b"\n",
        b"",
    ] {
        assert_eq!(Table::parse(Kind::Passwd, odd).bytes(), odd);
    }
    let mut table = Table::parse(Kind::Passwd, b"a:x:1:1:::\n+::::::");
    table.push(&[b"b", b"x", b"2", b"2", b"", b"", b""]);
    assert_eq!(table.bytes(), b"a:x:1:1:::\nb:x:2:2:::\n+::::::\n");
    assert!(table.set(b"a", 6, b"/s") && !table.set(b"c", 6, b"/s"));
    assert_eq!(table.bytes(), b"a:x:1:1:::/s\nb:x:2:2:::\n+::::::\n");
}

#[test]
fn a_new_account_is_whole() {
    let etc = etc();
    edited(etc.path(), |databases| {
        let made = edit::add(databases, &person("ann")).unwrap();
        assert_eq!(
            (made.uid, made.gid, made.home.as_str()),
            (1000, 1000, "/home/ann")
        );
        edit::add_member(databases, "sudo", "ann").unwrap();
        edit::add_member(databases, "admin", "ann").unwrap();
        edit::add_member(databases, "admin", "ann").unwrap();
        edit::set_password(databases, "ann", "$6$x$y", true).unwrap();
        edit::add(databases, &person("bob")).unwrap();
    });
    let dir = etc.path();
    insta::assert_snapshot!(
        ["passwd", "shadow", "group", "gshadow", "subuid"].map(|file| {
            let new = text(dir, file);
            let old = [PASSWD, SHADOW, GROUP, GSHADOW];
            let new = new.lines().filter(|l| !old.iter().any(|o| o.lines().any(|o| o == *l)));
            format!("{file}: {}", new.collect::<Vec<_>>().join(" | "))
        }).join("\n"),
        @r#"
    passwd: ann:x:1000:1000::/home/ann:/bin/sh | bob:x:1001:1001::/home/bob:/bin/sh
    shadow: ann:$6$x$y:0:0:99999:7::: | bob:!::0:99999:7:::
    group: sudo:x:27:ann | ann:x:1000: | admin:x:999:ann | bob:x:1001:
    gshadow: sudo:*::ann | ann:!:: | admin:!::ann | bob:!::
    subuid: ann:100000:65536 | bob:165536:65536
    "#
    );
    assert_eq!(objections(dir), [""; 0]);
    append(dir, "shadow", "ghost:!:::::::\n");
    assert_ne!(objections(dir), [""; 0]);
    let meta = fs_err::metadata(dir.join("shadow")).unwrap();
    // As it was: a file that is there keeps mode and owner.
    assert_eq!(meta.permissions().mode() & 0o777, 0o644);
}

#[test]
fn a_shadow_file_that_was_not_there_is_for_root_and_its_group() {
    let etc = etc();
    fs_err::remove_file(etc.path().join("shadow")).unwrap();
    fs_err::remove_file(etc.path().join("gshadow")).unwrap();
    edited(etc.path(), |databases| {
        edit::add(databases, &person("ann")).unwrap();
    });
    let meta = fs_err::metadata(etc.path().join("shadow")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o640);
    if rustix::process::geteuid().is_root() {
        assert_eq!((meta.uid(), meta.gid()), (0, 42));
    }
    assert!(!etc.path().join("gshadow").exists());
}

#[test]
fn what_would_break_a_line_is_refused() {
    let etc = etc();
    edited(etc.path(), |databases| {
        for new in [
            NewAccount {
                gecos: "a:b".to_owned(),
                ..person("ann")
            },
            NewAccount {
                home: Some("/x\n/y".to_owned()),
                ..person("ann")
            },
            NewAccount {
                shell: Some(":".to_owned()),
                ..person("ann")
            },
            NewAccount {
                group: Some("none".to_owned()),
                ..person("ann")
            },
            NewAccount {
                uid: Some(998),
                ..person("ann")
            },
            person("a b"),
        ] {
            assert!(edit::add(databases, &new).is_err(), "{new:?}");
        }
        assert!(edit::set_password(databases, "root", "$6$a:b", false).is_err());
        assert!(edit::set_password(databases, "none", "$6$a", false).is_err());
        assert!(edit::add_member(databases, "x,y", "root").is_err());
    });
    assert_eq!(text(etc.path(), "passwd"), PASSWD);
}

#[test]
fn a_locked_password_can_be_opened_again() {
    let etc = etc();
    edited(etc.path(), |databases| {
        edit::set_password(databases, "root", "$6$x$y", false).unwrap();
        edit::lock(databases, "root").unwrap();
        edit::lock(databases, "root").unwrap();
        assert_eq!(edit::password(databases, "root").unwrap(), b"!$6$x$y");
        assert!(!is_hash(b"!$6$x$y") && is_hash(b"$6$x$y") && is_hash(b"rl0uE0x/ZtAkI"));
        assert!(!is_hash(b"*LK*LK*LK*LK*") && !is_hash(b""));
    });
}

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
    fn boot(&mut self, slot: tempfile::TempDir) -> Result<Merged, Error> {
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
    assert!(matches!(saved, Err(Error::Damaged(_))));
    // An /etc into which nothing was merged has lost nobody.
    let plain = etc();
    let saved = save(plain.path(), machine.slot.path(), machine.kept.path());
    assert!(matches!(saved, Err(Error::NotRestored)));
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
    let mut state = 0x5eed_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
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
