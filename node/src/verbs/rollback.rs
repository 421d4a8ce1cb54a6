//! Boots the other slot next.

use anyhow::Result;

use super::output;
use crate::upgrade::machine::Machine;
use crate::upgrade::rollback::{self, Decision};
use crate::upgrade::state::Mounted;

/// Boots the other slot next
///
/// An upgrade that waits for its first boot is taken back. Else the system in the
/// other slot is tried at the next boot, and counts as good once its checks hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> Result<()> {
    let machine = Machine::this();
    let decision = rollback::run(&machine, &mut Mounted(machine.state.clone()))?;
    output::say(&text(decision));
    Ok(())
}

fn text(decision: Decision) -> String {
    match decision {
        Decision::Withdrawn(slot) => {
            format!("Slot {slot} is not tried at the next boot any more.")
        }
        Decision::RebootsGood(slot) => {
            format!("The next boot is slot {slot}'s, the good one. Reboot to go back to it.")
        }
        Decision::Tried(slot) => format!(
            "Slot {slot} is tried at the next boot. Reboot to go back to it; should its checks not hold, this system boots again."
        ),
    }
}
