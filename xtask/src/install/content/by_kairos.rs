//! An installation by Kairos itself, its upgrade and its reset.
//!
//! Kairos is in no package registry. `ISOFORGE_TEST_KAIROS` names a root file system
//! archive with it (what kairos-init made of a Debian, as a tar), with containerd. For
//! Secure Boot it has Debian's signed shim, GRUB and kernel.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::project::{CALICO, Edition, NODE, Project};
use super::{BOOT, MOUNT, PORT, Served, last_line, name, run_a_container};
use crate::install::guest::firmware_name;
use crate::install::media::file_disk;
use crate::install::shell::Ssh;
use crate::install::{Guest, Lab, new_disk};
use crate::qemu::{Bus, Disk, Firmware, Medium, Network};

/// Names the archive.
const KAIROS: &str = "ISOFORGE_TEST_KAIROS";

/// Size of the disk: Kairos keeps three copies of the system and room for one more.
const DISK_BYTES: u64 = 24 << 30;

/// An argument of the profile, for the kernel of the installed system.
const ARGUMENT: &str = "e2e.argument=1";

/// Kairos keeps what lies below this folder, but not over a reset.
const KEPT: &str = "/usr/local/e2e-kept";

/// How long Kairos may take to install or reset itself: each boots a whole system first.
const INSTALLATION: Duration = Duration::from_secs(3600);

/// How long the machine may take to go down and to start its kernel again.
const DOWN: Duration = Duration::from_secs(600);

/// How often the kernel says that Secure Boot is on, with a status of its own for none.
const SECURE_BOOT: &str = "dmesg | grep -c 'Secure boot enabled' || test $? = 1";

/// Units that failed once all have started. Kairos's own may: it asks systemd-logind,
/// which does not answer in time where the machine is slow, and is run again each hour.
const FAILED_UNITS: &str = "systemctl is-system-running --wait >/dev/null; \
    systemctl list-units --failed --plain --no-legend | \
    grep -v ^cos-setup-reconcile.service || test $? = 1";

/// The systems of a disk, by what their kernels are told.
const ACTIVE: &str = "cos-img/filename=/cOS/active.img";
const RECOVERY: &str = "cos-img/filename=/cOS/recovery.img";

/// The step, under BIOS.
pub(in crate::install) fn bios(lab: &Lab) -> Result<()> {
    installed(lab, Firmware::Bios, "kairos")
}

/// The step, under UEFI with Secure Boot.
pub(in crate::install) fn secure_boot(lab: &Lab) -> Result<()> {
    installed(lab, Firmware::UefiSecureBoot, "kairos-secure-boot")
}

/// Kairos installs itself from the ISO without questions, and what it installed serves
/// what the ISO carried; Kairos upgrades it and resets it.
fn installed(lab: &Lab, firmware: Firmware, machine_name: &str) -> Result<()> {
    let Some(archive) = std::env::var_os(KAIROS).filter(|path| !path.is_empty()) else {
        println!("{KAIROS} names no Kairos: nothing was installed by it");
        return Ok(());
    };
    let archive = std::path::absolute(archive)?;
    let project = Project::prepare(lab)?;
    project.add_kairos(lab, &archive, ARGUMENT)?;
    println!("{machine_name}: {}", firmware_name(firmware));
    let iso = project.iso(Edition::KairosInstalled)?;
    let disk = install(lab, firmware, &iso, machine_name)?;

    let archive = project.provider(Edition::KairosUpgrade)?;
    let media = file_disk(&[&archive], "kairos-upgrade")?;
    let network = Network::ssh("virtio-net-pci")?.and_port(PORT)?;
    let port = network.further_port()?;
    let machine = lab
        .machine(firmware)
        .disk(Disk::new(&disk, Bus::Virtio))
        .disk(Disk::new(&media, Bus::Virtio).readonly())
        .network(network)
        .reboots();
    let mut guest = lab.start(machine, machine_name)?;
    lets_in(&mut guest, BOOT)?;
    let ssh = guest.reachable()?;
    runs(&ssh, firmware, Edition::KairosInstalled)?;
    let served = Served::new(&ssh, port, machine_name)?;
    serves(&served, &ssh, &project)?;
    ssh.root(&format!("echo kept >{KEPT}"))?;

    upgrade(&mut guest, &ssh, &name(&archive)?)?;
    let ssh = guest.reachable()?;
    runs(&ssh, firmware, Edition::KairosUpgrade)?;
    ensure!(ssh.root(&format!("cat {KEPT}"))? == "kept");
    served.wait(&ssh, CALICO)?;

    reset(&mut guest, &ssh)?;
    // What was kept is gone, and with it the host keys.
    let ssh = guest.known_anew(&lab.access)?;
    runs(&ssh, firmware, Edition::KairosInstalled)?;
    let kept = ssh.try_root(&format!("cat {KEPT}"))?;
    ensure!(kept.code != 0, "{KEPT} is still there: {}", kept.text);
    println!("{}", ssh.root("appliance content list")?);
    guest.power_off().context("Kairos does not power off")
}

