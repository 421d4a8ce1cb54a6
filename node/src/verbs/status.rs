//! Tells what is installed, and what boots next.

use anyhow::Result;

use super::output::{self, Format};
use crate::upgrade::machine::Machine;
use crate::upgrade::status::status;

/// Shows what is installed, and what boots next
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How it is told
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let status = status(&Machine::this())?;
    output::data(args.format, &status, &status.text())
}
