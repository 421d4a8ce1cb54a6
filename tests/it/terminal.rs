//! Progress on a pseudo-terminal, read by a small terminal emulation.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::bootable::{self, os_layer};
use crate::support::program::Project;
use crate::support::registry::FakeRegistry;

/// So high that nothing scrolls away.
const ROWS: u16 = 60;

/// The program on a terminal, and what the terminal shows.
struct Terminal {
    keyboard: OwnedFd,
    screen: File,
    child: Child,
    emulation: vt100::Parser,
    /// All bytes that came.
    bytes: Vec<u8>,
}

impl Terminal {
    fn run(project: &Project, arguments: &[&str], columns: u16, env: &[(&str, &str)]) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let open = || {
            File::options()
                .read(true)
                .write(true)
                .open(name.to_str().unwrap())
                .unwrap()
        };
        let mut this_end = open();
        set_size(&keyboard, columns);
        let mut command = project.command(arguments);
        command
            .env("TERM", "xterm-256color")
            .envs(env.iter().copied())
            .stdin(open())
            .stdout(open())
            .stderr(open());
        let child = command.spawn().unwrap();
        // Only the child holds the other end from now on, so that its end is ours.
        drop(command);
        this_end.flush().unwrap();
        drop(this_end);
        Self {
            screen: File::from(keyboard.try_clone().unwrap()),
            keyboard,
            child,
            emulation: vt100::Parser::new(
                ROWS.try_into().unwrap(),
                columns.try_into().unwrap(),
                100,
            ),
            bytes: Vec::new(),
        }
    }

    /// Takes in what comes; false when the program is gone.
    fn read(&mut self) -> bool {
        let mut chunk = [0; 4096];
        // The end of a terminal is an error of input and output.
        let n = self.screen.read(&mut chunk).unwrap_or(0);
        self.emulation.process(&chunk[..n]);
        self.bytes.extend(&chunk[..n]);
        n > 0
    }

    fn rows(&self) -> Vec<String> {
        let (_, columns) = self.emulation.screen().size();
        self.emulation.screen().rows(0, columns.get()).collect()
    }

    /// Reads until a row satisfies `wanted`, and gives its number.
    #[track_caller]
    fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> u16 {
        loop {
            if let Some(at) = self.rows().iter().position(|row| wanted(row)) {
                return at.try_into().unwrap();
            }
            assert!(
                self.read(),
                "the program ended:\n{}",
                self.rows().join("\n")
            );
        }
    }

    fn resize(&mut self, columns: u16) {
        set_size(&self.keyboard, columns);
        self.emulation
            .screen_mut()
            .set_size(ROWS.try_into().unwrap(), columns.try_into().unwrap());
    }

    /// Reads to the end; exit code and what the screen shows then.
    fn end(mut self) -> (Option<i32>, Vec<String>, Vec<u8>) {
        while self.read() {}
        let code = self.child.wait().unwrap().code();
        let mut rows = self.rows();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        let (_, column) = self.emulation.screen().cursor_position();
        assert_eq!(column, 0, "the cursor is where the next prompt begins");
        assert!(!self.emulation.screen().hide_cursor());
        (code, rows, self.bytes)
    }
}

fn set_size(terminal: &OwnedFd, columns: u16) {
    let size = Winsize {
        ws_row: ROWS,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

/// Passes on what a registry says, but of answers to `target` only half, until
/// it is told to let go.
struct Gate {
    host: String,
    open: Sender<()>,
}

impl Gate {
    fn before(registry: &FakeRegistry, target: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (behind, target) = (registry.host(), target.to_owned());
        let (open, opened) = channel();
        let opened = Arc::new(Mutex::new(opened));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (behind, target) = (behind.clone(), target.clone());
                let opened = Arc::clone(&opened);
                std::thread::spawn(move || pass(stream.unwrap(), &behind, &target, &opened));
            }
        });
        Self { host, open }
    }
}

/// One request and its answer.
fn pass(
    mut client: TcpStream,
    behind: &str,
    target: &str,
    opened: &Mutex<Receiver<()>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let mut server = TcpStream::connect(behind).ok()?;
    server.write_all(&head).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    let (first, rest) = answer.split_at(answer.len() / 2);
    client.write_all(first).ok()?;
    if String::from_utf8_lossy(&head).contains(target) {
        opened.lock().unwrap().recv().ok()?;
    }
    client.write_all(rest).ok()?;
    client.shutdown(Shutdown::Both).ok()
}

/// A project whose OS comes from a registry that holds back half of the layer.
fn held() -> (Project, FakeRegistry, Gate) {
    let registry = FakeRegistry::start();
    let image = bootable::image("amd64", &os_layer("amd64"));
    registry.put_image("edge/os", "1", &image);
    let gate = Gate::before(&registry, &image.layers[0].digest().to_string());
    let project = Project::bootable();
    project.change_profile("oci:os", &format!("{}/edge/os:1", gate.host));
    (project, registry, gate)
}

fn is_layer(row: &str) -> bool {
    row.contains("layer 1/1") && row.contains("/s")
}

/// The one line of the layer fits and did not wrap. Its row is filled up with
/// spaces, so that the next one begins where it should.
#[track_caller]
fn assert_fits(terminal: &Terminal, row: u16, columns: u16) {
    let rows = terminal.rows();
    let text = rows[usize::from(row)].trim_end();
    assert!(text.chars().count() < usize::from(columns), "{text}");
    let lines = terminal.rows().iter().filter(|row| is_layer(row)).count();
    assert_eq!(lines, 1, "{}", terminal.rows().join("\n"));
}

