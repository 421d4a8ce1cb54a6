//! The installer on the medium: full-screen, or unattended.

use anyhow::Result;

use crate::installer;

/// The installer on the medium: full-screen, or unattended
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Console to use instead of the kernel's, such as ttyS0; may be repeated
    #[arg(long, value_name = "NAME")]
    console: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    installer::run(&args.console)
}
