use insta::assert_snapshot;
use isoforge_contract::machine::{After, DefaultAccount};

use super::*;
use crate::install::model::StaticAddress;
use crate::testing::config;
use isoforge_contract::cloud::Document;

fn choices() -> Choices {
    Choices {
        disk: "/dev/sda".into(),
        account: None,
        hostname: None,
        network: None,
        after: After::None,
    }
}

fn told(config: &Config, choices: &Choices) -> String {
    files(config, &Site::default(), choices)
        .unwrap()
        .iter()
        .map(|(name, text)| {
            let document = Document::parse(name, text).unwrap();
            assert!(document.unknown().is_empty(), "{:?}", document.unknown());
            format!("== {name}\n{text}")
        })
        .collect()
}

#[test]
fn what_was_chosen_is_a_cloud_config() {
    let mut choices = choices();
    choices.hostname = Some("0644".to_owned());
    choices.account = Some(Account {
        name: "ops".to_owned(),
        password_hash: Some("$6$salt$hash".to_owned()),
        ssh_keys: vec!["ssh-ed25519 AAAA ops".to_owned()],
    });
    choices.network = Some(Network {
        interface: "ens3".to_owned(),
        address: Some(StaticAddress {
            cidr: "192.0.2.5/24".to_owned(),
            gateway: "192.0.2.1".to_owned(),
        }),
        dns: vec!["192.0.2.53".to_owned()],
    });
    assert_snapshot!(told(&config(), &choices), @r#"
    == 90_installer.yaml
    #cloud-config
    # What was chosen at the installation.
    hostname: "0644"
    users:
    - name: ops
      passwd: $6$salt$hash
      lock_passwd: false
      groups:
      - admin
      ssh_authorized_keys:
      - ssh-ed25519 AAAA ops
    stages:
      initramfs:
      - name: Network as chosen at the installation
        files:
        - path: /etc/systemd/network/05-chosen-ens3.network
          permissions: "0644"
          owner: 0
          group: 0
          content: |
            [Match]
            Name=ens3
            
            [Network]
            Address=192.0.2.5/24
            Gateway=192.0.2.1
            DNS=192.0.2.53
    "#);
}

#[test]
fn nothing_chosen_writes_nothing() {
    assert_eq!(told(&config(), &choices()), "");
}

#[test]
fn an_account_without_password_is_locked_and_dhcp_is_asked_for() {
    let mut choices = choices();
    choices.account = Some(Account {
        name: "ops".to_owned(),
        password_hash: None,
        ssh_keys: vec!["ssh-ed25519 AAAA".to_owned()],
    });
    choices.network = Some(Network {
        interface: "eth0".to_owned(),
        address: None,
        dns: Vec::new(),
    });
    assert_snapshot!(told(&config(), &choices), @r#"
    == 90_installer.yaml
    #cloud-config
    # What was chosen at the installation.
    users:
    - name: ops
      lock_passwd: true
      groups:
      - admin
      ssh_authorized_keys:
      - ssh-ed25519 AAAA
    stages:
      initramfs:
      - name: Network as chosen at the installation
        files:
        - path: /etc/systemd/network/05-chosen-eth0.network
          permissions: "0644"
          owner: 0
          group: 0
          content: |
            [Match]
            Name=eth0
            
            [Network]
            DHCP=yes
    "#);
}

#[test]
fn the_profiles_account_stands_in_and_its_password_must_be_changed() {
    let mut config = config();
    config.install.account = Some(DefaultAccount {
        name: "admin".to_owned(),
        password_hash: "$6$salt$hash".to_owned(),
        groups: vec!["admin".to_owned(), "adm".to_owned()],
    });
    assert_snapshot!(told(&config, &choices()), @r"
    == 90_installer.yaml
    #cloud-config
    # What was chosen at the installation.
    users:
    - name: admin
      passwd: $6$salt$hash
      lock_passwd: false
      groups:
      - admin
      - adm
      must_change_password: true
    ");
    // Another account, chosen or configured, takes its place.
    let mut chosen = choices();
    chosen.account = Some(Account {
        name: "ops".to_owned(),
        password_hash: Some("$6$a$b".to_owned()),
        ssh_keys: Vec::new(),
    });
    assert!(!told(&config, &chosen).contains("must_change_password"));
    let text = "#cloud-config\nusers:\n  - name: site\n    passwd: $6$salt$hash\n";
    let site = Site {
        documents: vec![Document::parse("x", text).unwrap()],
        texts: Vec::new(),
    };
    assert_eq!(files(&config, &site, &choices()).unwrap(), []);
}
