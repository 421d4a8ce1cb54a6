//! What the pages, the unattended installer and the installation itself tell
//! each other.

use std::path::PathBuf;

use isoforge_contract::machine::After;

pub(crate) use crate::disks::Disk;

/// An account that the installer makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub name: String,
    /// Its password's hash, as crypt(5) has it; none: no login by password.
    pub password_hash: Option<String>,
    /// Lines for `authorized_keys`.
    pub ssh_keys: Vec<String>,
}

/// An interface's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Network {
    /// Name of the interface.
    pub interface: String,
    /// None: by DHCP.
    pub address: Option<StaticAddress>,
    /// Name servers.
    pub dns: Vec<String>,
}

/// A fixed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StaticAddress {
    /// With prefix length: `192.0.2.5/24`.
    pub cidr: String,
    /// Empty: none.
    pub gateway: String,
}

/// What shall be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choices {
    /// The disk whose content will be lost.
    pub disk: PathBuf,
    /// None: profile or site configuration give one.
    pub account: Option<Account>,
    /// None: the configuration's.
    pub hostname: Option<String>,
    /// None: the configuration's.
    pub network: Option<Network>,
    /// What follows.
    pub after: After,
}

/// Something that the machine lacks or the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Whether it refuses the installation.
    pub refuses: bool,
    /// What was found, with what was asked for.
    pub message: String,
}

/// What an installation tells while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A step begins.
    Step {
        /// From 1.
        number: u32,
        /// How many there are.
        of: u32,
        /// What it does: `Copying the system`.
        name: String,
    },
    /// Bytes of the running step.
    Bytes {
        /// Done so far.
        done: u64,
        /// In all.
        total: u64,
    },
    /// A line for the log.
    Log(String),
}

/// Takes what an installation tells.
pub(crate) trait Observer: Send {
    /// Called for each event, in order.
    fn event(&mut self, event: Event);
}

/// Why an installation ended early.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {cause}")]
pub(crate) struct Failure {
    pub step: String,
    pub cause: String,
    pub advice: String,
}

impl Failure {
    /// What failed in `step`, with all of its causes.
    pub(crate) fn new(step: &str, error: &dyn std::error::Error, advice: &str) -> Self {
        Self {
            step: step.to_owned(),
            cause: crate::run::causes(error),
            advice: advice.to_owned(),
        }
    }
}
