//! The installer and the installed system, from end to end in QEMU: driven over
//! the serial console, checked over console and SSH.

mod access;
mod bad;
mod console;
mod content;
mod fallback;
mod first_boot;
mod guest;
mod hardware;
mod interactive;
mod locked;
mod media;
mod reset;
mod shell;
mod status;
mod systems;
mod unattended;
mod upgrade;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::Result;

pub(crate) use access::Access;
pub(crate) use guest::{Guest, INSTALLING, copied_disk, new_disk};
pub(crate) use interactive::{After, answer};
pub(crate) use media::{folder_disk, layout_disk};
pub(crate) use shell::Shell;
pub(crate) use systems::{BOOT_PASSWORD, System, Systems};
pub(crate) use unattended::run as run_unattended;
pub(crate) use upgrade::UPGRADE_COMMAND;

use crate::power::{self, Recording};
use crate::qemu::{Accel, Bus, Disk, Firmware, Machine, Medium, Network, Order};

/// Size of the disks: large enough for three systems and what is kept.
pub(crate) const DISK_BYTES: u64 = 8 << 30;

/// A step: its name, and what it does.
pub(crate) type Step = (&'static str, fn(&Lab) -> Result<()>);

/// All steps, in an order in which later ones find what earlier ones made. Each
/// can be run alone: what it needs it then makes itself.
pub(crate) const STEPS: &[Step] = &[
    ("shortest", shortest),
    ("install-interactive-secure-boot", interactive::install),
    ("install-unattended-bios", unattended::first),
    ("first-boot", first_boot::check),
    ("boot-password", locked::check),
    ("upgrade", upgrade::check),
    ("fallback-initrd", fallback::initrd),
    ("fallback-root-missing", fallback::root_missing),
    ("fallback-panic", fallback::panic),
    ("fallback-hang", fallback::hang),
    ("fallback-hang-hardware-watchdog", fallback::hang_hardware),
    ("fallback-stuck", fallback::stuck),
    ("fallback-sick", fallback::sick),
    ("fallback-grubenv-not-writable", fallback::grubenv),
    ("hardware-pvscsi-vmxnet3-sata-cd", hardware::vmware),
    ("hardware-nvme-secure-boot", hardware::nvme),
    ("hardware-4096-uefi", hardware::sectors_uefi),
    ("hardware-4096-bios-refused", hardware::sectors_bios),
    ("two-installs-differ", hardware::two_installs),
    ("bad-no-disk", bad::no_disk),
    ("bad-small-disk", bad::small_disk),
    ("bad-corrupt-medium", bad::corrupt_medium),
    ("bad-medium-pulled-out", bad::pulled_out),
    ("bad-site-configuration", bad::site_configuration),
    ("bad-installed-already", bad::installed_already),
    ("bad-two-disks-with-the-same-labels", bad::same_labels),
    ("console", console::check),
    ("reset-from-recovery", reset::check),
    ("content", content::check),
    ("content-kairos", content::kairos::live),
    ("install-by-kairos", content::by_kairos::bios),
    (
        "install-by-kairos-secure-boot",
        content::by_kairos::secure_boot,
    ),
    ("power-cuts-install", power::install),
    ("power-cuts-upgrade", power::upgrade),
];

/// What the steps share.
pub(crate) struct Lab {
    pub(crate) accel: Accel,
    pub(crate) access: Access,
    pub(crate) systems: Systems,
    /// Where a picture of the installer goes, if it is wanted.
    screenshot: Option<PathBuf>,
    first: OnceCell<PathBuf>,
    other: OnceCell<PathBuf>,
    third: OnceCell<PathBuf>,
}

impl Lab {
    /// Writes the profiles; isoforge must be built.
    pub(crate) fn prepare(accel: Accel, screenshot: Option<PathBuf>) -> Result<Self> {
        let access = Access::prepare()?;
        Ok(Self {
            accel,
            systems: Systems::prepare(&access)?,
            access,
            screenshot,
            first: OnceCell::new(),
            other: OnceCell::new(),
            third: OnceCell::new(),
        })
    }

    /// A disk with version 1, installed under BIOS, never booted. Not to be
    /// changed: steps take copies.
    pub(crate) fn first(&self) -> Result<&Path> {
        get(&self.first, || {
            unattended::install(self, System::First, "installed")
        })
    }

    /// Another one, from an installation of its own.
    pub(crate) fn other(&self) -> Result<&Path> {
        get(&self.other, || {
            unattended::install(self, System::First, "installed-other")
        })
    }

    /// A disk with version 1 that would try version 3 at its next boot.
    pub(crate) fn third(&self) -> Result<&Path> {
        get(&self.third, || fallback::prepare(self))
    }

    pub(crate) fn machine(&self, firmware: Firmware) -> Machine {
        Machine::new(firmware, self.accel)
    }

    /// A machine with BIOS that boots an installer's CD, and this disk.
    pub(crate) fn installer(&self, iso: &Path, disk: Disk) -> Machine {
        let machine = self.machine(Firmware::Bios).medium(Medium::Cd, iso);
        machine.disk(disk)
    }

    /// A machine with BIOS, a network and this disk.
    pub(crate) fn installed_machine(&self, disk: &Path) -> Result<Machine> {
        self.machine_of(Disk::new(disk, Bus::Virtio))
    }

    fn machine_of(&self, disk: Disk) -> Result<Machine> {
        let machine = self.machine(Firmware::Bios).disk(disk);
        Ok(machine.network(Network::ssh("virtio-net-pci")?))
    }

    /// The same with the installer's CD, which it boots where the disk does not.
    pub(crate) fn rescuable_machine(&self, disk: &Path, iso: &Path) -> Result<Machine> {
        let machine = self.installed_machine(disk)?;
        Ok(machine.medium(Medium::Cd, iso).order(Order::DisksFirst))
    }

    pub(crate) fn start(&self, machine: Machine, name: &str) -> Result<Guest> {
        Guest::start(machine, &self.access, name)
    }
}

/// What is in the cell; made where nothing is.
fn get(cell: &OnceCell<PathBuf>, make: impl FnOnce() -> Result<PathBuf>) -> Result<&Path> {
    if let Some(path) = cell.get() {
        return Ok(path);
    }
    let made = make()?;
    Ok(cell.get_or_init(|| made))
}

/// What `xtask test` runs: one installation, its system, one upgrade, and a power cut
/// of each.
pub(crate) fn shortest(lab: &Lab) -> Result<()> {
    let installation = Recording::installation(lab, "installed")?;
    // What later steps want is there now; in a run of all steps this is the first.
    let first = lab.first.get_or_init(|| installation.disk.clone());
    unattended::look_at(first)?;
    power::one_cut_of_installation(lab, &installation)?;
    let upgrade = Recording::new("shortest", Some(first))?;
    upgrade::shortest(lab, upgrade.disk())?;
    power::one_cut_of_upgrade(lab, &upgrade)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_step_has_a_name_of_its_own() {
        let names: BTreeSet<_> = STEPS.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), STEPS.len());
    }
}
