//! A machine's command line.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::disk::Disk;
use super::{Accel, escape};

/// Memory of the machine, in MiB: the live system's files written are in it.
const MEMORY_MIB: &str = "2048";

/// The machine's firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Firmware {
    Bios,
    Uefi,
    UefiSecureBoot,
}

impl Firmware {
    /// OVMF's code and its empty variables; those for Secure Boot have
    /// Microsoft's keys enrolled.
    fn ovmf(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Bios => None,
            Self::Uefi => Some((
                "/usr/share/OVMF/OVMF_CODE_4M.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.fd",
            )),
            Self::UefiSecureBoot => Some((
                "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
            )),
        }
    }
}

/// What the ISO is to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// A CD drive on the chipset's SATA controller.
    Cd,
    Disk,
    UsbStorage,
}

/// Device id of the medium, by which a monitor pulls it out.
pub(crate) const MEDIUM_ID: &str = "medium-drive";

/// What the firmware tries first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    MediumFirst,
    DisksFirst,
}

/// The machine's network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    None,
    /// QEMU's own network, closed but for this port of loopback, which leads
    /// to the guest's port of SSH.
    Ssh {
        port: u16,
        card: &'static str,
        /// A second port of loopback, and the guest's that it leads to.
        further: Option<(u16, u16)>,
    },
}

impl Network {
    /// A closed network behind a free port.
    pub(crate) fn ssh(card: &'static str) -> Result<Self> {
        Ok(Self::Ssh {
            port: free_port()?,
            card,
            further: None,
        })
    }

    /// The same with a free port that leads to this one of the guest's.
    pub(crate) fn and_port(mut self, guest: u16) -> Result<Self> {
        if let Self::Ssh { further, .. } = &mut self {
            *further = Some((free_port()?, guest));
        }
        Ok(self)
    }

    /// The port of loopback that [`and_port`](Self::and_port) opened.
    pub(crate) fn further_port(self) -> Result<u16> {
        match self {
            Self::Ssh {
                further: Some((port, _)),
                ..
            } => Ok(port),
            _ => anyhow::bail!("this machine has one port at most"),
        }
    }

    pub(crate) fn port(self) -> Result<u16> {
        match self {
            Self::None => anyhow::bail!("this machine has no network card"),
            Self::Ssh { port, .. } => Ok(port),
        }
    }

    fn add_to(self, command: &mut Command) {
        match self {
            Self::None => command.args(["-nic", "none"]),
            Self::Ssh {
                port,
                card,
                further,
            } => {
                let further =
                    further.map(|(from, to)| format!(",hostfwd=tcp:127.0.0.1:{from}-:{to}"));
                let further = further.unwrap_or_default();
                command
                    .arg("-netdev")
                    .arg(format!(
                        "user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22{further}"
                    ))
                    // Without its ROM the firmware does not try to boot from it.
                    .args(["-device", &format!("{card},netdev=net0,romfile=")])
            }
        };
    }
}

/// A port of loopback that nobody listens on.
pub(crate) fn free_port() -> Result<u16> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(free.local_addr()?.port())
}

/// A machine; without settings it has no medium, disk, network or monitor, and
/// ends where it would reboot.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) firmware: Firmware,
    pub(crate) accel: Accel,
    medium: Option<(Medium, PathBuf)>,
    disks: Vec<Disk>,
    order: Order,
    pub(crate) network: Network,
    watchdog: bool,
    reboots: bool,
    vars: Option<PathBuf>,
    monitor: Option<PathBuf>,
}

impl Machine {
    pub(crate) fn new(firmware: Firmware, accel: Accel) -> Self {
        Self {
            firmware,
            accel,
            medium: None,
            disks: Vec::new(),
            order: Order::MediumFirst,
            network: Network::None,
            watchdog: false,
            reboots: false,
            vars: None,
            monitor: None,
        }
    }

    pub(crate) fn medium(mut self, medium: Medium, iso: &Path) -> Self {
        self.medium = Some((medium, iso.to_owned()));
        self
    }

    pub(crate) fn disk(mut self, disk: Disk) -> Self {
        self.disks.push(disk);
        self
    }

    pub(crate) fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    pub(crate) fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Has the chipset's watchdog reset the machine, which QEMU's strap
    /// forbids unless it is told otherwise.
    pub(crate) fn watchdog(mut self) -> Self {
        self.watchdog = true;
        self
    }

    /// Reboots instead of ending.
    pub(crate) fn reboots(mut self) -> Self {
        self.reboots = true;
        self
    }

    /// Where UEFI keeps its variables; made anew at each start.
    pub(crate) fn vars(mut self, vars: &Path) -> Self {
        self.vars = Some(vars.to_owned());
        self
    }

    /// A socket for QMP.
    pub(crate) fn monitor(mut self, socket: &Path) -> Self {
        self.monitor = Some(socket.to_owned());
        self
    }

