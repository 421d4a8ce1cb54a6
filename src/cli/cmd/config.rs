//! `isoforge config`.

use isoforge_base::error::{Class, Failure, Result};
use serde_json::json;

use crate::cli::args::{Config, ConfigCommand, ConfigShow, Format, Global};
use crate::cli::report::{self, Data};
use crate::cli::settings::{self, Effective};

/// Version of the JSON.
const SCHEMA: u32 = 1;

pub(in crate::cli) fn run(args: &Config, global: &Global) -> Result<()> {
    match &args.command {
        ConfigCommand::Show(args) => show(args, global),
        ConfigCommand::Path => {
            let path = settings::path(global.config.as_deref()).ok_or_else(|| {
                let message =
                    "no folder for the settings file: neither XDG_CONFIG_HOME nor HOME is set";
                Failure::new(Class::Environment, message).with_hint("name a file with --config")
            })?;
            report::data(format!("{}\n", path.display()))?;
            Ok(())
        }
    }
}

fn show(args: &ConfigShow, global: &Global) -> Result<()> {
    let (_, rows) = settings::explain(global, &args.settings, args.output.as_deref())?;
    report::data(match args.format {
        Format::Text => Data::Text(table(&rows)),
        Format::Json => super::json(&json!({"schema": SCHEMA, "settings": rows}))?,
    })?;
    Ok(())
}

/// Name, value and origin in columns.
fn table(rows: &[Effective]) -> String {
    let width = |cell: fn(&Effective) -> String| {
        let widths = rows.iter().map(|row| cell(row).chars().count());
        widths.max().unwrap_or(0)
    };
    let name = width(|row| row.name.clone());
    let value = width(Effective::shown);
    rows.iter()
        .map(|row| {
            format!(
                "{:name$}  {:value$}  {}\n",
                row.name,
                row.shown(),
                row.origin
            )
        })
        .collect()
}
