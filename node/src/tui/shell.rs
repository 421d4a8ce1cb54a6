//! A shell on a console, with the console as its terminal.

use std::path::Path;

use isoforge_base::process::{Error, Program};

/// Opens the console. Whoever leads a session gets the first terminal that it
/// opens as its own, so that Ctrl-C and jobs work.
const OPENER: &str = "exec <>\"$0\" >&0 2>&1; eval \"$1\"";

/// Runs a script on a console until it ends.
///
/// # Errors
/// Where no session can be started. How the shell itself ends says nothing.
pub(crate) fn run(console: &str, script: &str) -> Result<(), Error> {
    let serial = !console
        .strip_prefix("tty")
        .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let path = Path::new("/dev").join(console);
    let result = Program::new("setsid", "util-linux")
        .args(["-w", "/bin/sh", "-c", OPENER])
        .arg(path)
        .arg(script)
        .env("TERM", if serial { "vt220" } else { "linux" })
        .env("HOME", "/root")
        .output(1024);
    match result {
        Ok(_) | Err(Error::Failed { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
