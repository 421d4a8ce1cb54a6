//! Machines and media on which the installation can't go well: it says why, and
//! leaves no disk that looks bootable.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::guest::{copied_disk, new_disk};
use super::media::cidata;
use super::systems::damaged;
use super::unattended::{self, start};
use super::{DISK_BYTES, Lab, System};
use crate::image::Image;
use crate::power::looks_bootable;
use crate::qemu::{Bus, Disk, Firmware, MEDIUM_ID, Medium, scratch};
use crate::sh;

/// Bytes written to the disk after which the medium is pulled out: slots are
/// being copied.
const PULLED_AFTER: u64 = 150 << 20;

/// How long that may take.
const COPYING: Duration = Duration::from_secs(900);

/// A disk that nothing could be installed on.
const SMALL_BYTES: u64 = 512 << 20;

fn not_bootable(disk: &Path) -> Result<()> {
    let looks = looks_bootable(&Image::new(disk))?;
    ensure!(!looks, "{} looks bootable, and is not", disk.display());
    Ok(())
}

pub(super) fn no_disk(lab: &Lab) -> Result<()> {
    let iso = lab.systems.iso(System::First)?;
    let machine = lab.machine(Firmware::Bios).medium(Medium::Cd, &iso);
    start(lab, machine, "bad-no-disk")?.refuses(&["no disk"])
}

pub(super) fn small_disk(lab: &Lab) -> Result<()> {
    let name = "bad-small-disk";
    let iso = lab.systems.iso(System::First)?;
    let (one, two) = (
        new_disk("bad-small-one", SMALL_BYTES)?,
        new_disk("bad-small-two", SMALL_BYTES / 2)?,
    );
    let machine = lab.installer(&iso, Disk::new(&one, Bus::Virtio));
    let machine = machine.disk(Disk::new(&two, Bus::Sata));
    start(lab, machine, name)?.refuses(&["too small"])?;
    untouched(&one, SMALL_BYTES)
}

/// Not a byte was written.
fn untouched(disk: &Path, bytes: u64) -> Result<()> {
    let blank = scratch("blank.raw")?;
    crate::image::blank(&blank, bytes)?;
    is_still(&blank, disk)
}

/// The disk is still as the file `before`.
fn is_still(before: &Path, disk: &Path) -> Result<()> {
    let same = sh::succeeds(sh::command(["cmp", "--silent"]).arg(before).arg(disk));
    ensure!(same, "{} was written to", disk.display());
    Ok(())
}

pub(super) fn corrupt_medium(lab: &Lab) -> Result<()> {
    let name = "bad-corrupt";
    let iso = scratch("bad-corrupt.iso")?;
    damaged(&lab.systems.iso(System::First)?, &iso)?;
    let disk = new_disk(name, DISK_BYTES)?;
    let machine = lab.installer(&iso, Disk::new(&disk, Bus::Virtio));
    start(lab, machine, name)?.refuses(&["rootfs.squashfs"])?;
    not_bootable(&disk)
}

/// The USB stick is pulled out while it is copied; the second run, with the
/// stick, starts over.
pub(super) fn pulled_out(lab: &Lab) -> Result<()> {
    let name = "bad-pulled-out";
    let iso = lab.systems.iso(System::First)?;
    let disk = new_disk(name, DISK_BYTES)?;
    let with_stick = || {
        lab.machine(Firmware::Uefi)
            .medium(Medium::UsbStorage, &iso)
            .disk(Disk::new(&disk, Bus::Virtio))
    };
    let mut guest = start(lab, with_stick(), name)?;
    guest.says(&[super::INSTALLING], COPYING)?;
    let mut monitor = guest.monitor()?;
    let deadline = Instant::now() + COPYING;
    while monitor.bytes_written("disk0")? < PULLED_AFTER {
        ensure!(Instant::now() < deadline, "the disk is not written to");
        guest.console.listen(Duration::from_millis(300))?;
    }
    monitor.pull_out(MEDIUM_ID)?;
    println!("{name}: the medium is pulled out");
    guest.refuses(&[])?;
    drop(guest);
    not_bootable(&disk)?;
    unattended::run(lab, with_stick(), name)?;
    ensure!(
        looks_bootable(&Image::new(&disk))?,
        "the second run left a disk that does not boot"
    );
    Ok(())
}

pub(super) fn site_configuration(lab: &Lab) -> Result<()> {
    let name = "bad-site";
    let iso = lab.systems.iso(System::First)?;
    let disk = new_disk(name, DISK_BYTES)?;
    let site = cidata("#cloud-config\nusers: [\n", name)?;
    let machine = lab.installer(&iso, Disk::new(&disk, Bus::Virtio));
    let machine = machine.disk(Disk::new(&site, Bus::Virtio).readonly());
    start(lab, machine, name)?.refuses(&["user-data"])?;
    untouched(&disk, DISK_BYTES)
}

/// A disk with an installed appliance is not overwritten without `force`.
pub(super) fn installed_already(lab: &Lab) -> Result<()> {
    let name = "bad-installed";
    let iso = lab.systems.iso(System::First)?;
    let disk = copied_disk(lab.first()?, name)?;
    let machine = lab.installer(&iso, Disk::new(&disk, Bus::Virtio));
    start(lab, machine, name)?.refuses(&["force"])?;
    is_still(lab.first()?, &disk)
}

/// Two disks of two installations: labels and names are the same, and each
/// system takes what is its own, whichever disk comes first.
pub(super) fn same_labels(lab: &Lab) -> Result<()> {
    const MARK: &str = "/var/lib/containerd/e2e-which";
    let names = ["one", "two"];
    let disks = [
        copied_disk(lab.first()?, "labels-one")?,
        copied_disk(lab.other()?, "labels-two")?,
    ];
    for (name, disk) in names.iter().zip(&disks) {
        let mut guest = lab.start(lab.installed_machine(disk)?, &format!("labels-{name}"))?;
        guest.up()?;
        guest.reachable()?.root(&format!("echo {name} >{MARK}"))?;
        guest.power_off()?;
    }
    for (at, name) in names.iter().enumerate() {
        let second = disks.get(1 - at).context("two disks")?;
        let first = disks.get(at).context("two disks")?;
        let machine = lab
            .installed_machine(first)?
            .disk(Disk::new(second, Bus::Virtio));
        let mut guest = lab.start(machine, &format!("labels-both-{name}"))?;
        guest.up()?;
        let ssh = guest.reachable()?;
        let found = ssh.root(&format!("cat {MARK}"))?;
        ensure!(
            found == *name,
            "disk '{name}' was booted with the state of '{found}'"
        );
        let mounted = ssh.root("findmnt -n -o SOURCE,TARGET -t ext4,vfat")?;
        ensure!(
            !mounted.contains("/dev/vdb"),
            "the other disk is mounted:\n{mounted}"
        );
        guest.power_off()?;
    }
    Ok(())
}
