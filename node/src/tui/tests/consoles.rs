//! The loop itself, on two pseudo-terminals that are read by a terminal
//! emulation.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::*;
use crate::tui::console::Console;
use crate::tui::driver::Driver;
use crate::tui::log::Log;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A person at a terminal.
struct Person {
    path: PathBuf,
    keyboard: Option<File>,
    emulation: Arc<Mutex<vt100::Parser>>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Person {
    fn new(columns: u16, rows: u16) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let path = ptsname(&keyboard, Vec::new()).unwrap();
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&keyboard, size).unwrap();
        let keyboard = File::from(keyboard);
        Self {
            path: PathBuf::from(path.into_string().unwrap()),
            keyboard: Some(keyboard),
            emulation: Arc::new(Mutex::new(vt100::Parser::new(
                24.try_into().unwrap(),
                80.try_into().unwrap(),
                0,
            ))),
            bytes: Arc::default(),
        }
    }

    /// Looks at the screen from now on.
    fn look(&self) {
        let mut screen = self.keyboard.as_ref().unwrap().try_clone().unwrap();
        let (emulation, bytes) = (Arc::clone(&self.emulation), Arc::clone(&self.bytes));
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut chunk) {
                emulation.lock().unwrap().process(&chunk[..n]);
                bytes.lock().unwrap().extend(&chunk[..n]);
            }
        });
    }

    fn screen(&self) -> String {
        self.emulation.lock().unwrap().screen().contents()
    }

    fn press(&self, keys: &str) {
        let mut keyboard = self.keyboard.as_ref().unwrap();
        keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the last bytes.
    fn got(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.bytes.lock().unwrap().ends_with(text.as_bytes()) {
            assert!(Instant::now() < end, "no {text:?} at the end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn sees(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.screen().contains(text) {
            assert!(Instant::now() < end, "no '{text}' in\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Runs the loop on these terminals.
fn run(script: &Arc<Script>, people: &[&Person]) -> JoinHandle<anyhow::Result<()>> {
    let script = Arc::clone(script);
    let paths: Vec<PathBuf> = people.iter().map(|person| person.path.clone()).collect();
    std::thread::spawn(move || {
        let consoles = paths.iter().map(|path| Console::open(path).unwrap());
        Driver::new(script, consoles.collect(), Log::default())?.run()
    })
}

fn script() -> Script {
    Script {
        survey: Some(survey()),
        ..Script::default()
    }
}

#[test]
fn two_consoles_show_one_installation() {
    let (screen, serial) = (Person::new(80, 24), Person::new(0, 0));
    screen.look();
    serial.look();
    // Nobody but us holds the far ends, so that their modes can be read here.
    let script = Arc::new(Script {
        failures: Mutex::new(VecDeque::from([failure()])),
        ..script()
    });
    let found = tcgetattr(screen.keyboard.as_ref().unwrap()).unwrap();
    let handle = run(&script, &[&screen, &serial]);
    screen.sees("Which disk shall be installed on?");
    serial.sees("Which disk shall be installed on?");
    // The serial console acts first.
    serial.press("\x1b[B");
    let name = serial
        .path
        .strip_prefix("/dev")
        .unwrap()
        .display()
        .to_string();
    screen.sees(&format!("Console {name} leads"));
    screen.press("\r\r\r");
    serial.press("\x1bOA\r");
    serial.sees("The first account of the machine");
    serial.press("op\rsecret-1\rsecret-1\r\r");
    screen.sees("What shall the machine do");
    // ESC alone is told by time.
    serial.press("\x1b");
    screen.sees("SSH key (optional)");
    serial.press("\r");
    serial.sees("What shall the machine do");
    serial.press("\r");
    serial.sees("Warning: 1 processor, 2 are asked for");
    serial.press("\r");
    screen.sees("All content of /dev/sda will be lost");
    serial.press("\t\r");
    screen.sees("the digest differs");
    assert!(!screen.screen().contains("secret"));
    // What failed stays on the console's own screen too, for whoever records it.
    let text = String::from_utf8_lossy(&serial.bytes.lock().unwrap()).into_owned();
    assert!(text.contains("Not installed: Copying the system"), "{text}");
    serial.press("t");
    serial.sees("Installation summary");
    serial.sees("ENTER asks once more");
    serial.press("\r");
    serial.sees("Last question");
    serial.press("\t\r");
    screen.sees("The system is installed on /dev/sda.");
    serial.press("\x1b");
    serial.sees("[ Shell ]");
    serial.press("p");
    handle.join().unwrap().unwrap();
    assert_eq!(*script.ends.lock().unwrap(), [After::Poweroff]);
    assert_eq!(script.requests.lock().unwrap().len(), 2);
    // The terminals are as they were.
    let now = tcgetattr(screen.keyboard.as_ref().unwrap()).unwrap();
    assert_eq!(now.local_modes, found.local_modes);
    assert!(now.local_modes.contains(LocalModes::ICANON));
    screen.got("\x1b[?7h\x1b[?25h\x1b[?1049l");
}

#[test]
fn a_shell_has_the_console_until_it_ends() {
    let (screen, serial) = (Person::new(80, 24), Person::new(80, 24));
    screen.look();
    serial.look();
    let script = Arc::new(script());
    let handle = run(&script, &[&screen, &serial]);
    screen.sees("Which disk");
    screen.press("s");
    screen.sees("in-the-shell");
    serial.sees("A shell is open on");
    screen.press("words\n");
    screen.sees("Which disk");
    let text = String::from_utf8_lossy(&screen.bytes.lock().unwrap()).into_owned();
    assert!(text.contains("got-words"), "{text}");
    screen.press("p");
    handle.join().unwrap().unwrap();
    let name = screen
        .path
        .strip_prefix("/dev")
        .unwrap()
        .display()
        .to_string();
    assert_eq!(*script.shells.lock().unwrap(), [name]);
}

#[test]
fn a_console_that_nobody_reads_holds_up_nothing() {
    let (screen, deaf) = (Person::new(80, 24), Person::new(400, 400));
    screen.look();
    let script = Arc::new(script());
    let handle = run(&script, &[&screen, &deaf]);
    screen.sees("Which disk");
    for _ in 0..20 {
        screen.press("\x0c\x1b[B");
    }
    screen.press("p");
    handle.join().unwrap().unwrap();
    assert_eq!(*script.ends.lock().unwrap(), [After::Poweroff]);
}

#[test]
fn without_any_console_it_ends() {
    let mut screen = Person::new(80, 24);
    let script = Arc::new(script());
    let handle = run(&script, &[&screen]);
    let end = Instant::now() + PATIENCE;
    let mut chunk = [0; 4096];
    let mut shown = String::new();
    while !shown.contains("Which") {
        assert!(Instant::now() < end);
        let n = screen.keyboard.as_ref().unwrap().read(&mut chunk).unwrap();
        shown.push_str(&String::from_utf8_lossy(&chunk[..n]));
    }
    screen.keyboard = None;
    let error = handle.join().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "all consoles have gone away");
}

#[test]
fn unattended_it_asks_nothing_and_survives_a_bug() {
    let screen = Person::new(80, 24);
    screen.look();
    let plan = Choices {
        disk: "/dev/sda".into(),
        account: None,
        hostname: None,
        network: None,
        after: After::Poweroff,
    };
    let script = Arc::new(Script {
        survey: Some(Survey {
            unattended: true,
            ..survey()
        }),
        plan: Some(plan),
        panics: true,
        ..Script::default()
    });
    let handle = run(&script, &[&screen]);
    screen.sees("the engine stumbled");
    screen.sees("This is a bug of the installer.");
    let text = String::from_utf8_lossy(&screen.bytes.lock().unwrap()).into_owned();
    assert!(
        text.contains("Installing on /dev/sda without questions"),
        "{text}"
    );
    screen.press("p");
    handle.join().unwrap().unwrap();
}

#[test]
fn a_console_without_a_size_gets_one() {
    let serial = Person::new(0, 0);
    let console = Console::open(&serial.path).unwrap();
    assert_eq!((console.size().width, console.size().height), (80, 24));
}

#[test]
fn after_a_shell_a_console_is_opened_anew() {
    // A terminal that is none of a pair is hung up when a shell on it ends: who
    // has it open has nothing any more.
    let (first, second) = (Person::new(80, 24), Person::new(70, 20));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console");
    std::os::unix::fs::symlink(&first.path, &path).unwrap();
    let mut console = Console::open(&path).unwrap();
    first.look();
    console.lend();
    assert!(!console.ours());
    fs_err::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&second.path, &path).unwrap();
    console.take_back();
    assert!(console.ours());
    assert_eq!((console.size().width, console.size().height), (70, 20));
    second.look();
    console.draw(
        &Model::new("demo 1.0.0".to_owned(), vec!["console".to_owned()]),
        0,
    );
    second.sees("Looking at this machine");
}
