//! Applies one stage of the cloud-config.

use anyhow::Result;

/// Applies one stage of the cloud-config
#[derive(Debug, clap::Args)]
pub struct Args {}

/// The verb.
///
/// # Errors
/// What went wrong, outermost first.
pub fn run(_args: &Args) -> Result<()> {
    anyhow::bail!("not built yet")
}
