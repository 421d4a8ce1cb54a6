//! Marks the running system as good.

use anyhow::{Result, bail};
use isoforge_base::process::Program;

use super::output;
use crate::upgrade::confirm::{self, Checks as _, Live, Verdict};
use crate::upgrade::last::{Last, Stage};
use crate::upgrade::machine::Machine;
use crate::upgrade::state::Mounted;

/// Marks the running system as good once its checks hold
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on trying until the time limit, then reboot into the good slot; for
    /// the unit that runs on trial
    #[arg(long)]
    or_reboot: bool,
    /// Only reboot where the trial should have ended long ago
    #[arg(long, conflicts_with = "or_reboot")]
    overdue: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let machine = Machine::this();
    let health = machine.config()?.health;
    let mut checks = Live(&machine);
    if args.overdue {
        let uptime = checks.uptime_seconds()?;
        if confirm::overdue(&machine, &health, uptime)? {
            output::say("The trial is not confirmed, and its time is long over.");
            return reboot(true);
        }
        return Ok(());
    }
    let verdict = if args.or_reboot {
        confirm::watch(&health, &mut checks)?
    } else {
        match confirm::problems(&health, &mut checks, confirm::CHECK_SECONDS) {
            problems if problems.is_empty() => Verdict::Good,
            problems => Verdict::Bad(problems),
        }
    };
    match verdict {
        Verdict::Good => {
            let slot = confirm::make_good(&machine, &mut Mounted(machine.state.clone()))?;
            output::say(&format!("The system in slot {slot} is good."));
            Ok(())
        }
        Verdict::Bad(problems) => {
            for problem in &problems {
                output::say(problem);
            }
            if !args.or_reboot {
                bail!("these checks do not hold; the slots stay as they are");
            }
            // What can't be remembered is no reason to stay.
            let _ = Last::reach(&machine, Stage::Failed, problems);
            reboot(false)
        }
    }
}

fn reboot(force: bool) -> Result<()> {
    let mut program = Program::new("systemctl", "systemd").arg("reboot");
    if force {
        program = program.arg("--force");
    }
    program.output(4096)?;
    Ok(())
}
