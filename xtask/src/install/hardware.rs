//! The same installation on other hardware.

use std::path::Path;

use anyhow::{Result, ensure};

use super::first_boot::{Identity, immutable};
use super::guest::{copied_disk, firmware_name, new_disk};
use super::{DISK_BYTES, Lab, System, unattended};
use crate::qemu::{Bus, Disk, Firmware, Machine, Medium, Network};

/// A kind of machine.
struct Hardware {
    name: &'static str,
    firmware: Firmware,
    medium: Medium,
    bus: Bus,
    card: &'static str,
    sector_bytes: u32,
}

impl Hardware {
    fn machine(&self, lab: &Lab, disk: &Path) -> Result<Machine> {
        let disk = Disk::new(disk, self.bus).sectors(self.sector_bytes);
        Ok(lab
            .machine(self.firmware)
            .disk(disk)
            .network(Network::ssh(self.card)?))
    }

    /// Installs, boots and looks.
    fn check(&self, lab: &Lab) -> Result<()> {
        println!("{}: {}", self.name, firmware_name(self.firmware));
        let disk = new_disk(self.name, DISK_BYTES)?;
        let iso = lab.systems.iso(System::First)?;
        let machine = self.machine(lab, &disk)?.medium(self.medium, &iso);
        unattended::run(lab, machine, self.name)?;
        let mut guest = lab.start(self.machine(lab, &disk)?, self.name)?;
        guest.up()?;
        immutable(&guest.reachable()?)?;
        let secure = guest.console.text().contains("Secure boot enabled");
        ensure!(
            secure == (self.firmware == Firmware::UefiSecureBoot),
            "the kernel should say whether Secure Boot is on"
        );
        guest.power_off()
    }
}

/// Under BIOS: Debian's OVMF has no driver for pvscsi (`PVSCSI_ENABLE` of edk2), while
/// SeaBIOS has one.
pub(super) fn vmware(lab: &Lab) -> Result<()> {
    let hardware = Hardware {
        name: "hardware-vmware",
        firmware: Firmware::Bios,
        medium: Medium::Cd,
        bus: Bus::Pvscsi,
        card: "vmxnet3",
        sector_bytes: 512,
    };
    hardware.check(lab)
}

pub(super) fn nvme(lab: &Lab) -> Result<()> {
    let hardware = Hardware {
        name: "hardware-nvme",
        firmware: Firmware::UefiSecureBoot,
        medium: Medium::Cd,
        bus: Bus::Nvme,
        card: "e1000e",
        sector_bytes: 512,
    };
    hardware.check(lab)
}

const LARGE_SECTORS: Hardware = Hardware {
    name: "hardware-4096",
    firmware: Firmware::Uefi,
    medium: Medium::Cd,
    bus: Bus::Virtio,
    card: "virtio-net-pci",
    sector_bytes: 4096,
};

pub(super) fn sectors_uefi(lab: &Lab) -> Result<()> {
    LARGE_SECTORS.check(lab)
}

/// No BIOS boots such a disk, and the installer says so.
pub(super) fn sectors_bios(lab: &Lab) -> Result<()> {
    let hardware = Hardware {
        name: "hardware-4096-bios",
        firmware: Firmware::Bios,
        ..LARGE_SECTORS
    };
    let disk = new_disk(hardware.name, DISK_BYTES)?;
    let iso = lab.systems.iso(System::First)?;
    let machine = hardware.machine(lab, &disk)?.medium(Medium::Cd, &iso);
    let mut guest = lab.start(machine, hardware.name)?;
    guest.entry()?;
    guest.refuses(&["bios", "sector"])
}

/// Two installations of one ISO give two machines.
pub(super) fn two_installs(lab: &Lab) -> Result<()> {
    let mut identities = Vec::new();
    for (name, disk) in [("install-one", lab.first()?), ("install-two", lab.other()?)] {
        let disk = copied_disk(disk, name)?;
        let mut guest = lab.start(lab.installed_machine(&disk)?, name)?;
        guest.up()?;
        identities.push(Identity::of(&guest.reachable()?)?);
        guest.power_off()?;
    }
    let [one, two] = identities.as_slice() else {
        anyhow::bail!("two installations were expected");
    };
    one.differs_from(two)
}
