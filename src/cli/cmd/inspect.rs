//! `isoforge inspect`.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::args::{Format, Global, Inspect};
use crate::cli::report;
use crate::inspect;
use isoforge_base::error::{Class, Diagnose, Result};

/// Version of the report's JSON.
const SCHEMA: u32 = 1;

/// The artifact is not what it says of itself; the report tells all of it.
#[derive(Debug, thiserror::Error)]
#[error("'{}' is not sound: {first}", path.display())]
pub(in crate::cli) struct Unsound {
    path: PathBuf,
    first: String,
}

impl Diagnose for Unsound {
    fn class(&self) -> Class {
        Class::Verification
    }

    fn hint(&self) -> Option<String> {
        Some("copy it or build it again; do not use this one".to_owned())
    }
}

pub(in crate::cli) fn run(args: &Inspect, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let found = inspect::inspect(&args.path, &progress)?;
    report::data(&match args.format {
        Format::Text => found.to_string(),
        Format::Json => {
            let mut value = serde_json::to_value(&found)?;
            if let Some(object) = value.as_object_mut() {
                object.shift_insert(0, "schema".to_owned(), json!(SCHEMA));
            }
            format!("{}\n", serde_json::to_string_pretty(&value)?)
        }
    })?;
    match found.problems().first() {
        None => Ok(()),
        Some(first) => Err(Unsound {
            path: args.path.clone(),
            first: first.clone(),
        }
        .into()),
    }
}
