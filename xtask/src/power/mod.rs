//! Power cuts: an installation and an upgrade are recorded, write by write, and
//! replayed to each flush. What a cut there would leave is checked on this
//! machine, and four of the states are booted. Either the old system boots, or
//! the installer starts anew.

mod check;
mod log;
mod replay;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::boots::DEADLINE;
use crate::image::{blank, copy};
use crate::install::{
    DISK_BYTES, Guest, INSTALLING, Lab, System, UPGRADE_COMMAND, copied_disk, layout_disk, new_disk,
};
use crate::qemu::{Bus, Disk, Firmware, Medium, Network, scratch};
pub(crate) use check::looks_bootable;
use check::{Checker, Reference, State};
use log::Log;
use replay::Replay;

/// How long the machine may take until GRUB's menu shows again.
const REBOOT: Duration = Duration::from_secs(300);

/// A state that is kept to be booted.
struct Kept {
    path: PathBuf,
    number: usize,
    state: State,
}

/// The step: an installation.
pub(crate) fn install(lab: &Lab) -> Result<()> {
    let name = "cuts-install";
    let disk = new_disk(name, DISK_BYTES)?;
    let log = new_log(name)?;
    let iso = lab.systems.iso(System::First)?;
    let machine = lab
        .machine(Firmware::Bios)
        .medium(Medium::Cd, &iso)
        .disk(Disk::new(&disk, Bus::Virtio).logged(&log));
    let mut guest = lab.start(machine, name)?;
    guest.entry()?;
    guest.installs()?;
    guest.ended()?;

    let reference = Reference::of(&[&disk])?;
    let replayed = scratch(&format!("{name}-replayed.raw"))?;
    blank(&replayed, DISK_BYTES)?;
    let log = Log::read(&log)?;
    let last = count_not_bootable(&reference, log, &replayed)?;

    // Once more, to keep states from before the end.
    blank(&replayed, DISK_BYTES)?;
    let log = Log::read(&scratch(&format!("{name}.log.bin"))?)?;
    let mut replay = Replay::new(log, &replayed)?;
    let mut kept = Vec::new();
    for number in 1..=last {
        ensure!(replay.advance()?, "the log has become shorter");
        if number == last / 2 || number == last {
            kept.push(keep(&replayed, name, number, State::NotBootable)?);
        }
    }
    for cut in kept {
        let machine = lab.rescuable_machine(&cut.path, &iso)?;
        let mut guest = lab.start(machine, &format!("{name}-{}", cut.number))?;
        let entry = guest.entry()?;
        ensure!(
            entry.contains("Install"),
            "after cut {} GRUB boots '{entry}'",
            cut.number
        );
        guest.says(&[INSTALLING], DEADLINE)?;
        println!("cut {}: the installer starts anew", cut.number);
    }
    Ok(())
}

/// Checks all states, and gives the number of the last one that does not boot.
fn count_not_bootable(reference: &Reference, log: Log, disk: &Path) -> Result<usize> {
    let mut last = 0;
    let mut bootable = 0;
    let states = walk(reference, log, disk, |number, state| {
        match state {
            State::NotBootable if bootable == 0 => last = number,
            State::NotBootable => bail!("it has booted before"),
            State::Bootable { .. } => bootable += 1,
        }
        Ok(())
    })?;
    ensure!(bootable > 0, "the finished disk does not boot");
    ensure!(last > 1, "it looked bootable from the first flush on");
    println!("{states} states: {last} do not boot, {bootable} are whole");
    Ok(last)
}

/// Goes through all states of a log.
fn walk(
    reference: &Reference,
    log: Log,
    disk: &Path,
    mut each: impl FnMut(usize, &State) -> Result<()>,
) -> Result<usize> {
    let mut replay = Replay::new(log, disk)?;
    let mut checker = Checker::new(reference);
    println!("{} states to check", replay.states());
    let begun = Instant::now();
    let mut number = 0;
    while replay.advance()? {
        number += 1;
        let (disk, changes) = replay.take_changes();
        let state = checker
            .check(disk, &changes)
            .and_then(|state| each(number, &state).map(|()| state));
        state.with_context(|| {
            format!(
                "a power cut after flush {number} would leave {}",
                disk.display()
            )
        })?;
    }
    println!("{number} states checked in {} s", begun.elapsed().as_secs());
    Ok(number)
}

