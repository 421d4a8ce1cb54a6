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

use std::path::Path;

use super::args::ProfileArgs;
use super::report;
use crate::profile::{self, Loaded, SetOverride};
use isoforge_base::error::{Class, Result};
use isoforge_base::interrupt;

/// From now on an interrupt ends the process after what is partial was removed.
fn stop_on_interrupt(message: &'static str) -> Result<()> {
    interrupt::watch(move || {
        report::failed(message, Class::Interrupted);
        std::process::exit(Class::Interrupted.exit_code().into());
    })?;
    Ok(())
}

/// Reads the profile that the arguments name.
fn load(args: &ProfileArgs) -> Result<Loaded> {
    let overrides: Vec<SetOverride> = args.set.iter().cloned().map(SetOverride).collect();
    let options = profile::Options {
        overrides: &overrides,
        catalogs: &[],
    };
    let read = |path: &Path| fs_err::read_to_string(path);
    Ok(profile::load(&args.profile, &options, &read)?)
}
