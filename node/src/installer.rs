//! The installer's pages, on all consoles of the machine at once.
//!
//! One [`model::Model`] holds what is known and chosen. [`update`] turns it by
//! what happens and says what has to be done ([`model::Effect`]); [`view`]
//! draws it; neither of them touches anything else. [`pages`] tells how it is
//! done, and [`crate::tui`] does it. What the machine does stands behind
//! [`machine::Machine`].
//!
//! Invariant: nothing is written to a disk before the last confirmation, or before an
//! unattended installation has been planned without a refusal.

mod check;
mod log;
mod machine;
mod model;
mod pages;
mod real;
mod update;
mod view;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use isoforge_contract::machine::{CONFIG_PATH, Config, Flavor};

use crate::tui::console::{self, Console};
use crate::tui::driver::Driver;
use crate::tui::quiet;
use crate::{boot_lock, paths};

/// The kernel's list of its consoles.
const ACTIVE: &str = "/sys/class/tty/console/active";

/// The console that shows the log.
const LOG_CONSOLE: &str = "/dev/tty2";

/// The command line of the running kernel.
const CMDLINE: &str = "/proc/cmdline";

/// Runs the installer on `names`, or where there are none, on the kernel's
/// consoles.
///
/// # Errors
/// Where the configuration can't be read, or no console can be used.
pub(crate) fn run(names: &[String]) -> Result<()> {
    let path = Path::new("/").join(CONFIG_PATH);
    let config = Config::parse(&fs_err::read(&path)?)
        .with_context(|| format!("{} can't be used", path.display()))?;
    if config.flavor == Flavor::Kairos {
        bail!("this system is installed by kairos-agent, not by this program");
    }
    let names = if names.is_empty() {
        console::names(&fs_err::read_to_string(ACTIVE).unwrap_or_default())
    } else {
        names.to_vec()
    };
    let _quiet = quiet::Quiet::new(Path::new(quiet::PRINTK), true);
    let log = log::Log::open(Path::new(paths::INSTALL_LOG), Path::new(LOG_CONSOLE));
    let consoles = open(&names)?;
    let lock = boot_lock::of(Path::new("/"))?;
    let machine = real::Real::new(config, real::asked(Path::new(CMDLINE)), lock);
    let names = consoles.iter().map(|console| console.name().to_owned());
    let pages = pages::Pages::new(Arc::new(machine), names.collect(), log);
    Driver::new(pages, consoles)?.run()
}

/// Opens the consoles that can be used; one is enough.
fn open(names: &[String]) -> Result<Vec<Console>> {
    let mut consoles = Vec::new();
    let mut refusal = None;
    for name in names {
        match Console::open(&Path::new("/dev").join(name)) {
            Ok(console) => consoles.push(console),
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) if consoles.is_empty() => Err(error),
        _ => Ok(consoles),
    }
}

#[cfg(test)]
mod tests;
