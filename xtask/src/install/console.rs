//! The pages on the consoles of an installed machine: what it is, a login, its name,
//! a shell, power; driven by keys over the serial console.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::access::{PASSWORD, USER};
use super::guest::Guest;
use super::unattended;
use super::{Lab, System};
use crate::boots::DEADLINE;
use crate::qemu::{key, scratch};

/// How long a page may take to come, on a slow machine.
const PAGE: Duration = Duration::from_secs(120);

/// The name that the machine gets.
const NAME: &str = "named-here";

/// Said once the machine has it.
const NAMED: &str = "The machine has its new name.";

/// The step.
pub(super) fn check(lab: &Lab) -> Result<()> {
    let disk = unattended::install(lab, System::Console, "console")?;
    let mut guest = lab.start(lab.installed_machine(&disk)?.reboots(), "console")?;
    guest.entry()?;
    guest.shows(&["Device Info"], DEADLINE)?;
    guest.shows(&["slot a, good"], PAGE)?;
    let ssh = guest.reachable()?;
    // The screen shows the same, on its own.
    let png = scratch("console.png")?;
    guest.monitor()?.screendump(&png)?;
    println!("{} written", png.display());

    log_in(&mut guest)?;
    guest.console.press(&[key::ENTER])?;
    guest.shows(&["The name of this machine."], PAGE)?;
    let old = ssh.root("hostname")?;
    guest.console.press(&vec![key::BACKSPACE; old.len()])?;
    guest.console.press(&[NAME, key::ENTER])?;
    guest.shows(&[NAMED], PAGE)?;
    let now = ssh.root("hostname; cat /etc/hostname")?;
    ensure!(now == format!("{NAME}\n{NAME}"), "it is called {now}");
    let flags = ssh.root("findmnt -no OPTIONS /oem")?;
    ensure!(flags.starts_with("ro,"), "OEM stayed writable: {flags}");

    // A shell of who logged in, which has the console.
    guest.console.press(&[key::TAB, key::ENTER])?;
    guest.says(&[format!("{USER}@{NAME}").as_str()], PAGE)?;
    guest.console.press(&["tty; id -un; exit", key::ENTER])?;
    guest.says(&["/dev/ttyS0"], PAGE)?;
    guest.says(&[USER], PAGE)?;
    guest.shows(&["a command line of your account"], PAGE)?;

    // The machine's next boot has the name, too.
    guest.console.press(&[key::TAB, key::ENTER])?;
    guest.shows(&["[ Yes ]"], PAGE)?;
    guest.console.press(&[key::TAB, key::ENTER])?;
    guest.next_entry(DEADLINE)?;
    guest.shows(&["Device Info"], DEADLINE)?;
    guest.shows(&[NAME], DEADLINE)?;

    // The system's own login is one key away.
    guest.console.press(&["l"])?;
    guest.says(&[" login:"], PAGE)?;
    let who = guest.login()?.ok("id -un")?;
    ensure!(who == USER, "'{who}' is logged in");
    Ok(())
}

/// From Device Info to the menu, with a wrong password at first.
fn log_in(guest: &mut Guest) -> Result<()> {
    guest.console.press(&[key::ENTER])?;
    guest.shows(&["An account that administrates"], PAGE)?;
    let password = ["not-", PASSWORD].concat();
    guest
        .console
        .press(&[USER, key::ENTER, password.as_str(), key::ENTER])?;
    guest.shows(&["The name or the password is wrong."], PAGE)?;
    guest.console.press(&[PASSWORD, key::ENTER])?;
    let shown = guest.shows(&["turn this machine off"], PAGE);
    let screen = guest.console.screen();
    ensure!(
        !screen.contains(PASSWORD),
        "the password is shown:\n{screen}"
    );
    shown.map(drop).context("after the right password")
}
