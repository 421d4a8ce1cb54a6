//! Whether a system on trial is good: the profile's checks hold before the time
//! limit, or the machine starts again, which boots the good slot.

use std::time::Duration;

use anyhow::Result;
use isoforge_base::process::Program;
use isoforge_contract::machine::Health;

use super::last::{Last, Stage};
use super::machine::Machine;
use super::state::{self, Volume};
use isoforge_system::slots::Slot;

/// Between two rounds of checks.
const PAUSE: Duration = Duration::from_secs(5);

/// Longest run of one check in seconds; one that hangs counts as failed.
pub const CHECK_SECONDS: u64 = 60;

/// Seconds after the time limit after which [`overdue`] says so: [`watch`] comes
/// first, and tells what was wrong.
const GRACE_SECONDS: u64 = 60;

/// What the machine is asked.
pub trait Checks {
    /// What is wrong with one of the profile's checks; none: it holds.
    fn command(&mut self, line: &str, seconds: u64) -> Option<String>;
    /// What is wrong with a unit; none: it is active.
    fn unit(&mut self, name: &str) -> Option<String>;
    /// Seconds since the boot.
    fn uptime_seconds(&mut self) -> Result<u64>;
    /// Waits until the next round.
    fn pause(&mut self);
}

#[derive(Debug)]
pub struct Live<'a>(pub &'a Machine);

impl Checks for Live<'_> {
    fn command(&mut self, line: &str, seconds: u64) -> Option<String> {
        let run = Program::new("timeout", "coreutils")
            .args(["--kill-after=5", &seconds.to_string(), "/bin/sh", "-c"])
            .arg(line)
            .run(|out| std::io::copy(out, &mut std::io::sink()), &mut |_| {});
        run.err().map(|error| format!("'{line}': {error}"))
    }

    fn unit(&mut self, name: &str) -> Option<String> {
        let state = Program::new("systemctl", "systemd")
            .args(["is-active", "--quiet", "--"])
            .arg(name)
            .output(4096);
        state
            .err()
            .map(|_| format!("the unit {name} is not active"))
    }

    fn uptime_seconds(&mut self) -> Result<u64> {
        self.0.uptime_seconds()
    }

    fn pause(&mut self) {
        std::thread::sleep(PAUSE);
    }
}

/// What does not hold now.
pub fn problems(health: &Health, checks: &mut dyn Checks, seconds: u64) -> Vec<String> {
    let mut problems: Vec<String> = health
        .units
        .iter()
        .filter_map(|name| checks.unit(name))
        .collect();
    problems.extend(
        health
            .checks
            .iter()
            .filter_map(|line| checks.command(line, seconds)),
    );
    problems
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All of it held.
    Good,
    /// This did not hold when the time was over.
    Bad(Vec<String>),
}

/// Checks until all of it holds, or the time limit is over. Once is always
/// checked.
///
/// # Errors
/// Where it is not known how late it is.
pub fn watch(health: &Health, checks: &mut dyn Checks) -> Result<Verdict> {
    let limit = u64::from(health.time_limit_seconds);
    loop {
        let left = limit.saturating_sub(checks.uptime_seconds()?);
        let problems = problems(health, checks, left.clamp(1, CHECK_SECONDS));
        if problems.is_empty() {
            return Ok(Verdict::Good);
        }
        if checks.uptime_seconds()? >= limit {
            return Ok(Verdict::Bad(problems));
        }
        checks.pause();
    }
}

/// Whether a trial should have ended long ago.
///
/// # Errors
/// Where it is not known what runs, or for how long.
pub fn overdue(machine: &Machine, health: &Health, uptime_seconds: u64) -> Result<bool> {
    let booted = machine.booted()?;
    let good = state::environment(&machine.state)?.good;
    let limit = u64::from(health.time_limit_seconds) + GRACE_SECONDS;
    Ok(booted.trial && booted.slot != good && uptime_seconds > limit)
}

/// Makes the running slot the good one.
///
/// # Errors
/// Where STATE can't be written, and in recovery.
pub fn make_good(machine: &Machine, volume: &mut dyn Volume) -> Result<Slot> {
    let booted = machine.booted()?;
    if booted.slot == Slot::Recovery {
        anyhow::bail!("recovery is running, which never counts as good");
    }
    let mut environment = state::environment(&machine.state)?;
    if environment.good != booted.slot || environment.trial == Some(booted.slot) {
        environment.good = booted.slot;
        environment.trial = None;
        state::set_environment(&machine.state, volume, &environment)?;
    }
    if Last::read(machine).is_some_and(|last| last.slot == booted.slot) {
        Last::reach(machine, Stage::Good, Vec::new())?;
    }
    Ok(booted.slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_leaves_a_daemon_holds_nothing_up() {
        let machine = Machine::below(std::path::Path::new("/none"));
        let began = std::time::Instant::now();
        assert_eq!(Live(&machine).command("sleep 60 & true", 50), None);
        assert!(began.elapsed() < Duration::from_secs(40));
        let problem = Live(&machine).command("echo bad >&2; exit 3", 50).unwrap();
        assert!(
            problem.ends_with("failed: exit status: 3\n    bad"),
            "{problem}"
        );
    }
}
