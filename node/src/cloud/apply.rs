//! Applies documents to a system, one stage at a time. What fails is told with
//! document, stage and step, and the rest goes on: half a configuration may be
//! what lets somebody in to mend it.

mod conditions;
mod files;
mod settings;
mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::{Host, Stage};
use crate::accounts::database::Databases;
use crate::rooted::Root;
use isoforge_contract::cloud::pattern::{self, Facts};
use isoforge_contract::cloud::{Document, Step, User};

/// Something that could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Name of the document.
    pub document: String,
    /// The stage, as the document names it.
    pub stage: String,
    /// The step, or what stands outside of stages.
    pub step: String,
    /// What was tried, and why it failed.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            document,
            stage,
            step,
            message,
        } = self;
        write!(f, "{document}: stage {stage}, '{step}': {message}")
    }
}

/// Applies a stage of all documents: of each stage first what is `.before`,
/// then itself, then what is `.after`, each in the documents' order. `slot_etc`
/// is the `/etc` that the system brought, where that is known: what still is as
/// it was brought was not changed on this machine.
pub(crate) fn apply(
    stage: Stage,
    documents: &[Document],
    root: &Root,
    slot_etc: Option<&Path>,
    host: &mut dyn Host,
) -> Vec<Failure> {
    let slot = slot_etc.and_then(|etc| Databases::read(etc).ok());
    let mut run = Run::new(stage, root, slot, host);
    match stage {
        Stage::Initramfs => run.outside_of_stages(documents),
        Stage::Boot => run.late(documents),
        Stage::Network => {}
    }
    for name in stage.names() {
        for name in [
            format!("{name}.before"),
            (*name).to_owned(),
            format!("{name}.after"),
        ] {
            for document in documents {
                for step in document.stages.get(&name).into_iter().flatten() {
                    run.at(&document.name, &name, &step.name);
                    run.step(step);
                }
            }
        }
    }
    let first = stage.names().first().unwrap_or(&"");
    run.at("all", first, "end");
    run.write_rules(first);
    run.finish();
    run.failures
}

/// Applies name and accounts of a document to a system that runs: what was set at the
/// machine is not to wait for its next boot.
pub(crate) fn apply_setting(document: &Document, root: &Root, host: &mut dyn Host) -> Vec<Failure> {
    let mut run = Run::new(Stage::Initramfs, root, None, host);
    run.outside_of_stages(std::slice::from_ref(document));
    // Beside the rules that the boot wrote, which stay.
    run.write_rules("machine");
    run.failures
}

/// Where a run is, for messages.
#[derive(Debug, Default)]
struct At {
    document: String,
    stage: String,
    step: String,
}

struct Run<'a> {
    stage: Stage,
    root: &'a Root,
    slot: Option<Databases>,
    host: &'a mut dyn Host,
    at: At,
    failures: Vec<Failure>,
    /// Whether systemd must read its units anew.
    units_changed: bool,
    /// Whether systemd-networkd must read its files anew.
    network_changed: bool,
    /// Accounts whose password this run has set: what comes later may set it
    /// again.
    passwords: BTreeSet<String>,
    /// Lines for sudo.
    rules: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(stage: Stage, root: &'a Root, slot: Option<Databases>, host: &'a mut dyn Host) -> Self {
        Self {
            stage,
            root,
            slot,
            host,
            at: At::default(),
            failures: Vec::new(),
            units_changed: false,
            network_changed: false,
            passwords: BTreeSet::new(),
            rules: Vec::new(),
        }
    }
}

