//! `isoforge bundle`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::show;
use crate::build::{self, BundleRequest};
use crate::cli::args::{
    As, Bundle as Args, BundleApply, BundleArgs, BundleBuild, BundleCommand, BundleDiff,
    BundleInspect, BundleServe, BundleVerify, FormArgs, Global, ProfileArgs, SettingArgs,
};
use crate::cli::report;
use crate::cli::settings::Settings;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_content::bundle::{self, Bundle, DEFAULT_PART_BYTES, Form, Server, Verification};

/// Arguments that say nothing together.
fn usage(message: &str) -> Failure {
    Failure::new(Class::Profile, message)
}

impl FormArgs {
    /// The form that is asked for.
    fn form(&self) -> Result<Form> {
        match (self.form, self.split) {
            (As::Dir, Some(_)) => Err(usage("a folder is not split: --split goes with an archive")),
            (As::Dir, None) if self.force => Err(usage(
                "a folder is not replaced: --force goes with an archive",
            )),
            (As::Dir, None) => Ok(Form::Folder),
            (As::Archive, split) => Ok(Form::Archive {
                part_bytes: split.map(|size| size.unwrap_or(DEFAULT_PART_BYTES)),
            }),
        }
    }
}

pub(in crate::cli) fn run(args: &Args, global: &Global) -> Result<()> {
    super::stop_on_interrupt(match &args.command {
        BundleCommand::Build(_) | BundleCommand::Apply(_) => {
            "interrupted: the output folder is as it was before"
        }
        _ => "interrupted",
    })?;
    match &args.command {
        BundleCommand::Build(args) => build(args, global),
        BundleCommand::Apply(args) => apply(args, global),
        BundleCommand::Inspect(args) => inspect(args),
        BundleCommand::Verify(args) => verify(args, global),
        BundleCommand::Diff(args) => diff(args),
        BundleCommand::Serve(args) => serve(args, global),
    }
}

fn build(args: &BundleBuild, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    // The variable of the lock may be set for other commands.
    let lock_given = args.lock.locked || global.given.by_flag("lock");
    if args.profile.is_none() && lock_given {
        return Err(usage(
            "--lock and --locked go with a profile; without one, name images by digest",
        ));
    }
    let settings = Settings::load(global, &args.settings, args.form.output.as_deref())?;
    let profile = args.profile.clone().map(|profile| ProfileArgs {
        profile,
        set: args.set.clone(),
    });
    let loaded = match &profile {
        Some(profile) => Some(super::load(profile, &progress)?),
        None => None,
    };
    let path = profile.as_ref().map_or(Path::new(""), |p| &p.profile);
    let lock = match &profile {
        Some(profile) => args.lock.how(profile),
        None => args.lock.how(&ProfileArgs {
            profile: PathBuf::new(),
            set: Vec::new(),
        }),
    };
    let request = BundleRequest {
        profile: loaded.as_ref().map(|loaded| (loaded, path)),
        images: &args.image,
        platforms: &args.platform,
        providers: &args.provider,
        name: args.name.as_deref(),
        version: args.version.as_deref(),
        since: args.since.as_deref(),
        output: &settings.output.clone(),
        form: args.form.form()?,
        replace: args.form.force,
        lock,
        settings: build::Settings {
            with_referrers: args.with_referrers,
            ..settings.build_settings(false)
        },
    };
    show(args.format, &build::build_bundle(&request, &progress)?)
}

fn apply(args: &BundleApply, global: &Global) -> Result<()> {
    let settings = Settings::load(global, &SettingArgs::default(), args.form.output.as_deref())?;
    let whole = build::apply_bundle(
        &args.base,
        &args.delta,
        &settings.output,
        args.form.form()?,
        args.form.force,
        &report::progress(global),
    )?;
    show(args.format, &whole)
}

pub(super) fn open(args: &BundleArgs) -> Result<Bundle> {
    Ok(match &args.base {
        Some(base) => Bundle::open_with_base(&args.bundle, base)?,
        None => Bundle::open(&args.bundle)?,
    })
}

fn inspect(args: &BundleInspect) -> Result<()> {
    show(args.format, &bundle::inspect(&open(&args.bundle)?)?)
}

fn verify(args: &BundleVerify, global: &Global) -> Result<()> {
    let flags = SettingArgs {
        jobs: args.jobs,
        ..SettingArgs::default()
    };
    let settings = Settings::load(global, &flags, None)?;
    let threads = NonZeroUsize::new(settings.jobs).unwrap_or(NonZeroUsize::MIN);
    let found: Verification = bundle::verify(
        &args.bundle.bundle,
        args.bundle.base.as_deref(),
        threads,
        &report::progress(global),
    )?;
    show(args.format, &found)?;
    match found.faults.first() {
        None => Ok(()),
        Some(first) => Err(super::faulty(&args.bundle.bundle, "whole", first)),
    }
}

fn diff(args: &BundleDiff) -> Result<()> {
    let (from, to) = (Bundle::open(&args.from)?, Bundle::open(&args.to)?);
    show(args.format, &bundle::difference(&from, &to)?)
}

fn serve(args: &BundleServe, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let bundle = open(&args.bundle)?;
    if bundle.lacks_base() {
        progress.warn("this is a delta: what its base has is served only with --base");
    }
    let server = Server::new(bundle, args.listen)?;
    for (repository, tags) in server.repositories() {
        progress.detail(format!("{repository}: {}", tags.join(", ")));
    }
    report::data(format!("{}\n", server.address()))?;
    progress.note("serving until interrupted");
    server.run();
    Ok(())
}
