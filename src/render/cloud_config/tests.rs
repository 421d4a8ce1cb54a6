use serde_json::{Value, json};

use super::*;
use crate::render::Secret;

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

fn render(values: &Value, secrets: &Secrets) -> Result<CloudConfig> {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::new(dir.path());
    let engine = Engine::new(&project).unwrap();
    load(
        &project,
        TEMPLATE,
        &engine,
        &Context::new(values).unwrap(),
        secrets,
        Flavor::Kairos,
    )
}

#[test]
fn the_default_template_needs_a_name_and_a_version_alone() {
    let values = json!({"appliance": {"name": "a", "version": "1"}});
    let config = render(&values, &Secrets::default()).unwrap();
    assert_eq!(config.warnings, [] as [String; 0]);
    insta::assert_snapshot!(config.text, @r#"
    #cloud-config
    # "a" "1"
    install:
      device: "auto"
      auto: false
      reboot: true
      poweroff: false
    stylus:
      managementMode: "local"
      site:
    stages:
      initramfs:
        - name: "Settings of this appliance"
    "#);
    let error = render(&json!({}), &Secrets::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("templates/cloud-config.yaml.tera:"),
        "{error}"
    );
}

#[test]
fn sections_that_the_profile_does_not_have_may_be_null() {
    let values = json!({
        "appliance": {"name": "a", "version": "1", "mode": "local"},
        "registration": null, "cni": null, "vars": {},
        "install": {"device": "auto", "mode": "interactive", "after": "reboot"},
    });
    let absent = json!({"appliance": {"name": "a", "version": "1"}});
    let text = |values| render(&values, &Secrets::default()).unwrap().text;
    assert_eq!(text(values), text(absent));
}

fn everything() -> Value {
    json!({
        "appliance": {"name": "edge", "version": "1.0.0", "mode": "central"},
        "os": {"flavor": "kairos"},
        "install": {
            "device": "/dev/vda", "mode": "unattended", "after": "poweroff",
            "cmdline": ["console=ttyS0", "audit=1"],
        },
        "registration": {"endpoint": "api.example.com", "token": "t0ken-value"},
        "vars": {
            "hostname": "edge-{{ trunc 4 .MachineID }}",
            "users": [
                {"name": "admin", "passwd": "$6$a$b", "ssh_keys": ["ssh-ed25519 AAAA x"]},
                {"name": "ops", "groups": ["adm", "sudo"], "shell": "/bin/bash"},
            ],
            "network": {
                "eth0": {"dhcp": true},
                "eth1": {"address": "10.0.0.5/24", "gateway": "10.0.0.1", "dns": ["10.0.0.2"]},
            },
            "dns": ["9.9.9.9"],
            "proxy": {"http": "http://p:1", "https": "http://p:2", "no": "localhost,.svc"},
            "ntp": ["a.ntp", "b.ntp"],
            "project": "Default",
            "tags": {"env": "on"},
            "stages": {
                "initramfs": [{"name": "mine", "commands": ["true"]}],
                "boot": [{"name": "later", "hostname": "x"}],
            },
        },
    })
}

#[test]
fn the_default_template_covers_what_a_site_needs() {
    let config = render(&everything(), &Secrets::default()).unwrap();
    assert_eq!(config.warnings, [] as [String; 0]);
    insta::assert_snapshot!(config.text, @r#"
    #cloud-config
    # "edge" "1.0.0"
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
      grub_options:
        extra_cmdline: "console=ttyS0 audit=1"
    stylus:
      managementMode: "central"
      site:
        paletteEndpoint: "api.example.com"
        edgeHostToken: "t0ken-value"
        projectName: "Default"
        tags: {"env": "on"}
        ntpServers: ["a.ntp", "b.ntp"]
        network:
          httpProxy: "http://p:1"
          httpsProxy: "http://p:2"
          noProxy: "localhost,.svc"
    stages:
      initramfs:
        - name: "Settings of this appliance"
          files:
            - path: "/etc/systemd/network/20-eth0.network"
              permissions: 0644
              owner: 0
              group: 0
              content: "[Match]\nName=eth0\n\n[Network]\nDHCP=yes\nDNS=9.9.9.9\n"
            - path: "/etc/systemd/network/20-eth1.network"
              permissions: 0644
              owner: 0
              group: 0
              content: "[Match]\nName=eth1\n\n[Network]\nAddress=10.0.0.5/24\nGateway=10.0.0.1\nDNS=10.0.0.2\n"
          dns:
            nameservers: ["9.9.9.9"]
          timesyncd:
            NTP: "a.ntp b.ntp"
          environment:
            HTTP_PROXY: "http://p:1"
            http_proxy: "http://p:1"
            HTTPS_PROXY: "http://p:2"
            https_proxy: "http://p:2"
            NO_PROXY: "localhost,.svc"
            no_proxy: "localhost,.svc"
        - name: "mine"
          commands:
            - "true"
      "boot":
        - name: "later"
          hostname: "x"
    "#);
}

/// Replaces every text in `value`.
fn poison(value: &mut Value, with: &str) {
    match value {
        Value::String(text) => *text = format!("{text}{with}"),
        Value::Array(items) => items.iter_mut().for_each(|v| poison(v, with)),
        Value::Object(entries) => entries.values_mut().for_each(|v| poison(v, with)),
        _ => {}
    }
}

#[test]
fn no_value_breaks_out_of_the_default_template() {
    let keys = |text: &str| -> Vec<String> {
        let parsed: Value = serde_saphyr::from_str(text).unwrap();
        parsed.as_object().unwrap().keys().cloned().collect()
    };
    let expected = keys(&render(&everything(), &Secrets::default()).unwrap().text);
    for with in [
        "\nevil: true\n",
        "\"\nevil: true",
        "'",
        "\": {",
        " #",
        "\n---\n",
        "\u{2028}evil: 1",
    ] {
        let mut values = everything();
        poison(&mut values, with);
        let config = render(&values, &Secrets::default()).unwrap();
        assert_eq!(keys(&config.text), expected, "{}", config.text);
        let parsed: Value = serde_saphyr::from_str(&config.text).unwrap();
        assert_eq!(parsed["users"][0]["name"], format!("admin{with}"));
        assert_eq!(
            parsed["stylus"]["site"]["edgeHostToken"],
            format!("t0ken-value{with}")
        );
    }
}

#[test]
fn a_secret_that_lands_on_the_iso_is_told() {
    let secrets = Secrets::new([Secret {
        name: "registration.token".to_owned(),
        value: "t0ken-value\n".to_owned(),
    }]);
    let config = render(&everything(), &secrets).unwrap();
    assert_eq!(
        config.warnings,
        [
            "the secret 'registration.token' can be read in /config.yaml on the ISO by anyone who has it"
        ]
    );
}

#[test]
fn plain_passwords_are_told() {
    let mut values = everything();
    values["vars"]["users"][0]["passwd"] = "hunter2".into();
    let config = render(&values, &Secrets::default()).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].to_string().contains("plain text"));
    assert!(!config.warnings[0].to_string().contains("hunter2"));
}

