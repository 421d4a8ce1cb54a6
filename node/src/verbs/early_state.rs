//! Lays the state over the root before it is switched to.

use anyhow::Result;

/// Lays the state over the root before it is switched to
#[derive(Debug, clap::Args)]
pub struct Args {}

/// The verb.
///
/// # Errors
/// What went wrong, outermost first.
pub fn run(_args: &Args) -> Result<()> {
    anyhow::bail!("not built yet")
}
