//! The machine itself, as the rest of the program has it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use isoforge_contract::cloud::check_name;
use isoforge_contract::machine::{Config, Flavor};
use isoforge_system::slots::Slot;

use super::facts::{self, Running, Sources};
use super::machine::{Facts, Machine, Power};
use crate::accounts::database::Databases;
use crate::accounts::table::Kind;
use crate::accounts::{self, login};
use crate::cloud::System;
use crate::rooted::Root;
use crate::settings::Place;
use crate::tui::{Secret, shell};
use crate::upgrade::machine::Machine as Slots;
use crate::upgrade::status::{Status, status};
use crate::{paths, run};

/// The accounts.
const ETC: &str = "/etc";

/// Seconds of a day.
const DAY: u64 = 86_400;

/// The system's own login, which asks name and password.
const LOGIN: &str = "exec login";

/// This machine.
#[derive(Debug)]
pub(super) struct Real {
    config: Config,
}

impl Real {
    pub(super) fn new(config: Config) -> Self {
        Self { config }
    }

    /// Why settings can't be changed on what was booted.
    fn read_only(&self, status: Result<&Status, &str>) -> Option<String> {
        let reason = match (self.config.flavor, status) {
            (Flavor::Kairos, _) => "The settings of this system are its cloud-config's alone.",
            (_, Err(_)) => "This system is not installed: it keeps no settings.",
            (_, Ok(status)) if status.booted == Slot::Recovery => {
                "The recovery system keeps no settings."
            }
            _ => return None,
        };
        Some(reason.to_owned())
    }
}

/// Whether anybody can log in. Keys that can't be read are somebody's.
fn is_owned(databases: &Databases) -> bool {
    let Ok(root) = Root::open(Path::new("/")) else {
        return true;
    };
    login::anybody(databases, |home| {
        let keys = root.read(&format!("{home}/.ssh/authorized_keys"));
        keys.map_or(true, |keys| {
            keys.is_some_and(|keys| !keys.trim_ascii().is_empty())
        })
    })
}

impl Machine for Real {
    fn title(&self) -> String {
        self.config.title.clone()
    }

    fn facts(&self) -> Facts {
        let sources = Sources {
            sys: "/sys".into(),
            proc: "/proc".into(),
            etc: ETC.into(),
            persistent: paths::PERSISTENT.into(),
        };
        let status = status(&Slots::this()).map_err(|error| format!("{error:#}"));
        let status = status.as_ref().map_err(String::as_str);
        let databases = Databases::read(Path::new(ETC)).ok();
        let rows = databases
            .iter()
            .flat_map(|it| it.table(Kind::Passwd).rows());
        Facts {
            lines: facts::lines(&self.config, status, &sources, &Running::ask()),
            hostname: facts::hostname(&sources),
            names: rows.map(|row| row.label()).collect(),
            // Accounts that can't be read are no reason to offer another one.
            is_owned: databases.as_ref().is_none_or(is_owned),
            password: self.config.install.password,
            read_only: self.read_only(status),
        }
    }

    fn login(&self, name: &str, password: &Secret) -> Result<(), String> {
        let databases = Databases::read(Path::new(ETC)).map_err(|error| run::causes(&error))?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let today = i64::try_from(now.as_secs() / DAY).unwrap_or(i64::MAX);
        login::check(&databases, name, &password.0, today).map_err(|refused| refused.to_string())
    }

    fn create(&self, name: &str, password: &Secret, ssh_key: Option<&str>) -> Result<(), String> {
        let words = |error: anyhow::Error| format!("{error:#}");
        // Two consoles may have shown the page.
        let databases = Databases::read(Path::new(ETC)).map_err(|error| run::causes(&error))?;
        if is_owned(&databases) {
            return Err("There is an account by now: log in with it.".to_owned());
        }
        let hash = accounts::hash_password(&password.0).map_err(words)?;
        Place::this()
            .add_account(name, hash, ssh_key, &mut System)
            .map_err(words)
    }

    fn set_hostname(&self, name: &str) -> Result<(), String> {
        Place::this()
            .set_hostname(name, &mut System)
            .map_err(|error| format!("{error:#}"))
    }

    fn shell(&self, console: &str, name: Option<&str>) -> Result<(), String> {
        let script = match name {
            None => LOGIN.to_owned(),
            Some(name) => {
                // It stands in a line of a shell.
                check_name(name).map_err(|error| run::causes(&error))?;
                format!("{LOGIN} -f -- {name}")
            }
        };
        shell::run(console, &script).map_err(|error| run::causes(&error))
    }

    fn end(&self, power: Power) -> Result<(), String> {
        run::systemctl(match power {
            Power::Reboot => "reboot",
            Power::Off => "poweroff",
        })
    }
}