#[test]
fn every_variable_of_the_default_template_is_documented() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs_err::read_to_string(root.join("docs/templates.md")).unwrap();
    let template = fs_err::read_to_string(root.join(TEMPLATE)).unwrap();
    let mut seen = 0;
    for section in ["vars.", "install.", "registration.", "appliance."] {
        for (at, _) in template.match_indices(section) {
            let rest = &template[at + section.len()..];
            let end = rest
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(rest.len());
            let name = format!("`{section}{}`", &rest[..end]);
            assert!(docs.contains(&name), "docs/templates.md lacks {name}");
            seen += 1;
        }
    }
    assert!(seen > 10);
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

#[test]
fn in_flavor_appliance_the_machines_own_reader_checks() {
    let text = "#cloud-config\nk3s: {}\nstylus: {debug: true}\nstages:\n  boot:\n    - only_os: \"(\"\n    - files: [{content: x}]\n  reconcile: []\n";
    assert!(check("f", text).is_ok());
    let check = |text: &str| {
        let checked = checked("f", text, Flavor::Appliance);
        checked.map(|checked| checked.warnings)
    };
    let refused = refused(&check(text).unwrap_err(), &Secrets::default(), true).to_string();
    assert!(
        refused.contains("f:6:7: 'stages.boot[0].only_os' is no pattern"),
        "{refused}"
    );
    assert!(
        refused.contains("f:7:15: 'stages.boot[1].files[0]' has no path"),
        "{refused}"
    );
    let text = "#cloud-config\nk3s: {}\nstylus: {debug: true}\nstages:\n  reconcile: []\n";
    let told: Vec<String> = check(text)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = [
        "f:2:1: nothing here acts on 'k3s'",
        "f:5:3: no stage 'reconcile' is run here",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_the_machine_refuses_is_refused_here_with_its_words_and_places() {
    for body in [
        "hostname: edge_7",
        "hostname: '{{ upper .MachineID }}'",
        "users: [{name: '7up'}]",
        "users: [{name: ops, passwd: ''}]",
        "users: [{name: ops, gecos: 'a:b'}]",
        "users: {ops: {plain_text_passwd: \"a\\0b\"}}",
        "users: [{name: ops, primary_group: '+'}]",
        "write_files: [{path: /srv/x, permissions: rwx}]",
        "write_files: [{path: /srv/x, encoding: uu}]",
        "write_files: [{path: /srv/x, encoding: b64, content: '?'}]",
        "write_files: [{path: srv/x}]",
        "write_files: [{path: /srv/..}]",
        "stages: {boot: [{environment: {1A: x}}]}",
        "stages: {boot: [{sysctl: {'a b': 1}}]}",
        "stages: {boot: [{timesyncd: {NTP: \"a\\nb\"}}]}",
        "stages: {boot: [{systemd_firstboot: {Locale: C}}]}",
        "stages: {initramfs: [{hostname: '-'}]}",
    ] {
        let text = format!("#cloud-config\n{body}\n");
        let here = checked("90.yaml", &text, Flavor::Appliance);
        let (_, there) = Document::salvage("90.yaml", &text);
        assert_eq!(there.len(), 1, "{body}: {there:?}");
        assert_eq!(here.err().map(|r| r.problems), Some(there), "{body}");
    }
}

#[test]
fn kairos_refuses_a_text_for_one_value_of_another_type() {
    let text = "#cloud-config
users:
- default
- {name: ops, groups: 'adm, admin', lock_passwd: 'true'}
runcmd:
- [touch, /srv/x]
write_files:
- {path: /srv/a, permissions: 0o600}
- {path: /srv/b, permissions: rw}
- {path: /srv/c, permissions: 0600}
stages:
  initramfs:
  - users:
      ops: {groups: admin, system: yes, no_create_home: Yes}
    files:
    - {path: /srv/d, owner: root, group: 0, permissions: '0600'}
    - {path: /srv/e, owner: 0, permissions: 0600}
";
    insta::assert_snapshot!(problems(text), @r#"
    user-data:3:3: 'users[0]' must be a map, not a text: Kairos ignores the whole file for it
    user-data:4:23: 'users[1].groups' must be a list, not a text: Kairos ignores the whole file for it
    user-data:4:50: 'users[1].lock_passwd' must be a boolean without quotes, not 'true': Kairos ignores the whole file for it
    user-data:6:3: 'runcmd[0]' must be a text, not a list: Kairos ignores the whole file for it
    user-data:8:31: 'write_files[0].permissions' must be an octal number such as "0644", not '0o600': Kairos ignores the whole file for it
    user-data:9:31: 'write_files[1].permissions' must be an octal number such as "0644", not 'rw': Kairos ignores the whole file for it
    user-data:14:21: 'stages.initramfs[0].users.ops.groups' must be a list, not a text: Kairos ignores all stages for it
    user-data:14:57: 'stages.initramfs[0].users.ops.no_create_home' must be a boolean without quotes, not 'Yes': Kairos ignores all stages for it
    user-data:16:29: 'stages.initramfs[0].files[0].owner' must be a number without quotes, not 'root': Kairos ignores all stages for it
    user-data:16:58: 'stages.initramfs[0].files[0].permissions' must be a number without quotes, not '0600': Kairos ignores all stages for it
    "#);
    let right = "#cloud-config
users: [{name: ops, groups: [admin], lock_passwd: no}]
runcmd: [touch /srv/x]
write_files: [{path: /srv/a, permissions: '0600'}, {path: /srv/b, permissions: 0600}]
stages: {boot: [{users: {ops: {groups: [admin]}}, files: [{path: /srv/e, owner: 0, group: 0, permissions: 0600}]}]}
";
    assert_eq!(warnings(right), [] as [String; 0]);
    // A map of accounts at the root is ours alone.
    let map = "#cloud-config\nusers: {ops: {groups: [admin]}}\n";
    assert!(problems(map).contains("'users' must be a list"));
    assert!(checked("f", map, Flavor::Appliance).is_ok());
}

#[test]
fn permissions_that_are_read_in_two_ways_are_told() {
    let text = "#cloud-config
write_files: [{path: /srv/a, permissions: 640}, {path: /srv/b, permissions: 0640}]
stages:
  boot:
  - files: [{path: /srv/c, permissions: 640}, {path: /srv/d, permissions: 416}]
    directories: [{path: /srv/e, permissions: 750}]
";
    insta::assert_snapshot!(warnings(text).join("\n"), @r#"
    user-data:2:43: 'permissions: 640' is octal for Kairos and the number, 1200, for others; write "0640" or "1200"
    user-data:5:41: 'permissions: 640' is the number, 1200 in octal; write 0640 if that is meant
    user-data:6:47: 'permissions: 750' is the number, 1356 in octal; write 0750 if that is meant
    "#);
}

#[test]
fn passwords_in_plain_text_are_told_wherever_accounts_stand() {
    let text = "#cloud-config
users: [{name: a, plain_text_passwd: sesame}]
stylus: {site: {users: [{name: b, passwd: sesame}]}}
stages:
  initramfs:
  - users:
      c: {groups: [admin], passwd: 12345}
      d: {passwd: $6$x$y}
      e: {passwd: '!'}
";
    let told = warnings(text);
    assert_eq!(told.len(), 3, "{told:?}");
    for (told, place) in told.iter().zip(["2:38", "3:43", "7:36"]) {
        assert!(told.starts_with(&format!("user-data:{place}: ")), "{told}");
        assert!(told.contains("plain text") && !told.contains("sesame"));
    }
}

#[test]
fn a_template_language_that_nobody_renders_is_told() {
    let text = "## template: jinja
#cloud-config
write_files:
- path: /srv/zone
  content: 'zone {{ v1.availability_zone }}, {{ .MachineID }}'
";
    let expected = [
        "f:1:1: nobody renders Jinja here: what stands in its braces stays as it is",
        "f:5:12: nobody fills in '{{ v1.availability_zone }}'",
    ];
    for flavor in [Flavor::Kairos, Flavor::Appliance] {
        let told = checked("f", text, flavor).unwrap().warnings;
        assert_eq!(told, expected, "{flavor:?}");
    }
    let (document, _) = Document::salvage("f", text);
    let told: Vec<String> = document.unknown().iter().map(ToString::to_string).collect();
    assert_eq!(told, expected);
    let plain = "#cloud-config\nruncmd: [\"docker ps --format '{{ json . }}'\"]\n";
    assert_eq!(warnings(plain), [] as [String; 0]);
}

#[test]
fn hints_are_for_the_file_that_was_given() {
    let hint = |text: &str, is_template| {
        let refusal = checked("f", text, Flavor::Kairos).err().unwrap();
        let failure = refused(&refusal, &Secrets::default(), is_template);
        failure.hint().unwrap_or_default()
    };
    let headless = "stages:\n  boot: []\n";
    assert!(hint(headless, false).contains("'#cloud-config' as the first line"));
    let marked = format!("\u{feff}#cloud-config\n{headless}");
    assert!(hint(&marked, false).contains("without a byte order mark"));
    assert!(checked("f", &marked, Flavor::Appliance).is_ok());
    let wrong = "#cloud-config\nhostname: [x]\n";
    assert_eq!(hint(wrong, false), "");
    assert!(hint(wrong, true).contains("rendered"));
}

#[test]
fn keys_that_the_vendor_has_are_known() {
    let text = "#cloud-config\nstylus: {skipKubeVip: true, twoNode: {enabled: false}, vip: {skip: true}}\n";
    assert_eq!(warnings(text), [] as [String; 0]);
}
