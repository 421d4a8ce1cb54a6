use serde_json::{Value, json};

use super::*;
use crate::render::Secret;

mod readers;
mod template;

fn check(file: &str, text: &str) -> Result<Vec<String>> {
    let checked = checked(file, text, Flavor::Kairos);
    let checked = checked.map_err(|refusal| refused(&refusal, &Secrets::default(), false))?;
    Ok(checked.warnings)
}

const TEMPLATE: &str = "templates/cloud-config.yaml.tera";

fn warnings(text: &str) -> Vec<String> {
    check("user-data", text).unwrap()
}

fn problems(text: &str) -> String {
    let error = check("user-data", text).unwrap_err();
    assert_eq!(error.class(), Class::Profile);
    error.to_string()
}

/// In the vocabulary of CanvOS, with its habits: comments, quotes of all
/// kinds, octal modes, anchors, block texts.
const USER_DATA: &str = r##"#cloud-config
# user-data of an edge host
stylus:
  managementMode: central
  debug: false
  disableTui: "true"
  localUI:
    port: 5080
    login: {maxFailedAttemptsBeforeLockout: 5, disableRateLimiting: no}
  externalRegistries:
    registries:
      - domain: "10.0.0.1/images"
        username: admin
        insecure: true
        certificates: ["-----BEGIN CERTIFICATE-----"]
    registryMappingRules:
      gcr.io/x: "10.0.0.1/x"
  site:
    paletteEndpoint: api.example.com
    edgeHostToken: 0123456789abcdef
    name: edge-$random
    projectName: Default
    insecureSkipVerify: false
    caCerts:
      - |
        -----BEGIN CERTIFICATE-----
        MIIB
        -----END CERTIFICATE-----
    tags:
      env: prod
      number: 7
    tagsFromScript: {scriptName: /etc/tags.sh, timeout: 60}
    network:
      httpProxy: http://proxy.example:3128
      interfaces:
        eth0: {type: static, ipAddress: 10.0.0.5, mask: 255.255.255.0, gateway: 10.0.0.1}
install:
  device: /dev/sda
  poweroff: true
  bind_mounts: [/var/opt]
  grub_options:
    extra_cmdline: "selinux=0"
  partitions:
    persistent: {size: 0, fs: ext4}
stages:
  initramfs:
    - &step
      name: "Users"
      if: '[ "$(hostname)" != "x" ]'
      users:
        kairos:
          groups: [sudo]
          passwd: $6$salt$hash
      files:
        - path: /etc/x
          permissions: 0644
          owner: 0
          group: 0
          content: |
            yes
  after-install.after:
    - commands: ['sysctl -w vm.swappiness=0']
      only_os: "ubuntu.*"
  boot:
    - *step
"##;

#[test]
fn a_canvos_user_data_file_is_taken_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    // Carriage returns, odd spaces and missing newlines are the user's own.
    let text = format!("{USER_DATA}# the end \t{{{{ not a template }}}}\r\n\n  ");
    fs_err::write(dir.path().join("user-data"), &text).unwrap();
    let project = Project::new(dir.path());
    let engine = Engine::new(&project).unwrap();
    let context = Context::new(&json!({})).unwrap();
    let config = load(
        &project,
        "user-data",
        &engine,
        &context,
        &Secrets::default(),
        Flavor::Kairos,
    )
    .unwrap();
    assert_eq!(config.text, text);
    assert_eq!(config.warnings, [] as [String; 0]);
}

#[test]
fn the_header_must_be_there() {
    for text in [
        "#cloud-config",
        "#cloud-config\n",
        "# ours\n\n#kairos-config\nhostname: x\n",
        "#node-config  \r\n",
    ] {
        assert!(check("f", text).is_ok(), "{text}");
    }
    let late = format!("{}#cloud-config\n", "# ours\n".repeat(9));
    assert!(checked("f", &late, Flavor::Appliance).is_ok());
    for text in [
        "",
        &late,
        "hostname: x\n",
        "#cloud-configs\n",
        "hostname: x\n#cloud-config\n",
        "# cloud-config\n",
    ] {
        assert!(
            problems(text).starts_with("user-data:1:1: the first comment lines"),
            "{text}"
        );
    }
}

