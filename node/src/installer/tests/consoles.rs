//! The loop itself, on two pseudo-terminals that are read by a terminal
//! emulation.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::termios::{LocalModes, tcgetattr};

use super::*;
use crate::installer::log::Log;
use crate::installer::pages::Pages;
use crate::tui::console::Console;
use crate::tui::driver::Driver;
use crate::tui::testing::{PATIENCE, Person};

/// Runs the loop on these terminals.
fn run(script: &Arc<Script>, people: &[&Person]) -> JoinHandle<anyhow::Result<()>> {
    let script = Arc::clone(script);
    let paths: Vec<PathBuf> = people.iter().map(|person| person.path.clone()).collect();
    std::thread::spawn(move || {
        let consoles = paths.iter().map(|path| Console::open(path).unwrap());
        let consoles: Vec<Console> = consoles.collect();
        let names = consoles.iter().map(|console| console.name().to_owned());
        let pages = Pages::new(script, names.collect(), Log::default());
        Driver::new(pages, consoles)?.run()
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
    let model = Model::new("demo 1.0.0".to_owned(), vec!["console".to_owned()]);
    console.draw(|frame| view(&model, 0, frame));
    second.sees("Looking at this machine");
}
