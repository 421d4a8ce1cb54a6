//! Makes the SSH host keys of this machine, and keeps them.

use anyhow::Result;

/// Makes the SSH host keys of this machine, and keeps them
#[derive(Debug, clap::Args)]
pub struct Args {}

/// The verb.
///
/// # Errors
/// What went wrong, outermost first.
pub fn run(_args: &Args) -> Result<()> {
    anyhow::bail!("not built yet")
}
