//! `isoforge push`.

use crate::build::{self, PushRequest};
use crate::cli::args::{Global, Push};
use crate::cli::report;
use crate::cli::settings::Settings;
use isoforge_base::error::Result;
use isoforge_oci::push::Destination;

pub(in crate::cli) fn run(args: &Push, global: &Global) -> Result<()> {
    super::stop_on_interrupt("interrupted: what was pushed stays, and is not sent again")?;
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
    super::show(args.format, &pushed)
}
