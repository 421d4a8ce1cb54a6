//! Flavor `kairos` without Kairos: its live system.

use anyhow::{Result, ensure};

use super::project::{Edition, NODE, Project};
use super::{BOOT, SERVING, last_line, run_a_container};
use crate::install::Lab;
use crate::install::shell::Shell;
use crate::qemu::{Firmware, Medium};

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
