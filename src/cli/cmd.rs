//! One module for each verb: arguments in, one call of the library, a report.

pub(super) mod build;
pub(super) mod bundle;
pub(super) mod cache;
pub(super) mod config;
pub(super) mod content;
pub(super) mod init;
pub(super) mod inspect;
pub(super) mod lock;
pub(super) mod login;
pub(super) mod logout;
pub(super) mod pack;
pub(super) mod push;
pub(super) mod schema;
pub(super) mod validate;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::args::{Format, ProfileArgs};
use super::report::{self, Data};
use crate::profile::{self, Loaded, SetOverride};
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::interrupt;
use isoforge_base::progress::Progress;

/// From now on an interrupt ends the process after what is partial was removed.
fn stop_on_interrupt(message: &'static str) -> Result<()> {
    interrupt::watch(move || {
        report::failed(message, Class::Interrupted);
        std::process::exit(Class::Interrupted.exit_code().into());
    })?;
    Ok(())
}

/// Reads the profile that the arguments name, and tells its notes.
fn load(args: &ProfileArgs, progress: &Progress) -> Result<Loaded> {
    let overrides: Vec<SetOverride> = args.set.iter().cloned().map(SetOverride).collect();
    let options = profile::Options {
        overrides: &overrides,
        catalogs: &[],
    };
    let read = |path: &Path| fs_err::read_to_string(path);
    let loaded = profile::load(&args.profile, &options, &read)?;
    for note in &loaded.notes {
        progress.note(note);
    }
    Ok(loaded)
}

/// Gives a verb's result as text or as JSON.
fn show(format: Format, result: &(impl Serialize + fmt::Display)) -> Result<()> {
    report::data(match format {
        Format::Text => Data::Text(result.to_string()),
        Format::Json => json(result)?,
    })?;
    Ok(())
}

/// A document for programs.
fn json(value: &impl Serialize) -> Result<Data> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(Data::Json(format!("{text}\n")))
}

/// The error that follows a report of what is wrong with an artifact.
fn faulty(path: &Path, what: &str, first: impl fmt::Display) -> Failure {
    let message = format!("'{}' is not {what}: {first}", path.display());
    Failure::new(Class::Verification, message)
        .with_hint("copy it or build it again; do not use this one")
}
