//! What is installed, what runs, and what boots next.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::last::{Last, Stage};
use super::machine::Machine;
use super::state;
use crate::slots::{Record, Slot};

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Version of this document.
    pub schema: u32,
    /// The slot that runs.
    pub booted: Slot,
    /// Whether it is on trial.
    pub on_trial: bool,
    /// The slot that boots by itself.
    pub good: Slot,
    /// The slot that boots next, once.
    pub next_once: Option<Slot>,
    /// What is in each slot; an empty one is missing.
    pub slots: BTreeMap<Slot, Record>,
    /// The last upgrade, where there was one.
    pub last_upgrade: Option<LastUpgrade>,
}

/// The last upgrade and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastUpgrade {
    /// The slot.
    pub slot: Slot,
    /// Version that ran before.
    pub from: String,
    /// Version that was tried.
    pub to: String,
    /// What became of it.
    pub result: Fate,
    /// What did not hold.
    pub problems: Vec<String>,
}

/// What became of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Written, tried at the next boot.
    Waiting,
    /// It runs, on trial.
    OnTrial,
    /// It counts as good.
    Good,
    /// It did not come up, or not in time: the good slot runs again.
    FellBack,
    /// It was taken back before it was tried.
    Withdrawn,
}

/// Finds out how things are.
///
/// # Errors
/// Where this is no installed system, or STATE can't be read.
pub fn status(machine: &Machine) -> Result<Status> {
    let booted = machine.booted()?;
    let environment = state::environment(&machine.state)?;
    let slots = Slot::ALL
        .into_iter()
        .filter_map(|slot| Some((slot, state::record(&machine.state, slot)?)))
        .collect();
    let last_upgrade = Last::read(machine).map(|last| {
        let result = match last.stage {
            Stage::Good => Fate::Good,
            Stage::Withdrawn => Fate::Withdrawn,
            Stage::Failed => Fate::FellBack,
            Stage::Pending if environment.trial == Some(last.slot) => Fate::Waiting,
            Stage::Pending if environment.good == last.slot => Fate::Good,
            Stage::Pending if booted.slot == last.slot => Fate::OnTrial,
            Stage::Pending => Fate::FellBack,
        };
        LastUpgrade {
            slot: last.slot,
            from: last.from,
            to: last.to,
            result,
            problems: last.problems,
        }
    });
    Ok(Status {
        schema: 1,
        booted: booted.slot,
        on_trial: booted.trial && booted.slot != environment.good,
        good: environment.good,
        next_once: environment.trial,
        slots,
        last_upgrade,
    })
}

impl Status {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for slot in Slot::ALL {
            let mut notes = Vec::new();
            if slot == self.booted {
                notes.push(if self.on_trial {
                    "running, on trial"
                } else {
                    "running"
                });
            }
            if slot == self.good {
                notes.push("good");
            }
            if Some(slot) == self.next_once {
                notes.push("boots next, once");
            }
            let content = match self.slots.get(&slot) {
                None => "empty".to_owned(),
                Some(record) => {
                    let kubernetes = record
                        .kubernetes
                        .as_ref()
                        .map_or_else(String::new, |version| format!(", Kubernetes {version}"));
                    format!("{} {}{kubernetes}", record.name, record.version)
                }
            };
            let notes = if notes.is_empty() {
                String::new()
            } else {
                format!("  [{}]", notes.join("; "))
            };
            let _ = writeln!(out, "{:<9} {content}{notes}", slot.name());
        }
        if let Some(last) = &self.last_upgrade {
            let result = match last.result {
                Fate::Waiting => "is tried at the next boot",
                Fate::OnTrial => "is on trial",
                Fate::Good => "is good",
                Fate::FellBack => "did not come up; the machine went back by itself",
                Fate::Withdrawn => "was taken back",
            };
            let _ = writeln!(
                out,
                "\nLast upgrade, slot {}: {} to {} {result}.",
                last.slot, last.from, last.to
            );
            for problem in &last.problems {
                let _ = writeln!(out, "    {problem}");
            }
        }
        out
    }
}
