//! The machine's own pages on its consoles: what it is, and the settings that a person
//! who stands before it needs.
//!
//! Each console has pages of its own (`getty@tty1` and `serial-getty@` run them in place
//! of a login prompt, where the profile has `[console] enabled`), so who logs in on one
//! has not logged in on another. One [`model::Model`] holds what is known and typed;
//! [`update`] turns it, [`view`] draws it, [`machine::Machine`] does it, as in the
//! installer.
//!
//! Invariants:
//! - Nothing is changed before somebody has logged in who administrates the machine; on
//!   one without any such account, before the first one is made.
//! - The system's own login is always one key away, whatever these pages know.
//! - A password is in memory while it is checked, and nowhere else.

mod facts;
mod machine;
mod model;
mod pages;
mod real;
mod update;
mod view;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use isoforge_contract::machine::{CONFIG_PATH, Config};

use crate::tui::console::Console;
use crate::tui::driver::Driver;

/// Shows the pages on a console, such as `ttyS0`. `administrator` has logged in already:
/// the pages were opened in a shell, and end on its wish.
///
/// # Errors
/// Where the configuration can't be read, or the console can't be used.
pub(crate) fn run(name: &str, administrator: Option<String>) -> Result<()> {
    let path = Path::new("/").join(CONFIG_PATH);
    let config = Config::parse(&fs_err::read(&path)?)
        .with_context(|| format!("{} can't be used", path.display()))?;
    let console = Console::open(&Path::new("/dev").join(name))?;
    let machine = Arc::new(real::Real::new(config));
    Driver::new(pages::Pages::new(machine, administrator), vec![console])?.run()
}

#[cfg(test)]
mod tests;
