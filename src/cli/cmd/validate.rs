//! `isoforge validate`.

use isoforge_base::error::Result;
use serde_json::json;

use crate::build;
use crate::cli::args::{Format, Global, Validate};
use crate::cli::{env, report};

pub(in crate::cli) fn run(args: &Validate, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let loaded = super::load(&args.profile, &progress)?;
    let warnings = build::check(&loaded, &args.profile.profile, &|name| env::get(name))?;
    for warning in &warnings {
        progress.warn(warning);
    }
    let profile = &loaded.profile;
    match args.format {
        Format::Text => report::data(&format!(
            "{} is valid: {} {}, {} on {} {}, Kubernetes {} {}\n",
            args.profile.profile.display(),
            profile.appliance.name,
            profile.appliance.version,
            list(profile.appliance.arch.iter()),
            profile.os.distribution,
            profile.os.version,
            profile.kubernetes.distribution,
            list(profile.kubernetes.versions.iter()),
        ))?,
        Format::Json => {
            let value = json!({
                "schema": 1,
                "valid": true,
                "files": loaded.files,
                "warnings": warnings,
                "profile": profile,
            });
            report::data(&super::json(&value)?)?;
        }
    }
    Ok(())
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    items
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
