//! Keeps changed accounts and passwords.

use anyhow::Result;

/// Keeps changed accounts and passwords
#[derive(Debug, clap::Args)]
pub struct Args {}

/// The verb.
///
/// # Errors
/// What went wrong, outermost first.
pub fn run(_args: &Args) -> Result<()> {
    anyhow::bail!("not built yet")
}
