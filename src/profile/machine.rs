//! The typed profile's part on the installed machine. Names of fields are the
//! keys of the TOML; sizes are in bytes.

use serde::Serialize;

/// `[install]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Install {
    /// Where to.
    pub device: Device,
    /// Which installer the menu boots by default.
    pub mode: InstallMode,
    /// What follows.
    pub after: AfterInstall,
    /// Whether an unattended installation may overwrite an installed appliance.
    pub force: bool,
    /// Further pages of the interactive installer, no two the same.
    pub pages: Vec<Page>,
    /// The account where nobody configures another.
    pub account: Option<Account>,
    /// Sizes of partitions.
    pub partitions: Partitions,
    /// What the machine must have.
    pub require: Require,
}

/// The disk to install to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "Option<String>")]
pub enum Device {
    /// The installer chooses.
    Auto,
    /// A path below `/dev`.
    Path(String),
    /// The one that fits.
    Rule(DiskRule),
}

impl From<Device> for Option<String> {
    /// What a cloud-config says of it, which knows no rules.
    fn from(device: Device) -> Self {
        match device {
            Device::Auto => Some("auto".to_owned()),
            Device::Path(path) => Some(path),
            Device::Rule(_) => None,
        }
    }
}

/// Conditions on a disk; at least one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DiskRule {
    /// Least size.
    pub min_size: Option<u64>,
    /// Largest size.
    pub max_size: Option<u64>,
    /// Glob.
    pub model: Option<String>,
    /// Glob.
    pub serial: Option<String>,
    /// Glob.
    pub transport: Option<String>,
}

/// Which installer the menu boots by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InstallMode {
    /// It asks.
    Interactive,
    /// It does not.
    Unattended,
}

/// What a machine does once it is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterInstall {
    /// Boots the installed system.
    Reboot,
    /// Turns itself off.
    Poweroff,
    /// Stays.
    None,
}

/// A page of the interactive installer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Page {
    /// The machine's name.
    Hostname,
    /// Addresses.
    Network,
}

/// `install.account`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// A name that useradd(8) takes.
    pub name: String,
    /// As crypt(5) has it.
    pub password_hash: String,
    /// Beside its own.
    pub groups: Vec<String>,
}

/// `install.partitions`; whole MiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Partitions {
    /// The EFI system partition.
    pub esp: u64,
    /// The site's configuration.
    pub oem: u64,
    /// The systems; none: the installer decides.
    pub state: Option<u64>,
    /// What the machine keeps; none: all that is left.
    pub persistent: Option<u64>,
    /// Further ones, no two with one label.
    pub extra: Vec<ExtraPartition>,
}

/// One of `install.partitions.extra`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExtraPartition {
    /// Fit for GPT and ext4.
    pub label: String,
    /// Whole MiB.
    pub size: u64,
    /// Whether it is formatted with ext4.
    pub formatted: bool,
    /// Absolute and normalized.
    pub mount: Option<String>,
}

/// `install.require`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Require {
    /// Processors.
    pub cpus: Option<u32>,
    /// Memory.
    pub memory: Option<u64>,
    /// Size of the disk.
    pub disk: Option<u64>,
    /// Kernel modules.
    pub modules: Vec<String>,
    /// Whether falling short refuses the installation.
    pub enforce: bool,
}

/// `[state]`; absolute and normalized paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// Below `/var`, `/opt`, `/usr/local`.
    pub directories: Vec<String>,
    /// Below `/etc`.
    pub etc: Vec<String>,
}

/// `[health]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Lines for `/bin/sh`.
    pub checks: Vec<String>,
    /// Units of systemd.
    pub units: Vec<String>,
    /// Until all of it must hold.
    pub time_limit_seconds: u32,
}