/// The step: an upgrade, up to the confirmation of the new system.
pub(crate) fn upgrade(lab: &Lab) -> Result<()> {
    let name = "cuts-upgrade";
    let base = lab.first()?;
    let disk = copied_disk(base, name)?;
    let log = new_log(name)?;
    record_upgrade(lab, name, &disk, &log)?;

    let reference = Reference::of(&[base, &disk])?;
    let replayed = scratch(&format!("{name}-replayed.raw"))?;
    copy(base, &replayed)?;
    let mut seen: Vec<(usize, State)> = Vec::new();
    let states = walk(&reference, Log::read(&log)?, &replayed, |number, state| {
        ensure!(*state != State::NotBootable, "it does not boot any more");
        if seen.last().is_none_or(|(_, last)| last != state) {
            println!("from state {number} on: {state:?}");
            seen.push((number, state.clone()));
        }
        Ok(())
    })?;
    let order: Vec<_> = seen.iter().map(|(_, state)| state.clone()).collect();
    let expected = [("a", ""), ("a", "b"), ("a", ""), ("b", "")];
    let expected = expected.map(|(good, trial)| State::Bootable {
        good: good.to_owned(),
        trial: trial.to_owned(),
    });
    ensure!(
        order == expected,
        "the states came in this order: {order:?}"
    );

    // The last one before the trial is set, and the first one after.
    let trial = seen.get(1).context("no trial")?.0;
    ensure!(trial > 1 && trial <= states, "no state before the trial");
    copy(base, &replayed)?;
    let mut replay = Replay::new(Log::read(&log)?, &replayed)?;
    let mut kept = Vec::new();
    for number in 1..=trial {
        ensure!(replay.advance()?, "the log has become shorter");
        if number + 1 >= trial {
            let at = usize::from(number == trial);
            let state = expected.get(at).context("a state")?.clone();
            kept.push(keep(&replayed, name, number, state)?);
        }
    }
    for cut in kept {
        boot_upgrade(lab, name, &cut)?;
    }
    Ok(())
}

fn record_upgrade(lab: &Lab, name: &str, disk: &Path, log: &Path) -> Result<()> {
    let second = layout_disk(&lab.systems.archive(System::Second)?, "cuts-second")?;
    let machine = lab
        .machine(Firmware::Bios)
        .disk(Disk::new(disk, Bus::Virtio).logged(log))
        .disk(Disk::new(&second, Bus::Virtio).readonly())
        .network(Network::ssh("virtio-net-pci")?)
        .reboots();
    let mut guest: Guest = lab.start(machine, name)?;
    guest.up()?;
    let ssh = guest.reachable()?;
    println!("{}", ssh.root(UPGRADE_COMMAND)?);
    ssh.end("reboot")?;
    guest.next_entry(REBOOT)?;
    guest.confirmed()?;
    guest.power_off()
}

fn boot_upgrade(lab: &Lab, name: &str, cut: &Kept) -> Result<()> {
    let machine = lab.installed_machine(&cut.path)?;
    let mut guest = lab.start(machine, &format!("{name}-{}", cut.number))?;
    let entry = guest.up()?;
    let trial = matches!(&cut.state, State::Bootable { trial, .. } if trial == "b");
    let system = if trial { System::Second } else { System::First };
    ensure!(
        entry.contains(system.version()),
        "after cut {} GRUB boots '{entry}'",
        cut.number
    );
    guest.reachable()?;
    println!("cut {}: version {} boots", cut.number, system.version());
    guest.power_off()
}

fn new_log(name: &str) -> Result<PathBuf> {
    let log = scratch(&format!("{name}.log.bin"))?;
    std::fs::write(&log, [])?;
    Ok(log)
}

fn keep(disk: &Path, name: &str, number: usize, state: State) -> Result<Kept> {
    Ok(Kept {
        path: copied_disk(disk, &format!("{name}-{number}"))?,
        number,
        state,
    })
}
