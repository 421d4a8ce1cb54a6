//! `isoforge push`.

use crate::build::{self, PushRequest};
use crate::cli::args::{Format, Global, Push};
use crate::cli::report;
use crate::cli::settings::Settings;
use isoforge_base::error::{Class, Result};
use isoforge_base::interrupt;
use isoforge_oci::push::Destination;

pub(in crate::cli) fn run(args: &Push, global: &Global) -> Result<()> {
    interrupt::watch(|| {
        report::failed(
            "interrupted: what was pushed stays, and is not sent again",
            Class::Interrupted,
        );
        std::process::exit(Class::Interrupted.exit_code().into());
    })?;
    let progress = report::progress(global);
    let to: Option<Destination> = args.to.as_deref().map(str::parse).transpose()?;
    let request = PushRequest {
        source: &args.source,
        to: to.as_ref(),
        tags: &args.tag,
        dry_run: args.dry_run,
        settings: Settings::load(global, &args.settings(), None)?.build_settings(false),
    };
    let pushed = build::push(&request, &progress)?;
    report::data(&match args.format {
        Format::Text => pushed.to_string(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&pushed)?),
    })?;
    Ok(())
}
