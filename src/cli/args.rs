//! The command line as clap sees it: structures only, no reading of files.

mod cache;
mod lock;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use cache::{Cache, CacheCommand, Clear, Export, Import, List, StoreArgs, Verify};
pub use lock::{Lock, LockArgs, Plan, Pull};

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
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// How progress is shown on standard error
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        env = "ISOFORGE_PROGRESS",
        hide_env_values = true
    )]
    pub progress: ProgressMode,
    /// Only errors and warnings on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Also say each piece of work when it is done
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Settings file [default: isoforge/isoforge.toml in the user's
    /// configuration folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ISOFORGE_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
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
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
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
    /// List, check, clear, export and import the store
    Cache(Cache),
    /// Say what is in an ISO, a provider image or a build's output folder
    Inspect(Inspect),
}

/// Arguments of `init`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge init my-appliance --template byo-os")]
pub struct Init {
    /// Folder to write to; it must be empty or not exist
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// The example profile to start from
    #[arg(long, value_name = "NAME", default_value = "minimal")]
    pub template: String,
}

/// Which profile, and what to change in it.
#[derive(Debug, Args)]
pub struct ProfileArgs {
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
pub struct Validate {
    /// Profile and overrides.
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Which of the artifacts to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// The installer ISO
    Iso,
    /// The provider image
    Provider,
}

/// Settings that have a flag: of every command that works with the store.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingArgs {
    /// Store of blobs and slabs [default: isoforge in the user's cache folder]
    #[arg(
        long,
        value_name = "DIR",
        env = "ISOFORGE_CACHE_DIR",
        hide_env_values = true
    )]
    pub cache_dir: Option<PathBuf>,
    /// Threads that compress and pull [default: the machine's cores]
    #[arg(short, long, value_name = "N", env = "ISOFORGE_JOBS", hide_env_values = true, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Pull what comes from HOST from MIRROR instead; may be repeated
    #[arg(long, value_name = "HOST=MIRROR")]
    pub mirror: Vec<String>,
    /// Talk to HOST without TLS; may be repeated
    #[arg(long, value_name = "HOST")]
    pub plain_http: Vec<String>,
}

/// Arguments of `build`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isoforge build profiles/demo.toml\n  \
                  isoforge build profiles/byo-os.toml --only provider --output out\n  \
                  isoforge build profiles/minimal.toml --mirror quay.io=127.0.0.1:5000")]
pub struct Build {
    /// Profile and overrides.
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// Build one of the two artifacts
    #[arg(long, value_enum)]
    pub only: Option<Only>,
    /// Folder for the outputs, in which each build gets NAME-VERSION
    #[arg(short, long, value_name = "DIR", default_value = "dist")]
    pub output: PathBuf,
    /// Store, threads, registries.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// How the lock is used.
    #[command(flatten)]
    pub lock: LockArgs,
    /// Go on where an image can't boot or lacks what the profile asks
    #[arg(long)]
    pub force: bool,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge inspect dist/demo-1.0.0/demo-1.0.0.iso --format json")]
pub struct Inspect {
    /// An ISO, an OCI layout or archive, or a build's output folder
    pub path: PathBuf,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
