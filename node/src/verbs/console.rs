//! The machine's own pages on one of its consoles.

use anyhow::{Result, bail};

use crate::console;

/// The machine's own pages on one of its consoles
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The console, such as tty1 or ttyS0
    name: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    console::run(&args.name, None)
}

/// Show this machine and its settings, full-screen, in a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Tui {}

pub(crate) fn tui(_: &Tui) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("only root changes this machine; try 'sudo appliance tui'");
    }
    let terminal = rustix::termios::ttyname(std::io::stdin(), Vec::new());
    let Ok(Ok(path)) = terminal.map(std::ffi::CString::into_string) else {
        bail!("the standard input is no terminal");
    };
    let name = path.strip_prefix("/dev/").unwrap_or(&path);
    console::run(name, Some("root".to_owned()))
}
