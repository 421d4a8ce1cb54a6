//! Lays the state over the root before it is switched to.

use anyhow::Result;

use crate::state::{self, EarlyPaths, message};

/// Lay the state over the root before it is switched to
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// The verb. What goes wrong is said in the kernel's log as well: the machine
/// reboots, and nothing else will show it.
pub(crate) fn run(_args: &Args) -> Result<()> {
    state::run(&EarlyPaths::default()).inspect_err(message::say_error)
}
