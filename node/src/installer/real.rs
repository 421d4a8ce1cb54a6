//! The machine itself: disks, configuration and installation as the rest of the
//! program has them.

use std::path::Path;

use isoforge_base::process::Program;
use isoforge_contract::machine::{After, Config};
use isoforge_system::boot::lock::Lock;

use super::machine::{Machine, Request, Survey};
use crate::accounts;
use crate::disks::{self, Sysfs};
use crate::install::model::{Choices, Disk, Failure, Finding, Observer};
use crate::install::sources::{self, Site};
use crate::install::{self, Medium, choose, unattended};
use crate::interfaces;
use crate::run;
use crate::tui::{shell, typed};
use isoforge_contract::cloud::Document;

/// The medium's root has the accounts that the installed system has.
const PASSWD: &str = "/etc/passwd";

/// What is run in a shell: the better one where it is there.
const INTERACTIVE: &str = "echo 'Type exit to get back to the installer.'; [ -x /bin/bash ] && exec /bin/bash -l; exec /bin/sh -l";

/// Longest that is waited for disks that appear late, in seconds.
const SETTLE_SECONDS: u32 = 30;

/// What was said on the kernel command line about asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing is to be asked.
    Unattended,
    /// Everything is to be asked.
    Interactive,
    /// Nothing was said.
    Unsaid,
}

impl Asked {
    /// The last one on a kernel command line counts.
    pub(crate) fn of(cmdline: &str) -> Self {
        let mut values = cmdline.split_ascii_whitespace().filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            (name == isoforge_contract::machine::INSTALL_ARGUMENT).then_some(value)
        });
        match values.next_back() {
            Some("unattended") => Self::Unattended,
            Some("interactive") => Self::Interactive,
            _ => Self::Unsaid,
        }
    }

    /// Whether nothing is asked. Where the profile has it so and the entry of
    /// the menu that asks was booted, somebody chose that entry.
    fn unattended(self, config: &Config, site: &Site) -> bool {
        match self {
            Self::Unattended => true,
            Self::Interactive if config.install.unattended => false,
            Self::Interactive | Self::Unsaid => site.unattended(config),
        }
    }
}

/// This machine.
#[derive(Debug)]
pub(crate) struct Real {
    medium: Medium,
    config: Config,
    asked: Asked,
    lock: Option<Lock>,
    sys: Sysfs,
}

impl Real {
    /// With this configuration, what the kernel command line asked for, and what the
    /// disk's menu is to be locked with.
    pub(crate) fn new(config: Config, asked: Asked, lock: Option<Lock>) -> Self {
        Self {
            medium: Medium::default(),
            config,
            asked,
            lock,
            sys: Sysfs::default(),
        }
    }

    fn found(&self) -> Result<(Site, Vec<Disk>), Failure> {
        // A controller may take its time; without udev there is nothing to wait for.
        let timeout = format!("--timeout={SETTLE_SECONDS}");
        let _ = Program::new("udevadm", "udev")
            .args(["settle", &timeout])
            .output(1024);
        let site = sources::gather(&self.medium).map_err(|error| {
            let advice = "Nothing was written. Correct the configuration and try again.";
            Failure::new("Reading the configuration", &*error, advice)
        })?;
        let disks = install::disks(&self.medium, &self.config, &self.sys).map_err(|error| {
            let advice = "Nothing was written. Try another installation medium.";
            Failure::new("Looking at disks and medium", &*error, advice)
        })?;
        Ok((site, disks))
    }
}

impl Machine for Real {
    fn title(&self) -> String {
        self.config.title.clone()
    }

    fn locked(&self) -> bool {
        self.lock.is_some()
    }

    fn survey(&self) -> Result<Survey, Failure> {
        let (site, disks) = self.found()?;
        let config = &self.config;
        Ok(Survey {
            boot_order: disks::boot_order_warning(self.sys.firmware()),
            proposed: choose::proposal(&self.sys, config, &site, &disks),
            disks,
            account: account_words(config, &site),
            names: names(&fs_err::read_to_string(PASSWD).unwrap_or_default()),
            password: config.install.password,
            pages: config.install.pages.clone(),
            hostname: hostname(&site.documents),
            interfaces: interfaces::list(&self.sys.sys),
            after: site.after(config),
            unattended: self.asked.unattended(config, &site),
            findings: unknown(&site.documents),
        })
    }

    fn findings(&self, disk: &Disk) -> Vec<Finding> {
        install::check::findings(&self.config, disk)
    }

    fn plan(&self, observer: &mut dyn Observer) -> Result<Choices, Failure> {
        let (site, disks) = self.found()?;
        unattended::decide(&self.config, &site, &self.sys, &disks, observer)
    }

    fn install(&self, request: &Request, observer: &mut dyn Observer) -> Result<(), Failure> {
        let mut choices = request.choices.clone();
        if let (Some(account), Some(password)) = (&mut choices.account, &request.password) {
            let hash = accounts::hash_password(&password.0).map_err(|error| {
                let advice = "Nothing was written. Try another password.";
                Failure::new("Making the account", &*error, advice)
            })?;
            account.password_hash = Some(hash);
        }
        let lock = self.lock.as_ref();
        install::run(&self.medium, &self.config, &choices, lock, observer)
    }

