use insta::assert_snapshot;
use isoforge_contract::machine::{After, DefaultAccount};

use super::*;
use crate::disks::fixture::Machine;
use crate::testing::config;
use isoforge_contract::cloud::Document;

#[derive(Default)]
struct Ear(Vec<Event>);

impl Observer for Ear {
    fn event(&mut self, event: Event) {
        self.0.push(event);
    }
}

/// A machine with one disk, which may hold an appliance.
fn machine() -> Machine {
    let machine = Machine::new("sys/devices/system/cpu/online = 0-1");
    machine.disk("sda", "pci0000:00/ata1/host0", 40, 512);
    machine
}

fn site(text: &str) -> Site {
    let text = format!("#cloud-config\n{text}");
    Site {
        documents: vec![Document::parse("test", &text).unwrap()],
        texts: Vec::new(),
    }
}

const OPS: &str = "users:\n- {name: ops, passwd: $6$salt$hash}\n";

fn decided(config: &Config, site: &Site, installed: bool) -> (String, Vec<Event>) {
    let machine = machine();
    let mut disks = crate::disks::list(&machine.sys).unwrap();
    disks[0].appliance = installed.then(|| "demo 0.9".to_owned());
    let mut ear = Ear::default();
    let text = match decide(config, site, &machine.sys, &disks, &mut ear) {
        Ok(choices) => format!("{} {:?}", choices.disk.display(), choices.after),
        Err(failure) => format!("{failure}\n{}", failure.advice),
    };
    let root = machine.sys.dev.display().to_string();
    (text.replace(&root, "/dev"), ear.0)
}

#[test]
fn without_an_account_it_refuses() {
    let mut config = config();
    let (text, events) = decided(&config, &site("hostname: x"), false);
    assert_snapshot!(text, @r"
    Looking for what to do: neither the profile nor the site's configuration gives an account, so nobody could log in to the installed system
    Nothing was written. Put 'users' with a password hash or SSH keys into /config.yaml of the ISO or into user-data of a medium labelled 'cidata', or choose the interactive installer.
    ");
    assert_eq!(events, []);
    // A name alone lets nobody in.
    let named = site("users:\n- {name: ops}\n");
    assert_eq!(decided(&config, &named, false).0, text);
    assert_eq!(decided(&config, &site(OPS), false).0, "/dev/sda Reboot");
    config.install.account = Some(DefaultAccount {
        name: "admin".to_owned(),
        password_hash: "$6$salt$hash".to_owned(),
        groups: Vec::new(),
    });
    assert!(!needs_account(&config, &site("hostname: x")));
    assert_eq!(
        decided(&config, &site("hostname: x"), false).0,
        "/dev/sda Reboot"
    );
}

#[test]
fn an_installed_appliance_is_overwritten_only_by_force() {
    let mut config = config();
    assert_snapshot!(decided(&config, &site(OPS), true).0, @r"
    Looking for what to do: no disk can be taken:
        /dev/sda (40.0 GiB): holds an installed appliance (demo 0.9); only install.force overwrites it
    Nothing was written. Attach a disk that fits, or correct install.device; install.force = true overwrites an installed appliance.
    ");
    let forced = site(&format!("{OPS}install: {{force: true, poweroff: true}}\n"));
    assert_eq!(decided(&config, &forced, true).0, "/dev/sda Poweroff");
    config.install.force = true;
    config.install.after = After::None;
    assert_eq!(decided(&config, &site(OPS), true).0, "/dev/sda None");
    let kept = site(&format!("{OPS}install: {{force: false}}\n"));
    assert!(
        decided(&config, &kept, true)
            .0
            .contains("holds an installed appliance")
    );
}

#[test]
fn a_machine_that_falls_short_is_warned_of_or_refused() {
    let mut config = config();
    config.install.requirements.cpus = Some(8);
    let (text, events) = decided(&config, &site(OPS), false);
    assert_eq!(text, "/dev/sda Reboot");
    assert_snapshot!(format!("{events:?}"), @r#"[Log("Warning: processors: 8 are asked for, 2 are there")]"#);
    config.install.requirements.enforce = true;
    assert_snapshot!(decided(&config, &site(OPS), false).0, @r"
    Looking for what to do: processors: 8 are asked for, 2 are there
    Nothing was written. This machine lacks what the appliance requires.
    ");
}
