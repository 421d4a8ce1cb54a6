//! The pages driven by keys, on a machine that is written down.

mod consoles;
mod disk_page;
mod flows;
mod outcome_pages;
mod pages;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;

use isoforge_contract::machine::{After, Page as AskedPage, PasswordRules};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::machine::{Machine, Request, Survey};
use super::model::{Effect, Message, Model};
use super::update::update;
use super::view::view;
use crate::install::model::{Choices, Disk, Event, Failure, Finding, Observer};
use crate::interfaces::Interface;
use crate::tui::key::Key;

/// What is told under legacy BIOS.
const BOOT_ORDER: &str = "This machine was started by legacy BIOS, whose boot order the \
    installer can't change. Put the chosen disk before the medium in the BIOS setup: else the \
    machine starts the installer again.";

fn disk(path: &str, bytes: u64) -> Disk {
    Disk {
        path: PathBuf::from(path),
        bytes,
        sector_bytes: 512,
        model: "QEMU HARDDISK".to_owned(),
        serial: String::new(),
        transport: "sata".to_owned(),
        content: "empty".to_owned(),
        appliance: None,
        unusable: None,
    }
}

fn survey() -> Survey {
    let medium = Disk {
        model: "QEMU DVD-ROM".to_owned(),
        content: "iso9660 COS_LIVE".to_owned(),
        unusable: Some("it is the installation medium".to_owned()),
        ..disk("/dev/sr0", 900 << 20)
    };
    let small = Disk {
        transport: "usb".to_owned(),
        content: "vfat".to_owned(),
        unusable: Some("too small: it has 2.0 GiB, 12.0 GiB are needed".to_owned()),
        ..disk("/dev/sdb", 2 << 30)
    };
    let nvme = Disk {
        model: "SAMSUNG MZVL21T0HCLR-00B00".to_owned(),
        serial: "S676NX0R123456".to_owned(),
        transport: "nvme".to_owned(),
        content: "GPT: ESP, OEM, STATE, PERSISTENT".to_owned(),
        appliance: Some("demo 0.9.0".to_owned()),
        ..disk("/dev/nvme0n1", 953 << 30)
    };
    Survey {
        boot_order: None,
        disks: vec![medium, disk("/dev/sda", 20 << 30), small, nvme],
        proposed: Some(PathBuf::from("/dev/sda")),
        account: None,
        names: vec!["root".to_owned(), "daemon".to_owned()],
        password: PasswordRules::default(),
        pages: Vec::new(),
        hostname: None,
        interfaces: vec![
            Interface {
                name: "eth0".to_owned(),
                mac: "52:54:00:12:34:56".to_owned(),
                link: Some(true),
            },
            Interface {
                name: "eth1".to_owned(),
                mac: "52:54:00:12:34:57".to_owned(),
                link: Some(false),
            },
        ],
        after: After::Reboot,
        unattended: false,
        findings: Vec::new(),
    }
}

fn failure() -> Failure {
    Failure {
        step: "Copying the system".to_owned(),
        cause: "/run/initramfs/live/rootfs.squashfs: the digest differs\nexpected sha256:aa, \
                got sha256:bb"
            .to_owned(),
        advice: "The medium is damaged. Write it anew, and compare its checksum.".to_owned(),
    }
}

fn warning(message: &str) -> Finding {
    Finding {
        refuses: false,
        message: message.to_owned(),
    }
}

/// A model, and what it has asked for.
struct Played {
    model: Model,
    effects: Vec<Effect>,
}

impl Played {
    fn new(survey: Survey) -> Self {
        let consoles = vec!["tty1".to_owned(), "ttyS0".to_owned()];
        let mut played = Self {
            model: Model::new("demo 1.0.0".to_owned(), consoles),
            effects: Vec::new(),
        };
        played.tell(Message::Surveyed(Ok(survey)));
        played
    }

    fn tell(&mut self, message: Message) -> &mut Self {
        self.effects.extend(update(&mut self.model, message));
        self
    }

