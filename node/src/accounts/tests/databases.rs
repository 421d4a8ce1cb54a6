use super::*;
use isoforge_contract::cloud::{check_name, is_hash};

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
        let error = hash_password(password).unwrap_err().to_string();
        assert!(error.starts_with("a password is 1 to 512 bytes"), "{error}");
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
