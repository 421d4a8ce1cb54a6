//! What the program on the machine is told by the build: the file
//! `/usr/lib/appliance/config.json` in the root file system, and the names that
//! both sides go by.
//!
//! The build writes it ([`Config::to_json`]), the program `appliance` reads it
//! ([`Config::parse`]). It lies in the slot, so an upgrade brings its own.
//!
//! Invariants:
//! - Equal profiles give equal bytes.
//! - A member that the reader does not know is an error: a program and its
//!   configuration come from one build.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The `schema` that this version writes, and the only one that it reads.
pub const SCHEMA: u32 = 1;

/// Where the program lies in the root file system, without leading slash.
pub const PROGRAM_PATH: &str = "usr/bin/appliance";

/// Where its configuration lies, without leading slash.
pub const CONFIG_PATH: &str = "usr/lib/appliance/config.json";

/// Where the hash of GRUB's password lies in the root file system, without leading slash;
/// not there where the profile has none. A file of root's alone: [`CONFIG_PATH`] is
/// everybody's to read.
pub const BOOT_PASSWORD_PATH: &str = "usr/lib/appliance/boot-password";

/// Kernel argument that starts the installer: `interactive` or `unattended`.
pub const INSTALL_ARGUMENT: &str = "appliance.install";

/// Kernel argument with the slot that was booted: `a`, `b` or `recovery`.
pub const SLOT_ARGUMENT: &str = "appliance.slot";

/// Kernel argument with the UUID of the file system PERSISTENT.
pub const PERSISTENT_ARGUMENT: &str = "appliance.persistent";

/// Kernel argument with the UUID of the file system OEM.
pub const OEM_ARGUMENT: &str = "appliance.oem";

/// Kernel argument of a trial boot, `1`.
pub const TRIAL_ARGUMENT: &str = "appliance.trial";

/// Kernel argument with a configuration on a labelled medium: `LABEL:/PATH`.
pub const CONFIG_ARGUMENT: &str = "appliance.config";

/// Where the registry's program lies in the root file system, without leading slash.
pub const REGISTRY_PROGRAM_PATH: &str = "usr/lib/appliance/registry/program";

/// The folder that the registry keeps, where nothing else is said.
pub const REGISTRY_FOLDER: &str = "/var/lib/registry";

/// Within the registry's folder: its content.
pub const REGISTRY_STORAGE: &str = "storage";

/// The port that the registry listens on, where nothing else is said.
pub const REGISTRY_PORT: u16 = 30003;

/// The configuration of the program `appliance`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this format.
    pub schema: u32,
    /// `appliance.name`.
    pub name: String,
    /// `appliance.version`.
    pub version: String,
    /// What menus and pages call it.
    pub title: String,
    /// Who installs and upgrades.
    pub flavor: Flavor,
    /// Firmware that an installed disk boots under.
    pub firmware: Vec<Firmware>,
    /// How it installs.
    pub install: Install,
    /// How an installed system boots.
    pub boot: Boot,
    /// What an installed system keeps.
    pub state: State,
    /// When a new system counts as good.
    pub health: Health,
    /// What serves the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<Registry>,
}

/// Who installs and upgrades the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavor {
    /// Kairos's agent: the program does neither.
    Kairos,
    /// The program itself.
    Appliance,
}

/// Firmware of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// PC BIOS, amd64 only.
    Bios,
    /// UEFI.
    Uefi,
}

/// Which installer the medium's menu starts where nobody chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstallMode {
    /// The one that asks.
    Interactive,
    /// The one that goes by the configuration.
    Unattended,
}

/// How the installer works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// Whether it asks.
    pub unattended: bool,
    /// Which disk an unattended installation takes, and which one an
    /// interactive one proposes.
    pub device: Device,
    /// What follows.
    pub after: After,
    /// Whether an unattended installation may overwrite an installed appliance.
    pub force: bool,
    /// Pages beside disk, account, end and summary.
    pub pages: Vec<Page>,
    /// The account that is there where nobody configures another. Its password
    /// must be changed at the first login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<DefaultAccount>,
    /// What a password that is typed must be.
    #[serde(default, skip_serializing_if = "PasswordRules::is_default")]
    pub password: PasswordRules,
    /// Sizes of partitions.
    pub partitions: Partitions,
    /// What the machine must have.
    pub requirements: Requirements,
}

/// Which disk is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The largest one that is not the medium.
    Auto,
    /// A path below `/dev`.
    Path(String),
    /// The one disk that fits all conditions of the rule; of several the
    /// largest.
    Rule(Rule),
}

/// Conditions on a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Least size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_bytes: Option<u64>,
    /// Largest size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Glob over the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Glob over the serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Glob over the transport (`nvme`, `sata`, `virtio`, `usb`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
}