impl Run<'_> {
    fn at(&mut self, document: &str, stage: &str, step: &str) {
        self.at = At {
            document: document.to_owned(),
            stage: stage.to_owned(),
            step: step.to_owned(),
        };
    }

    fn fail(&mut self, message: String) {
        let failure = Failure {
            document: self.at.document.clone(),
            stage: self.at.stage.clone(),
            step: self.at.step.clone(),
            message,
        };
        self.host.tell(&format!("failed: {failure}"));
        self.failures.push(failure);
    }

    /// Notes a failure of what was tried.
    fn attempt<T, E: fmt::Display>(&mut self, what: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(format!("{what}: {error}"));
                None
            }
        }
    }

    /// What the patterns of a text stand for.
    fn facts(&self) -> Facts {
        let line = |path| {
            let bytes = self.root.read(path).ok().flatten().unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            text.lines().next().unwrap_or_default().trim().to_owned()
        };
        let machine_id = line("/etc/machine-id");
        let is_id = machine_id.len() == 32 && machine_id.bytes().all(|b| b.is_ascii_hexdigit());
        Facts {
            machine_id: if is_id { machine_id } else { String::new() },
            hostname: line("/etc/hostname"),
        }
    }

    /// Names, accounts and files that stand outside of stages. Of a name the
    /// last counts, and accounts of one name are put together first: a password
    /// is set once.
    fn outside_of_stages(&mut self, documents: &[Document]) {
        let named = documents.iter().rev().find_map(|document| {
            let name = document.hostname.as_ref()?;
            Some((document.name.clone(), name.clone()))
        });
        if let Some((document, name)) = named {
            self.at(&document, "initramfs", "hostname");
            self.hostname(&name);
        }
        let mut order: Vec<&str> = Vec::new();
        let mut users: BTreeMap<&str, (User, &str)> = BTreeMap::new();
        for document in documents {
            for user in &document.users {
                let mut user = user.clone();
                user.ssh_authorized_keys
                    .extend(document.ssh_authorized_keys.iter().cloned());
                let name = document.users.iter().find(|u| u.name == user.name);
                let Some(name) = name.map(|user| user.name.as_str()) else {
                    continue;
                };
                let merged = match users.remove(name) {
                    Some((earlier, _)) => earlier.overlaid(&user),
                    None => {
                        order.push(name);
                        user
                    }
                };
                users.insert(name, (merged, &document.name));
            }
        }
        for name in order {
            if let Some((user, document)) = users.get(name) {
                self.at(document, "initramfs", "users");
                self.user(user);
            }
        }
        for document in documents {
            self.at(&document.name, "initramfs", "write_files");
            for file in &document.write_files {
                self.file(file);
            }
        }
    }

    /// What stands outside of stages and belongs to the stage `boot`.
    fn late(&mut self, documents: &[Document]) {
        for document in documents {
            self.at(&document.name, "boot", "write_files");
            for file in &document.deferred_files {
                self.file(file);
            }
            self.at(&document.name, "boot", "runcmd");
            self.commands(&document.runcmd);
        }
    }

    /// One step; its parts come in yip's order.
    fn step(&mut self, step: &Step) {
        match self.holds(&step.conditions) {
            Ok(()) => {}
            Err(reason) => {
                let At {
                    document,
                    stage,
                    step,
                } = &self.at;
                let line = format!("{document}: stage {stage}, '{step}': left out: {reason}");
                self.host.tell(&line);
                return;
            }
        }
        let At {
            document,
            stage,
            step: name,
        } = &self.at;
        let line = format!("{document}: stage {stage}, '{name}'");
        self.host.tell(&line);
        if let Some(dns) = &step.dns {
            self.dns(dns);
        }
        for directory in &step.directories {
            self.directory(directory);
        }
        for file in &step.files {
            self.file(file);
        }
        self.commands(&step.commands);
        if let Some(name) = &step.hostname {
            self.hostname(name);
        }
        self.sysctl(&step.sysctl);
        for user in &step.users {
            self.user(user);
        }
        for (name, keys) in &step.authorized_keys {
            self.keys(name, keys);
        }
        self.modules(&step.modules);
        self.timesyncd(&step.timesyncd);
        self.systemctl(&step.systemctl);
        self.environment(&step.environment, step.environment_file.as_deref());
        self.firstboot(&step.systemd_firstboot);
    }

    fn commands(&mut self, commands: &[String]) {
        if commands.is_empty() {
            return;
        }
        self.reload_units();
        for command in commands {
            let line = pattern::fill(command, &self.facts());
            let result = self.host.command(&line);
            self.attempt(&format!("command `{}`", first_line(&line)), result);
        }
        // They may have enabled units or written some.
        self.units_changed |= self.stage == Stage::Initramfs;
    }

    /// Lets systemd read its units, where they changed.
    fn reload_units(&mut self) {
        if std::mem::take(&mut self.units_changed) {
            let result = self.host.run("systemctl", &["daemon-reload"]);
            self.attempt("reading units anew", result);
        }
    }

    fn finish(&mut self) {
        let units_changed = self.units_changed;
        self.reload_units();
        if units_changed && self.stage == Stage::Initramfs {
            // What the system starts was settled before units were enabled:
            // the same once more, and what came in addition.
            let target = self.boot_target();
            let result = self
                .host
                .run("systemctl", &["--no-block", "start", &target]);
            self.attempt("starting what was enabled", result);
        }
        let networkctl = self.root.exists("/usr/bin/networkctl");
        if self.network_changed && self.stage != Stage::Initramfs && networkctl {
            let result = self.host.run("networkctl", &["reload"]);
            self.attempt("reading network files anew", result);
        }
    }

    /// What the system boots into.
    fn boot_target(&self) -> String {
        let cmdline = self
            .root
            .read("/proc/cmdline")
            .ok()
            .flatten()
            .unwrap_or_default();
        let cmdline = String::from_utf8_lossy(&cmdline);
        let unit = cmdline
            .split_ascii_whitespace()
            .filter_map(|word| word.strip_prefix("systemd.unit="))
            .next_back();
        unit.unwrap_or("default.target").to_owned()
    }
}

/// A command's first line, for messages.
fn first_line(command: &str) -> String {
    let mut lines = command.trim().lines();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() {
        format!("{first} …")
    } else {
        first.to_owned()
    }
}

#[cfg(test)]
mod tests;
