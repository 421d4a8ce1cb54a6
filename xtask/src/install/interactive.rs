//! The interactive installer under Secure Boot, driven by keys over the serial
//! console, up to a login on the machine that it has installed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::access::{Access, PASSWORD, USER};
use super::guest::{Guest, INSTALLATION, new_disk};
use super::{DISK_BYTES, Lab, System};
use crate::qemu::{Bus, Disk, Firmware, Medium, Network, Order, key};

/// How long a page may take to come, on a slow machine.
const PAGE: Duration = Duration::from_secs(120);

/// How long the medium may take until the installer's first page.
const START: Duration = Duration::from_secs(600);

/// Headings of the pages, and what they are told by.
mod page {
    pub(super) const DISK: &str = "Which disk shall be installed on?";
    pub(super) const ACCOUNT: &str = "The first account of the machine";
    pub(super) const AFTER: &str = "What shall the machine do once it is installed?";
    pub(super) const SUMMARY: &str = "Installation summary";
    pub(super) const READY: &str = "ENTER asks once more, then it installs.";
    pub(super) const CONFIRM: &str = "All content of ";
    pub(super) const YES: &str = "[ Yes ]";
    pub(super) const PROGRESS: &str = " Installing ";
    pub(super) const DONE: &str = "The system is installed on ";
    pub(super) const FAILED: &str = " Not installed ";
}

/// The step.
pub(super) fn install(lab: &Lab) -> Result<()> {
    let name = "install-interactive";
    let disk = new_disk(name, DISK_BYTES)?;
    let iso = lab.systems.iso(System::Asking)?;
    // As on a machine whose firmware prefers its disk: empty, it is passed over.
    let machine = lab
        .machine(Firmware::UefiSecureBoot)
        .medium(Medium::UsbStorage, &iso)
        .disk(Disk::new(&disk, Bus::Virtio))
        .order(Order::DisksFirst)
        .network(Network::ssh("virtio-net-pci")?)
        .reboots();
    let mut guest = lab.start(machine, name)?;
    let entry = guest.entry()?;
    ensure!(
        entry.contains("Interactive Installer"),
        "GRUB boots '{entry}' by itself"
    );
    let after = After::Reboot;
    answer(&mut guest, &lab.access, after, lab.screenshot.as_deref())?;
    guest
        .console
        .press(&[key::ENTER])
        .context("rebooting at once")?;

    let entry = guest.next_entry(INSTALLATION)?;
    ensure!(
        !entry.contains("Install") && entry.contains(System::Asking.version()),
        "after the installation GRUB boots '{entry}'"
    );
    guest.says(&[" login:"], START)?;
    let secure = guest.console.text().matches("Secure boot enabled").count();
    ensure!(
        secure >= 2,
        "both kernels should say that Secure Boot is on"
    );
    let mut shell = guest.login()?;
    let groups = shell.ok("id -nG")?;
    println!("{USER} is in the groups {groups}");
    let touched = shell.run("touch /usr/x", PAGE)?;
    ensure!(touched.code != 0, "/usr takes files");
    guest.reachable()?;
    Ok(())
}

/// What follows the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Nothing,
    /// As the profile has it.
    Reboot,
}

/// Answers all questions, and waits until the system is installed; gives the
/// time from the last answer on. What the screen shows at first becomes a
/// picture where one is wanted.
pub(crate) fn answer(
    guest: &mut Guest,
    access: &Access,
    after: After,
    screenshot: Option<&Path>,
) -> Result<Duration> {
    disk_page(guest, screenshot)?;
    account_page(guest, access)?;
    after_page(guest, after)?;
    summary_page(guest)?;

    // A page comes piece by piece: each text is waited for.
    guest.shows(&[page::CONFIRM], PAGE)?;
    guest.shows(&["All content of /dev/vda will be lost"], PAGE)?;
    guest.shows(&[page::YES], PAGE)?;
    guest.console.press(&[key::TAB, key::ENTER])?;
    let begun = Instant::now();
    guest.shows(&[page::PROGRESS, page::DONE], PAGE)?;
    let shown = guest.shows(&[page::DONE, page::FAILED], INSTALLATION)?;
    let screen = guest.console.screen();
    ensure!(shown == 0, "the installation failed:\n{screen}");
    Ok(begun.elapsed())
}

fn disk_page(guest: &mut Guest, screenshot: Option<&Path>) -> Result<()> {
    guest.shows(&[page::DISK], START)?;
    if let Some(png) = screenshot {
        guest.console.listen(Duration::from_secs(2))?;
        guest.monitor()?.screendump(png)?;
        println!("{} written", png.display());
    }
    // The medium, greyed, with its reason, and the disk below it.
    guest.shows(&["can't be taken: the install medium"], PAGE)?;
    guest.shows(&["/dev/vda"], PAGE)?;
    guest.console.press(&[key::ENTER])
}

/// There is no way around this page.
fn account_page(guest: &mut Guest, access: &Access) -> Result<()> {
    guest.shows(&[page::ACCOUNT], PAGE)?;
    // Past all four fields; refused, the page waits in the first one again.
    guest.console.press(&[key::ENTER; 4])?;
    guest.console.listen(Duration::from_secs(3))?;
    guest.shows(&[page::ACCOUNT], PAGE)?;
    for (at, text) in [USER, PASSWORD, PASSWORD, &access.public]
        .into_iter()
        .enumerate()
    {
        if at > 0 {
            guest.console.press(&[key::TAB])?;
        }
        guest.console.press(&[text])?;
    }
    let screen = guest.console.screen();
    ensure!(
        !screen.contains(PASSWORD),
        "the password is shown:\n{screen}"
    );
    guest.console.press(&[key::ENTER])
}

fn after_page(guest: &mut Guest, after: After) -> Result<()> {
    guest.shows(&[page::AFTER], PAGE)?;
    guest.shows(&["(*) reboot"], PAGE)?;
    if after == After::Nothing {
        guest.console.press(&[key::UP])?;
        guest.shows(&["(*) nothing"], PAGE)?;
    }
    guest.console.press(&[key::ENTER])
}

/// There, back, and there again.
fn summary_page(guest: &mut Guest) -> Result<()> {
    guest.shows(&[page::SUMMARY], PAGE)?;
    guest.shows(&[page::READY], PAGE)?;
    guest.console.press(&[key::ESC])?;
    guest.shows(&[page::AFTER], PAGE)?;
    guest.console.press(&[key::ENTER])?;
    guest.shows(&[page::READY], PAGE)?;
    guest.console.press(&[key::ENTER])
}
