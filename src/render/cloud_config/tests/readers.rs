//! What the readers of each flavor refuse or read in another way.

use super::*;

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