/// What a machine does once it is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// Boots the installed system.
    Reboot,
    /// Turns itself off.
    Poweroff,
    /// Stays.
    None,
}

/// A page that the interactive installer shows where the profile asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Page {
    /// The machine's name.
    Hostname,
    /// Addresses.
    Network,
}

/// An account of the profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultAccount {
    /// Its name.
    pub name: String,
    /// Its password's hash, as crypt(5) has it.
    pub password_hash: String,
    /// Groups beside its own.
    pub groups: Vec<String>,
}

/// Kinds of characters: small letters, capitals, digits, and all others.
pub const CHARACTER_CLASSES: u32 = 4;

/// What a password that somebody chooses at the machine must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordRules {
    /// Fewest characters.
    pub min_length: u32,
    /// Of how many kinds of characters, see [`CHARACTER_CLASSES`], at least.
    pub classes: u32,
}

impl Default for PasswordRules {
    fn default() -> Self {
        Self {
            min_length: 8,
            classes: 1,
        }
    }
}

impl PasswordRules {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks a password.
    ///
    /// # Errors
    /// What it lacks, as a sentence.
    pub fn check(&self, password: &str) -> Result<(), String> {
        let length = password.chars().count();
        if usize::try_from(self.min_length).is_ok_and(|least| length < least) {
            return Err(format!(
                "A password has at least {} characters; this one has {length}.",
                self.min_length
            ));
        }
        let is_other = |c: char| !(c.is_lowercase() || c.is_uppercase() || c.is_numeric());
        let kinds = [
            char::is_lowercase,
            char::is_uppercase,
            char::is_numeric,
            is_other,
        ];
        let kinds = kinds.iter().filter(|is_one| password.chars().any(is_one));
        if usize::try_from(self.classes).is_ok_and(|least| kinds.count() < least) {
            return Err(match self.classes >= CHARACTER_CLASSES {
                true => "A password has small letters, capitals, digits and other characters."
                    .to_owned(),
                false => format!(
                    "A password has {} of small letters, capitals, digits and other characters.",
                    self.classes
                ),
            });
        }
        Ok(())
    }
}

/// Sizes of partitions in MiB; what is left becomes PERSISTENT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partitions {
    /// The EFI system partition.
    pub esp_mib: u64,
    /// Site configuration.
    pub oem_mib: u64,
    /// The slots; none: enough for the three with room to grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_mib: Option<u64>,
    /// Least size of PERSISTENT, by which a disk is too small.
    pub persistent_min_mib: u64,
    /// Size of PERSISTENT; none: all that is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_mib: Option<u64>,
    /// Further partitions between STATE and PERSISTENT.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<ExtraPartition>,
}

/// A partition of the profile's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraPartition {
    /// Its name, and its file system's label.
    pub label: String,
    /// Its size in MiB.
    pub size_mib: u64,
    /// What it is formatted with.
    pub filesystem: ExtraFilesystem,
    /// Where it is mounted (absolute); none: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
}

/// What a further partition is formatted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtraFilesystem {
    /// ext4.
    Ext4,
    /// Nothing: left to whoever uses it, such as a storage driver.
    None,
}

/// What the machine must have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirements {
    /// Processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Size of the disk in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_mib: Option<u64>,
    /// Kernel modules, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// Kernel settings, each with its range as packs write it:
    /// `vm.max_map_count >= 262144`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sysctls: Vec<String>,
    /// Machines of the cluster, where that many are asked for and nobody said how
    /// many there will be. One machine can only tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
    /// Whether falling short refuses the installation; else it is a warning.
    pub enforce: bool,
}

/// How an installed system boots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// `[boot] cmdline`.
    pub cmdline: Vec<String>,
    /// Seconds that the menu waits.
    pub timeout_seconds: u32,
    /// Puts the kernel in FIPS mode.
    pub fips: bool,
    /// The root file system has SELinux's configuration, and no labels.
    pub selinux: bool,
}

/// What an installed system keeps over reboots and upgrades, beside `/var/log`,
/// `/home`, `/root` and accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Directories below `/var`, `/opt` and `/usr/local` (absolute, sorted).
    pub directories: Vec<String>,
    /// Directories below `/etc` (absolute, sorted).
    pub etc: Vec<String>,
}

/// When a system that was booted on trial counts as good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Commands that must succeed, each a line for `/bin/sh`.
    pub checks: Vec<String>,
    /// Units that must be active.
    pub units: Vec<String>,
    /// Seconds after the boot until which all of that must hold; then the
    /// machine boots the good slot again.
    pub time_limit_seconds: u32,
}

/// The registry that an installed system serves its content from. Its program lies
/// at [`REGISTRY_PROGRAM_PATH`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Which one it is.
    pub name: RegistryKind,
    /// The port that it listens on.
    pub port: u16,
    /// The one address that it listens on; none: all of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<IpAddr>,
    /// Whether reading takes no account.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub anonymous: bool,
    /// The folder that it keeps (absolute); its content is in
    /// [`REGISTRY_STORAGE`] below it.
    pub folder: String,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

