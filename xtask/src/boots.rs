//! Boots of the demo ISO's live system to its login prompt.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::qemu::{self, Accel, Console, Firmware, Machine, Medium};

/// How long a boot may take under emulation on a slow, shared machine; two
/// cores alone take one minute.
pub(crate) const DEADLINE: Duration = Duration::from_secs(600);

/// Said by the kernel under Secure Boot.
const SECURE: &str = "Secure boot enabled";

/// Said by the kernel under any UEFI.
const UEFI: &str = "efi: EFI v";

/// Said by GRUB, with the entry's title after it.
pub(crate) const BOOTING: &str = "Booting `";

/// The menu's entry: not the one that GRUB starts by itself, which installs.
pub(crate) const ENTRY: &str = "live system";

/// Components of the demo that the console names with their versions before
/// the login prompt.
const COMPONENTS: [&str; 3] = ["containerd", "runc", "kubernetes"];

/// A way to boot.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    firmware: Firmware,
    medium: Medium,
}

const fn way(name: &'static str, firmware: Firmware, medium: Medium) -> Way {
    Way {
        name,
        firmware,
        medium,
    }
}

pub(crate) const BIOS_CD: Way = way("bios-cd", Firmware::Bios, Medium::Cd);
pub(crate) const SECURE_CD: Way = way("secure-boot-cd", Firmware::UefiSecureBoot, Medium::Cd);

/// All ways, as users meet them.
pub(crate) const WAYS: [Way; 5] = [
    BIOS_CD,
    way("bios-disk", Firmware::Bios, Medium::Disk),
    way("uefi-cd", Firmware::Uefi, Medium::Cd),
    way("uefi-usb", Firmware::Uefi, Medium::UsbStorage),
    SECURE_CD,
];

/// Boots the ISO to the login prompt and checks what the console said.
pub(crate) fn boot(way: Way, iso: &Path, accel: Accel) -> Result<()> {
    let vars = qemu::scratch(&format!("{}.vars", way.name))?;
    let machine = Machine::new(way.firmware, accel)
        .medium(way.medium, iso)
        .vars(&vars);
    let start = Instant::now();
    let deadline = start + DEADLINE;
    let mut console = Console::start(machine.command()?, way.name)?;
    let entry = qemu::choose(&mut console, ENTRY, deadline)?;
    console.wait_for(" login:", deadline)?;
    let seconds = start.elapsed().as_secs();
    let text = console.text();
    println!(
        "{}: login prompt after {seconds} s ({}), menu entry '{entry}'; log: {}",
        way.name,
        accel.name(),
        console.log().display()
    );
    check(way, &text).with_context(|| format!("in {}", console.log().display()))
}

fn check(way: Way, text: &str) -> Result<()> {
    let (uefi, secure) = (text.contains(UEFI), text.contains(SECURE));
    ensure!(
        uefi == (way.firmware != Firmware::Bios),
        "the kernel should {}say '{UEFI}'",
        if uefi { "not " } else { "" }
    );
    ensure!(
        secure == (way.firmware == Firmware::UefiSecureBoot),
        "the kernel should {}say '{SECURE}'",
        if secure { "not " } else { "" }
    );
    for component in COMPONENTS {
        ensure!(
            names_version(text, component),
            "the console names no version of {component} before the login prompt"
        );
    }
    Ok(())
}

/// Whether a line begins with `component` and has a version in it. Lines of the
/// kernel and of systemd begin otherwise.
fn names_version(text: &str, component: &str) -> bool {
    text.lines().any(|line| {
        line.trim_start()
            .strip_prefix(component)
            .and_then(|rest| rest.split_whitespace().last())
            .is_some_and(|word| word.contains('.') && word.contains(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_that_is_not_what_it_should_be_fails() {
        let banner = "  containerd         1.7.24~ds1\n  runc  1.1.15+ds1-2\n  kubernetes-client  1.32.3+ds\n";
        let secure = format!("efi: EFI v2.7 by EDK II\nsecureboot: Secure boot enabled\n{banner}");
        let uefi = format!("efi: EFI v2.7 by EDK II\n{banner}");
        check(SECURE_CD, &secure).unwrap();
        check(WAYS[2], &uefi).unwrap();
        check(BIOS_CD, banner).unwrap();
        assert!(check(SECURE_CD, &uefi).is_err());
        assert!(check(WAYS[2], &secure).is_err());
        assert!(check(WAYS[2], banner).is_err());
        assert!(check(BIOS_CD, &uefi).is_err());
        let without = "containerd 1.7.24\nkubernetes-client 1.32.3\n[ OK ] runc 1.1\n";
        assert!(check(BIOS_CD, without).is_err());
        assert!(check(BIOS_CD, &banner.replace("1.7.24~ds1", "")).is_err());
    }
}
