//! Starting over, from recovery: PERSISTENT is made anew, and slot a, where that
//! is asked for, from what the medium brought. Site configuration stays.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use isoforge_base::output::space::HostFileSystems;
use isoforge_base::process::Program;

use super::machine::{Booted, Machine};
use super::make_slot;
use super::replace::{folder_bytes, swap};
use super::state::{self, State, Volume};
use isoforge_contract::disk::label;
use isoforge_system::slots::grubenv::Environment;
use isoforge_system::slots::{Slot, file, slot_menu};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether PERSISTENT stays as it is.
    pub keep_persistent: bool,
    /// Whether slot a is written anew.
    pub system: bool,
}

/// Boots recovery next, once.
///
/// # Errors
/// Where there is no recovery, or STATE can't be written.
pub fn boot_recovery(machine: &Machine, volume: &mut dyn Volume) -> Result<()> {
    if state::record(&machine.state, Slot::Recovery).is_none() {
        bail!("the slot recovery is empty");
    }
    let mut environment = state::environment(&machine.state)?;
    environment.trial = Some(Slot::Recovery);
    state::set_environment(&machine.state, volume, &environment)?;
    Ok(())
}

/// That recovery runs.
///
/// # Errors
/// Where something else does, with the way to recovery.
pub fn in_recovery(machine: &Machine) -> Result<Booted> {
    let booted = machine.booted()?;
    if booted.slot != Slot::Recovery {
        bail!(
            "slot {} is running, and can't be reset while it does; choose recovery in the boot menu, or run 'appliance reset --boot-recovery' and reboot",
            booted.slot
        );
    }
    Ok(booted)
}

/// The device of PERSISTENT.
#[must_use]
pub fn persistent(machine: &Machine, booted: &Booted) -> PathBuf {
    machine.by_uuid.join(&booted.ids.persistent)
}

/// Starts over.
///
/// # Errors
/// Where recovery does not run, or a disk can't be written.
pub fn run(
    machine: &Machine,
    volume: &mut dyn Volume,
    format: &mut dyn FnMut(&Path, &str) -> Result<()>,
    options: Options,
) -> Result<()> {
    let booted = in_recovery(machine)?;
    if options.system {
        restore(machine, &booted, volume)?;
    }
    if !options.keep_persistent {
        format(&persistent(machine, &booted), &booted.ids.persistent)?;
    }
    Ok(())
}

/// Makes an empty PERSISTENT that is found like the old one.
///
/// # Errors
/// Where mke2fs fails.
pub fn format(device: &Path, uuid: &str) -> Result<()> {
    Program::new("mke2fs", "e2fsprogs")
        .args(["-q", "-F", "-t", "ext4", "-L", label::PERSISTENT, "-U"])
        .arg(uuid)
        .arg(device)
        .output(1 << 16)
        .with_context(|| format!("{} can't be cleared", device.display()))?;
    Ok(())
}

/// Writes slot a anew from recovery, as the good one.
fn restore(machine: &Machine, booted: &Booted, volume: &mut dyn Volume) -> Result<()> {
    let config = machine.config()?;
    let from = machine.state.join(Slot::Recovery.folder());
    let record =
        state::record(&machine.state, Slot::Recovery).context("the slot recovery has no record")?;
    let mut state = State::new(&machine.state, volume);
    state.begin()?;
    // Whatever slot a was, it is about to go.
    let mut environment =
        state::environment(&machine.state).unwrap_or_else(|_| Environment::new(Slot::A));
    let other = state::record(&machine.state, Slot::B).is_some();
    environment.good = if other { Slot::B } else { Slot::A };
    environment.trial = None;
    state.set_environment(&environment)?;
    let bytes = folder_bytes(&from);
    swap(
        &mut state,
        Slot::A,
        bytes,
        &HostFileSystems,
        &mut |folder| {
            for name in file::ALL {
                let to = folder.join(name);
                if name == file::CONFIG {
                    fs_err::write(&to, slot_menu(&config, &booted.ids, Slot::A))?;
                } else {
                    fs_err::copy(from.join(name), &to)?;
                }
            }
            if make_slot::digest_of_file(&folder.join(file::ROOTFS))? != record.squashfs.digest {
                bail!("the root file system of recovery is damaged; install from the medium");
            }
            Ok(())
        },
    )?;
    state.settle()?;
    state.set_environment(&Environment::new(Slot::A))?;
    state.end()
}
