//! The default template, with all that a profile can say.

use super::*;

fn render(values: &Value, secrets: &Secrets) -> Result<CloudConfig> {
    render_for(Flavor::Kairos, values, secrets)
}

fn render_for(flavor: Flavor, values: &Value, secrets: &Secrets) -> Result<CloudConfig> {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::new(dir.path());
    let engine = Engine::new(&project).unwrap();
    load(
        &project,
        TEMPLATE,
        &engine,
        &Context::new(values).unwrap(),
        secrets,
        flavor,
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
        "network": {
            "files": [
                {"path": "/etc/systemd/network/11-appliance-lan.network", "private": false,
                 "content": "[Match]\nName=eth1\n"},
                {"path": "/etc/NetworkManager/system-connections/x", "private": true,
                 "content": "[connection]\n"},
            ],
            "ntp": ["a.ntp", "b.ntp"],
        },
        "vars": {
            "hostname": "edge-{{ trunc 4 .MachineID }}",
            "users": [
                {"name": "admin", "passwd": "$6$a$b", "ssh_keys": ["ssh-ed25519 AAAA x"]},
                {"name": "ops", "groups": ["adm", "sudo"], "shell": "/bin/bash"},
            ],
            "dns": ["9.9.9.9"],
            "proxy": {"http": "http://p:1", "https": "http://p:2", "no": "localhost,.svc"},
            "ntp": ["c.ntp"],
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
        - name: "Accounts of this appliance"
          users:
            "admin":
              passwd: "$6$a$b"
              groups: ["admin"]
              ssh_authorized_keys: ["ssh-ed25519 AAAA x"]
            "ops":
              lock_passwd: true
              groups: ["adm", "sudo"]
              shell: "/bin/bash"
        - name: "Settings of this appliance"
          files:
            - path: "/etc/systemd/network/11-appliance-lan.network"
              permissions: 0644
              owner: 0
              group: 0
              content: "[Match]\nName=eth1\n"
            - path: "/etc/NetworkManager/system-connections/x"
              permissions: 0600
              owner: 0
              group: 0
              content: "[connection]\n"
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
        values["os"]["flavor"] = "kairos".into();
        let config = render(&values, &Secrets::default()).unwrap();
        assert_eq!(keys(&config.text), expected, "{}", config.text);
        let parsed: Value = serde_saphyr::from_str(&config.text).unwrap();
        let users = &parsed["stages"]["initramfs"][0]["users"];
        assert!(users.get(format!("admin{with}")).is_some(), "{users}");
        assert_eq!(
            parsed["stylus"]["site"]["edgeHostToken"],
            format!("t0ken-value{with}")
        );
    }
}

#[test]
fn the_default_template_writes_what_its_flavor_acts_on() {
    let secrets = Secrets::default();
    // Kairos takes accounts at the root in stage `boot`, after the login prompt.
    let config = render(&everything(), &secrets).unwrap();
    assert!(config.has_admin);
    let document = Document::parse("x", &config.text).unwrap();
    assert_eq!(document.users, []);
    let mut values = everything();
    values["os"]["flavor"] = "appliance".into();
    let config = render_for(Flavor::Appliance, &values, &secrets).unwrap();
    assert_eq!(config.warnings, [] as [String; 0]);
    let document = Document::parse("x", &config.text).unwrap();
    assert_eq!(document.unknown(), []);
    let names: Vec<&str> = document.users.iter().map(|u| u.name.as_str()).collect();
    assert_eq!(names, ["admin", "ops"]);
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
