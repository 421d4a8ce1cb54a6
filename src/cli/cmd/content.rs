//! `isoforge content`.

use anyhow::Result;
use serde::Serialize;

use crate::cli::args::{Content, ContentCommand, Find, Format, Global};
use crate::cli::report;
use crate::content::find::helm::Helm;
use crate::content::find::{Images, Options, Target};
use crate::content::macros::Answers;
use crate::content::values;

/// Version of the JSON.
const SCHEMA: u32 = 1;

pub(in crate::cli) fn run(args: &Content, global: &Global) -> Result<()> {
    match &args.command {
        ContentCommand::Find(args) => find(args, global),
    }
}

fn find(args: &Find, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let mut options = Options {
        presets: args.presets.clone(),
        kubernetes: args.kubernetes.clone(),
        helm: match (&args.helm, args.no_helm) {
            (Some(path), _) => Some(Helm::at(path)),
            (None, true) => None,
            (None, false) => Helm::installed(),
        },
        ..Options::default()
    };
    if let Some(version) = &args.kubernetes {
        options.answers = Answers::for_kubernetes(version);
    }
    for path in &args.values {
        options.values.push(values::read(path)?);
    }
    for rule in &args.at {
        options.rules.push(rule.parse()?);
    }
    let mut found = Images::default();
    for path in &args.paths {
        progress.stage(&format!("Searching {}", path.display()));
        let target = Target::open(path)?;
        found.extend(target.images(&options)?);
    }
    report::data(&match args.format {
        Format::Text => found.to_string(),
        Format::Json => json(&found)?,
    })?;
    Ok(())
}

/// The result for programs, with whether it is certain.
fn json(found: &Images) -> Result<String> {
    #[derive(Serialize)]
    struct Report<'a> {
        schema: u32,
        proven: bool,
        #[serde(flatten)]
        found: &'a Images,
    }
    let report = Report {
        schema: SCHEMA,
        proven: found.is_proven(),
        found,
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&report)?))
}
