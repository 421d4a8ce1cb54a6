//! Rules on the installed machine that concern several keys.

use super::model::Profile;
use super::problem::{Draft, Report};
use super::tree;
use super::value::Table;
use isoforge_contract::machine::{Device, Flavor};

/// Keys that isoforge's own installer and program act on, and Kairos's do not.
const OWN: [(&str, &[&str]); 3] = [
    (
        "install",
        &["force", "pages", "account", "partitions", "require"],
    ),
    ("state", &["directories", "etc"]),
    ("health", &["checks", "units", "time_limit"]),
];

/// Reports what is wrong.
pub(super) fn validate(profile: &Profile, table: &Table, report: &Report) {
    if profile.os.flavor == Flavor::Kairos {
        needs_own_installer(profile, table, report);
    }
}

/// What Kairos would ignore is an error, not a wish.
fn needs_own_installer(profile: &Profile, table: &Table, report: &Report) {
    let written = OWN.iter().flat_map(|(name, keys)| {
        let keys = keys.iter().filter(|key| tree::has(table, name, key));
        keys.map(move |key| format!("{name}.{key}"))
    });
    let rule = matches!(profile.install.device, Device::Rule(_));
    let rule = rule.then(|| "install.device".to_owned());
    for path in written.chain(rule) {
        let message = match path.as_str() {
            "install.device" => "a rule for the disk has no effect in flavor 'kairos'".to_owned(),
            path => format!("'{path}' has no effect in flavor 'kairos'"),
        };
        report.add(
            Draft::new(tree::place(table, &path), message)
                .expected("os.flavor = \"appliance\" with it, or a cloud-config that says so"),
        );
    }
}
