//! What the registry's units run.

use std::num::NonZeroUsize;

use anyhow::{Context as _, Result};
use isoforge::util::process::Program;

use super::output;
use crate::content::commit::UNIT;
use crate::content::pending;
use crate::registry::{self, Error, Places};
use crate::upgrade::machine::Machine;

/// Most that systemctl prints.
const OUTPUT_MAX_BYTES: u64 = 65_536;

/// Prepare the registry of this machine
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    /// Make certificate, credentials and configuration, where they are missing
    Prepare,
    /// Take in what the installer left for it
    ImportPending,
    /// As 'prepare', once the machine has its addresses; restarts the registry where
    /// its certificate changed
    Renew,
}

/// The verb.
///
/// # Errors
/// What went wrong, outermost first.
pub fn run(args: &Args) -> Result<()> {
    let config = Machine::this().config()?;
    let of_machine = config.registry.ok_or(Error::None)?;
    let places = Places::this(&of_machine);
    let prepared = registry::prepare::prepare(&of_machine, &places)?;
    match args.step {
        Step::Renew if prepared.renewed => {
            output::say("The machine's addresses changed; the registry gets a new certificate.");
            for unit in [UNIT, "appliance-registry-push.service"] {
                Program::new("systemctl", "systemd")
                    .args(["try-restart", unit])
                    .output(OUTPUT_MAX_BYTES)
                    .with_context(|| format!("can't restart {unit}"))?;
            }
        }
        Step::ImportPending => {
            let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
            let progress = output::progress();
            if pending::take(&of_machine, &places, threads, &progress)? {
                // The container runtime looks here for upstreams that are new.
                registry::prepare::prepare(&of_machine, &places)?;
            }
        }
        Step::Prepare | Step::Renew => {}
    }
    Ok(())
}
