//! Arguments of the commands on the lock.

use std::path::PathBuf;

use clap::Args;

use super::{Format, ProfileArgs, SettingArgs};

/// Where the lock is.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LockFile {
    /// Lock file [default: isoforge.lock beside the profile]
    #[arg(long, value_name = "FILE", env = "ISOFORGE_LOCK")]
    pub lock: Option<PathBuf>,
}

/// How a command uses the lock.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LockArgs {
    /// The lock file.
    #[command(flatten)]
    pub file: LockFile,
    /// Refuse to go on where the lock would change
    #[arg(long)]
    pub locked: bool,
    /// Open no connection: take all that the lock names from the store
    #[arg(long)]
    pub offline: bool,
    /// Take the images that charts' values look like, where neither Helm nor a
    /// pack says which they need
    #[arg(long)]
    pub accept_scan: bool,
}

/// Arguments of `lock`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isoforge lock profiles/demo.toml\n  \
                  isoforge lock profiles/demo.toml --upgrade calico\n  \
                  isoforge lock profiles/demo.toml --check")]
pub(crate) struct Lock {
    /// Profile and overrides.
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// Look anew for all inputs, or for one: an image's reference or
    /// repository, a component's name, or 'bootstrap'
    #[arg(long, value_name = "NAME", num_args = 0..=1)]
    pub upgrade: Option<Option<String>>,
    /// Write nothing; the exit code says whether the lock would change
    #[arg(long)]
    pub check: bool,
    /// Take the images that charts' values look like, where neither Helm nor a
    /// pack says which they need
    #[arg(long)]
    pub accept_scan: bool,
    /// The lock file.
    #[command(flatten)]
    pub file: LockFile,
    /// Store, threads, registries.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `pull`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge pull profiles/demo.toml --locked")]
pub(crate) struct Pull {
    /// Profile and overrides.
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// The lock file.
    #[command(flatten)]
    pub file: LockFile,
    /// Refuse to go on where the lock would change
    #[arg(long)]
    pub locked: bool,
    /// Store, threads, registries.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge plan profiles/demo.toml --format json")]
pub(crate) struct Plan {
    /// Profile and overrides.
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// The lock file.
    #[command(flatten)]
    pub file: LockFile,
    /// Open no connection
    #[arg(long)]
    pub offline: bool,
    /// Store, threads, registries.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}
