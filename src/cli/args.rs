//! The command line as clap sees it: structures only, no reading of files.

mod bundle;
mod cache;
mod content;
mod lock;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

pub(crate) use bundle::{
    As, Bundle, BundleApply, BundleArgs, BundleBuild, BundleCommand, BundleDiff, BundleInspect,
    BundleServe, BundleVerify, FormArgs,
};
pub(crate) use cache::{Cache, CacheCommand, Clear, Export, Import, List, StoreArgs, Verify};
pub(crate) use content::{
    Check, Content, ContentCommand, Find, HelmArgs, KustomizeArgs, Pack, PackBuild, PackCommand,
    PackInit, PackLint, PackPush,
};
pub(crate) use lock::{Lock, LockArgs, Plan, Pull};

/// Turns one infrastructure profile into a bootable installer ISO and a
/// provider image, without root, containers or host tools.
#[derive(Debug, Parser)]
#[command(
    name = "isoforge",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 80,
    after_help = "Exit codes: 0 done, 1 bug, 2 profile or usage, 3 environment, \
                  4 network,\n5 verification, 6 input/output, 7 lock out of date, \
                  130 interrupted."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// The command line. Values of variables are not shown in its help.
#[must_use]
pub(crate) fn command() -> clap::Command {
    without_values(Cli::command())
}

fn without_values(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| argument.hide_env_values(true));
    command.mut_subcommands(without_values)
}

/// Options that every command takes, behind its own ones.
#[derive(Debug, Clone, Args)]
#[command(next_display_order = 900)]
pub(crate) struct Global {
    /// How progress is shown on standard error [default: auto]
    #[arg(long, global = true, value_enum, env = "ISOFORGE_PROGRESS")]
    pub progress: Option<ProgressMode>,
    /// Only errors and warnings on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Also say decisions, and each piece of work when it is done
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Settings file [default: isoforge/isoforge.toml in the user's
    /// configuration folder]
    #[arg(long, global = true, value_name = "FILE", env = "ISOFORGE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Which arguments were given, and how.
    #[arg(skip)]
    pub given: Given,
}

impl Global {
    /// How progress is shown.
    #[must_use]
    pub(crate) fn mode(&self) -> ProgressMode {
        self.progress.unwrap_or(ProgressMode::Auto)
    }
}

/// How arguments came to their values, by the names of their fields; those with
/// their defaults are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Given(BTreeMap<String, bool>);

impl Given {
    /// What clap knows of it.
    #[must_use]
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let mut given = Self::default();
        given.add(matches);
        given
    }

    fn add(&mut self, matches: &ArgMatches) {
        for id in matches.ids() {
            let by_variable = match matches.value_source(id.as_str()) {
                Some(ValueSource::CommandLine) => false,
                Some(ValueSource::EnvVariable) => true,
                _ => continue,
            };
            self.0.insert(id.to_string(), by_variable);
        }
        if let Some((_, matches)) = matches.subcommand() {
            self.add(matches);
        }
    }

    /// Whether the value of the argument `id` comes from its flag.
    #[must_use]
    pub(crate) fn by_flag(&self, id: &str) -> bool {
        self.0.get(id) == Some(&false)
    }

    /// Whether the value of the argument `id` comes from its variable.
    #[must_use]
    pub(crate) fn by_variable(&self, id: &str) -> bool {
        self.0.get(id) == Some(&true)
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, plain lines elsewhere
    Auto,
    /// A line now and then, for logs
    Plain,
    /// One JSON object a line
    Json,
    /// Nothing
    None,
}

/// How data on standard output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a new project: profile, templates and overlays to start from
    Init(Init),
    /// Check a profile, its templates and overlays, without any network
    Validate(Validate),
    /// Write the lock: every input of a profile by digest
    Lock(Lock),
    /// Say what a build would pull, reuse, compress and write
    Plan(Plan),
    /// Bring every input of a profile into the store
    Pull(Pull),
    /// Build the installer ISO and the provider image
    Build(Build),
    /// Build, check, compare and serve bundles: images to carry to where no
    /// network is
    Bundle(Bundle),
    /// Push a provider image, or any OCI layout, to a registry
    Push(Push),
    /// Check credentials with a registry and store them
    Login(Login),
    /// Forget the credentials for a registry
    Logout(Logout),
    /// List, check, clear, export and import the store
    Cache(Cache),
    /// Find the images that packs, charts and manifests need, and check that
    /// bundles have them
    Content(Content),
    /// Make, check and push packs
    Pack(Pack),
    /// Say what is in an ISO, a provider image or a build's output folder
    Inspect(Inspect),
    /// Say which settings hold, and where each comes from
    Config(Config),
    /// Print the JSON Schema of profiles, for editors
    Schema(Schema),
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge schema > profile.schema.json")]
pub(crate) struct Schema {
    /// Of which document
    #[arg(value_enum, default_value = "profile")]
    pub document: SchemaOf,
}

/// A document that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The profile
    Profile,
    /// A catalog
    Catalog,
    /// The settings file
    Settings,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge init my-appliance --template byo-os")]
pub(crate) struct Init {
    /// Folder to write to; it must be empty or not exist
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// The example profile to start from
    #[arg(long, value_name = "NAME", default_value = "minimal")]
    pub template: String,
}

/// Which profile, and what to change in it.
#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    /// The infrastructure profile (TOML)
    pub profile: PathBuf,
    /// Set a key of the profile, e.g. appliance.version=1.2.0; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Arguments of `validate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  isoforge validate profiles/demo.toml --set appliance.version=1.2.0"
)]
pub(crate) struct Validate {
    /// Profile and overrides.
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Which of the artifacts to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    /// The installer ISO
    Iso,
    /// The provider image
    Provider,
}

