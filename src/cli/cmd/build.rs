//! `isoforge build`.

use anyhow::Result;

use crate::cli::args::{Build, Format, Global, Only};
use crate::cli::settings::Settings;
use crate::cli::{env, report};
use crate::pipeline::{self, Artifacts, Request};

pub(in crate::cli) fn run(args: &Build, global: &Global) -> Result<()> {
    super::stop_on_interrupt("interrupted: the output folder is as it was before")?;
    let progress = report::progress(global);
    let settings = Settings::load(global, &args.settings)?;
    let loaded = super::load(&args.profile)?;
    for note in &loaded.notes {
        progress.note(note);
    }
    let request = Request {
        loaded: &loaded,
        profile_path: &args.profile.profile,
        artifacts: match args.only {
            None => Artifacts::Both,
            Some(Only::Iso) => Artifacts::Iso,
            Some(Only::Provider) => Artifacts::Provider,
        },
        output: &args.output,
        lock: args.lock.how(&args.profile),
        settings: settings.into_pipeline(args.force),
        env: &|name| env::get(name),
    };
    let summary = pipeline::build(&request, &progress)?;
    report::data(&match args.format {
        Format::Text => summary.to_string(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&summary)?),
    })?;
    Ok(())
}
