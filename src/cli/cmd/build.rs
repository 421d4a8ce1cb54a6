//! `isoforge build`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::build::{self, Artifacts, Request, Summary};
use crate::cli::args::{Build, Global, Only, ProgressMode};
use crate::cli::settings::Settings;
use crate::cli::{env, report};
use isoforge_base::error::{Class, Context as _, Result};
use isoforge_base::human;
use isoforge_base::interrupt;
use isoforge_base::progress::Progress;
use isoforge_contract::manifest;

pub(in crate::cli) fn run(args: &Build, global: &Global) -> Result<()> {
    let written = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&written);
    interrupt::watch(move || {
        report::failed(
            if seen.load(Ordering::Relaxed) {
                "interrupted: the outputs are complete, but not all of the provider image was pushed"
            } else {
                "interrupted: the output folder is as it was before"
            },
            Class::Interrupted,
        );
        std::process::exit(Class::Interrupted.exit_code().into());
    })?;
    let progress = report::progress(global);
    let settings = Settings::load(global, &args.settings, args.output.as_deref())?;
    let loaded = super::load(&args.profile, &progress)?;
    let request = Request {
        loaded: &loaded,
        profile_path: &args.profile.profile,
        artifacts: match args.only {
            None => Artifacts::Both,
            Some(Only::Iso) => Artifacts::Iso,
            Some(Only::Provider) => Artifacts::Provider,
        },
        output: &settings.output.clone(),
        lock: args.lock.how(&args.profile),
        settings: build::Settings {
            with_referrers: args.with_referrers,
            ..settings.build_settings(args.force)
        },
        env: &|name| env::get(name),
    };
    let mut summary = build::build(&request, &progress)?;
    written.store(true, Ordering::Relaxed);
    let pushed = if args.no_push {
        Ok(None)
    } else {
        build::push_built(&request, &summary, &progress)
    };
    // What was built is told in any case.
    if let Ok(report) = &pushed {
        summary.pushed.clone_from(report);
    }
    report::result(
        serde_json::to_value(&summary)?,
        Some(summary.folder.join(manifest::FILE_NAME)),
    );
    super::show(args.format, &summary)?;
    // Programs find all of it in the last event.
    if global.mode() != ProgressMode::Json {
        closing(&summary, &progress);
    }
    let folder = summary.folder.display();
    pushed.with_context(|| {
        format!("the outputs are in '{folder}', but the provider image was not pushed")
    })?;
    Ok(())
}

/// Says what the build took and what may come next; what was built is data.
fn closing(summary: &Summary, progress: &Progress) {
    let total = Duration::from_millis(summary.run.milliseconds);
    progress.stage(&format!("Done in {}", human::duration(total)));
    for line in summary.run.lines() {
        progress.note(line);
    }
    for next in &summary.next {
        progress.note(format!("to {}: {}", next.purpose, next.command));
    }
}
