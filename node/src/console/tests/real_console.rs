//! The loop itself, on a pseudo-terminal that is read by a terminal emulation.

use std::sync::Arc;

use super::*;
use crate::console::pages::Pages;
use crate::tui::console::Console;
use crate::tui::driver::Driver;
use crate::tui::testing::Person;

#[test]
fn a_person_sets_up_a_machine() {
    let person = Person::new(80, 24);
    person.look();
    let script = Arc::new(Script {
        facts: Mutex::new(unset()),
        ..Script::default()
    });
    let (machine, path) = (Arc::clone(&script), person.path.clone());
    let handle = std::thread::spawn(move || {
        let consoles = vec![Console::open(&path).unwrap()];
        Driver::new(Pages::new(machine, None), consoles)?.run()
    });
    person.sees("Set up required");
    person.press("\r");
    person.sees("This machine has no account yet");
    person.press("op\rsecret-1\rsecret-1\r\r");
    person.sees("The account 'op' is made.");
    assert!(!person.screen().contains("secret"));
    person.press("\r");
    person.sees("The name of this machine.");
    person.press("\x7f7\r");
    person.sees("The machine has its new name.");
    // A shell has the console until it ends.
    person.press("\x1b[B\r");
    person.sees("in-the-shell");
    person.press("words\n");
    person.sees("a command line of your account");
    person.press("\x1b");
    person.sees("node-7");
    person.press("\r");
    person.sees("An account that administrates");
    person.press("op\rsecret-2\r");
    person.sees("The name or the password is wrong.");
    person.press("secret-1\r");
    person.sees("turn this machine off");
    person.press("\x1b[A\x1b[A\r\t\r");
    handle.join().unwrap().unwrap();
    assert_eq!(
        *script.done.lock().unwrap(),
        ["create op None", "name node-7", "shell Some(\"op\")", "Off"]
    );
}
