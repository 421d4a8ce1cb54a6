//! One module for each verb: arguments in, one call of the library, a report.

pub(super) mod build;
pub(super) mod cache;
pub(super) mod init;
pub(super) mod inspect;
pub(super) mod validate;

use std::path::Path;

use anyhow::Result;

use super::args::ProfileArgs;
use crate::profile::{self, Loaded, SetOverride};

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
