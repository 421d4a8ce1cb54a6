//! `isoforge lock`, `isoforge plan` and `isoforge pull`.

use std::path::Path;

use isoforge_base::error::Result;

use crate::build::{self, Artifacts, LockUse, Report, Request, Upgrade};
use crate::cli::args::{Format, Global, Lock, LockArgs, Plan, ProfileArgs, Pull, SettingArgs};
use crate::cli::report::Data;
use crate::cli::settings::Settings;
use crate::cli::{env, report};
use isoforge_base::human;
use isoforge_base::progress::Progress;

impl LockArgs {
    /// What the build needs of it.
    pub(in crate::cli) fn how(&self, profile: &ProfileArgs) -> LockUse {
        LockUse {
            path: self.file.lock.clone(),
            set: profile.set.clone(),
            locked: self.locked,
            offline: self.offline,
            accept_scan: self.accept_scan,
        }
    }
}

pub(in crate::cli) fn run(args: &Lock, global: &Global) -> Result<()> {
    let upgrade = match &args.upgrade {
        None => Upgrade::None,
        Some(None) => Upgrade::All,
        Some(Some(name)) => Upgrade::One(name.clone()),
    };
    let lock = LockArgs {
        file: args.file.clone(),
        accept_scan: args.accept_scan,
        ..LockArgs::default()
    };
    let found = with_request(
        &args.profile,
        &lock,
        &args.settings,
        global,
        |request, progress| build::lock(request, &upgrade, args.check, progress),
    )?;
    let verb = match (args.check, found.new, found.changes.is_empty()) {
        (true, ..) | (_, false, true) => "is up to date",
        (_, true, _) => "is new",
        _ => "has changed",
    };
    print(&found, verb, args.format)
}

pub(in crate::cli) fn pull(args: &Pull, global: &Global) -> Result<()> {
    let lock = LockArgs {
        file: args.file.clone(),
        locked: args.locked,
        ..LockArgs::default()
    };
    let found = with_request(&args.profile, &lock, &args.settings, global, build::pull)?;
    print(&found, "is in the store", args.format)
}

pub(in crate::cli) fn plan(args: &Plan, global: &Global) -> Result<()> {
    let lock = LockArgs {
        file: args.file.clone(),
        offline: args.offline,
        ..LockArgs::default()
    };
    let plan = with_request(&args.profile, &lock, &args.settings, global, build::plan)?;
    super::show(args.format, &plan)
}

/// Runs `work` with what the arguments ask for.
pub(super) fn with_request<T>(
    profile: &ProfileArgs,
    lock: &LockArgs,
    settings: &SettingArgs,
    global: &Global,
    work: impl FnOnce(&Request<'_>, &Progress) -> Result<T>,
) -> Result<T> {
    super::stop_on_interrupt("interrupted: the lock is as it was before")?;
    let progress = report::progress(global);
    let settings = Settings::load(global, settings, None)?;
    let loaded = super::load(profile, &progress)?;
    let request = Request {
        loaded: &loaded,
        profile_path: &profile.profile,
        artifacts: Artifacts::Both,
        output: Path::new("dist"),
        lock: lock.how(profile),
        settings: settings.build_settings(false),
        env: &|name| env::get(name),
    };
    work(&request, &progress)
}

fn print(found: &Report, verb: &str, format: Format) -> Result<()> {
    report::data(match format {
        Format::Json => super::json(found)?,
        Format::Text => Data::Text(format!(
            "{} {verb}: {}, {}, {}\n",
            found.path.display(),
            human::count(found.images, "image"),
            human::count(found.files, "file"),
            human::count(found.packages, "package")
        )),
    })?;
    Ok(())
}
