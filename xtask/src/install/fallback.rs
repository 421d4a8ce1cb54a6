//! A third version that is broken falls back to the first by itself.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::guest::copied_disk;
use super::media::layout_disk;
use super::status::Status;
use super::systems::{VERSION_FILE, broken};
use super::upgrade::{UPGRADE_COMMAND, with_disk};
use super::{Lab, System};
use crate::image::{Ext4, Image};
use crate::qemu::{Bus, Disk, Fault, Firmware, Network, scratch};

/// How long a trial may take until it has failed and GRUB shows again: the time
/// limit of the profile, and two boots.
const FALL: Duration = Duration::from_secs(900);

/// Where the third version lies after an upgrade from the first.
const SLOT: &str = "/slots/b";

/// Stands in `slot.cfg` where the kernel's arguments end.
const ARGUMENTS_END: &str = "$trial_argument;";

/// The machine's watchdog.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watchdog {
    Software,
    Hardware,
}

/// A disk that was upgraded to version 3, and not yet rebooted.
pub(super) fn prepare(lab: &Lab) -> Result<PathBuf> {
    let disk = copied_disk(lab.first()?, "third")?;
    let second = layout_disk(&lab.systems.archive(System::Third)?, "third-upgrade")?;
    let mut guest = lab.start(with_disk(lab, &disk, &second)?, "third")?;
    guest.up()?;
    let ssh = guest.reachable()?;
    println!("{}", ssh.root(UPGRADE_COMMAND)?);
    guest.power_off()?;
    Ok(disk)
}

pub(super) fn initrd(lab: &Lab) -> Result<()> {
    falls_back(lab, "fallback-initrd", Watchdog::Software, |state| {
        let file = format!("{SLOT}/initrd");
        let whole = state.file(&file)?.context("no initrd")?;
        replace(
            state,
            &file,
            whole.get(..whole.len() / 2).unwrap_or_default(),
        )
    })
}

pub(super) fn root_missing(lab: &Lab) -> Result<()> {
    falls_back(lab, "fallback-root", Watchdog::Software, |state| {
        state.replace(&format!("{SLOT}/rootfs.squashfs"), None)
    })
}

pub(super) fn panic(lab: &Lab) -> Result<()> {
    with_argument(lab, "fallback-panic", Watchdog::Software, broken::PANIC)
}

pub(super) fn hang(lab: &Lab) -> Result<()> {
    with_argument(lab, "fallback-hang", Watchdog::Software, broken::HANG)
}

pub(super) fn hang_hardware(lab: &Lab) -> Result<()> {
    with_argument(lab, "fallback-hang-hw", Watchdog::Hardware, broken::HANG)
}

pub(super) fn stuck(lab: &Lab) -> Result<()> {
    with_argument(lab, "fallback-stuck", Watchdog::Software, broken::STUCK)
}

pub(super) fn sick(lab: &Lab) -> Result<()> {
    with_argument(lab, "fallback-sick", Watchdog::Software, broken::SICK)
}

/// Where the trial can't be taken back, it is not tried.
pub(super) fn grubenv(lab: &Lab) -> Result<()> {
    let name = "fallback-grubenv";
    let disk = copied_disk(lab.third()?, name)?;
    let sector = state_of(&disk)?.first_sector("/grubenv")?;
    let machine = lab
        .machine(Firmware::Bios)
        .disk(Disk::new(&disk, Bus::Virtio).faulty(Fault::WriteError { sector }))
        .network(Network::ssh("virtio-net-pci")?);
    let mut guest = lab.start(machine, name)?;
    let entry = guest.up()?;
    ensure!(
        entry.contains(System::First.version()),
        "with a grubenv that can't be written GRUB boots '{entry}'"
    );
    Status::ask(&guest.reachable()?)?.expect("a", System::First.version())?;
    guest.power_off()
}

fn with_argument(lab: &Lab, name: &str, watchdog: Watchdog, argument: &str) -> Result<()> {
    falls_back(lab, name, watchdog, |state| {
        let file = format!("{SLOT}/slot.cfg");
        let text = String::from_utf8(state.file(&file)?.context("no slot.cfg")?)?;
        ensure!(text.contains(ARGUMENTS_END), "{file}:\n{text}");
        let changed = text.replace(
            ARGUMENTS_END,
            &format!("{} {argument};", ARGUMENTS_END.trim_end_matches(';')),
        );
        replace(state, &file, changed.as_bytes())
    })
}

fn replace(state: &Ext4, file: &str, content: &[u8]) -> Result<()> {
    let with = scratch("replacement")?;
    std::fs::write(&with, content)?;
    state.replace(file, Some(&with))
}

/// STATE of a disk that was powered off, its journal replayed.
fn state_of(disk: &std::path::Path) -> Result<Ext4> {
    let image = Image::new(disk);
    let part = image.named("STATE")?;
    let mut state = image.ext4(&part)?.context("STATE is no ext4")?;
    if state.recovery {
        state.replay()?;
    }
    Ok(state)
}

/// Breaks the slot, boots, and waits until the first version is up again.
fn falls_back(
    lab: &Lab,
    name: &str,
    watchdog: Watchdog,
    damage: impl FnOnce(&Ext4) -> Result<()>,
) -> Result<()> {
    let disk = copied_disk(lab.third()?, name)?;
    damage(&state_of(&disk)?)?;
    let mut machine = lab.installed_machine(&disk)?.reboots();
    if watchdog == Watchdog::Hardware {
        machine = machine.watchdog();
    }
    let mut guest = lab.start(machine, name)?;
    let entry = guest.entry()?;
    ensure!(
        entry.contains(System::Third.version()) && entry.contains("trial"),
        "GRUB should try version 3, and boots '{entry}'"
    );
    let entry = guest.next_entry(FALL)?;
    let version = System::First.version();
    ensure!(entry.contains(version), "GRUB falls back to '{entry}'");
    let ssh = guest.reachable()?;
    Status::ask(&ssh)?.expect("a", version)?;
    ensure!(ssh.root(&format!("cat {VERSION_FILE}"))? == version);
    guest.power_off()
}
