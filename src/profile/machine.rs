//! The typed profile's part on the installed machine. Names of fields are the
//! keys of the TOML; sizes are in bytes.

use serde::{Serialize, Serializer};

use isoforge_contract::machine::{After, DefaultAccount, Device, InstallMode, Page};

/// `[install]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Install {
    /// Where to.
    #[serde(serialize_with = "device_text")]
    pub device: Device,
    /// Which installer the menu boots by default.
    pub mode: InstallMode,
    /// What follows.
    pub after: After,
    /// Whether an unattended installation may overwrite an installed appliance.
    pub force: bool,
    /// Further pages of the interactive installer, no two the same.
    pub pages: Vec<Page>,
    /// The account where nobody configures another.
    pub account: Option<DefaultAccount>,
    /// Sizes of partitions.
    pub partitions: Partitions,
    /// What the machine must have.
    pub require: Require,
}

/// What a cloud-config can say of a disk, which knows no rules.
pub(super) fn cloud_config_device(device: &Device) -> Option<&str> {
    match device {
        Device::Auto => Some("auto"),
        Device::Path(path) => Some(path),
        Device::Rule(_) => None,
    }
}

fn device_text<S: Serializer>(device: &Device, serializer: S) -> Result<S::Ok, S::Error> {
    cloud_config_device(device).serialize(serializer)
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
