//! Flags, environment and the user's settings file, brought together once.
//! Flags win over the environment, that over the file, that over defaults.
//!
//! [`SETTINGS`] is the one table of what can be set in which way; each setting's
//! value and origin are decided together, so what `config show` says is what a
//! build does.

mod explain;
mod file;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use crate::build::{self, NamedProgram, ProgramPlaces};
use crate::cli::args::{Global, ProgressMode, SettingArgs};
use crate::cli::env;
use crate::profile::{Problems, UserSettings};
use isoforge_base::error::{Class, Failure, Result};
use isoforge_contract::arch::Arch;
use isoforge_oci::registry::{HostConfig, RegistryConfig};

pub(crate) use explain::{Effective, Origin};
use file::Found;
pub(crate) use file::path;

/// What can be set, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// The name: the key of the settings file where there is one.
    pub name: &'static str,
    /// The flag, with its dashes.
    pub flag: Option<&'static str>,
    /// The environment variable.
    pub variable: Option<&'static str>,
    /// Whether the settings file has it.
    pub in_file: bool,
    /// What holds where nothing is said.
    pub default: &'static str,
}

/// All settings, in the order in which `config show` says them.
pub(crate) const SETTINGS: [Setting; 10] = [
    CONFIG,
    PROGRESS,
    JOBS,
    CACHE_DIR,
    OUTPUT,
    APPLIANCE,
    EPOCH,
    REGISTRIES,
    CREDENTIALS,
    PROXIES,
];

const CONFIG: Setting = Setting {
    name: "config",
    flag: Some("--config"),
    variable: Some("ISOFORGE_CONFIG"),
    in_file: false,
    default: "isoforge/isoforge.toml in the user's configuration folder",
};
const PROGRESS: Setting = Setting {
    name: "progress",
    flag: Some("--progress"),
    variable: Some("ISOFORGE_PROGRESS"),
    in_file: true,
    default: "auto",
};
const JOBS: Setting = Setting {
    name: "jobs",
    flag: Some("--jobs"),
    variable: Some("ISOFORGE_JOBS"),
    in_file: true,
    default: "the machine's cores",
};
const CACHE_DIR: Setting = Setting {
    name: "cache_dir",
    flag: Some("--cache-dir"),
    variable: Some("ISOFORGE_CACHE_DIR"),
    in_file: true,
    default: "isoforge in the user's cache folder",
};
const OUTPUT: Setting = Setting {
    name: "output",
    flag: Some("--output"),
    variable: Some("ISOFORGE_OUTPUT"),
    in_file: true,
    default: "dist",
};
const APPLIANCE: Setting = Setting {
    name: "appliance",
    flag: Some("--appliance"),
    variable: Some("ISOFORGE_APPLIANCE"),
    in_file: false,
    default: "beside isoforge, or in ../libexec/isoforge from there",
};
const EPOCH: Setting = Setting {
    name: "epoch",
    flag: None,
    variable: Some("SOURCE_DATE_EPOCH"),
    in_file: false,
    default: "the newest time of the inputs",
};
const REGISTRIES: Setting = Setting {
    name: "registries",
    flag: Some("--mirror, --plain-http"),
    variable: None,
    in_file: true,
    default: "none",
};
const CREDENTIALS: Setting = Setting {
    name: "credentials",
    flag: None,
    variable: Some("REGISTRY_AUTH_FILE, DOCKER_CONFIG"),
    in_file: false,
    default: "podman's and Docker's files, where they are",
};
const PROXIES: Setting = Setting {
    name: "proxies",
    flag: None,
    variable: Some("HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY"),
    in_file: false,
    default: "none",
};

/// Folder for the outputs where nothing else is said.
const DEFAULT_OUTPUT: &str = "dist";

/// The settings file is not what it should be.
fn in_settings(problems: &Problems) -> Failure {
    let mut text = String::new();
    for problem in problems.list() {
        text.push_str(&format!("{problem}\n\n"));
    }
    match problems.list().len() {
        1 => text.push_str("1 problem in the settings file"),
        n => text.push_str(&format!("{n} problems in the settings file")),
    }
    Failure::new(Class::Profile, text)
}

