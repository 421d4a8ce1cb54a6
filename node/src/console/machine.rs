//! What the pages need of the machine that they run on.

use isoforge_contract::machine::PasswordRules;

use crate::tui::Secret;

/// How a line of Device Info is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    /// All is well.
    Good,
    /// To be minded.
    Warn,
    /// Wrong.
    Bad,
}

/// A line of Device Info.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    /// What it is of; empty where it goes on from the line before.
    pub(crate) label: &'static str,
    pub(crate) value: String,
    pub(crate) tone: Tone,
}

/// What is known of the machine at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Device Info, from top to bottom.
    pub(crate) lines: Vec<Fact>,
    /// Its name.
    pub(crate) hostname: String,
    /// Whether anybody can log in.
    pub(crate) is_owned: bool,
    /// Names of accounts that the system has.
    pub(crate) names: Vec<String>,
    /// What a password must be.
    pub(crate) password: PasswordRules,
    /// Why its settings can't be changed.
    pub(crate) read_only: Option<String>,
}

/// How a machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    Reboot,
    Off,
}

/// The machine. Its functions are called from threads, and may take long.
pub(crate) trait Machine: Send + Sync {
    /// What runs on it.
    fn title(&self) -> String;

    /// Looks at it.
    fn facts(&self) -> Facts;

    /// Checks a name and its password.
    ///
    /// # Errors
    /// Why somebody does not come in, in words.
    fn login(&self, name: &str, password: &Secret) -> Result<(), String>;

    /// Makes the first account.
    ///
    /// # Errors
    /// Why there is none now, in words.
    fn create(&self, name: &str, password: &Secret, ssh_key: Option<&str>) -> Result<(), String>;

    /// Gives the machine a name, now and at later boots.
    ///
    /// # Errors
    /// Why it has the old one, in words.
    fn set_hostname(&self, name: &str) -> Result<(), String>;

    /// Runs a shell of somebody who has logged in, or the system's own login, on the
    /// console with this name until it ends.
    ///
    /// # Errors
    /// Why none could be started, in words.
    fn shell(&self, console: &str, name: Option<&str>) -> Result<(), String>;

    /// Reboots or powers off.
    ///
    /// # Errors
    /// Why it doesn't, in words.
    fn end(&self, power: Power) -> Result<(), String>;
}
