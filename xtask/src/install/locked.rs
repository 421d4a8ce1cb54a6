//! A menu that is locked with a password, with somebody at the keyboard: on the ISO under
//! UEFI with Secure Boot and under BIOS, and on the disk that it installs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::guest::{Guest, INSTALLATION, new_disk};
use super::{BOOT_PASSWORD, DISK_BYTES, Lab, System, unattended};
use crate::boots::{DEADLINE, ENTRY};
use crate::qemu::{self, Bus, Disk, Firmware, Medium, key};

/// Below the entries of GRUB's menu.
const MENU: &str = "highlighted";

/// What GRUB asks.
const USER_NAME: &str = "Enter username:";
const ASKS_PASSWORD: &str = "Enter password:";

/// What its editor shows of every entry.
const EDITOR: &str = "setparams";

/// What GRUB's shell begins its lines with.
const SHELL: &str = "grub>";

/// How long GRUB may take to compare a password.
const HASHING: Duration = Duration::from_secs(300);

/// The step.
pub(super) fn check(lab: &Lab) -> Result<()> {
    let iso = lab.systems.iso(System::Locked)?;
    let machine = lab.machine(Firmware::UefiSecureBoot);
    let mut guest = lab.start(machine.medium(Medium::Cd, &iso), "locked-secure-boot")?;
    guest.shows(&[MENU], DEADLINE)?;
    keeps_out(&mut guest, &["e", "c"])?;
    lets_in(&mut guest)?;
    qemu::choose(&mut guest.console, "rescue", Instant::now() + DEADLINE)?;
    guest.shows(&[USER_NAME], DEADLINE)?;
    back(&mut guest)?;
    qemu::choose(&mut guest.console, ENTRY, Instant::now() + DEADLINE)?;
    guest.says(&[" login:"], DEADLINE)?;
    drop(guest);

    // Under BIOS nobody is there: the menu starts its default by itself.
    let disk = new_disk("locked", DISK_BYTES)?;
    let machine = lab.installer(&iso, Disk::new(&disk, Bus::Virtio));
    unattended::run(lab, machine, "locked")?;

    let mut guest = lab.start(lab.installed_machine(&disk)?, "locked-disk")?;
    guest.shows(&[MENU], DEADLINE)?;
    keeps_out(&mut guest, &["e", "c", key::ESC])?;
    qemu::choose(&mut guest.console, "recovery", Instant::now() + DEADLINE)?;
    guest.shows(&[USER_NAME], DEADLINE)?;
    back(&mut guest)?;
    lets_in(&mut guest)?;
    let entry = qemu::choose(
        &mut guest.console,
        System::Locked.version(),
        Instant::now() + DEADLINE,
    )?;
    println!("locked-disk: '{entry}' is started without the password");
    guest.says(&[" login:"], INSTALLATION)?;
    let mode = {
        let ssh = guest.reachable()?;
        let file = "/usr/lib/appliance/boot-password";
        let menu = "/run/initramfs/live/grub/grub.cfg";
        ssh.root(&format!("stat -c %a {file} {menu}"))?
    };
    ensure!(mode == "600\n600", "others can read the hash: {mode}");
    guest.power_off()
}

/// Each of these keys makes GRUB ask who is there.
fn keeps_out(guest: &mut Guest, keys: &[&str]) -> Result<()> {
    for key in keys {
        guest.console.send(key)?;
        guest.shows(&[USER_NAME], DEADLINE)?;
        let screen = guest.console.screen();
        ensure!(
            !screen.contains(EDITOR) && !screen.contains(SHELL),
            "GRUB lets everybody in:\n{screen}"
        );
        back(guest)?;
    }
    Ok(())
}

/// Gives up to say who one is.
fn back(guest: &mut Guest) -> Result<()> {
    guest.console.send(key::ESC)?;
    guest.shows(&[MENU], DEADLINE)?;
    Ok(())
}

/// A wrong password leads nowhere, the right one into the editor.
fn lets_in(guest: &mut Guest) -> Result<()> {
    for (password, wanted) in [("correct horse", MENU), (BOOT_PASSWORD, EDITOR)] {
        guest.console.send("e")?;
        guest.shows(&[USER_NAME], DEADLINE)?;
        guest.console.send("root\r")?;
        guest.shows(&[ASKS_PASSWORD], DEADLINE)?;
        guest.console.send(password)?;
        guest.console.send("\r")?;
        guest
            .shows(&[wanted], HASHING)
            .with_context(|| format!("with the password '{password}'"))?;
    }
    guest.console.send(key::ESC)?;
    guest.shows(&[MENU], DEADLINE)?;
    Ok(())
}