impl Registry {
    /// Where the machine itself reaches it.
    #[must_use]
    pub fn own_address(&self) -> SocketAddr {
        let all = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = self.listen.filter(|address| !address.is_unspecified());
        SocketAddr::new(address.unwrap_or(all), self.port)
    }
}

/// A registry that the program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistryKind {
    /// Zot, whose storage is filled directly.
    Zot,
    /// distribution, which is filled over HTTP.
    Distribution,
}

impl RegistryKind {
    /// The registry that a profile or catalog calls so.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "zot" => Some(Self::Zot),
            "distribution" => Some(Self::Distribution),
            _ => None,
        }
    }
}

impl Config {
    /// The file's bytes; they end with a line feed.
    ///
    /// # Errors
    /// [`Error`], should a value not fit JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the file's bytes.
    ///
    /// # Errors
    /// [`Error`] where they are no such configuration, or of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let config: Self = serde_json::from_slice(bytes)?;
        if config.schema != SCHEMA {
            let message = format!("schema {}, not {SCHEMA}", config.schema);
            return Err(serde_json::Error::custom(message).into());
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::parse(include_bytes!("machine/sample.json")).unwrap();
        config.install.device = Device::Rule(Rule {
            model: Some("QEMU*".to_owned()),
            ..Rule::default()
        });
        config.install.pages = vec![Page::Hostname];
        config.registry = Some(Registry {
            name: RegistryKind::Zot,
            port: REGISTRY_PORT,
            listen: None,
            anonymous: true,
            folder: REGISTRY_FOLDER.to_owned(),
        });
        config
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = config().to_json().unwrap();
        assert_eq!(bytes.last(), Some(&b'\n'));
        assert_eq!(Config::parse(&bytes).unwrap(), config());
    }

    #[test]
    fn a_password_that_is_chosen_keeps_the_rules() {
        let rules = |min_length, classes| PasswordRules {
            min_length,
            classes,
        };
        let default = PasswordRules::default();
        assert_eq!(default, rules(8, 1));
        assert!(default.check("äöüßäöü").is_err() && default.check("äöüßäöüß").is_ok());
        for (classes, password, is_fine) in [
            (1, "aaaaaaaa", true),
            (2, "aaaaaaaa", false),
            (2, "aaaaaaa1", true),
            (3, "aaaaaaa1", false),
            (3, "aaaaaaA1", true),
            (4, "aaaaaaA1", false),
            (4, "aaaaa A1", true),
        ] {
            assert_eq!(
                rules(8, classes).check(password).is_ok(),
                is_fine,
                "{classes} {password}"
            );
        }
        assert_eq!(
            rules(8, 3).check("aaaaaaa1").unwrap_err(),
            "A password has 3 of small letters, capitals, digits and other characters."
        );
        assert_eq!(
            rules(12, 1).check("secret").unwrap_err(),
            "A password has at least 12 characters; this one has 6."
        );
        let mut config = config();
        config.install.password = rules(12, 3);
        let bytes = config.to_json().unwrap();
        assert_eq!(Config::parse(&bytes).unwrap(), config);
    }

    #[test]
    fn other_versions_and_members_are_refused() {
        let text = String::from_utf8(config().to_json().unwrap()).unwrap();
        let newer = text.replacen("\"schema\": 1", "\"schema\": 2", 1);
        let error = Config::parse(newer.as_bytes()).unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "schema 2, not 1");
        let other = text.replacen("\"name\"", "\"nome\": 1, \"name\"", 1);
        assert!(Config::parse(other.as_bytes()).is_err());
    }

    #[test]
    fn the_machine_asks_its_registry_where_it_listens() {
        let mut registry = config().registry.unwrap();
        let is_told = |registry: &Registry| serde_json::to_string(registry).unwrap();
        let plain = is_told(&registry);
        assert!(
            !plain.contains("listen") && !plain.contains("anonymous"),
            "{plain}"
        );
        for (listen, own) in [
            (None, "127.0.0.1:30003"),
            (Some("0.0.0.0"), "127.0.0.1:30003"),
            (Some("::"), "127.0.0.1:30003"),
            (Some("127.0.0.1"), "127.0.0.1:30003"),
            (Some("10.0.0.5"), "10.0.0.5:30003"),
            (Some("fd00::5"), "[fd00::5]:30003"),
        ] {
            registry.listen = listen.map(|text| text.parse().unwrap());
            registry.anonymous = listen.is_none();
            assert_eq!(registry.own_address().to_string(), own);
            let read: Registry = serde_json::from_str(&is_told(&registry)).unwrap();
            assert_eq!(read, registry);
        }
    }
}