#[test]
fn syntax_errors_and_duplicate_keys_have_their_place() {
    insta::assert_snapshot!(problems("#cloud-config\nhostname: a\nusers: []\nhostname: b\n"), @r#"user-data:4:1: duplicate mapping key: hostname not allowed here"#);
    insta::assert_snapshot!(problems("#cloud-config\nstages:\n  boot:\n   - name: [x\nb: 1\n"), @r#"user-data:5:2: illegal placement of ':' indicator"#);
    insta::assert_snapshot!(problems("#cloud-config\nhostname: {{ .MachineID }}\n"), @r#"user-data:2:11: 'hostname' must be a text, not a map (put '{{ … }}' in quotes)"#);
    insta::assert_snapshot!(problems("#cloud-config\n- a\n"), @r#"user-data:2:1: the file must be a map, not a list"#);
}

#[test]
fn wrong_types_are_all_reported_with_their_places() {
    let text = "#cloud-config
hostname: [a]
users: name
ssh_authorized_keys: ssh-ed25519 AAAA
install:
  auto: maybe
  device: {a: b}
  partitions:
    oem: {size: big}
stages:
  boot:
    name: no list
  network:
    - commands: echo
    - files: [{path: [x]}]
";
    insta::assert_snapshot!(problems(text), @r#"
    user-data:2:11: 'hostname' must be a text, not a list
    user-data:3:8: 'users' must be a list or a map, not a text
    user-data:4:22: 'ssh_authorized_keys' must be a list, not a text
    user-data:6:9: 'install.auto' must be a boolean, not a text
    user-data:7:11: 'install.device' must be a text, not a map
    user-data:9:17: 'install.partitions.oem.size' must be a number, not a text
    user-data:12:5: 'stages.boot' must be a list, not a map
    user-data:14:17: 'stages.network[0].commands' must be a list, not a text
    user-data:15:22: 'stages.network[1].files[0].path' must be a text, not a list
    "#);
}

#[test]
fn unknown_keys_are_warnings_with_the_nearest_known() {
    let text = "#cloud-config
hostnme: a
packages: [vim]
mine: 1
stylus:
  site: {paletteEndpiont: x}
stages:
  initramf:
    - command: [x]
  my-own-stage:
    - name: x
install: {reboot: true, poweroff: true}
users:
  - name: a
    passwd: hunter2
---
second: document
";
    insta::assert_snapshot!(warnings(text).join("\n"), @r#"
    user-data:1:1: readers take the first of its YAML documents and ignore the others
    user-data:2:1: nothing is known to act on 'hostnme'; is 'hostname' meant?
    user-data:3:1: 'packages' is known to cloud-init, but Kairos does nothing about it
    user-data:4:1: nothing is known to act on 'mine'
    user-data:6:10: nothing is known to act on 'stylus.site.paletteEndpiont'; is 'paletteEndpoint' meant?
    user-data:8:3: nothing is known to act on 'stages.initramf'; is 'initramfs' meant?
    user-data:9:7: nothing is known to act on 'stages.initramf[0].command'; is 'commands' meant?
    user-data:12:35: 'install.reboot' and 'install.poweroff' are both on; one of them is ignored
    user-data:15:13: 'passwd' is a password in plain text; use a hash (`openssl passwd -6`)
    "#);
}

#[test]
fn a_file_that_readers_skip_for_its_size_is_refused() {
    let text = format!("#cloud-config\n#{}\n", "x".repeat(MAX_BYTES));
    assert!(problems(&text).contains("1000000 at most"));
}

#[test]
fn alias_bombs_and_deep_nesting_are_stopped() {
    let mut bomb = "#cloud-config\na: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for pair in ["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi", "ij"] {
        let (from, to) = pair.split_at(1);
        bomb.push_str(&format!(
            "{to}: &{to} [{}]\n",
            vec![format!("*{from}"); 9].join(",")
        ));
    }
    assert!(check("f", &bomb).is_err());
    let deep = format!(
        "#cloud-config\nruncmd: {}{}\n",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    assert!(check("f", &deep).is_err());
}

#[test]
fn damaged_texts_give_errors_or_warnings_and_nothing_worse() {
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let mut below = |n: usize| random.usize(..n);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..3000 {
        let mut text: Vec<char> = USER_DATA.chars().collect();
        for _ in 0..=below(4) {
            let at = 14 + below(text.len() - 14);
            match below(3) {
                0 => {
                    text[at] = [
                        '{', '}', '[', '&', '*', ':', '\n', ' ', '"', '|', '\u{85}', '-',
                    ][below(12)]
                }
                1 => drop(text.remove(at)),
                _ => text.insert(
                    at,
                    ['\n', ' ', '<', '!', '%', '?', '\t', '\u{feff}'][below(8)],
                ),
            }
        }
        let text: String = text.into_iter().collect();
        match checked("f", &text, Flavor::Kairos) {
            Ok(_) => accepted += 1,
            Err(Refusal { problems, .. }) => {
                assert!(problems.iter().all(|p| p.line > 0 && p.column > 0));
                refused += 1;
            }
        }
    }
    assert!(
        accepted > 200 && refused > 200,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn what_is_said_of_a_text_holds_no_secret() {
    let secret = crate::render::Secret {
        name: "vars.token".to_owned(),
        value: "hunter2-in-the-wild".to_owned(),
    };
    let problems = [Remark {
        document: "x".to_owned(),
        line: 1,
        column: 1,
        message: "found 'hunter2-in-the-wild' here".to_owned(),
    }];
    let refusal = Refusal::from(problems.to_vec());
    let shown = refused(&refusal, &Secrets::new([secret]), true).to_string();
    assert!(shown.contains("<secret vars.token>"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
