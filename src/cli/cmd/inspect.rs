//! `isoforge inspect`.

use serde_json::json;

use crate::cli::args::{Format, Global, Inspect};
use crate::cli::report::{self, Data};
use crate::inspect;
use isoforge_base::error::Result;

/// Version of the report's JSON.
const SCHEMA: u32 = 1;

pub(in crate::cli) fn run(args: &Inspect, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let found = inspect::inspect(&args.path, &progress)?;
    report::data(match args.format {
        Format::Text => Data::Text(found.to_string()),
        Format::Json => {
            let mut value = serde_json::to_value(&found)?;
            if let Some(object) = value.as_object_mut() {
                object.shift_insert(0, "schema".to_owned(), json!(SCHEMA));
            }
            super::json(&value)?
        }
    })?;
    match found.problems().first() {
        None => Ok(()),
        Some(first) => Err(super::faulty(&args.path, "sound", first)),
    }
}