/// What a command needs to know beside the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The store's folder.
    pub cache_dir: PathBuf,
    /// Threads that compress and pull.
    pub jobs: usize,
    /// Folder for the outputs of a build.
    pub output: PathBuf,
    /// By host name.
    pub registries: BTreeMap<String, HostConfig>,
    /// Files with registry credentials, most important first.
    pub credential_files: Vec<PathBuf>,
    /// Proxy variables that are set, with their values.
    pub proxies: Vec<(String, String)>,
    /// `SOURCE_DATE_EPOCH`, where it is set.
    pub epoch: Option<u32>,
    /// Programs for the machine that the user names.
    pub programs: Vec<NamedProgram>,
}

impl Settings {
    /// What the build's stages need of it.
    #[must_use]
    pub(crate) fn build_settings(self, force: bool) -> build::Settings {
        build::Settings {
            cache_dir: self.cache_dir,
            jobs: self.jobs,
            registries: self.registries,
            credential_files: self.credential_files,
            proxies: self.proxies,
            extra_cert_file: env::extra_cert_file(),
            extra_cert_dirs: env::extra_cert_dirs(),
            epoch: self.epoch,
            programs: ProgramPlaces {
                named: self.programs,
                beside: env::own_folder(),
            },
            with_referrers: false,
            force,
        }
    }

    /// Brings all sources together. `output` is the flag of the commands that
    /// have it.
    ///
    /// # Errors
    /// A settings file that can't be read or is wrong, a malformed flag or
    /// variable, no folder for the store.
    pub(crate) fn load(global: &Global, args: &SettingArgs, output: Option<&Path>) -> Result<Self> {
        Ok(explain(global, args, output)?.0)
    }
}

/// Fills in what the settings file says of options that hold for every command.
///
/// # Errors
/// A settings file that can't be read or is wrong.
pub(crate) fn complete(global: &mut Global) -> Result<()> {
    let found = file::read(global.config.as_deref())?;
    global.progress = global.progress.or(found.progress());
    Ok(())
}

fn progress(global: &Global, found: &Found) -> (ProgressMode, Origin) {
    let file = found.progress();
    pick(&PROGRESS, global, global.progress, file, found)
        .unwrap_or((ProgressMode::Auto, Origin::Default))
}

/// The one place that knows who wins.
fn pick<T>(
    setting: &Setting,
    global: &Global,
    argument: Option<T>,
    file: Option<T>,
    found: &Found,
) -> Option<(T, Origin)> {
    if let Some(value) = argument {
        let by_variable = global.given.by_variable(setting.name);
        let origin = match (setting.variable, setting.flag) {
            (Some(variable), _) if by_variable => Origin::variable(variable),
            (_, Some(flag)) if global.given.by_flag(setting.name) => Origin::flag(flag),
            _ => found.origin(setting.name),
        };
        return Some((value, origin));
    }
    file.map(|value| (value, found.origin(setting.name)))
}

/// The settings, and each one's value and origin in the order of [`SETTINGS`].
///
/// # Errors
/// As [`Settings::load`].
pub(crate) fn explain(
    global: &Global,
    args: &SettingArgs,
    output: Option<&Path>,
) -> Result<(Settings, Vec<Effective>)> {
    let found = file::read(global.config.as_deref())?;
    let file = &found.file;
    let mut rows = Vec::new();
    if let Some((path, origin)) = found.location(global) {
        rows.push(Effective::new(&CONFIG, path.display().to_string(), origin));
    }
    let (mode, origin) = progress(global, &found);
    rows.push(Effective::new(&PROGRESS, mode, origin));
    let (jobs, origin) = jobs(global, args, &found);
    rows.push(Effective::new(&JOBS, jobs, origin));
    let (cache_dir, origin) = cache_dir(global, args, &found)?;
    rows.push(Effective::new(
        &CACHE_DIR,
        cache_dir.display().to_string(),
        origin,
    ));
    let argument = output.map(Path::to_owned);
    let (output, origin) = pick(&OUTPUT, global, argument, file.output.clone(), &found)
        .unwrap_or_else(|| (DEFAULT_OUTPUT.into(), Origin::Default));
    rows.push(Effective::new(
        &OUTPUT,
        output.display().to_string(),
        origin,
    ));
    if !args.appliance.is_empty() {
        let (shown, origin) = pick(&APPLIANCE, global, Some(&args.appliance), None, &found)
            .unwrap_or((&args.appliance, Origin::Default));
        rows.push(Effective::new(&APPLIANCE, shown, origin));
    }
    let (epoch, origin) = match epoch(env::get("SOURCE_DATE_EPOCH"))? {
        Some(seconds) => (Some(seconds), Origin::variable("SOURCE_DATE_EPOCH")),
        None => (None, Origin::Default),
    };
    rows.push(Effective::new(&EPOCH, epoch, origin));
    let registries = registries(args, file)?;
    rows.extend(explain::registries(&registries, args, &found));
    let credential_files = env::credential_files();
    rows.extend(explain::credentials(&credential_files));
    let proxies = env::proxies();
    rows.extend(explain::proxies(&proxies));
    let settings = Settings {
        cache_dir,
        jobs,
        output,
        registries,
        credential_files,
        proxies,
        epoch,
        programs: args.appliance.iter().map(|text| program(text)).collect(),
    };
    Ok((settings, rows))
}

