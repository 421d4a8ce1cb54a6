//! `isoforge cache`.

use std::num::NonZeroUsize;

use super::show;
use crate::build::cache::{self, RemovalRules};
use crate::cli::args::{
    Cache, CacheCommand, Clear, Export, Global, Import, List, SettingArgs, StoreArgs, Verify,
};
use crate::cli::report;
use crate::cli::settings::Settings;
use crate::lock;
use isoforge_base::error::{Class, Result};
use isoforge_base::interrupt;

pub(in crate::cli) fn run(args: &Cache, global: &Global) -> Result<()> {
    interrupt::watch(|| {
        report::line("interrupted: what the store has is whole");
        std::process::exit(Class::Interrupted.exit_code().into());
    })?;
    match &args.command {
        CacheCommand::Ls(args) => list(args, global),
        CacheCommand::Verify(args) => verify(args, global),
        CacheCommand::Gc(args) => clear(args, global),
        CacheCommand::Export(args) => export(args, global),
        CacheCommand::Import(args) => import(args, global),
    }
}

fn list(args: &List, global: &Global) -> Result<()> {
    let store = store(&args.store, global)?;
    show(args.store.format, &cache::list(&store.cache_dir, args.all)?)
}

fn verify(args: &Verify, global: &Global) -> Result<()> {
    let store = store(&args.store, global)?;
    let progress = report::progress(global);
    let how = cache::Verify {
        threads: threads(&store),
        repair: args.repair,
        deep: args.deep,
    };
    let found = cache::verify(&store.cache_dir, how, &progress)?;
    show(args.store.format, &found)?;
    match found.error() {
        Some(damaged) => Err(damaged),
        None => Ok(()),
    }
}

fn clear(args: &Clear, global: &Global) -> Result<()> {
    let store = store(&args.store, global)?;
    let rules = RemovalRules {
        older_than: args.age(),
        max_bytes: args.max_size,
        all_others: !args.all_but_locks.is_empty(),
        keep: [args.all_but_locks.as_slice(), &args.keep_lock].concat(),
        dry_run: args.dry_run,
    };
    let progress = report::progress(global);
    show(
        args.store.format,
        &cache::remove(&store.cache_dir, &rules, &progress)?,
    )
}

fn export(args: &Export, global: &Global) -> Result<()> {
    let store = store(&args.store, global)?;
    let profile = args.profile.clone().unwrap_or_default();
    let lock = lock::locate(&profile, args.lock.as_deref())?;
    let progress = report::progress(global);
    show(
        args.store.format,
        &cache::export(&store.cache_dir, &lock, &args.output, &progress)?,
    )
}

fn import(args: &Import, global: &Global) -> Result<()> {
    let store = store(&args.store, global)?;
    let request = cache::Import {
        store: &store.cache_dir,
        from: &args.path,
        lock_to: args.lock_to.as_deref(),
        threads: threads(&store),
    };
    show(
        args.store.format,
        &cache::import(&request, &report::progress(global))?,
    )
}

fn store(args: &StoreArgs, global: &Global) -> Result<Settings> {
    let flags = SettingArgs {
        cache_dir: args.cache_dir.clone(),
        jobs: args.jobs,
        ..SettingArgs::default()
    };
    Settings::load(global, &flags, None)
}

fn threads(store: &Settings) -> NonZeroUsize {
    NonZeroUsize::new(store.jobs).unwrap_or(NonZeroUsize::MIN)
}
