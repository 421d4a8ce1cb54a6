//! The pages driven by keys, on a machine that is written down.

mod facts;
mod flows;
mod pages;
mod real_console;

use std::sync::Mutex;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::machine::{Fact, Facts, Machine, Power, Tone};
use super::model::{Effect, Message, Model};
use super::update::update;
use super::view::view;
use crate::tui::Secret;
use crate::tui::key::Key;

fn fact(label: &'static str, value: &str, tone: Tone) -> Fact {
    Fact {
        label,
        value: value.to_owned(),
        tone,
    }
}

fn facts() -> Facts {
    Facts {
        lines: vec![
            fact("Version", "demo 1.0.0", Tone::Plain),
            fact("System", "slot a, good", Tone::Good),
            fact(
                "Network",
                "eth0  192.0.2.5/24  (52:54:00:12:34:56)",
                Tone::Good,
            ),
            fact("", "eth1  not connected  (52:54:00:12:34:57)", Tone::Warn),
            fact("Host name", "node-1", Tone::Plain),
            fact("Services", "failed: kubelet.service", Tone::Bad),
        ],
        hostname: "node-1".to_owned(),
        is_owned: true,
        names: vec!["root".to_owned(), "daemon".to_owned()],
        ..Facts::default()
    }
}

/// A machine on which nobody has an account.
fn unset() -> Facts {
    Facts {
        is_owned: false,
        ..facts()
    }
}

/// A model, and what it has asked for.
struct Played {
    model: Model,
    effects: Vec<Effect>,
}

impl Played {
    fn on(facts: Facts) -> Self {
        Self::of(facts, None)
    }

    /// Opened in a shell of root.
    fn in_shell() -> Self {
        Self::of(facts(), Some("root".to_owned()))
    }

    fn of(facts: Facts, administrator: Option<String>) -> Self {
        let mut played = Self {
            model: Model::new("demo".to_owned(), administrator),
            effects: Vec::new(),
        };
        played.tell(Message::Known(facts));
        played
    }

    /// Logged in as "op".
    fn menu() -> Self {
        let mut played = Self::on(facts());
        played
            .press(&[Key::Enter])
            .login("op", "secret-1")
            .tell(Message::LoggedIn(Ok(())));
        played.asked();
        played
    }

    fn tell(&mut self, message: Message) -> &mut Self {
        self.effects.extend(update(&mut self.model, message));
        self
    }

    fn press(&mut self, keys: &[Key]) -> &mut Self {
        for key in keys {
            self.tell(Message::Key(*key));
        }
        self
    }

    fn write(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.press(&[Key::Char(c)]);
        }
        self
    }

    fn login(&mut self, name: &str, password: &str) -> &mut Self {
        self.write(name).press(&[Key::Enter]);
        self.write(password).press(&[Key::Enter])
    }

    /// Takes what it asked for so far.
    fn asked(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn screen(&self) -> String {
        self.sized(80, 24)
    }

    fn sized(&self, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view(&self.model, frame)).unwrap();
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
    facts: Mutex<Facts>,
    done: Mutex<Vec<String>>,
}

impl Script {
    fn does(&self, what: String) {
        self.done.lock().unwrap().push(what);
    }
}

impl Machine for Script {
    fn title(&self) -> String {
        "demo".to_owned()
    }

    fn facts(&self) -> Facts {
        self.facts.lock().unwrap().clone()
    }

    fn login(&self, name: &str, password: &Secret) -> Result<(), String> {
        if (name, password.0.as_str()) == ("op", "secret-1") {
            return Ok(());
        }
        Err("The name or the password is wrong.".to_owned())
    }

    fn create(&self, name: &str, _: &Secret, ssh_key: Option<&str>) -> Result<(), String> {
        self.does(format!("create {name} {ssh_key:?}"));
        self.facts.lock().unwrap().is_owned = true;
        Ok(())
    }

    fn set_hostname(&self, name: &str) -> Result<(), String> {
        self.does(format!("name {name}"));
        let mut facts = self.facts.lock().unwrap();
        facts.lines.push(fact("Host name", name, Tone::Plain));
        Ok(())
    }

    fn shell(&self, console: &str, name: Option<&str>) -> Result<(), String> {
        self.does(format!("shell {name:?}"));
        crate::tui::shell::run(console, "echo in-the-shell; read line; echo got-$line")
            .map_err(|e| e.to_string())
    }

    fn end(&self, power: Power) -> Result<(), String> {
        self.does(format!("{power:?}"));
        Ok(())
    }
}
