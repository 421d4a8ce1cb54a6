//! `isoforge validate`.

use isoforge_base::error::Result;
use serde_json::json;

use crate::build;
use crate::cli::args::{Format, Global, Validate};
use crate::cli::{env, report};
use crate::profile::Profile;

pub(in crate::cli) fn run(args: &Validate, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let loaded = super::load(&args.profile, &progress)?;
    let warnings = build::check(&loaded, &args.profile.profile, &|name| env::get(name))?;
    for warning in &warnings {
        progress.warn(warning);
    }
    let profile = &loaded.profile;
    match args.format {
        Format::Text => report::data(format!(
            "{} is valid: {} {}, {} on {} {}, {}\n",
            args.profile.profile.display(),
            profile.appliance.name,
            profile.appliance.version,
            list(profile.appliance.arch.iter()),
            profile.os.distribution,
            profile.os.version,
            kubernetes(profile),
        ))?,
        Format::Json => {
            let value = json!({
                "schema": 1,
                "valid": true,
                "files": loaded.files,
                "warnings": warnings,
                "profile": profile,
            });
            report::data(super::json(&value)?)?;
        }
    }
    Ok(())
}

fn kubernetes(profile: &Profile) -> String {
    let kubernetes = &profile.kubernetes;
    let versions = list(kubernetes.versions.iter());
    match (kubernetes.is_none(), versions.is_empty()) {
        (true, _) => "no Kubernetes".to_owned(),
        (_, true) => format!("Kubernetes {} of the image", kubernetes.distribution),
        _ => format!("Kubernetes {} {versions}", kubernetes.distribution),
    }
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    items
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
