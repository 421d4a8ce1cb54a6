//! What the pages need of the machine that they run on.

use std::path::PathBuf;

use isoforge_contract::machine::{After, Page, PasswordRules};

use crate::install::model::{Choices, Disk, Failure, Finding, Observer};
use crate::interfaces::Interface;
use crate::tui::Secret;

/// The machine as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survey {
    /// What to know about the order in which the firmware boots disks, where
    /// the installer can't change it: legacy BIOS.
    pub(crate) boot_order: Option<&'static str>,
    /// All disks, those that can't be taken too.
    pub(crate) disks: Vec<Disk>,
    /// The one that the configuration asks for.
    pub(crate) proposed: Option<PathBuf>,
    /// Where an account comes from, in words; none: it must be asked for.
    pub(crate) account: Option<String>,
    /// Names of accounts that the system has.
    pub(crate) names: Vec<String>,
    /// What a password must be.
    pub(crate) password: PasswordRules,
    /// Pages that the profile asks for.
    pub(crate) pages: Vec<Page>,
    /// What the configuration calls the machine.
    pub(crate) hostname: Option<String>,
    /// Its network interfaces.
    pub(crate) interfaces: Vec<Interface>,
    /// What the configuration lets follow.
    pub(crate) after: After,
    /// Whether nothing is asked.
    pub(crate) unattended: bool,
    /// What was found while looking, such as settings that nothing acts on.
    pub(crate) findings: Vec<Finding>,
}

/// What shall be installed how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The choices, without a hash of the password.
    pub(crate) choices: Choices,
    /// The account's password.
    pub(crate) password: Option<Secret>,
}

/// The machine. Its functions are called from threads, and may take long.
pub(crate) trait Machine: Send + Sync {
    /// What is to be installed.
    fn title(&self) -> String;

    /// Whether nobody gets a shell here: the menu asks for a password before it lets
    /// anybody have one.
    fn locked(&self) -> bool;

    /// Looks at disks, configuration and firmware.
    ///
    /// # Errors
    /// Where the configuration can't be read.
    fn survey(&self) -> Result<Survey, Failure>;

    /// What the machine lacks with this disk.
    fn findings(&self, disk: &Disk) -> Vec<Finding>;

    /// What an unattended installation does here; warnings are told.
    ///
    /// # Errors
    /// The refusal; no disk has been touched.
    fn plan(&self, observer: &mut dyn Observer) -> Result<Choices, Failure>;

    /// Installs.
    ///
    /// # Errors
    /// What failed, and what to do.
    fn install(&self, request: &Request, observer: &mut dyn Observer) -> Result<(), Failure>;

    /// Runs a shell on the console with this name until it ends.
    ///
    /// # Errors
    /// Why none could be started, in words.
    fn shell(&self, console: &str) -> Result<(), String>;

    /// Reboots or powers off.
    ///
    /// # Errors
    /// Why it doesn't, in words.
    fn end(&self, after: After) -> Result<(), String>;
}