    fn shell(&self, console: &str) -> Result<(), String> {
        shell::run(console, INTERACTIVE).map_err(|error| run::causes(&error))
    }

    fn end(&self, after: After) -> Result<(), String> {
        match after {
            After::Reboot => run::systemctl("reboot"),
            After::Poweroff => run::systemctl("poweroff"),
            After::None => Ok(()),
        }
    }
}

/// Where an account comes from; none: it must be asked for.
fn account_words(config: &Config, site: &Site) -> Option<String> {
    if unattended::needs_account(config, site) {
        return None;
    }
    if site.has_account() {
        let users = site.documents.iter().flat_map(|document| &document.users);
        let mut names: Vec<&str> = users.map(|user| user.name.as_str()).collect();
        names.dedup();
        return Some(if names.is_empty() {
            "as the configuration has it".to_owned()
        } else {
            format!("{}, as the configuration has it", names.join(", "))
        });
    }
    let account = config.install.account.as_ref()?;
    Some(format!(
        "{}; its password must be changed at the first login",
        account.name
    ))
}

/// The names of a passwd(5).
fn names(passwd: &str) -> Vec<String> {
    let name = |line: &str| line.split(':').next().unwrap_or("").to_owned();
    passwd
        .lines()
        .map(name)
        .filter(|name| !name.is_empty())
        .collect()
}

/// The host name, where it is no pattern that is filled in later.
fn hostname(documents: &[Document]) -> Option<String> {
    let mut names = documents
        .iter()
        .rev()
        .filter_map(|document| document.hostname.as_deref());
    names
        .next()
        .and_then(|name| typed::hostname(name).ok().flatten())
}

/// What nothing acts on.
fn unknown(documents: &[Document]) -> Vec<Finding> {
    let unknown = documents.iter().flat_map(Document::unknown);
    let finding = |unknown: &isoforge_contract::cloud::Remark| Finding {
        refuses: false,
        message: unknown.to_string(),
    };
    unknown.map(finding).collect()
}

/// The kernel command line.
pub(crate) fn asked(cmdline: &Path) -> Asked {
    Asked::of(&fs_err::read_to_string(cmdline).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use isoforge_contract::machine::DefaultAccount;

    fn config(unattended: bool) -> Config {
        let mut config = crate::testing::config();
        config.install.unattended = unattended;
        config
    }

    fn site(text: &str) -> Site {
        let document = Document::parse("config.yaml", text).unwrap();
        Site {
            documents: vec![document],
            texts: Vec::new(),
        }
    }

    #[test]
    fn who_decides_whether_it_asks() {
        assert_eq!(
            Asked::of("quiet appliance.install=interactive"),
            Asked::Interactive
        );
        let twice = "appliance.install=interactive appliance.install=unattended ";
        assert_eq!(Asked::of(twice), Asked::Unattended);
        assert_eq!(Asked::of("appliance.installed=unattended x"), Asked::Unsaid);
        let auto = |auto: bool| site(&format!("#cloud-config\ninstall:\n  auto: {auto}\n"));
        for (asked, profile, auto, unattended) in [
            (Asked::Unattended, false, auto(false), true),
            // A site's configuration makes the usual entry ask nothing.
            (Asked::Interactive, false, auto(true), true),
            (Asked::Interactive, false, auto(false), false),
            // The entry that asks was chosen by somebody.
            (Asked::Interactive, true, auto(true), false),
            (Asked::Unsaid, true, Site::default(), true),
            (Asked::Unsaid, true, auto(false), false),
        ] {
            assert_eq!(
                asked.unattended(&config(profile), &auto),
                unattended,
                "{asked:?} {profile}"
            );
        }
    }

    #[test]
    fn where_an_account_comes_from() {
        let mut config = config(false);
        assert_eq!(account_words(&config, &Site::default()), None);
        config.install.account = Some(DefaultAccount {
            name: "admin".to_owned(),
            password_hash: "$6$x$y".to_owned(),
            groups: Vec::new(),
        });
        let words = account_words(&config, &Site::default()).unwrap();
        assert_snapshot!(words, @"admin; its password must be changed at the first login");
        let site = site("#cloud-config\nusers:\n  - name: op\n    passwd: $6$x$y\n");
        let words = account_words(&config, &site).unwrap();
        assert_snapshot!(words, @"op, as the configuration has it");
    }

    #[test]
    fn names_and_settings_that_nothing_acts_on() {
        let passwd = "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/usr/sbin/nologin\n\n";
        assert_eq!(names(passwd), ["root", "daemon"]);
        let site = site("#cloud-config\nhostname: node-7\nbundles: [x]\n");
        assert_eq!(hostname(&site.documents).as_deref(), Some("node-7"));
        let findings = unknown(&site.documents);
        assert_eq!(findings.len(), 1);
        assert!(!findings[0].refuses);
        assert!(
            findings[0].message.starts_with("config.yaml:3:1"),
            "{}",
            findings[0].message
        );
    }
}
