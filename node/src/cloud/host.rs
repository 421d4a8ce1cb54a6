//! The running system, as far as a configuration acts on it beyond files.

use std::io::Write as _;
use std::time::Duration;

use crate::run;
use isoforge_base::shown;

/// How long a command of a configuration may run.
const COMMAND_LIMIT: Duration = Duration::from_secs(600);

/// How long a program of the system may run.
const PROGRAM_LIMIT: Duration = Duration::from_secs(120);

/// The running system.
pub(crate) trait Host {
    /// Runs a program of the system.
    ///
    /// # Errors
    /// Why it did not do its work.
    fn run(&mut self, program: &str, args: &[&str]) -> Result<(), String>;

    /// Runs a command of a configuration: a line for the shell.
    ///
    /// # Errors
    /// Why it did not do its work.
    fn command(&mut self, line: &str) -> Result<(), String>;

    /// Whether a condition of a configuration holds: a line for the shell.
    fn holds(&mut self, line: &str) -> bool;

    /// Sets the host's name in the kernel.
    ///
    /// # Errors
    /// What the system said.
    fn set_hostname(&mut self, name: &str) -> Result<(), String>;

    /// Says what is done.
    fn tell(&mut self, line: &str);
}

/// The system that this program runs on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct System;

impl Host for System {
    fn run(&mut self, program: &str, args: &[&str]) -> Result<(), String> {
        run::attached(program, args, PROGRAM_LIMIT).map_err(|error| error.to_string())
    }

    fn command(&mut self, line: &str) -> Result<(), String> {
        run::attached("/bin/sh", &["-c", line], COMMAND_LIMIT).map_err(|error| error.to_string())
    }

    fn holds(&mut self, line: &str) -> bool {
        run::attached("/bin/sh", &["-c", line], COMMAND_LIMIT).is_ok()
    }

    fn set_hostname(&mut self, name: &str) -> Result<(), String> {
        rustix::system::sethostname(name.as_bytes())
            .map_err(|errno| format!("the kernel does not take the name: {errno}"))
    }

    fn tell(&mut self, line: &str) {
        say(line);
    }
}

/// No system: a root in which files are written, and nothing runs. What would
/// be run is told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Telling;

impl Host for Telling {
    fn run(&mut self, program: &str, args: &[&str]) -> Result<(), String> {
        say(&format!("not run: {program} {}", args.join(" ")));
        Ok(())
    }

    fn command(&mut self, line: &str) -> Result<(), String> {
        say(&format!("not run: {line}"));
        Ok(())
    }

    fn holds(&mut self, line: &str) -> bool {
        say(&format!("taken to hold: {line}"));
        true
    }

    fn set_hostname(&mut self, _name: &str) -> Result<(), String> {
        Ok(())
    }

    fn tell(&mut self, line: &str) {
        say(line);
    }
}

/// To the journal, or whoever listens; nobody is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", shown::continued(line));
}
