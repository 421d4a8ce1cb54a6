//! Power cuts: an installation and an upgrade are recorded, write by write, and
//! replayed to each flush. What a cut there would leave is checked on this
//! machine, and four of the states are booted. Either the old system boots, or
//! the installer starts anew.

mod check;
mod digests;
mod log;
mod replay;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::boots::DEADLINE;
use crate::image::{Image, blank, copy};
use crate::install::{
    DISK_BYTES, Guest, INSTALLING, Lab, System, UPGRADE_COMMAND, copied_disk, layout_disk,
    new_disk, run_unattended,
};
use crate::qemu::{Bus, Disk, Firmware, Network, scratch};
pub(crate) use check::looks_bootable;
use check::{Checker, Reference, State, overlap};
use log::Log;
use replay::Replay;

/// How long the machine may take until GRUB's menu shows again.
const REBOOT: Duration = Duration::from_secs(300);

/// A state that is kept to be booted.
struct Kept {
    path: PathBuf,
    number: usize,
}

impl Kept {
    /// What it is; an error where it is what no power cut may leave.
    fn check(&self, reference: &Reference) -> Result<State> {
        let all = 0..DISK_BYTES;
        let state = Checker::new(reference).check(&self.path, &[all]);
        state.with_context(|| format!("a power cut after flush {}", self.number))
    }
}

/// A run whose writes were logged.
pub(crate) struct Recording {
    name: &'static str,
    /// The disk at its end.
    pub(crate) disk: PathBuf,
    /// The disk at its beginning; blank where nothing is named.
    base: Option<PathBuf>,
    log: PathBuf,
}

impl Recording {
    /// A recording of what will be done with a new disk, or a copy of `base`.
    pub(crate) fn new(name: &'static str, base: Option<&Path>) -> Result<Self> {
        let log = scratch(&format!("{name}.log.bin"))?;
        std::fs::write(&log, [])?;
        Ok(Self {
            name,
            disk: match base {
                Some(base) => copied_disk(base, name)?,
                None => new_disk(name, DISK_BYTES)?,
            },
            base: base.map(Path::to_owned),
            log,
        })
    }

    /// The disk, for a machine.
    pub(crate) fn disk(&self) -> Disk {
        Disk::new(&self.disk, Bus::Virtio).logged(&self.log)
    }

    /// An unattended installation.
    pub(crate) fn installation(lab: &Lab, name: &'static str) -> Result<Self> {
        let this = Self::new(name, None)?;
        let iso = lab.systems.iso(System::First)?;
        run_unattended(lab, lab.installer(&iso, this.disk()), name)?;
        Ok(this)
    }

    fn replayed(&self) -> Result<PathBuf> {
        scratch(&format!("{}-replayed.raw", self.name))
    }

    /// Removes what was needed for the replays alone: it is large. Where something
    /// failed it stays, for whoever looks into it.
    fn clean(&self) -> Result<()> {
        std::fs::remove_file(&self.log)?;
        Ok(std::fs::remove_file(self.replayed()?)?)
    }

    /// A replay from the beginning, on the disk of replays.
    fn replay(&self) -> Result<Replay> {
        let disk = self.replayed()?;
        match &self.base {
            Some(base) => copy(base, &disk)?,
            None => blank(&disk, DISK_BYTES)?,
        }
        Replay::new(Log::read(&self.log)?, &disk)
    }

    /// What finished disks hold.
    fn reference(&self) -> Result<Reference> {
        let disks = self.base.iter().chain([&self.disk]);
        Reference::of(&disks.map(PathBuf::as_path).collect::<Vec<_>>())
    }

    /// Copies of the disk as cuts after these flushes leave it; in order.
    fn cuts(&self, numbers: &[usize]) -> Result<Vec<Kept>> {
        let mut replay = self.replay()?;
        let mut kept = Vec::new();
        for number in 1..=numbers.iter().copied().max().unwrap_or_default() {
            ensure!(replay.advance()?, "the log has become shorter");
            if numbers.contains(&number) {
                let (disk, _) = replay.take_changes();
                let path = copied_disk(disk, &format!("{}-{number}", self.name))?;
                kept.push(Kept { path, number });
            }
        }
        Ok(kept)
    }
}

/// The step: an installation.
pub(crate) fn install(lab: &Lab) -> Result<()> {
    let recording = Recording::installation(lab, "cuts-install")?;
    let last = count_not_bootable(&recording)?;
    for cut in recording.cuts(&[last / 2, last])? {
        starts_anew(lab, recording.name, &cut)?;
    }
    recording.clean()
}

