//! The last upgrade, as PERSISTENT remembers it: how it went can be told after
//! the good slot came back by itself.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::machine::{Machine, small};
use crate::files;
use isoforge_system::slots::Slot;

const NAME: &str = "last-upgrade.json";

/// How far an upgrade is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Written; it is tried, or was, without having said that it is good.
    Pending,
    /// It is good.
    Good,
    /// It was taken back before it was tried.
    Withdrawn,
    /// Its checks did not hold in time.
    Failed,
}

/// The last upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// The slot that was written, or that was rolled back to.
    pub slot: Slot,
    /// Version that ran before.
    pub from: String,
    /// Version in the slot.
    pub to: String,
    /// How far it is.
    pub stage: Stage,
    /// What did not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

fn path(machine: &Machine) -> PathBuf {
    machine.data_folder().join(NAME)
}

impl Last {
    /// The last upgrade; none where there was none, or nothing readable is left.
    #[must_use]
    pub fn read(machine: &Machine) -> Option<Self> {
        serde_json::from_slice(&small(&path(machine)).ok()?).ok()
    }

    /// Remembers it.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn write(&self, machine: &Machine) -> std::io::Result<()> {
        let path = path(machine);
        fs_err::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        files::write_json(&path, self, 0o600)
    }

    /// The same, further on.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn reach(machine: &Machine, stage: Stage, problems: Vec<String>) -> std::io::Result<()> {
        match Self::read(machine) {
            Some(last) => Self {
                stage,
                problems,
                ..last
            }
            .write(machine),
            None => Ok(()),
        }
    }
}
