//! The installer on the medium: full-screen, or unattended.

use anyhow::Result;

/// The installer on the medium: full-screen, or unattended
#[derive(Debug, clap::Args)]
pub struct Args {}

/// The verb.
///
/// # Errors
/// What went wrong, outermost first.
pub fn run(_args: &Args) -> Result<()> {
    anyhow::bail!("not built yet")
}
