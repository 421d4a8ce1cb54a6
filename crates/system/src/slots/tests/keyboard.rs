//! Somebody at the keyboard of a machine whose menu is locked.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::*;

/// Longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(90);

const DOWN: &str = "\x1b[B";
const UP: &str = "\x1b[A";
const ESC: &str = "\x1b";

/// What GRUB's menu says below its entries.
const MENU: &str = "highlighted";
const USER_NAME: &str = "Enter username:";
const ASKS_PASSWORD: &str = "Enter password:";

/// A running machine and its serial line.
struct Keyboard {
    machine: Child,
    keys: ChildStdin,
    said: Receiver<Vec<u8>>,
    /// What was not looked at yet.
    text: String,
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        let _ = self.machine.kill();
        let _ = self.machine.wait();
    }
}

impl Keyboard {
    #[allow(clippy::disallowed_methods)]
    fn at(machine: &Machine) -> Self {
        let disk = format!("file={},format=raw,if=ide", machine.disk().display());
        let mut machine = Command::new("qemu-system-x86_64")
            .args(["-accel", "tcg", "-m", "64", "-display", "none"])
            .args(["-no-reboot", "-nic", "none", "-monitor", "none"])
            .args(["-drive", &disk, "-serial", "stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("QEMU is needed (Debian package qemu-system-x86)");
        let keys = machine.stdin.take().unwrap();
        let mut output = machine.stdout.take().unwrap();
        let (sender, said) = channel();
        std::thread::Builder::new()
            .spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = output.read(&mut buffer) {
                    if sender.send(buffer[..length].to_vec()).is_err() {
                        break;
                    }
                }
            })
            .unwrap();
        Self {
            machine,
            keys,
            said,
            text: String::new(),
        }
    }

    /// Waits until it says so, and gives what it said before.
    fn sees(&mut self, wanted: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some((before, after)) = self.text.split_once(wanted) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.text = after;
                return before;
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(bytes) => self.text += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("no '{wanted}': {error}; last came: {:?}", self.text),
            }
        }
    }

    fn types(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
        self
    }

    /// Presses keys at the menu, is asked who it is, and gives up.
    fn is_asked_after(&mut self, keys: &str) {
        self.types(keys).sees(USER_NAME);
        self.types(ESC).sees(MENU);
    }
}

#[test]
fn a_locked_menu_gives_nobody_without_the_password_a_shell() {
    let machine = Machine::new(&Environment::new(Slot::A).to_bytes(), &Slot::ALL).locked(600);
    machine.assemble();
    let mut keyboard = Keyboard::at(&machine);
    keyboard.sees(MENU);
    // The editor, the shell, and what is below the menu.
    for key in ["e", "c", ESC] {
        keyboard.is_asked_after(key);
    }
    // Recovery knows none of the passwords that were changed on the machine.
    keyboard.is_asked_after(&format!("{DOWN}{DOWN}\r"));
    keyboard.types("e").sees(USER_NAME);
    keyboard.types("root\r").sees(ASKS_PASSWORD);
    let said = keyboard.types(&format!("{WRONG}\r")).sees(MENU);
    assert!(!said.contains("setparams"), "{said}");
    keyboard.types("e").sees(USER_NAME);
    keyboard.types("root\r").sees(ASKS_PASSWORD);
    keyboard.types(&format!("{PASSWORD}\r")).sees("setparams");
}

#[test]
fn a_locked_menu_starts_the_slots_without_a_password() {
    let machine = Machine::new(&Environment::new(Slot::A).to_bytes(), &Slot::ALL).locked(600);
    machine.assemble();
    for (keys, slot) in [("\r".to_owned(), "a"), (format!("{DOWN}{UP}{DOWN}\r"), "b")] {
        let mut keyboard = Keyboard::at(&machine);
        keyboard.sees(MENU);
        keyboard.types(&keys).sees("KERNEL ");
        keyboard.sees(&format!(" appliance.slot={slot} "));
    }
}

#[test]
fn a_locked_menu_starts_by_itself_and_in_recovery_where_the_machine_has_it_so() {
    let machine = Machine::new(&on_trial(Slot::B, Slot::Recovery), &Slot::ALL).locked(0);
    machine.assemble();
    assert_eq!(machine.boot(WRITABLE), "recovery");
    assert_eq!(machine.boot(WRITABLE), "b");
}

#[test]
fn where_the_menu_is_gone_the_stub_keeps_the_shell_locked() {
    let mut machine = Machine::new(&Environment::new(Slot::A).to_bytes(), &Slot::ALL).locked(600);
    remove(&machine.state().join(isoforge_contract::disk::MENU));
    machine.before_stub = "serial --unit=0 --speed=115200\nterminal_input serial\n\
                           terminal_output serial\n";
    machine.assemble();
    let mut keyboard = Keyboard::at(&machine);
    let said = keyboard.sees(USER_NAME);
    assert!(!said.contains("grub>"), "{said}");
}
