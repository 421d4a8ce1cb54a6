//! What the registry's units run.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use isoforge_base::human;
use isoforge_base::process::Program;
use isoforge_contract::machine::Registry;

use super::output;
use crate::content::commit::{UNIT, listens_within};
use crate::content::pending;
use crate::content::upstreams::upstreams;
use crate::install::{self, Medium};
use crate::paths;
use crate::registry::prepare::Prepared;
use crate::registry::{self, RegistryPaths};
use crate::upgrade::machine::Machine;

/// Most that systemctl prints.
const OUTPUT_MAX_BYTES: u64 = 65_536;

/// How long the registry may take until it listens, when the machine starts.
const STARTING: Duration = Duration::from_secs(300);

/// Prepare the registry of this machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    /// Make certificate, credentials and configuration, where they are missing
    Prepare,
    /// Take in what the installer left for it
    ImportPending,
    /// Put a medium's content on the disk that another installer has just written
    Fill {
        /// Label of the file system that the system keeps
        #[arg(long)]
        label: String,
        /// The folder on it that becomes the registry's
        #[arg(long)]
        folder: PathBuf,
        /// Where the medium is mounted
        #[arg(long, default_value = paths::MEDIUM)]
        medium: PathBuf,
    },
    /// As 'prepare', once the machine has its addresses; restarts the registry where
    /// its certificate changed
    Renew,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let of_machine = this_registry()?;
    if let Step::Fill {
        label,
        folder,
        medium,
    } = &args.step
    {
        return fill(&of_machine, label, folder, medium);
    }
    let places = RegistryPaths::this(&of_machine);
    let prepared = prepare(&of_machine, &places)?;
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
            // Where it stays closed, what comes next says so.
            let _ = listens_within(registry::push_address(&of_machine), STARTING);
            let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
            let progress = output::progress();
            if pending::take(&of_machine, &places, threads, &progress)? {
                // Container runtimes look here for upstreams that are new.
                say_changed(&prepare(&of_machine, &places)?);
            }
        }
        Step::Prepare | Step::Renew | Step::Fill { .. } => {}
    }
    Ok(())
}

/// The registry that the build gave this system.
pub(super) fn this_registry() -> Result<Registry> {
    let config = Machine::this().config()?;
    let registry = config.registry;
    registry.context("this system has no registry: its profile has no [registry]")
}

/// Makes all that the registry needs, and what container runtimes need to look into
/// it.
pub(super) fn prepare(of_machine: &Registry, places: &RegistryPaths) -> Result<Prepared> {
    let upstreams = upstreams(places)?;
    let prepared = registry::prepare::prepare(of_machine, places, &upstreams)?;
    for path in &prepared.foreign {
        output::say(&format!(
            "'{}' is the site's own and stays: this machine's registry is not looked into",
            path.display()
        ));
    }
    Ok(prepared)
}

/// Says what K3s and RKE2, which run already, have not read.
pub(super) fn say_changed(prepared: &Prepared) {
    for path in &prepared.changed {
        output::say(&format!(
            "'{}' changed; it is read when the cluster's service starts the next time",
            path.display()
        ));
    }
}

fn fill(registry: &Registry, label: &str, folder: &Path, medium: &Path) -> Result<()> {
    let mut tenths = 0;
    let told = &mut |done: u64, total: u64| {
        let now = done
            .saturating_mul(10)
            .checked_div(total)
            .unwrap_or_default();
        if now > tenths {
            tenths = now;
            output::say(&format!("{} of {}", human::size(done), human::size(total)));
        }
    };
    for image in install::fill_labelled(&Medium::new(medium), registry, label, folder, told)? {
        output::say(&image);
    }
    Ok(())
}
