//! The installed system: who gets in, what can't be written, what is kept.

use anyhow::{Result, ensure};

use super::access::{PASSWORD, USER};
use super::guest::copied_disk;
use super::shell::{Said, Ssh};
use super::status::Status;
use super::systems::{NAME, VERSION_FILE};
use super::{Lab, System};

/// A file that is to be there later, and one that is not.
pub(super) const KEPT: &str = "/var/lib/containerd/e2e-kept";
const GONE: &str = "/etc/e2e-gone";

/// What a machine is known by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    machine_id: String,
    host_keys: Vec<String>,
}

impl Identity {
    pub(super) fn of(ssh: &Ssh) -> Result<Self> {
        let machine_id = ssh.root("cat /etc/machine-id")?;
        ensure!(machine_id.len() == 32, "machine-id '{machine_id}'");
        // Not by ssh-keyscan, which leaves out what a slow machine is late with.
        let keys = ssh.root("cat /etc/ssh/ssh_host_*_key.pub")?;
        let host_keys: Vec<_> = keys
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1))
            .map(str::to_owned)
            .collect();
        ensure!(!host_keys.is_empty(), "the machine has no host key");
        Ok(Self {
            machine_id,
            host_keys,
        })
    }

    /// Fails where anything is the same.
    pub(super) fn differs_from(&self, other: &Self) -> Result<()> {
        ensure!(
            self.machine_id != other.machine_id,
            "both machines have the id {}",
            self.machine_id
        );
        let same = self
            .host_keys
            .iter()
            .find(|key| other.host_keys.contains(key));
        ensure!(same.is_none(), "both machines have the host key {same:?}");
        Ok(())
    }
}

/// The step.
pub(super) fn check(lab: &Lab) -> Result<()> {
    let disk = copied_disk(lab.first()?, "first-boot")?;
    let mut guest = lab.start(lab.installed_machine(&disk)?, "first-boot")?;
    let entry = guest.up()?;
    let version = System::First.version();
    ensure!(
        entry.contains(NAME) && entry.contains(version),
        "GRUB boots '{entry}'"
    );
    let mut shell = guest.login()?;
    shell.become_root(PASSWORD)?;
    let running = shell.ok("systemctl is-system-running --wait || systemctl --failed")?;
    ensure!(running == "running", "units have failed:\n{running}");

    let ssh = guest.reachable()?;
    immutable(&ssh)?;
    Status::ask(&ssh)?.expect("a", version)?;
    ensure!(ssh.root(&format!("cat {VERSION_FILE}"))? == version);
    ssh.root(&format!("echo kept >{KEPT}; echo gone >{GONE}"))?;
    ssh.run(&format!("echo kept >/home/{USER}/kept"))?;
    let identity = Identity::of(&ssh)?;
    ssh.end("reboot")?;
    guest.ended()?;

    let mut guest = lab.start(lab.installed_machine(&disk)?, "second-boot")?;
    guest.up()?;
    let ssh = guest.reachable()?;
    ensure!(ssh.root(&format!("cat {KEPT} /home/{USER}/kept"))? == "kept\nkept");
    let gone = ssh.try_root(&format!("cat {GONE}"))?;
    ensure!(
        gone.code != 0,
        "{GONE} has survived a reboot: {}",
        gone.text
    );
    ensure!(
        Identity::of(&ssh)? == identity,
        "the machine has another identity after a reboot"
    );
    guest.power_off()
}

/// The root is the SquashFS, and what is kept lies on ext4.
pub(super) fn immutable(ssh: &Ssh) -> Result<()> {
    let Said { code, text } = ssh.try_root("touch /usr/x")?;
    ensure!(
        code != 0 && text.contains("Read-only file system"),
        "touch /usr/x ended with {code}: {text}"
    );
    for (path, wanted) in [
        ("/", "squashfs"),
        ("/var/lib/containerd", "ext4"),
        ("/var/log", "ext4"),
        ("/home", "ext4"),
    ] {
        let kind = ssh.root(&format!("findmnt -n -o FSTYPE -T {path} | tail -n 1"))?;
        ensure!(kind == wanted, "{path} lies on {kind}, not {wanted}");
        println!("{path} lies on {kind}");
    }
    Ok(())
}