/// Has Kairos install itself on a new disk.
fn install(lab: &Lab, firmware: Firmware, iso: &Path, name: &str) -> Result<PathBuf> {
    let disk = new_disk(name, DISK_BYTES)?;
    let machine = lab
        .machine(firmware)
        .medium(Medium::Cd, iso)
        .disk(Disk::new(&disk, Bus::Virtio))
        // It waits for an address.
        .network(Network::ssh("virtio-net-pci")?);
    let mut guest = lab.start(machine, &format!("{name}-install"))?;
    let entry = guest.entry()?;
    ensure!(
        entry.contains("Unattended Installer"),
        "GRUB boots '{entry}' by itself"
    );
    guest.ends_within(INSTALLATION)?;
    Ok(disk)
}

/// Waits until the kernel of the active system starts, and for its first prompt, which
/// takes the account's password.
fn lets_in(guest: &mut Guest, time: Duration) -> Result<()> {
    guest.says(&[ACTIVE], time)?;
    guest.says(&[" login:"], BOOT)?;
    guest.login()?;
    Ok(())
}

/// The active system of this edition runs, all of its units do, and its kernel was told
/// what the profile says.
fn runs(ssh: &Ssh, firmware: Firmware, edition: Edition) -> Result<()> {
    let version = edition.version();
    let booted = ssh.root("kairos-agent state get boot; cat /etc/issue.d/10-appliance.issue")?;
    ensure!(
        booted.contains("active_boot") && booted.contains(version),
        "not version {version} was booted: {booted}"
    );
    let cmdline = ssh.root("cat /proc/cmdline")?;
    ensure!(
        cmdline.split_whitespace().any(|word| word == ARGUMENT),
        "the kernel's command line lacks {ARGUMENT}: {cmdline}"
    );
    let secure = ssh.root(SECURE_BOOT)? != "0";
    ensure!(
        secure == (firmware == Firmware::UefiSecureBoot),
        "the kernel should say whether Secure Boot is on"
    );
    let failed = ssh.root(FAILED_UNITS)?;
    let failed = failed.lines().find(|line| line.contains(" failed "));
    ensure!(failed.is_none(), "a unit failed: {failed:?}");
    println!("Kairos runs version {version}, Secure Boot: {secure}");
    Ok(())
}

/// The registry gives what the ISO carried, and a container of it runs.
fn serves(served: &Served, ssh: &Ssh, project: &Project) -> Result<()> {
    served.wait(ssh, CALICO)?;
    for image in CALICO {
        served.gives(image, &project.digest(image)?)?;
    }
    let said = ssh.root(&run_a_container("overlayfs"))?;
    println!("containerd pulled {NODE} and ran it: {}", last_line(&said));
    println!("{}", ssh.root("appliance content list")?);
    Ok(())
}

/// Kairos upgrades itself with the archive of the provider image, and boots that.
fn upgrade(guest: &mut Guest, ssh: &Ssh, archive: &str) -> Result<()> {
    ssh.root(MOUNT)?;
    let upgrade = format!("kairos-agent upgrade --source ocifile:/run/bundle/{archive}");
    println!("{}", last_line(&ssh.root(&upgrade)?));
    ssh.end("reboot")?;
    lets_in(guest, DOWN)
}

/// Kairos resets itself, from the menu's entry for that, and boots what it has reset to.
fn reset(guest: &mut Guest, ssh: &Ssh) -> Result<()> {
    let refused = ssh.try_root("kairos-agent reset --unattended")?;
    ensure!(
        refused.code != 0 && refused.text.contains("recovery"),
        "reset outside of recovery ended with {}: {}",
        refused.code,
        refused.text
    );
    ssh.root("kairos-agent bootentry --select statereset")?;
    ssh.end("reboot")?;
    guest.says(&[RECOVERY], DOWN)?;
    lets_in(guest, INSTALLATION)
}
