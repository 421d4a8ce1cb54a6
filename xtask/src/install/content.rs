//! Content: a machine without a way out serves what its ISO carried, takes more
//! from a bundle, and is upgraded by one.
//!
//! The registry is distribution (Debian's docker-registry), or Zot where
//! `ISOFORGE_TEST_ZOT` names its program: that is in no package registry.

pub(super) mod by_kairos;
mod cri;
mod images;
pub(super) mod kairos;
mod project;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::media::file_disk;
use super::shell::Ssh;
use super::status::Status;
use super::{Guest, Lab, new_disk, unattended};
use crate::qemu::{Bus, Disk, Firmware, Machine, Network, scratch};
use crate::sh;
use images::PROGRAM;
use project::{CALICO, CNI, Edition, FURTHER, LARGE, NODE, PACK, PACK_TAG, Project};

/// Size of the disk: the content comes on top of the systems.
const DISK_BYTES: u64 = 10 << 30;

/// The port that the registry listens on, in the machine.
const PORT: u16 = 30003;

/// How long the registry may take until it serves everything.
const SERVING: Duration = Duration::from_secs(600);

/// How long a live system may take until it asks for commands.
const BOOT: Duration = Duration::from_secs(900);

/// How long the machine may take until GRUB's menu shows again.
const REBOOT: Duration = Duration::from_secs(300);

/// How much of the large image is there when the machine is reset.
const CUT_MIB: u64 = 100;

/// Where bundles lie in the machine.
const MOUNT: &str = "mkdir -p /run/bundle && mount -o ro LABEL=UPGRADE /run/bundle";

/// The step.
pub(super) fn check(lab: &Lab) -> Result<()> {
    let project = Project::prepare(lab)?;
    let iso = project.iso(Edition::First)?;
    let disk = new_disk("content", DISK_BYTES)?;
    let install = lab.installer(&iso, Disk::new(&disk, Bus::Virtio));
    unattended::run(lab, install, "content")?;

    let further = project.bundle(&[FURTHER, LARGE])?;
    let upgrade = project.upgrade_bundle()?;
    let media = file_disk(&[&further, &upgrade], "content-bundles")?;
    let network = Network::ssh("virtio-net-pci")?.and_port(PORT)?;
    let port = network.further_port()?;
    let machine: Machine = lab
        .machine(Firmware::Bios)
        .disk(Disk::new(&disk, Bus::Virtio))
        .disk(Disk::new(&media, Bus::Virtio).readonly())
        .network(network)
        .reboots();
    let mut guest = lab.start(machine, "content")?;
    guest.up()?;
    let ssh = guest.reachable()?;
    let served = Served::new(&ssh, port, "content")?;
    served.wait(&ssh, CALICO)?;
    for image in CALICO {
        served.gives(image, &project.locked(image)?)?;
    }
    runs_a_container(&ssh)?;

    println!("{}", ssh.root(MOUNT)?);
    ensure!(
        served.digest(FURTHER).is_err(),
        "{FURTHER} is there already"
    );
    let import = format!("appliance content import /run/bundle/{}", name(&further)?);
    cut_off(&mut guest, &ssh, &import)?;
    let ssh = guest.reachable()?;
    println!("{}", ssh.root(MOUNT)?);
    println!("{}", ssh.root(&import)?);
    for image in [FURTHER, LARGE] {
        served.gives(image, &project.digest(image)?)?;
    }
    println!(
        "{}",
        ssh.root("appliance content list && appliance content verify")?
    );

    served.takes(&ssh, &project)?;
    lists_the_pack(&ssh)?;
    let ssh = upgraded(&project, &mut guest, &ssh, &served, &upgrade)?;
    lists_the_pack(&ssh)?;
    guest.power_off()
}

/// What somebody pushed is listed, and an upgrade leaves it alone.
fn lists_the_pack(ssh: &Ssh) -> Result<()> {
    let list = ssh.root("appliance content list")?;
    let pack = format!("packs/{PACK}:{PACK_TAG}");
    ensure!(list.contains(&pack), "{pack} is not listed:\n{list}");
    Ok(())
}

/// Resets the machine in the middle of an import.
fn cut_off(guest: &mut Guest, ssh: &Ssh, import: &str) -> Result<()> {
    let mib = || -> Result<u64> {
        let said = ssh.root("du --summarize --block-size=1M /var/lib/registry/storage")?;
        let size = said.split_whitespace().next().context("du said nothing")?;
        Ok(size.parse()?)
    };
    let before = mib()?;
    ssh.root(&format!("systemd-run --quiet --no-block {import}"))?;
    let deadline = Instant::now() + SERVING;
    let mut there = before;
    while there < before + CUT_MIB {
        ensure!(Instant::now() < deadline, "the import does not get far");
        there = mib()?;
    }
    println!("reset with {} MiB of the import there", there - before);
    guest.monitor()?.reset()?;
    guest.next_entry(REBOOT)?;
    Ok(())
}

/// Imports and upgrades from one bundle, boots the new system, and asks it for the
/// new content and the old.
fn upgraded(
    project: &Project,
    guest: &mut Guest,
    ssh: &Ssh,
    served: &Served,
    bundle: &Path,
) -> Result<Ssh> {
    let upgrade = format!("appliance upgrade --bundle /run/bundle/{}", name(bundle)?);
    println!("{}", ssh.root(&upgrade)?);
    ssh.end("reboot")?;
    let version = Edition::Second.version();
    let entry = guest.next_entry(REBOOT)?;
    ensure!(entry.contains(version), "GRUB boots '{entry}'");
    let ssh = guest.reachable()?;
    Status::wait_for_confirmation(&ssh)?.expect("b", version)?;
    served.wait(&ssh, CALICO)?;
    for image in [CALICO, &[FURTHER, NODE]].concat() {
        served.gives(image, &project.digest(image)?)?;
    }
    Ok(ssh)
}

