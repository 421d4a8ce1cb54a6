//! What mmdebstrap's failures mean, and what to do about each.

use isoforge_base::error::{Class, Diagnose as _, Failure};
use isoforge_base::process::{self, Error::Failed};

const NAMESPACES: &str = "allow them: sysctl kernel.unprivileged_userns_clone=1 (Debian), \
     user.max_user_namespaces=10000, kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); in a \
     container, its seccomp profile has to allow unshare; a user other than root also needs the \
     package uidmap and a line in /etc/subuid and /etc/subgid";

/// Words of those who may not make namespaces.
const NAMESPACE_TOOLS: [&str; 5] = [
    "newuidmap",
    "newgidmap",
    "/etc/subuid",
    "/etc/subgid",
    "unshare",
];

/// Sorts mmdebstrap's failures by what apt said.
pub(super) fn of_mmdebstrap(error: process::Error) -> Failure {
    const PACKAGES: [&str; 4] = [
        "Unable to locate package",
        "has no installation candidate",
        "unmet dependencies",
        "Unable to correct problems",
    ];
    const FETCH: [&str; 4] = [
        "Failed to fetch",
        "Could not resolve",
        "Could not connect",
        "Temporary failure",
    ];
    if says(&error, &PACKAGES) {
        Failure::caused(Class::Profile, "the packages can't be installed", error)
            .with_hint("check `packages`, `suite` and `components` under [os.bootstrap]")
    } else if says(&error, &FETCH) {
        Failure::caused(Class::Network, "the packages can't be fetched", error)
            .with_hint("check the mirror and the proxy (http_proxy)")
    } else {
        not_made(error)
    }
}

/// mmdebstrap is missing or failed otherwise.
pub(super) fn not_made(error: process::Error) -> Failure {
    let hint = if says(&error, &NAMESPACE_TOOLS) {
        Some(NAMESPACES)
    } else if says(&error, &["No space left"]) {
        Some("make room in /var/tmp: the packages are unpacked there")
    } else {
        None
    };
    let failure = Failure::from(error).context("the root file system can't be made");
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// The host does not let this user make user namespaces.
pub(super) fn no_namespaces(error: process::Error) -> Failure {
    let hint = error.hint().unwrap_or_else(|| NAMESPACES.to_owned());
    let message = "bootstrap needs user namespaces, which this machine does not allow here";
    Failure::caused(Class::Environment, message, error).with_hint(hint)
}

/// The Release file at `url` can't be had.
pub(super) fn no_release(url: &str, error: process::Error) -> Failure {
    let class = match error {
        Failed { .. } => Class::Network,
        _ => error.class(),
    };
    let hint = error.hint().unwrap_or_else(|| {
        "check the mirror, the suite's name, and the proxy (http_proxy)".to_owned()
    });
    let message = format!("the package archive's {url} can't be fetched");
    Failure::caused(class, message, error).with_hint(hint)
}

fn says(error: &process::Error, texts: &[&str]) -> bool {
    matches!(error, Failed { tail, .. } if texts.iter().any(|text| tail.contains(text)))
}
