//! Installation without questions, under BIOS.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::guest::{Guest, firmware_name, new_disk};
use super::{DISK_BYTES, Lab, System};
use crate::image::Image;
use crate::qemu::{Bus, Disk, Machine};

/// The names of the partitions, in their order; `BIOS` only where that boots.
const PARTITIONS: [&str; 5] = ["BIOS", "ESP", "OEM", "STATE", "PERSISTENT"];

/// The step: one disk, looked at from outside.
pub(super) fn first(lab: &Lab) -> Result<()> {
    look_at(lab.first()?)
}

/// Partitions and file systems of an installed disk.
pub(super) fn look_at(disk: &Path) -> Result<()> {
    let image = Image::new(disk);
    image.verify_table()?;
    let parts = image.partitions();
    let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
    ensure!(
        names == PARTITIONS,
        "partitions {names:?}, not {PARTITIONS:?}"
    );
    for part in &parts {
        if let Some(ext4) = image.ext4(part)? {
            ext4.check()?;
            println!("{}: ext4, clean", part.name);
        }
    }
    Ok(())
}

/// Installs on a new disk of its own.
pub(super) fn install(lab: &Lab, system: System, name: &str) -> Result<PathBuf> {
    let disk = new_disk(name, DISK_BYTES)?;
    let iso = lab.systems.iso(system)?;
    run(
        lab,
        lab.installer(&iso, Disk::new(&disk, Bus::Virtio)),
        name,
    )?;
    Ok(disk)
}

/// Installs, and waits until the machine would reboot.
pub(crate) fn run(lab: &Lab, machine: Machine, name: &str) -> Result<()> {
    let mut guest = start(lab, machine, &format!("{name}-install"))?;
    guest.installs()?;
    guest.ended()
}

/// Starts the machine, whose menu boots the unattended installer by itself.
pub(super) fn start(lab: &Lab, machine: Machine, name: &str) -> Result<Guest> {
    let firmware = machine.firmware;
    let mut guest = lab.start(machine, name)?;
    let entry = guest.entry()?;
    ensure!(
        entry.contains("Unattended Installer"),
        "under {} GRUB boots '{entry}' by itself",
        firmware_name(firmware)
    );
    Ok(guest)
}
