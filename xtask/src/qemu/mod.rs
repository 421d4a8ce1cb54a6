//! QEMU: machines, their serial consoles, and their monitor.

mod console;
mod disk;
pub(crate) mod key;
mod machine;
mod menu;
mod monitor;
mod screen;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub(crate) use console::{Console, FATAL, Wait};
pub(crate) use disk::{Bus, Disk, Fault};
pub(crate) use machine::{Firmware, MEDIUM_ID, Machine, Medium, Network, Order, bare, free_port};
pub(crate) use menu::choose;
pub(crate) use monitor::Monitor;

use crate::boots;
use crate::setup::{self, QEMU_MIN_MAJOR};

/// How long the probe of KVM may take, most of it in GRUB's menu.
const PROBE: Duration = Duration::from_secs(25);

/// Who runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accel {
    Kvm,
    Tcg,
}

impl Accel {
    /// KVM where it starts a kernel, else emulation. A `/dev/kvm` that can be
    /// opened proves nothing: in some virtual machines every kernel dies of
    /// it. So the ISO itself is booted as far as its kernel's first line.
    pub(crate) fn probe(iso: &Path) -> Result<Self> {
        let openable = File::options().read(true).write(true).open("/dev/kvm");
        if openable.is_err() {
            println!("KVM: none here; emulating (TCG)");
            return Ok(Self::Tcg);
        }
        let machine = Machine::new(Firmware::Bios, Self::Kvm).medium(Medium::Cd, iso);
        let mut console = Console::start(machine.command()?, "kvm-probe")?;
        let deadline = Instant::now() + PROBE;
        let booted = choose(&mut console, boots::ENTRY, deadline)
            .and_then(|_| console.wait_for("Linux version", deadline));
        match booted {
            Ok(()) => {
                println!("KVM: works");
                Ok(Self::Kvm)
            }
            Err(_) => {
                println!("KVM: there, but started no kernel within {PROBE:?}; emulating (TCG)");
                Ok(Self::Tcg)
            }
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        }
    }
}

/// QEMU's options are parted by commas; a comma in a path is doubled.
pub(crate) fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

/// Says what is wrong with the installed QEMU.
pub(crate) fn check_version() -> Result<()> {
    let major = setup::qemu_major()?;
    if major < QEMU_MIN_MAJOR {
        bail!(
            "QEMU {major} is too old: before version {QEMU_MIN_MAJOR} its emulation corrupts flags \
             in cmpxchg16b, and Linux 6.12 dies of it within a minute; `cargo xtask setup` takes a \
             newer one from Debian 12's backports"
        );
    }
    Ok(())
}

/// A file of the boots' logs and variables.
pub(crate) fn scratch(name: &str) -> Result<PathBuf> {
    let folder = crate::sh::target_dir().join("e2e");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder.join(name))
}