#[test]
fn a_task_has_a_line_that_fits_and_leaves_nothing() {
    for columns in [80, 40] {
        let (project, _registry, gate) = held();
        let mut terminal = Terminal::run(&project, &["build", "profile.toml"], columns, &[]);
        let row = terminal.wait_for(is_layer);
        assert_fits(&terminal, row, columns);
        assert_eq!(
            terminal.rows()[usize::from(row)].contains('['),
            columns == 80
        );
        gate.open.send(()).unwrap();
        let (code, rows, _) = terminal.end();
        let text = rows.join("\n");
        assert_eq!(code, Some(0), "{text}");
        assert!(!rows.iter().any(|row| is_layer(row)), "{text}");
        assert_eq!(rows[0], "Gathering inputs", "{text}");
        assert_eq!(rows[1], "  wrote the lock isoforge.lock", "{text}");
        assert_eq!(rows[2], "Building the ISO for amd64", "{text}");
        let done = rows
            .iter()
            .filter(|row| row.starts_with("Done in "))
            .count();
        assert_eq!(done, 1, "{text}");
    }
}

#[test]
fn a_terminal_that_changes_its_width_in_between() {
    let (project, _registry, gate) = held();
    let mut terminal = Terminal::run(&project, &["build", "profile.toml"], 80, &[]);
    let row = terminal.wait_for(is_layer);
    assert_fits(&terminal, row, 80);
    for columns in [40, 120, 60] {
        terminal.resize(columns);
        // Each of these widths has a layout of its own.
        let row = terminal.wait_for(|row| {
            let long = row.contains("iB/s") || row.contains(" B/s");
            let bar = row.contains('[');
            is_layer(row) && (bar, long) == (columns >= 60, columns == 120)
        });
        assert_fits(&terminal, row, columns);
    }
    gate.open.send(()).unwrap();
    let (code, rows, _) = terminal.end();
    assert_eq!(code, Some(0), "{}", rows.join("\n"));
    assert!(!rows.iter().any(|row| is_layer(row)), "{}", rows.join("\n"));
}

#[test]
fn an_interrupt_takes_the_lines_away() {
    let (project, _registry, _gate) = held();
    let mut terminal = Terminal::run(&project, &["build", "profile.toml"], 80, &[]);
    terminal.wait_for(is_layer);
    kill_process(Pid::from_child(&terminal.child), Signal::INT).unwrap();
    let (code, rows, _) = terminal.end();
    assert_eq!(code, Some(130));
    assert_eq!(
        rows,
        [
            "Gathering inputs",
            "  wrote the lock isoforge.lock",
            "interrupted: the output folder is as it was before"
        ]
    );
}

#[test]
fn nothing_moves_where_nobody_could_see_it() {
    for (flags, env) in [
        ([].as_slice(), ("TERM", "dumb")),
        (&[], ("TERM", "")),
        (&[], ("CI", "true")),
        (&["--progress", "plain"], ("LANG", "C")),
        (&["--quiet"], ("LANG", "C")),
    ] {
        let (project, _registry, gate) = held();
        gate.open.send(()).unwrap();
        let arguments = [&["build", "profile.toml"], flags].concat();
        let (code, rows, bytes) = Terminal::run(&project, &arguments, 80, &[env]).end();
        assert_eq!(code, Some(0), "{}", rows.join("\n"));
        assert!(!bytes.contains(&0x1b), "{env:?}");
        let stage = String::from_utf8_lossy(&bytes).contains("Gathering inputs");
        assert_eq!(stage, flags != ["--quiet"], "{flags:?}");
    }
}

#[test]
fn colour_only_where_it_is_wanted() {
    let project = Project::empty();
    for (env, coloured) in [
        (("LANG", "C"), true),
        (("NO_COLOR", "1"), false),
        (("NO_COLOR", ""), true),
        (("TERM", "dumb"), false),
        (("TERM", ""), false),
    ] {
        let terminal = Terminal::run(&project, &["validate", "x.toml"], 80, &[env]);
        let (code, rows, bytes) = terminal.end();
        assert_eq!(code, Some(2));
        assert!(
            rows[0].starts_with("error: x.toml can't be read"),
            "{rows:?}"
        );
        assert_eq!(
            bytes.starts_with(b"\x1b[1;31merror:\x1b[0m"),
            coloured,
            "{env:?}"
        );
        assert_eq!(bytes.contains(&0x1b), coloured, "{env:?}");
    }
    let outcome = project.run(&["validate", "x.toml"]);
    assert!(
        outcome.stderr.starts_with("error: "),
        "no terminal, no colour"
    );
}

#[test]
fn verbose_says_each_end_above_the_lines() {
    let (project, _registry, gate) = held();
    gate.open.send(()).unwrap();
    let arguments = ["build", "profile.toml", "-v"];
    let (code, _, bytes) = Terminal::run(&project, &arguments, 80, &[]).end();
    assert_eq!(code, Some(0));
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("  compress OS: "), "{text}");
    assert!(text.contains("from the store"), "{text}");
}

#[test]
fn the_pipe_of_standard_output_does_not_matter_to_the_terminal() {
    let project = Project::bootable();
    let outcome = project
        .command(&["build", "profile.toml"])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert!(!outcome.stdout.contains(&0x1b));
    assert!(!outcome.stderr.contains(&0x1b));
}
