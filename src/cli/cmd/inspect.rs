//! `isoforge inspect`.

use anyhow::Result;

use crate::cli::args::{Format, Global, Inspect};
use crate::cli::report;
use crate::inspect;

pub(in crate::cli) fn run(args: &Inspect, global: &Global) -> Result<()> {
    let progress = report::progress(global.progress, global.quiet);
    let found = inspect::inspect(&args.path, &progress)?;
    report::data(&match args.format {
        Format::Text => found.to_string(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&found)?),
    })?;
    Ok(())
}
