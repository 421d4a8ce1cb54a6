//! Upgrades to another provider image.

use anyhow::Result;

/// Upgrades to another provider image
#[derive(Debug, clap::Args)]
pub struct Args {}

/// The verb.
///
/// # Errors
/// What went wrong, outermost first.
pub fn run(_args: &Args) -> Result<()> {
    anyhow::bail!("not built yet")
}
