//! Recovery from the boot menu, and a reset from there.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::access::PASSWORD;
use super::first_boot::{Identity, KEPT};
use super::guest::{Guest, copied_disk};
use super::{Lab, System};
use crate::qemu;

/// How long GRUB and the machine may take.
const MENU: Duration = Duration::from_secs(300);

/// The step.
pub(super) fn check(lab: &Lab) -> Result<()> {
    let name = "reset";
    let disk = copied_disk(lab.first()?, name)?;
    let machine = lab.installed_machine(&disk)?.reboots();
    let mut guest = lab.start(machine, name)?;
    guest.up()?;
    let ssh = guest.reachable()?;
    ssh.root(&format!("echo kept >{KEPT}"))?;
    let refused = ssh.try_root("appliance reset --yes")?;
    ensure!(
        refused.code != 0 && refused.text.contains("recovery"),
        "reset outside of recovery ended with {}: {}",
        refused.code,
        refused.text
    );
    let before = Identity::of(&ssh)?;

    ssh.end("reboot")?;
    recovery(&mut guest)?;
    let mut shell = guest.login()?;
    shell.become_root(PASSWORD)?;
    let gone = shell.run(&format!("cat {KEPT}"), MENU)?;
    ensure!(gone.code != 0, "recovery shows what is kept");
    println!(
        "{}",
        shell.ok("appliance reset --keep-persistent --system --yes")?
    );
    shell.ok("systemctl reboot")?;
    guest.next_entry(MENU)?;
    // Or the wait for recovery's would find this one.
    guest.says(&[" login:"], MENU)?;
    let ssh = guest.reachable()?;
    ensure!(ssh.root(&format!("cat {KEPT}"))? == "kept");
    ensure!(
        Identity::of(&ssh)? == before,
        "a reset that keeps state changed the identity"
    );

    ssh.end("reboot")?;
    recovery(&mut guest)?;
    let mut shell = guest.login()?;
    shell.become_root(PASSWORD)?;
    println!("{}", shell.ok("appliance reset --yes")?);
    shell.ok("systemctl reboot")?;
    guest.next_entry(MENU)?;
    guest.says(&[" login:"], MENU)?;
    guest.login()?.become_root(PASSWORD)?;
    // Its host keys are new, so SSH would not know it: a name of its own.
    let ssh = guest.known_anew(&lab.access)?;
    ensure!(
        ssh.try_root(&format!("cat {KEPT}"))?.code != 0,
        "{KEPT} is still there"
    );
    Identity::of(&ssh)?.differs_from(&before)?;
    guest.power_off()
}

/// Chooses the recovery in the menu, and waits for the login prompt.
fn recovery(guest: &mut Guest) -> Result<()> {
    let entry = qemu::choose(&mut guest.console, ": recovery", Instant::now() + MENU)?;
    ensure!(
        entry.contains("recovery") && entry.contains(System::First.version()),
        "'{entry}' was chosen, not the recovery"
    );
    guest.says(&[" login:"], MENU)?;
    Ok(())
}
