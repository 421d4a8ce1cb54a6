//! Flavor `kairos`: its live system, and an installation by Kairos itself.
//!
//! Kairos is in no package registry. `ISOFORGE_TEST_KAIROS` names a root file system
//! archive with it (what kairos-init made of a Debian, as a tar), with containerd,
//! for the second step; the first does without.

use anyhow::{Context as _, Result, ensure};

use super::project::{CALICO, Edition, NODE, Project};
use super::{BOOT, MOUNT, PORT, REBOOT, SERVING, Served, last_line, name, run_a_container};
use crate::install::guest::INSTALLATION;
use crate::install::media::file_disk;
use crate::install::shell::{Shell, Ssh};
use crate::install::{Guest, Lab, new_disk};
use crate::qemu::{Bus, Disk, Firmware, Medium, Network};

/// Names the archive.
const KAIROS: &str = "ISOFORGE_TEST_KAIROS";

/// Size of the disk: Kairos keeps three copies of the system and room for one more.
const DISK_BYTES: u64 = 24 << 30;

/// An argument of the profile, for the kernel of the installed system.
const ARGUMENT: &str = "e2e.argument=1";

/// The step: what runs on a machine does so on an image of flavor `kairos` too. Its
/// live system takes in what its own medium carries.
pub(in crate::install) fn live(lab: &Lab) -> Result<()> {
    let project = Project::prepare(lab)?;
    let iso = project.iso(Edition::KairosLive)?;
    let machine = lab.machine(Firmware::Bios).medium(Medium::Cd, &iso);
    let mut guest = lab.start(machine, "content-kairos")?;
    guest.entry()?;
    guest.says(&["root@"], BOOT)?;
    let mut shell = guest.root_shell()?;
    let ok = |shell: &mut Shell<'_>, command: &str| -> Result<String> {
        let said = shell.run(command, SERVING)?;
        ensure!(said.code == 0, "'{command}' said: {}", said.text);
        Ok(said.text)
    };
    ok(
        &mut shell,
        "systemctl is-system-running --wait; systemctl is-active appliance-registry",
    )?;
    let import = "appliance content import /run/initramfs/live";
    println!("{}", ok(&mut shell, import)?);
    println!("{}", ok(&mut shell, "appliance content list")?);
    // The live root is an overlay, and overlayfs takes no other as its upper layer.
    let said = ok(&mut shell, &run_a_container("native"))?;
    ensure!(said.contains("appliance "), "the container said: {said}");
    println!("containerd pulled {NODE} and ran it: {}", last_line(&said));
    drop(guest);
    Ok(())
}

/// The step: Kairos installs itself from the ISO without questions, and what it
/// installed serves what the ISO carried.
pub(in crate::install) fn installed(lab: &Lab) -> Result<()> {
    let Some(archive) = std::env::var_os(KAIROS).filter(|path| !path.is_empty()) else {
        println!("{KAIROS} names no Kairos: nothing was installed by it");
        return Ok(());
    };
    let archive = std::path::absolute(archive)?;
    let project = Project::prepare(lab)?;
    project.add_kairos(lab, &archive, ARGUMENT)?;
    let iso = project.iso(Edition::KairosInstalled)?;
    let disk = new_disk("kairos", DISK_BYTES)?;
    let install = lab
        .machine(Firmware::Bios)
        .medium(Medium::Cd, &iso)
        .disk(Disk::new(&disk, Bus::Virtio))
        // It waits for an address.
        .network(Network::ssh("virtio-net-pci")?);
    let mut guest = lab.start(install, "kairos-install")?;
    let entry = guest.entry()?;
    ensure!(
        entry.contains("Unattended Installer"),
        "GRUB boots '{entry}' by itself"
    );
    guest.ends_within(INSTALLATION)?;

    let archive = project.provider(Edition::KairosUpgrade)?;
    let media = file_disk(&[&archive], "kairos-upgrade")?;
    let network = Network::ssh("virtio-net-pci")?.and_port(PORT)?;
    let port = network.further_port()?;
    let machine = lab
        .machine(Firmware::Bios)
        .disk(Disk::new(&disk, Bus::Virtio))
        .disk(Disk::new(&media, Bus::Virtio).readonly())
        .network(network)
        .reboots();
    let mut guest = lab.start(machine, "kairos")?;
    guest.says(&[" login:"], BOOT)?;
    let ssh = guest.reachable()?;
    let booted = ssh.root("kairos-agent state get boot")?;
    ensure!(booted.contains("active_boot"), "Kairos says '{booted}'");
    let cmdline = ssh.root("cat /proc/cmdline")?;
    ensure!(
        cmdline.split_whitespace().any(|word| word == ARGUMENT),
        "the kernel's command line lacks {ARGUMENT}: {cmdline}"
    );
    let served = Served::new(&ssh, port, "kairos")?;
    served.wait(&ssh, CALICO)?;
    for image in CALICO {
        served.gives(image, &project.digest(image)?)?;
    }
    let said = ssh.root(&run_a_container("overlayfs"))?;
    println!("containerd pulled {NODE} and ran it: {}", last_line(&said));
    println!("{}", ssh.root("appliance content list")?);
    // Says otherwise where a unit failed.
    ssh.root("systemctl is-system-running --wait")?;
    let ssh = upgraded(&mut guest, &ssh, name(&archive)?.as_str())?;
    served.wait(&ssh, CALICO)?;
    guest.power_off().context("Kairos does not power off")
}

/// Kairos upgrades itself with the archive of the provider image.
fn upgraded(guest: &mut Guest, ssh: &Ssh, archive: &str) -> Result<Ssh> {
    ssh.root(MOUNT)?;
    let upgrade = format!("kairos-agent upgrade --source ocifile:/run/bundle/{archive}");
    println!("{}", last_line(&ssh.root(&upgrade)?));
    ssh.end("reboot")?;
    guest.says(&[" login:"], REBOOT)?;
    let ssh = guest.reachable()?;
    let booted = ssh.root("kairos-agent state get boot; cat /etc/issue.d/10-appliance.issue")?;
    let version = Edition::KairosUpgrade.version();
    ensure!(
        booted.contains("active_boot") && booted.contains(version),
        "not version {version} was booted: {booted}"
    );
    println!("upgraded by Kairos to version {version}");
    Ok(ssh)
}
