//! `isoforge inspect`.

use anyhow::Result;

use crate::cli::args::{Format, Inspect};
use crate::cli::report;
use crate::inspect;

pub(in crate::cli) fn run(args: &Inspect) -> Result<()> {
    let found = inspect::inspect(&args.path)?;
    report::data(&match args.format {
        Format::Text => found.to_string(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&found)?),
    })?;
    Ok(())
}
