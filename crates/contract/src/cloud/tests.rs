use super::*;

fn parse(text: &str) -> Document {
    Document::parse("90.yaml", text).unwrap()
}

fn unknown(text: &str) -> String {
    let document = parse(text);
    lines_of(document.unknown())
}

fn lines_of(items: &[impl ToString]) -> String {
    let all: Vec<String> = items.iter().map(ToString::to_string).collect();
    all.join("\n")
}

fn problems(text: &str) -> String {
    Document::parse("90.yaml", text).unwrap_err().to_string()
}

#[test]
fn an_account_is_one_that_somebody_can_log_in_to() {
    for text in [
        "users: [{name: a, passwd: $6$x$y}]",
        "users: [{name: a, plain_text_passwd: secret}]",
        "users: [{name: a, ssh_authorized_keys: [ssh-ed25519 AAAA]}]",
        "users: {a: {passwd: $6$x$y}}",
        "users: [a]\nssh_authorized_keys: [ssh-ed25519 AAAA]",
        "stages: {initramfs: [{users: {a: {passwd: $6$x$y}}}]}",
        "stages: {boot.after: [{authorized_keys: {root: [ssh-ed25519 AAAA]}}]}",
    ] {
        assert!(parse(text).has_account(), "{text}");
    }
    for text in [
        "",
        "users: [a]",
        "users: [default]",
        "users: [{name: a, passwd: '!'}]",
        "users: [{name: a, passwd: '!$6$x$y'}]",
        "users: [{name: a, passwd: $6$x$y, lock_passwd: true}]",
        "users: [{name: a, ssh_authorized_keys: ['github:a']}]",
        "ssh_authorized_keys: [ssh-ed25519 AAAA]",
        "stages: {reconcile: [{users: {a: {passwd: $6$x$y}}}]}",
    ] {
        assert!(!parse(text).has_account(), "{text}");
    }
}

#[test]
fn the_install_block_is_read() {
    let text = "install: {device: /dev/vda, auto: 'true', reboot: no, force: true, nousers: ~}";
    let document = parse(text);
    assert_eq!(
        document.install(),
        &Install {
            device: Some("/dev/vda".to_owned()),
            auto: Some(true),
            reboot: Some(false),
            poweroff: None,
            force: Some(true),
            nousers: None,
        }
    );
    assert_eq!(document.unknown(), []);
}