    fn press(&mut self, keys: &[Key]) -> &mut Self {
        for key in keys {
            self.tell(Message::Key {
                console: 0,
                key: *key,
            });
        }
        self
    }

    fn write(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.press(&[Key::Char(c)]);
        }
        self
    }

    /// Fills in the page Account.
    fn account(&mut self, name: &str, password: &str, again: &str) -> &mut Self {
        self.write(name).press(&[Key::Enter]);
        self.write(password).press(&[Key::Enter]);
        self.write(again).press(&[Key::Enter])
    }

    /// Takes what it asked for so far.
    fn asked(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The summary with the shortest way there.
    fn summary(&mut self) -> &mut Self {
        self.press(&[Key::Enter])
            .account("op", "secret-1", "secret-1")
            .press(&[Key::Enter, Key::Enter])
    }

    /// The installation runs.
    fn begun(&mut self) -> &mut Self {
        self.summary()
            .tell(Message::Found(Vec::new()))
            .press(&[Key::Enter, Key::Right, Key::Enter])
    }

    fn screen(&self) -> String {
        self.on(0, 80, 24)
    }

    /// What a console of this size shows.
    fn on(&self, console: usize, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| view(&self.model, console, frame))
            .unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content.chunks(usize::from(width.max(1)));
        let text = |row: &[ratatui::buffer::Cell]| -> String {
            let row: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
            row.trim_end().to_owned()
        };
        rows.map(text).collect::<Vec<_>>().join("\n")
    }
}

/// A machine that does what is written down, and writes down what is asked.
#[derive(Debug, Default)]
struct Script {
    survey: Option<Survey>,
    plan: Option<Choices>,
    /// What each installation ends with; then they succeed.
    failures: Mutex<VecDeque<Failure>>,
    requests: Mutex<Vec<Request>>,
    ends: Mutex<Vec<After>>,
    shells: Mutex<Vec<String>>,
    panics: bool,
}

impl Machine for Script {
    fn title(&self) -> String {
        "demo 1.0.0".to_owned()
    }

    fn locked(&self) -> bool {
        false
    }

    fn survey(&self) -> Result<Survey, Failure> {
        self.survey.clone().ok_or_else(failure)
    }

    fn findings(&self, _disk: &Disk) -> Vec<Finding> {
        vec![warning("1 processor, 2 are asked for")]
    }

    fn plan(&self, _observer: &mut dyn Observer) -> Result<Choices, Failure> {
        self.plan.clone().ok_or_else(failure)
    }

    fn install(&self, request: &Request, observer: &mut dyn Observer) -> Result<(), Failure> {
        assert!(!self.panics, "the engine stumbled");
        self.requests.lock().unwrap().push(request.clone());
        for event in events() {
            observer.event(event);
        }
        let failure = self.failures.lock().unwrap().pop_front();
        failure.map_or(Ok(()), Err)
    }

    fn shell(&self, console: &str) -> Result<(), String> {
        self.shells.lock().unwrap().push(console.to_owned());
        crate::tui::shell::run(console, "echo in-the-shell; read line; echo got-$line")
            .map_err(|e| e.to_string())
    }

    fn end(&self, after: After) -> Result<(), String> {
        self.ends.lock().unwrap().push(after);
        Ok(())
    }
}

fn events() -> Vec<Event> {
    let step = |number, name: &str| Event::Step {
        number,
        of: 4,
        name: name.to_owned(),
    };
    vec![
        step(1, "Partitioning"),
        Event::Log("sfdisk: 5 partitions".to_owned()),
        step(2, "Making file systems"),
        Event::Log("mkfs.ext4 /dev/sda4".to_owned()),
        step(3, "Copying the system"),
        Event::Bytes {
            done: 300 << 20,
            total: 1 << 30,
        },
    ]
}

fn with_pages(pages: &[AskedPage]) -> Survey {
    Survey {
        pages: pages.to_vec(),
        hostname: Some("node-1".to_owned()),
        account: Some("admin, from the profile".to_owned()),
        ..survey()
    }
}