/// The container runtime pulls by the name that manifests have, and a container of
/// the image runs.
fn runs_a_container(ssh: &Ssh) -> Result<()> {
    let said = ssh.root(&run_a_container("overlayfs"))?;
    ensure!(said.contains("appliance "), "the container said: {said}");
    println!("containerd pulled {NODE} and ran it: {}", last_line(&said));
    // By containerd's own configuration too, which the command above does not read.
    cri::pull(ssh, CNI)?;
    let list = format!("ctr --namespace k8s.io images list --quiet name=={CNI}");
    ensure!(ssh.root(&list)? == CNI, "containerd does not list {CNI}");
    Ok(())
}

fn run_a_container(snapshotter: &str) -> String {
    format!(
        "systemctl is-active containerd && \
         ctr --namespace k8s.io images pull --snapshotter {snapshotter} \
         --hosts-dir /etc/containerd/certs.d {NODE} && \
         ctr --namespace k8s.io run --rm --snapshotter {snapshotter} {NODE} e2e-node \
         {PROGRAM} --version"
    )
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

fn name(path: &Path) -> Result<String> {
    let name = path.file_name().context("a file")?;
    Ok(name.to_string_lossy().into_owned())
}

/// The registry of a machine, from outside.
struct Served {
    port: u16,
    /// A folder with the machine's authority, as skopeo wants it.
    authority: std::path::PathBuf,
    folder: std::path::PathBuf,
}

impl Served {
    fn new(ssh: &Ssh, port: u16, name: &str) -> Result<Self> {
        let authority = scratch(&format!("{name}.authority"))?;
        std::fs::create_dir_all(&authority)?;
        let this = Self {
            port,
            authority,
            folder: scratch(&format!("{name}.pulled"))?,
        };
        let deadline = Instant::now() + SERVING;
        loop {
            let said = ssh.try_root("cat /var/lib/registry/tls/ca.crt")?;
            if said.code == 0 {
                std::fs::write(this.authority.join("ca.crt"), said.text)?;
                return Ok(this);
            }
            ensure!(Instant::now() < deadline, "no authority: {}", said.text);
            std::thread::sleep(Duration::from_secs(5));
        }
    }

    /// The reference of an image in the machine's registry.
    fn reference(&self, image: &str) -> String {
        format!("docker://localhost:{}/{image}", self.port)
    }

    fn skopeo(&self, verb: &str) -> std::process::Command {
        let mut skopeo = sh::command(["skopeo", verb]);
        let option = match verb {
            "copy" => "--src-cert-dir",
            _ => "--cert-dir",
        };
        skopeo.arg(option).arg(&self.authority);
        skopeo
    }

    /// The digest by which the registry has an image.
    fn digest(&self, image: &str) -> Result<String> {
        let mut inspect = self.skopeo("inspect");
        inspect.args(["--no-tags", "--format", "{{.Digest}}"]);
        let digest = sh::output(inspect.arg(self.reference(image)))?;
        Ok(digest.trim().to_owned())
    }

    /// Waits until all images are served.
    fn wait(&self, ssh: &Ssh, images: &[&str]) -> Result<()> {
        let deadline = Instant::now() + SERVING;
        let start = Instant::now();
        for image in images {
            while let Err(error) = self.digest(image) {
                if Instant::now() > deadline {
                    let state = "systemctl --no-pager status 'appliance-registry*'; \
                                 journalctl --no-pager --boot --unit 'appliance-registry*'";
                    println!("{}", ssh.try_root(state)?.text);
                    return Err(error.context(format!("{image} is not served")));
                }
                std::thread::sleep(Duration::from_secs(5));
            }
        }
        println!("all is served after {} s", start.elapsed().as_secs());
        Ok(())
    }

    /// Takes a pack that skopeo pushes with the machine's password.
    fn takes(&self, ssh: &Ssh, project: &Project) -> Result<()> {
        let password = ssh.root("cat /var/lib/registry/credentials/password")?;
        let (port, forward) = ssh.forward_port(project.push_port)?;
        let mut copy = sh::command(["skopeo", "copy", "--quiet", "--src-tls-verify=false"]);
        copy.arg("--dest-cert-dir").arg(&self.authority);
        copy.arg(format!("--dest-creds=pusher:{password}"));
        copy.arg(format!("docker://{}", project.pack()?));
        copy.arg(format!("docker://localhost:{port}/packs/{PACK}:{PACK_TAG}"));
        sh::output(&mut copy)?;
        drop(forward);
        println!("the pack {PACK} was pushed");
        Ok(())
    }

    /// Brings an image back, all of it, and compares its digest.
    fn gives(&self, image: &str, wanted: &str) -> Result<()> {
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder)?;
        }
        let digest_file = scratch("pulled.digest")?;
        let mut copy = self.skopeo("copy");
        copy.args(["--quiet", "--all", "--preserve-digests", "--digestfile"]);
        copy.arg(&digest_file).arg(self.reference(image));
        sh::output(copy.arg(format!("dir:{}", self.folder.display())))?;
        let digest = std::fs::read_to_string(&digest_file)?;
        ensure!(
            digest.trim() == wanted,
            "the machine serves {image} as {digest}, not {wanted}"
        );
        println!("{image}: {wanted}, as it was");
        Ok(())
    }
}
