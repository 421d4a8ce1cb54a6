//! Marks a system on trial as good, or boots the good one again.

use anyhow::Result;

/// Marks a system on trial as good, or boots the good one again
#[derive(Debug, clap::Args)]
pub struct Args {}

/// The verb.
///
/// # Errors
/// What went wrong, outermost first.
pub fn run(_args: &Args) -> Result<()> {
    anyhow::bail!("not built yet")
}
