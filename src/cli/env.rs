//! Every environment variable that isoforge reads, in one place. Nothing else
//! in the program looks at the environment; clap reads the `ISOFORGE_*`
//! variables that stand beside a flag.

use std::ffi::OsString;
use std::path::PathBuf;

/// A variable and what it is for; the list is part of the documentation.
pub const VARIABLES: &[(&str, &str)] = &[
    (
        "CI",
        "set to anything: progress is plain lines, as with --progress plain",
    ),
    (
        "DOCKER_CONFIG",
        "folder of Docker's config.json, for registry credentials",
    ),
    (
        "HOME",
        "where .cache, .config and .docker are, unless the XDG variables say otherwise",
    ),
    (
        "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY",
        "proxies for registries, files by URL and the Debian archives of a bootstrap, upper or lower case",
    ),
    (
        "ISOFORGE_APPLIANCE",
        "the program for the machine, as --appliance",
    ),
    ("ISOFORGE_CACHE_DIR", "the store, as --cache-dir"),
    ("ISOFORGE_CONFIG", "the settings file, as --config"),
    ("ISOFORGE_JOBS", "number of threads, as --jobs"),
    ("ISOFORGE_LOCK", "the lock file, as --lock"),
    ("ISOFORGE_OUTPUT", "folder for the outputs, as --output"),
    ("ISOFORGE_PROGRESS", "how progress is shown, as --progress"),
    ("NO_COLOR", "set to anything but nothing: no colour"),
    ("PATH", "where credential helpers are looked for"),
    (
        "REGISTRY_AUTH_FILE",
        "a credentials file in podman's or Docker's form",
    ),
    (
        "SOURCE_DATE_EPOCH",
        "the time stamp of all outputs, in seconds since 1970-01-01 UTC",
    ),
    (
        "SSL_CERT_DIR",
        "folders of PEM files with certificates, trusted beside the system's; separated by ':'",
    ),
    (
        "SSL_CERT_FILE",
        "a PEM file with certificates, trusted beside the system's",
    ),
    ("TERM", "none, or 'dumb', means no bars and no colour"),
    ("XDG_CACHE_HOME", "the store is in its folder isoforge"),
    (
        "XDG_CONFIG_HOME",
        "the settings file is isoforge/isoforge.toml in it",
    ),
    (
        "XDG_RUNTIME_DIR",
        "podman's containers/auth.json is looked for in it",
    ),
];

/// A variable's value; empty counts as not set.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn get_os(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A variable's value where it is UTF-8; empty counts as not set.
#[must_use]
pub fn get(name: &str) -> Option<String> {
    get_os(name).and_then(|value| value.into_string().ok())
}

/// A variable's value as a path.
#[must_use]
pub fn path(name: &str) -> Option<PathBuf> {
    get_os(name).map(PathBuf::from)
}

/// The user's cache folder (XDG Base Directory Specification).
#[must_use]
pub fn cache_home() -> Option<PathBuf> {
    path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")))
}

/// The user's configuration folder (XDG Base Directory Specification).
#[must_use]
pub fn config_home() -> Option<PathBuf> {
    path("XDG_CONFIG_HOME").or_else(|| path("HOME").map(|home| home.join(".config")))
}

/// Files with registry credentials, most important first
/// (containers-auth.json(5), and Docker's configuration).
#[must_use]
pub fn credential_files() -> Vec<PathBuf> {
    let docker = path("DOCKER_CONFIG").or_else(|| path("HOME").map(|home| home.join(".docker")));
    [
        path("REGISTRY_AUTH_FILE"),
        path("XDG_RUNTIME_DIR").map(|dir| dir.join("containers").join("auth.json")),
        config_home().map(|dir| dir.join("containers").join("auth.json")),
        docker.map(|dir| dir.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The proxy variables that are set, by the names that programs look for.
#[must_use]
pub fn proxies() -> Vec<(String, String)> {
    ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]
        .into_iter()
        .filter_map(|name| {
            let value = get(name).or_else(|| get(&name.to_uppercase()))?;
            Some((name.to_owned(), value))
        })
        .collect()
}

/// The file in which a login is stored: `REGISTRY_AUTH_FILE`; else the most
/// important credentials file that is there or can't be looked at, so that what was
/// stored is what is found; else, as Docker has it where `DOCKER_CONFIG` is set and podman and
/// skopeo have it where it is not.
#[must_use]
pub fn login_file() -> Option<PathBuf> {
    if let Some(named) = path("REGISTRY_AUTH_FILE") {
        return Some(named);
    }
    let all = credential_files();
    let there = all
        .iter()
        .find(|file| fs_err::exists(file).unwrap_or(true))
        .cloned();
    let docker = path("DOCKER_CONFIG").map(|dir| dir.join("config.json"));
    there.or(docker).or_else(|| all.into_iter().next())
}

/// The folder of this program's own file, links to it followed.
#[must_use]
pub fn own_folder() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let own = fs_err::canonicalize(&own).unwrap_or(own);
    own.parent().map(PathBuf::from)
}

/// A file with certificates that are trusted beside the system's.
#[must_use]
pub fn extra_cert_file() -> Option<PathBuf> {
    path("SSL_CERT_FILE")
}

/// Folders of such files.
#[must_use]
pub fn extra_cert_dirs() -> Vec<PathBuf> {
    let dirs = get_os("SSL_CERT_DIR").unwrap_or_default();
    std::env::split_paths(&dirs)
        .filter(|dir| !dir.as_os_str().is_empty())
        .collect()
}