    /// The command line, without a serial port.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = bare(self.accel, self.firmware == Firmware::UefiSecureBoot);
        if let Some((code, template)) = self.firmware.ovmf() {
            let vars = self
                .vars
                .as_deref()
                .context("UEFI needs a file for its variables")?;
            std::fs::copy(template, vars)
                .with_context(|| format!("copying {template} (Debian package ovmf)"))?;
            pflash(&mut command, 0, Path::new(code), true);
            pflash(&mut command, 1, vars, false);
        }
        let after_disks = self.disks.len();
        let (medium_index, first_disk) = match self.order {
            Order::MediumFirst => (0, 1),
            Order::DisksFirst => (after_disks, 0),
        };
        if let Some((medium, iso)) = &self.medium {
            add_medium(&mut command, *medium, iso, medium_index);
        }
        for (number, disk) in self.disks.iter().enumerate() {
            disk.add_to(&mut command, number, first_disk + number);
        }
        self.network.add_to(&mut command);
        if !self.reboots {
            command.arg("-no-reboot");
        }
        if self.watchdog {
            command.args(["-global", "ICH9-LPC.noreboot=off"]);
            command.args(["-action", "watchdog=reset"]);
        }
        if let Some(socket) = &self.monitor {
            command
                .arg("-qmp")
                .arg(format!("unix:{},server=on,wait=off", escape(socket)));
        }
        Ok(command)
    }
}

fn add_medium(command: &mut Command, medium: Medium, iso: &Path, boot_index: usize) {
    let drive = format!("if=none,id=medium,format=raw,file={}", escape(iso));
    let device = |kind: &str| format!("{kind},id={MEDIUM_ID},drive=medium,bootindex={boot_index}");
    command.arg("-drive");
    match medium {
        Medium::Cd => command
            .arg(drive + ",media=cdrom,readonly=on")
            .args(["-device", &device("ide-cd")]),
        // Such disks can't be read-only; nothing is written to the ISO.
        Medium::Disk => command
            .arg(drive + ",snapshot=on")
            .args(["-device", &device("ide-hd")]),
        Medium::UsbStorage => command
            .arg(drive + ",snapshot=on")
            .args(["-device", "qemu-xhci"])
            .args(["-device", &(device("usb-storage") + ",removable=on")]),
    };
}

/// A machine without firmware settings, disks, network settings and serial
/// port.
pub(crate) fn bare(accel: Accel, secure: bool) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    match accel {
        Accel::Kvm => command.args(["-accel", "kvm", "-cpu", "host"]),
        Accel::Tcg => command.args(["-accel", "tcg,thread=multi", "-cpu", "max"]),
    };
    command.args(["-smp", "2", "-m", MEMORY_MIB, "-display", "none"]);
    command.arg("-machine");
    if secure {
        // Only system management mode may write the variables.
        command.args([
            "q35,smm=on",
            "-global",
            "driver=cfi.pflash01,property=secure,value=on",
        ]);
    } else {
        command.arg("q35");
    }
    command
}

fn pflash(command: &mut Command, unit: u32, file: &Path, readonly: bool) {
    let readonly = if readonly { ",readonly=on" } else { "" };
    command.arg("-drive").arg(format!(
        "if=pflash,format=raw,unit={unit},file={}{readonly}",
        escape(file)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::Bus;
    use crate::sh;

    fn shown(machine: &Machine) -> String {
        sh::show(&machine.command().unwrap())
    }

    #[test]
    fn disks_come_in_the_order_that_the_firmware_is_to_try_them() {
        let machine = Machine::new(Firmware::Bios, Accel::Tcg)
            .medium(Medium::Cd, Path::new("a,b.iso"))
            .disk(Disk::new(Path::new("one.raw"), Bus::Pvscsi))
            .disk(Disk::new(Path::new("two.raw"), Bus::Nvme).sectors(4096));
        let text = shown(&machine);
        assert!(text.contains("file=a,,b.iso,media=cdrom"), "{text}");
        assert!(text.contains("drive=medium,bootindex=0"), "{text}");
        assert!(
            text.contains("scsi-hd,bus=pvscsi0.0,drive=disk0-file,id=disk0,bootindex=1"),
            "{text}"
        );
        assert!(
            text.contains("id=disk1,bootindex=2,logical_block_size=4096,physical_block_size=4096")
        );
        assert!(text.contains("-nic none -no-reboot"), "{text}");
        let text = shown(&machine.order(Order::DisksFirst));
        assert!(text.contains("drive=medium,bootindex=2"), "{text}");
        assert!(text.contains("id=disk0,bootindex=0"), "{text}");
    }

    #[test]
    fn a_network_is_closed_but_for_one_port_of_loopback() {
        let network = Network::ssh("vmxnet3").unwrap();
        let port = network.port().unwrap();
        let text = shown(
            &Machine::new(Firmware::Bios, Accel::Tcg)
                .network(network)
                .reboots(),
        );
        let wanted = format!("user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22");
        assert!(text.contains(&wanted), "{text}");
        assert!(text.contains("vmxnet3,netdev=net0,romfile="), "{text}");
        assert!(!text.contains("-no-reboot"), "{text}");
    }
}