/// Settings that have a flag: of every command that works with the store.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SettingArgs {
    /// Store of blobs and slabs [default: isoforge in the user's cache folder]
    #[arg(long, value_name = "DIR", env = "ISOFORGE_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Threads that compress and pull [default: the machine's cores]
    #[arg(short, long, value_name = "N", env = "ISOFORGE_JOBS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Pull what comes from HOST from MIRROR instead; may be repeated
    #[arg(long, value_name = "HOST=MIRROR")]
    pub mirror: Vec<String>,
    /// Talk to HOST without TLS; may be repeated
    #[arg(long, value_name = "HOST")]
    pub plain_http: Vec<String>,
    /// The program for the machine, for one architecture or for all; several
    /// with commas [default: appliance-ARCH beside isoforge]
    #[arg(
        long,
        value_name = "[ARCH=]FILE",
        value_delimiter = ',',
        env = "ISOFORGE_APPLIANCE"
    )]
    pub appliance: Vec<String>,
}

/// Arguments of `build`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isoforge build profiles/demo.toml\n  \
                  isoforge build profiles/byo-os.toml --only provider --output out\n  \
                  isoforge build profiles/minimal.toml --mirror quay.io=127.0.0.1:5000")]
pub(crate) struct Build {
    /// Profile and overrides.
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// Build one of the two artifacts
    #[arg(long, value_enum)]
    pub only: Option<Only>,
    /// Folder for the outputs, in which each build gets NAME-VERSION [default:
    /// dist]
    #[arg(short, long, value_name = "DIR", env = "ISOFORGE_OUTPUT")]
    pub output: Option<PathBuf>,
    /// Store, threads, registries.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Take along signatures, attestations and SBOMs of content images
    #[arg(long)]
    pub with_referrers: bool,
    /// How the lock is used.
    #[command(flatten)]
    pub lock: LockArgs,
    /// Go on where an image can't boot or lacks what the profile asks
    #[arg(long)]
    pub force: bool,
    /// Leave the provider image here, though the profile has provider.push
    #[arg(long)]
    pub no_push: bool,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `push`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isoforge push dist/demo-1.0.0\n  \
                  isoforge push demo-1.0.0-provider.oci.tar --to registry.example/edge/demo\n  \
                  isoforge push layout --tag v1 --to localhost:5000/test:latest --dry-run")]
pub(crate) struct Push {
    /// A build's output folder, a provider image's archive, or an OCI layout as
    /// folder or archive
    pub source: PathBuf,
    /// Where to, with another tag where it is one image [default: the
    /// provider.repository of the build]
    #[arg(long, value_name = "REPOSITORY[:TAG]")]
    pub to: Option<String>,
    /// Push the image of this name alone; may be repeated
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Ask the registry what it lacks, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Store, which a compressed archive is unpacked in [default: isoforge in
    /// the user's cache folder]
    #[arg(long, value_name = "DIR", env = "ISOFORGE_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Blobs sent at once [default: the machine's cores]
    #[arg(short, long, value_name = "N", env = "ISOFORGE_JOBS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Talk to HOST without TLS; may be repeated
    #[arg(long, value_name = "HOST")]
    pub plain_http: Vec<String>,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

impl Push {
    /// The settings that the flags say.
    #[must_use]
    pub(crate) fn settings(&self) -> SettingArgs {
        SettingArgs {
            cache_dir: self.cache_dir.clone(),
            jobs: self.jobs,
            mirror: Vec::new(),
            plain_http: self.plain_http.clone(),
            appliance: Vec::new(),
        }
    }
}

/// Arguments of `login`.
#[derive(Debug, Args)]
#[command(
    after_help = "The credentials go where podman, skopeo and Docker find them too: into the \
                  file\nREGISTRY_AUTH_FILE, else the first of these that exists:\n  \
                  $XDG_RUNTIME_DIR/containers/auth.json\n  \
                  $XDG_CONFIG_HOME/containers/auth.json\n  \
                  $DOCKER_CONFIG/config.json\nelse a new one: the last where DOCKER_CONFIG is \
                  set, else the first whose\nvariable is set. A credential helper that the file \
                  names takes them in its place.\n\nExamples:\n  isoforge login quay.io\n  \
                  isoforge login registry.example:5000 -u robot --password-stdin < token"
)]
pub(crate) struct Login {
    /// The registry's host, with its port where it has one
    pub registry: String,
    /// User name; asked for where it is missing
    #[arg(short, long = "username", value_name = "USER")]
    pub user: Option<String>,
    /// Read the password or access token from standard input
    #[arg(long)]
    pub password_stdin: bool,
}

/// Arguments of `logout`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge logout quay.io")]
pub(crate) struct Logout {
    /// The registry's host, with its port where it has one
    pub registry: String,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge inspect dist/demo-1.0.0/demo-1.0.0.iso --format json")]
pub(crate) struct Inspect {
    /// An ISO, an OCI layout or archive, or a build's output folder
    pub path: PathBuf,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `config`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isoforge config show --format json\n  isoforge config path")]
pub(crate) struct Config {
    /// What of the settings.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// The verbs of `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say each setting, its value and where that comes from
    Show(ConfigShow),
    /// Say where the settings file is looked for
    Path,
}

/// Arguments of `config show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge config show --jobs 4 --mirror quay.io=127.0.0.1:5000")]
pub(crate) struct ConfigShow {
    /// Store, threads, registries.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Folder for the outputs of a build [default: dist]
    #[arg(short, long, value_name = "DIR", env = "ISOFORGE_OUTPUT")]
    pub output: Option<PathBuf>,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
