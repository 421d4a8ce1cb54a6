//! From a bare disk to an installed system.
//!
//! ```text
//! medium ─ sources::gather ─► Site ┐
//! disks::list ─ note_sizes ─► disks ┼─ choose / pages ─► Choices ─ run ─► events
//! check::findings ──────────────────┘
//! ```
//!
//! Invariants of [`run`]:
//! - Nothing starts a disk before everything on it is written and has been
//!   compared with the medium's manifest. What firmware starts, the first
//!   program of the ESP and the boot code in the MBR, is written last.
//! - Cut off at any point, a second run starts over.
//! - Whatever it mounts it unmounts, also when it fails.

mod boot;
pub(crate) mod check;
pub(crate) mod choose;
mod content;
mod copy;
mod engine;
mod format;
pub(crate) mod medium;
pub(crate) mod model;
mod oem;
pub(crate) mod sources;
mod target;
mod teller;
pub(crate) mod unattended;

pub(crate) use content::fill_labelled;
pub(crate) use engine::run;
pub(crate) use medium::Medium;

use anyhow::Result;
use isoforge_contract::machine::Config;

use crate::disks::{self, Sysfs};

/// The disks of this machine; each that can't be taken for what the medium
/// installs says why.
pub(crate) fn disks(medium: &Medium, config: &Config, sys: &Sysfs) -> Result<Vec<model::Disk>> {
    let image = medium.image(&config.firmware)?;
    let mut disks = disks::list(sys)?;
    choose::note_sizes(&mut disks, config, &image);
    Ok(disks)
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
