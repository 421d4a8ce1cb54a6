//! Accounts, keys, and who may become root.

use anyhow::{Context as _, Result};

use super::Run;
use crate::accounts::database::Databases;
use crate::accounts::edit::{self, Account, NewAccount};
use crate::accounts::{self, home};
use crate::rooted::Attributes;
use isoforge_contract::cloud::{Password, User};

/// The group whose members administrate the machine, by Kairos's convention.
const ADMIN: &str = "admin";

/// Where rules for sudo lie. A name with a dot would be passed over.
const RULES: &str = "/etc/sudoers.d";

impl Run<'_> {
    pub(super) fn user(&mut self, user: &User) {
        let what = format!("account '{}'", user.name);
        let settled = self.settle(user);
        let Some((account, is_keyed)) = self.attempt(&what, settled) else {
            return;
        };
        if user.no_create_home != Some(true) && user.system != Some(true) {
            let made = home::make(self.root, &account);
            self.attempt(&what, made);
        }
        if !user.ssh_authorized_keys.is_empty() {
            let added = home::authorize(self.root, &account, &user.ssh_authorized_keys);
            self.attempt(&what, added);
        }
        self.rules_of(user, is_keyed);
    }

    pub(super) fn keys(&mut self, name: &str, keys: &[String]) {
        let what = format!("keys of '{name}'");
        let read = Databases::change_in(self.root);
        let Some(databases) = self.attempt(&what, read) else {
            return;
        };
        let account = edit::account(&databases, name).with_context(|| edit::no_account(name));
        if let Some(account) = self.attempt(&what, account) {
            let added = home::authorize(self.root, &account, keys);
            self.attempt(&what, added);
        }
    }

    /// The account in the databases, and whether it never had a password.
    fn settle(&mut self, user: &User) -> Result<(Account, bool)> {
        let mut databases = Databases::change_in(self.root)?;
        let name = user.name.as_str();
        let account = match edit::account(&databases, name) {
            Some(account) => account,
            None => self.create(&mut databases, user)?,
        };
        for group in &user.groups {
            edit::add_member(&mut databases, group, name)?;
        }
        self.password(&mut databases, user)?;
        let field = edit::password(&databases, name).unwrap_or_default();
        databases.write()?;
        Ok((account, never_had_password(&field)))
    }

    fn create(&self, databases: &mut Databases, user: &User) -> Result<Account> {
        let is_system = user.system == Some(true);
        if let Some(group) = &user.primary_group {
            edit::add_group(databases, group, None, is_system)?;
        }
        let has_bash = self.root.exists("/bin/bash");
        let shell = match (is_system, has_bash) {
            (true, _) => "/usr/sbin/nologin",
            (false, true) => "/bin/bash",
            (false, false) => "/bin/sh",
        };
        let new = NewAccount {
            name: user.name.clone(),
            uid: user.uid,
            group: user.primary_group.clone(),
            gecos: user.gecos.clone().unwrap_or_default(),
            home: user.home.clone(),
            shell: Some(user.shell.clone().unwrap_or_else(|| shell.to_owned())),
            is_system,
        };
        edit::add(databases, &new)
    }

    /// Sets the password, unless one was set on this machine before: it counts
    /// more than what was configured once.
    fn password(&mut self, databases: &mut Databases, user: &User) -> Result<()> {
        let name = user.name.as_str();
        if !self.passwords.contains(name) && !self.is_untouched(databases, name) {
            return Ok(());
        }
        let is_locked = user.lock_passwd == Some(true);
        let hash = match &user.password {
            Some(Password::Hash(hash)) => hash.clone(),
            Some(Password::Plain(password)) => accounts::hash_password(password)?,
            None if is_locked => return edit::lock(databases, name),
            None => return Ok(()),
        };
        let locks = is_locked && !hash.starts_with(['!', '*']);
        let field = if locks { format!("!{hash}") } else { hash };
        let must_change = user.must_change_password == Some(true);
        edit::set_password(databases, name, &field, must_change)?;
        self.passwords.insert(name.to_owned());
        Ok(())
    }

    /// Whether an account's password is as the system brought it, or there
    /// never was one.
    fn is_untouched(&self, databases: &Databases, name: &str) -> bool {
        let Some(now) = edit::password(databases, name) else {
            return true;
        };
        let brought = self
            .slot
            .as_ref()
            .and_then(|slot| edit::password(slot, name));
        match brought {
            Some(brought) => brought == now,
            None => never_had_password(&now),
        }
    }

    fn rules_of(&mut self, user: &User, is_keyed: bool) {
        let name = &user.name;
        if !self.root.exists("/etc/sudoers") {
            if !user.sudo.is_empty() {
                self.fail(format!("rules of '{name}': the system has no sudo"));
            }
            return;
        }
        let mut rules: Vec<String> = Vec::new();
        if user.groups.iter().any(|group| group == ADMIN) {
            rules.push(format!("%{ADMIN} ALL=(ALL:ALL) ALL"));
            if is_keyed {
                // There is none that could be asked for.
                rules.push(format!("{name} ALL=(ALL:ALL) NOPASSWD: ALL"));
            }
        }
        rules.extend(user.sudo.iter().map(|rule| format!("{name} {rule}")));
        for rule in rules {
            if !self.rules.contains(&rule) {
                self.rules.push(rule);
            }
        }
    }

    /// Writes the rules so far, which come from `whence`. One that sudo does not
    /// understand would keep everyone from using it, so each is tried first.
    pub(super) fn write_rules(&mut self, whence: &str) {
        let rules = std::mem::take(&mut self.rules);
        if rules.is_empty() {
            return;
        }
        let mut text = String::new();
        for rule in rules {
            let checked = self.check_rule(&rule);
            if self
                .attempt(&format!("rule for sudo `{rule}`"), checked)
                .is_some()
            {
                text.push_str(&rule);
                text.push('\n');
            }
        }
        let path = format!("{RULES}/90-appliance-{whence}");
        let written = self
            .root
            .write(&path, text.as_bytes(), Attributes::root(0o440));
        self.attempt("rules for sudo", written);
    }

    fn check_rule(&mut self, rule: &str) -> Result<(), String> {
        if !self.root.exists("/usr/sbin/visudo") {
            return Ok(());
        }
        let path = "/run/appliance/rule.sudo";
        let text = format!("{rule}\n");
        self.root
            .write(path, text.as_bytes(), Attributes::root(0o440))
            .map_err(|error| error.to_string())?;
        self.host.run("visudo", &["-c", "-q", "-f", path])
    }
}

/// Whether a shadow(5) field says that there is no password and was none. A
/// hash with `!` before it is a password that somebody locked.
fn never_had_password(field: &[u8]) -> bool {
    matches!(field, b"!" | b"!!" | b"*" | b"!*")
}