/// `FILE` or `ARCH=FILE`.
fn program(text: &str) -> NamedProgram {
    let named = text
        .split_once('=')
        .and_then(|(name, path)| Some((Arch::from_name(name)?, path)));
    match named {
        Some((arch, path)) => NamedProgram {
            arch: Some(arch),
            path: path.into(),
        },
        None => NamedProgram {
            arch: None,
            path: text.into(),
        },
    }
}

fn jobs(global: &Global, args: &SettingArgs, found: &Found) -> (usize, Origin) {
    match pick(&JOBS, global, args.jobs, found.file.jobs, found) {
        Some((jobs, origin)) => (usize::from(jobs.max(1)), origin),
        None => {
            let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
            (cores, Origin::Default)
        }
    }
}

fn cache_dir(global: &Global, args: &SettingArgs, found: &Found) -> Result<(PathBuf, Origin)> {
    let in_file = found.file.cache_dir.clone();
    pick(&CACHE_DIR, global, args.cache_dir.clone(), in_file, found)
        .or_else(|| Some((env::cache_home()?.join("isoforge"), Origin::Default)))
        .ok_or_else(|| {
            let message = "no folder for the store: neither XDG_CACHE_HOME nor HOME is set";
            Failure::new(Class::Environment, message).with_hint("name a folder with --cache-dir")
        })
}

/// What file and flags say of hosts; flags win key by key.
fn registries(args: &SettingArgs, file: &UserSettings) -> Result<BTreeMap<String, HostConfig>> {
    let mut registries = file.registries.clone();
    for argument in &args.mirror {
        let (host, mirror) = argument
            .split_once('=')
            .filter(|(host, mirror)| !host.is_empty() && !mirror.is_empty())
            .ok_or_else(|| {
                let message = format!("--mirror {argument}: expected HOST=MIRROR");
                Failure::new(Class::Profile, message)
                    .with_hint("for example --mirror quay.io=127.0.0.1:5000")
            })?;
        registries.entry(host.to_owned()).or_default().mirrors = Some(vec![mirror.to_owned()]);
    }
    for host in &args.plain_http {
        registries.entry(host.clone()).or_default().plain_http = Some(true);
    }
    Ok(registries)
}

/// Parses `SOURCE_DATE_EPOCH`
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn epoch(value: Option<String>) -> Result<Option<u32>> {
    let parse = |value: String| {
        value.trim().parse().map_err(|_| {
            let expected = "expected seconds since 1970-01-01 UTC";
            let message = format!("SOURCE_DATE_EPOCH is '{value}': {expected}");
            Failure::new(Class::Profile, message)
        })
    };
    value.map(parse).transpose()
}

/// What commands that only talk to a registry need to know.
///
/// # Errors
/// A settings file that can't be read or is wrong.
pub(crate) fn registry_config(global: &Global) -> Result<RegistryConfig> {
    let found = file::read(global.config.as_deref())?;
    let hosts = found.file.registries.into_iter();
    Ok(build::user_registries(&build::Settings {
        registries: hosts.collect(),
        credential_files: env::credential_files(),
        proxies: env::proxies(),
        extra_cert_file: env::extra_cert_file(),
        extra_cert_dirs: env::extra_cert_dirs(),
        ..build::Settings::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_date_epoch_is_seconds_or_an_error() {
        assert_eq!(epoch(None).unwrap(), None);
        assert_eq!(
            epoch(Some("1700000000".into())).unwrap(),
            Some(1_700_000_000)
        );
        assert!(epoch(Some("yesterday".into())).is_err());
        assert!(epoch(Some("-1".into())).is_err());
    }
}
