//! Starts over, from recovery.

use std::io::BufRead as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::output;
use crate::mount;
use crate::upgrade::machine::Machine;
use crate::upgrade::reset::{self, Options};
use crate::upgrade::state::Mounted;

/// Starts over, from recovery
///
/// Clears what the machine keeps: logs, home directories, accounts, identity,
/// Kubernetes' state. The site's configuration stays.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keep all of that
    #[arg(long)]
    keep_persistent: bool,
    /// Write slot a anew, with the system that was installed
    #[arg(long)]
    system: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Do nothing but have recovery booted next, once
    #[arg(long, conflicts_with_all = ["keep_persistent", "system"])]
    boot_recovery: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let machine = Machine::this();
    let mut volume = Mounted(machine.state.clone());
    if args.boot_recovery {
        reset::boot_recovery(&machine, &mut volume)?;
        output::say("Recovery is booted next, once. Reboot, and run 'appliance reset' there.");
        return Ok(());
    }
    let booted = reset::in_recovery(&machine)?;
    let options = Options {
        keep_persistent: args.keep_persistent,
        system: args.system,
    };
    if options.keep_persistent && !options.system {
        bail!("with --keep-persistent and without --system nothing would change");
    }
    if !args.yes {
        let mut what = Vec::new();
        if options.system {
            what.push("write slot a anew".to_owned());
        }
        if !options.keep_persistent {
            let device = reset::persistent(&machine, &booted);
            what.push(format!("delete everything on {}", device.display()));
        }
        output::say(&format!(
            "This will {}. Type 'yes' to go on:",
            what.join(" and ")
        ));
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if answer.trim() != "yes" {
            bail!("nothing was changed");
        }
    }
    let mut format = |device: &Path, uuid: &str| {
        let folder = &machine.persistent;
        // Recovery has it mounted, where it can be read.
        mount::unmount(folder)
            .with_context(|| format!("{} can't be unmounted", folder.display()))?;
        reset::format(device, uuid)
    };
    reset::run(&machine, &mut volume, &mut format, options)?;
    output::say("Done. Reboot to start over.");
    Ok(())
}