/// What `xtask test` does with an installation: one cut, in its middle.
pub(crate) fn one_cut_of_installation(lab: &Lab, recording: &Recording) -> Result<()> {
    let half = recording.replay()?.states() / 2;
    for cut in recording.cuts(&[half])? {
        let state = cut.check(&recording.reference()?)?;
        ensure!(
            state == State::NotBootable,
            "after cut {half}, in the middle of the installation, it is {state:?}"
        );
        starts_anew(lab, recording.name, &cut)?;
    }
    recording.clean()
}

/// The firmware passes such a disk over, and boots the installer from the medium.
fn starts_anew(lab: &Lab, name: &str, cut: &Kept) -> Result<()> {
    let iso = lab.systems.iso(System::First)?;
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
    drop(guest);
    Ok(std::fs::remove_file(&cut.path)?)
}

/// Checks all states, and gives the number of the last one that does not boot.
fn count_not_bootable(recording: &Recording) -> Result<usize> {
    let mut last = 0;
    let mut bootable = 0;
    let states = walk(recording, |number, state| {
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

/// Goes through all states of a recording.
fn walk(recording: &Recording, mut each: impl FnMut(usize, &State) -> Result<()>) -> Result<usize> {
    let reference = recording.reference()?;
    let mut replay = recording.replay()?;
    let mut checker = Checker::new(&reference);
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
    let recording = Recording::new("cuts-upgrade", Some(lab.first()?))?;
    record_upgrade(lab, &recording)?;
    let mut seen: Vec<(usize, State)> = Vec::new();
    let states = walk(&recording, |number, state| {
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
    let systems = [System::First, System::Second];
    for (cut, system) in recording.cuts(&[trial - 1, trial])?.iter().zip(systems) {
        boots(lab, recording.name, cut, system)?;
    }
    recording.clean()
}

/// What `xtask test` does with an upgrade: one cut, the last before the trial is set.
pub(crate) fn one_cut_of_upgrade(lab: &Lab, recording: &Recording) -> Result<()> {
    let before = first_trial(recording)?.saturating_sub(1);
    ensure!(before > 0, "no state before the trial");
    for cut in recording.cuts(&[before])? {
        let state = cut.check(&recording.reference()?)?;
        ensure!(
            matches!(&state, State::Bootable { good, trial } if good == "a" && trial.is_empty()),
            "after cut {before} it is {state:?}"
        );
        boots(lab, recording.name, &cut, System::First)?;
    }
    recording.clean()
}

/// The number of the first state in which GRUB would try the new system.
fn first_trial(recording: &Recording) -> Result<usize> {
    let state = Image::new(&recording.disk).named("STATE")?;
    let mut replay = recording.replay()?;
    let mut number = 0;
    while replay.advance()? {
        number += 1;
        let (disk, changes) = replay.take_changes();
        if changes.iter().any(|change| overlap(change, &state.bytes))
            && check::trial(&Image::new(disk), &state)?
        {
            return Ok(number);
        }
    }
    bail!("in none of {number} states the new system is tried")
}

fn record_upgrade(lab: &Lab, recording: &Recording) -> Result<()> {
    let second = layout_disk(&lab.systems.archive(System::Second)?, "cuts-second")?;
    let machine = lab
        .machine(Firmware::Bios)
        .disk(recording.disk())
        .disk(Disk::new(&second, Bus::Virtio).readonly())
        .network(Network::ssh("virtio-net-pci")?)
        .reboots();
    let mut guest: Guest = lab.start(machine, recording.name)?;
    guest.up()?;
    let ssh = guest.reachable()?;
    println!("{}", ssh.root(UPGRADE_COMMAND)?);
    ssh.end("reboot")?;
    guest.next_entry(REBOOT)?;
    guest.confirmed()?;
    guest.power_off()
}

fn boots(lab: &Lab, name: &str, cut: &Kept, system: System) -> Result<()> {
    let machine = lab.installed_machine(&cut.path)?;
    let mut guest = lab.start(machine, &format!("{name}-{}", cut.number))?;
    let entry = guest.up()?;
    ensure!(
        entry.contains(system.version()),
        "after cut {} GRUB boots '{entry}'",
        cut.number
    );
    guest.reachable()?;
    println!("cut {}: version {} boots", cut.number, system.version());
    guest.power_off()?;
    Ok(std::fs::remove_file(&cut.path)?)
}
