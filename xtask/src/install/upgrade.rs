//! Upgrade to a second version, from an OCI layout on a second disk.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::access::PASSWORD;
use super::first_boot::{Identity, KEPT, immutable};
use super::guest::{Guest, copied_disk};
use super::media::{UPGRADE, archive_iso, layout_disk};
use super::shell::Ssh;
use super::status::Status;
use super::systems::VERSION_FILE;
use super::{Lab, System};
use crate::qemu::{Bus, Disk, Machine};

/// How long the machine may take until GRUB's menu shows again.
const REBOOT: Duration = Duration::from_secs(300);

/// Upgrades from the layout that [`layout_disk`] makes.
pub(crate) const UPGRADE_COMMAND: &str = "mkdir -p /run/upgrade && \
    mount -o ro LABEL=UPGRADE /run/upgrade && \
    appliance upgrade --from /run/upgrade/layout";

/// The same from the archive itself.
const FROM_ARCHIVE: &str = "mkdir -p /run/upgrade && \
    mount -o ro LABEL=UPGRADE /run/upgrade && \
    appliance upgrade --from /run/upgrade/upgrade.oci.tar";

/// The step: upgrade, trial, confirmation, reboot, and back.
pub(super) fn check(lab: &Lab) -> Result<()> {
    let disk = copied_disk(lab.first()?, "upgrade")?;
    let archive = lab.systems.archive(System::Second)?;
    let second = layout_disk(&archive, "upgrade-second")?;
    let mut guest = lab.start(with_disk(lab, &disk, &second)?, "upgrade")?;
    guest.up()?;
    let ssh = guest.reachable()?;
    ssh.root(&format!("echo kept >{KEPT}"))?;
    let identity = Identity::of(&ssh)?;
    println!("{}", ssh.root(UPGRADE_COMMAND)?);
    let ssh = trial(&mut guest, &ssh)?;
    let after = Identity::of(&ssh)?;
    ensure!(
        after == identity,
        "the upgrade has made {identity:?} to {after:?}"
    );
    immutable(&ssh)?;
    ensure!(ssh.root(&format!("cat {KEPT}"))? == "kept");

    // It boots by itself now, and is no trial any more.
    ssh.end("reboot")?;
    let entry = guest.next_entry(REBOOT)?;
    ensure!(
        entry.contains(System::Second.version()) && !entry.contains("trial"),
        "GRUB boots '{entry}'"
    );
    let ssh = guest.reachable()?;
    let status = Status::ask(&ssh)?;
    status.expect("b", System::Second.version())?;
    ensure!(!status.trial, "a confirmed system is still on trial");

    println!("{}", ssh.root("appliance rollback")?);
    ssh.end("reboot")?;
    let entry = guest.next_entry(REBOOT)?;
    ensure!(
        entry.contains(System::First.version()),
        "after a rollback GRUB boots '{entry}'"
    );
    let ssh = guest.reachable()?;
    ensure!(Status::ask(&ssh)?.slot == "a");
    ensure!(ssh.root(&format!("cat {VERSION_FILE}"))? == System::First.version());
    guest.power_off()
}

/// Installed system, upgrade from an archive, trial.
pub(super) fn shortest(lab: &Lab, disk: Disk) -> Result<()> {
    let archive = lab.systems.archive(System::Second)?;
    let medium = archive_iso(&archive, "shortest-second")?;
    let mut guest = lab.start(with_second(lab.machine_of(disk)?, &medium), "shortest")?;
    guest.up()?;
    guest.login()?.become_root(PASSWORD)?;
    let ssh = guest.reachable()?;
    immutable(&ssh)?;
    ssh.root(&format!("echo kept >{KEPT}"))?;
    println!("{}", ssh.root(FROM_ARCHIVE)?);
    let ssh = trial(&mut guest, &ssh)?;
    ensure!(ssh.root(&format!("cat {KEPT}"))? == "kept");
    guest.power_off()
}

/// A machine that reboots, with what the upgrade comes from as a second disk.
pub(super) fn with_disk(lab: &Lab, disk: &Path, second: &Path) -> Result<Machine> {
    Ok(with_second(lab.installed_machine(disk)?, second))
}

fn with_second(machine: Machine, second: &Path) -> Machine {
    let second = Disk::new(second, Bus::Virtio).readonly();
    machine.disk(second).reboots()
}

/// Reboots into version 2, which runs on trial until it is confirmed.
fn trial(guest: &mut Guest, ssh: &Ssh) -> Result<Ssh> {
    let version = System::Second.version();
    let before = Status::ask(ssh)?;
    before.expect("a", System::First.version())?;
    ensure!(
        before.version("b") == Some(version),
        "{UPGRADE}: {before:?}"
    );
    ssh.end("reboot")?;
    let entry = guest.next_entry(REBOOT)?;
    ensure!(
        entry.contains(version) && entry.contains("trial"),
        "after the upgrade GRUB boots '{entry}'"
    );
    let ssh = guest.reachable()?;
    let status = Status::wait_for_confirmation(&ssh)?;
    status.expect("b", version)?;
    ensure!(ssh.root(&format!("cat {VERSION_FILE}"))? == version);
    println!("version {version} was confirmed");
    Ok(ssh)
}