#[test]
fn what_nothing_acts_on_is_told_with_its_place() {
    let text = "#cloud-config
packages: [vim]
stylus: {site: {}}
users:
  - default
  - {name: a, expiredate: 2030-01-01, ssh_authorized_keys: ['github:x']}
install: {bind_mounts: [/x]}
write_files: [{path: /x, source: {}}]
stages:
  reconcile: [{name: x}]
  initramfs:
    - {name: one, packages: {install: [x]}, if_files: {some: [x]}}
    - {after: [{name: one}, {name: two}]}
    - dns: {servers: [x]}
      systemctl: {stop: [x], overrides: [{service: x.service, mode: 1}]}
---
other: document
";
    insta::assert_snapshot!(unknown(text), @r#"
    90.yaml:2:1: nothing here acts on 'packages'
    90.yaml:2:1: the first of several YAML documents counts, the others are ignored
    90.yaml:3:9: 'stylus' is for the agent of the central management; nothing here acts on it
    90.yaml:5:5: 'users[0]': there is no account 'default' here
    90.yaml:6:15: nothing here acts on 'users[1].expiredate'
    90.yaml:6:61: 'users[1].ssh_authorized_keys[0]' is no key; none is fetched
    90.yaml:7:11: nothing here acts on 'install.bind_mounts'
    90.yaml:8:26: nothing here acts on 'write_files[0].source'
    90.yaml:10:3: no stage 'reconcile' is run here
    90.yaml:12:19: nothing here acts on 'stages.initramfs[0].packages'
    90.yaml:12:56: nothing here acts on 'stages.initramfs[0].if_files.some'
    90.yaml:13:29: steps run in the order in which they stand: 'stages.initramfs[1].after' names 'two', which is none before it
    90.yaml:14:13: nothing here acts on 'stages.initramfs[2].dns.servers'
    90.yaml:15:19: nothing here acts on 'stages.initramfs[2].systemctl.stop'
    90.yaml:15:63: nothing here acts on 'stages.initramfs[2].systemctl.overrides[0].mode'
    "#);
}

#[test]
fn wrong_types_are_all_told_with_their_places() {
    let text = "#cloud-config
hostname: [a]
users: [{passwd: x}, {name: 'a b'}, {name: b, uid: -1, sudo: true, groups: [':']}]
install: {auto: maybe}
write_files:
  - {path: relative}
  - {content: x}
  - {path: /x, permissions: 0888}
  - {path: /x, encoding: rot13}
  - {path: /x, encoding: b64, content: '*'}
runcmd: echo
stages:
  boot: {name: x}
  network:
    - only_os: '('
      dns: {nameservers: ['a b']}
      commands: [[x]]
";
    insta::assert_snapshot!(problems(text), @r#"
    90.yaml:2:11: 'hostname' must be a text, not a list
    90.yaml:3:9: 'users[0]' has no name
    90.yaml:3:22: 'a b' can't be the name of an account or group: a letter or '_', then letters, digits, '_', '-', '.', 32 at most
    90.yaml:3:52: 'users[2].uid' must be a number from 0
    90.yaml:3:62: 'users[2].sudo' must be a rule, such as 'ALL=(ALL) ALL'
    90.yaml:3:76: ':' can't be the name of an account or group: a letter or '_', then letters, digits, '_', '-', '.', 32 at most
    90.yaml:4:17: 'install.auto' must be a boolean, not a text
    90.yaml:6:12: 'write_files[0].path' must be an absolute path
    90.yaml:7:5: 'write_files[1]' has no path
    90.yaml:8:29: 'write_files[2].permissions' must be permission bits, such as "0644"
    90.yaml:9:5: 'write_files[3].content': the encoding 'rot13' is not known
    90.yaml:10:5: 'write_files[4].content': it is no base64: Invalid symbol 42, offset 0.
    90.yaml:11:9: 'runcmd' must be a list, not a text
    90.yaml:13:9: 'stages.boot' must be a list, not a map
    90.yaml:15:7: 'stages.network[0].only_os' is no pattern: error: unclosed group
    90.yaml:16:12: each entry of 'stages.network[0].dns' must be one word
    90.yaml:17:18: 'stages.network[0].commands[0]' must be a text, not a list
    "#);
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    insta::assert_snapshot!(problems("a: 1\na: 2\n"), @r#"90.yaml:2:1: duplicate mapping key: a not allowed here"#);
    insta::assert_snapshot!(problems("stages:\n  boot:\n   - name: [x\nb: 1\n"), @r#"90.yaml:4:2: illegal placement of ':' indicator"#);
    insta::assert_snapshot!(problems("#!/bin/sh\necho\n"), @r#"90.yaml:2:1: the file must be a map, not a text"#);
}

#[test]
fn passwords_do_not_show() {
    let document =
        parse("users: [{name: a, passwd: $6$secret$x}, {name: b, plain_text_passwd: secret}]");
    assert!(!format!("{document:?}").contains("secret"));
}

#[test]
fn what_is_wrong_takes_only_its_own_part_away() {
    let text = "hostname: [a]
users: [{name: a, passwd: $6$x$y}, {name: b, lock_passwd: maybe}]
write_files: [{path: /x, append: maybe}, {path: /y}]
stages:
  boot:
    - {name: one, if: [x], commands: [rm]}
    - {name: two, commands: [echo]}
";
    let (document, problems) = Document::salvage("x", text);
    assert_eq!(problems.len(), 4);
    assert_eq!(document.hostname, None);
    let users: Vec<&str> = document.users.iter().map(|u| u.name.as_str()).collect();
    assert_eq!(users, ["a"]);
    let files: Vec<&str> = document
        .write_files
        .iter()
        .map(|f| f.path.as_str())
        .collect();
    assert_eq!(files, ["/y"]);
    let steps: Vec<&str> = document.stages["boot"]
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(steps, ["two"]);
    assert!(Document::parse("x", text).is_err());
}

#[test]
fn damaged_texts_give_problems_and_nothing_worse() {
    let source: Vec<char> = "#cloud-config
hostname: a-{{ trunc 4 .MachineID }}
users: [default, {name: a, passwd: $6$x, uid: 7, groups: 'a, b', sudo: [x]}]
write_files:
  - {path: /x, permissions: 0644, encoding: gz+b64, content: H4sIAAAAAAAAA8tIzcnJBwCGphA2BQAAAA==}
runcmd: [[a, b], c]
stages:
  initramfs.after:
    - name: &n one
      only_os: 'x.*'
      if_files: {any: [/x]}
      dns: {nameservers: [9.9.9.9]}
      files: [{path: /y, permissions: '0600', ownerstring: 'a:b', encoding: b64, content: AAEC}]
      systemctl: {overrides: [{service: a, content: x}]}
    - {name: *n, timesyncd: {NTP: x}, environment: {A: ~}}
"
    .chars()
    .collect();
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let (mut whole, mut damaged) = (0, 0);
    for _ in 0..2000 {
        let mut text = source.clone();
        for _ in 0..=random.usize(..4) {
            let at = random.usize(..text.len());
            match random.usize(..3) {
                0 => {
                    text[at] =
                        ['{', ']', '&', '*', ':', '\n', '"', '|', '-', '\0'][random.usize(..10)]
                }
                1 => drop(text.remove(at)),
                _ => text.insert(
                    at,
                    ['\n', ' ', '<', '!', '%', '?', '\t', 'ä'][random.usize(..8)],
                ),
            }
        }
        let text: String = text.into_iter().collect();
        let (document, problems) = Document::salvage("x", &text);
        assert!(problems.iter().all(|p| p.line > 0 && p.column > 0));
        assert!(document.unknown().iter().all(|u| u.line > 0));
        if problems.is_empty() {
            whole += 1
        } else {
            damaged += 1
        }
    }
    assert!(
        whole > 200 && damaged > 200,
        "{whole} whole, {damaged} damaged"
    );
}

#[test]
fn a_value_that_does_not_hold_is_left_out_alone() {
    let text = "hostname: edge_1
users: [{name: a}, {name: b, passwd: ''}, {name: c, shell: '/bin/sh:x'}]
stages:
  boot:
    - hostname: -x
      users: {d: {passwd: ''}, e: {}}
      environment: {1A: x, B: b}
      sysctl: {'a b': 1, c: 1}
      commands: [keep]
      files: [{path: /.}, {path: /f}]
";
    insta::assert_snapshot!(problems(text), @r#"
    90.yaml:1:11: 'hostname': 'edge_1' can't be a host's name: letters, digits and '-', in parts of 63 at most with dots between, 64 in all
    90.yaml:2:38: 'users[1].passwd': a password is 1 to 512 bytes without a zero byte
    90.yaml:2:60: 'users[2].shell': the shell of 'c' holds a ':' or a control character
    90.yaml:5:17: 'stages.boot[0].hostname': '-x' can't be a host's name: letters, digits and '-', in parts of 63 at most with dots between, 64 in all
    90.yaml:6:27: 'stages.boot[0].users.d.passwd': a password is 1 to 512 bytes without a zero byte
    90.yaml:7:21: 'stages.boot[0].environment': '1A' can't be written on a line
    90.yaml:8:16: 'stages.boot[0].sysctl': 'a b' can't be written on a line
    90.yaml:10:22: 'stages.boot[0].files[0].path': '/.' ends in no name
    "#);
    let (document, _) = Document::salvage("90.yaml", text);
    assert_eq!(document.hostname, None);
    let names = |users: &[User]| users.iter().map(|u| u.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&document.users), ["a"]);
    let step = &document.stages["boot"][0];
    assert_eq!(step.hostname, None);
    assert_eq!(names(&step.users), ["e"]);
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(step.environment, [pair("B", "b")]);
    assert_eq!(step.sysctl, [pair("c", "1")]);
    assert_eq!(step.commands, ["keep"]);
    assert_eq!(step.files.len(), 1);
}

#[test]
fn a_hosts_name_is_held_to_what_its_patterns_stand_for() {
    for name in ["edge-{{ trunc 4 .MachineID }}", "a.b", "{{ .MachineID }}"] {
        let document = parse(&format!("hostname: '{name}'"));
        assert_eq!(document.hostname.as_deref(), Some(name));
    }
    for name in [
        "",
        "-a",
        "a..b",
        "a_b",
        "{{ upper .MachineID }}",
        "a-{{ .MachineID }}-{{ .MachineID }}",
    ] {
        assert!(problems(&format!("hostname: '{name}'")).contains("can't be a host's name"));
    }
}
