//! The way back to the other slot. The system there is tried like a new one: it
//! was good once, but what it finds on PERSISTENT may be newer than it.

use anyhow::{Result, bail};

use super::last::{Last, Stage};
use super::machine::Machine;
use super::state::{self, Volume};
use isoforge_system::slots::Slot;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// An upgrade that waited for its trial is taken back.
    Withdrawn(Slot),
    /// The running system is on trial: without a word from anybody the next
    /// boot is the good slot's.
    RebootsGood(Slot),
    /// The other slot is tried at the next boot.
    Tried(Slot),
}

/// Goes back.
///
/// # Errors
/// Where there is nothing to go back to.
pub fn run(machine: &Machine, volume: &mut dyn Volume) -> Result<Decision> {
    let booted = machine.booted()?;
    let mut environment = state::environment(&machine.state)?;
    if booted.slot == Slot::Recovery {
        bail!("recovery is running; choose a slot in the boot menu");
    }
    if let Some(trial) = environment.trial {
        environment.trial = None;
        state::set_environment(&machine.state, volume, &environment)?;
        Last::reach(machine, Stage::Withdrawn, Vec::new())?;
        return Ok(Decision::Withdrawn(trial));
    }
    if booted.slot != environment.good {
        return Ok(Decision::RebootsGood(environment.good));
    }
    let other = booted.slot.other();
    let Some(record) = state::record(&machine.state, other) else {
        bail!("slot {other} is empty: there is nothing to go back to");
    };
    let running = state::record(&machine.state, booted.slot);
    Last {
        slot: other,
        from: running.map_or_else(String::new, |record| record.version),
        to: record.version,
        stage: Stage::Pending,
        problems: Vec::new(),
    }
    .write(machine)?;
    environment.trial = Some(other);
    state::set_environment(&machine.state, volume, &environment)?;
    Ok(Decision::Tried(other))
}
