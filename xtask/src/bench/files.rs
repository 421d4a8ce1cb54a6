//! What makes files: SquashFS, ISO, the whole build.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::measure::{ROUNDS, Used, median, medians, self_measured, timed};
use crate::qemu::scratch;
use crate::sh;

/// The inputs, and where results go.
pub(super) struct Bench {
    folder: PathBuf,
    /// The root file system as a tar archive.
    tar: PathBuf,
    threads: String,
}

impl Bench {
    /// Takes the root file system and the boot files out of the demo's ISO.
    pub(super) fn prepare(iso: &Path) -> Result<Self> {
        let folder = std::path::absolute(scratch("bench")?)?;
        sh::empty_folder(&folder)?;
        std::fs::create_dir(folder.join("boot"))?;
        let this = Self {
            tar: folder.join("root.tar"),
            threads: std::thread::available_parallelism()?.to_string(),
            folder,
        };
        for (from, to) in [
            ("/rootfs.squashfs", "root.squashfs"),
            ("/boot/kernel", "boot/kernel"),
            ("/boot/initrd", "boot/initrd"),
            ("/EFI/BOOT/bootx64.efi", "boot/shim.efi"),
            ("/EFI/BOOT/grubx64.efi", "boot/grub.efi"),
            ("/boot/eltorito.img", "boot/core.img"),
        ] {
            let mut extract = sh::command(["xorriso", "-osirrox", "on", "-indev"]);
            extract.arg(iso).args(["-extract", from]);
            sh::output(extract.arg(this.folder.join(to)))?;
        }
        // The first 512 bytes of the ISO are the MBR's boot code.
        let mut mbr = vec![0; 512];
        File::open(iso)?.read_exact(&mut mbr)?;
        std::fs::write(this.folder.join("boot/boot_hybrid.img"), mbr)?;
        this.make_tar()?;
        sh::run(&mut sh::line("cargo bench --bench formats --no-run"))?;
        Ok(this)
    }

    /// The SquashFS as tar, with all that both sides have to keep.
    fn make_tar(&self) -> Result<()> {
        let root = self.folder.join("root");
        let mut unpack = sh::command(["unsquashfs", "-no-progress", "-quiet", "-dest"]);
        sh::output(unpack.arg(&root).arg(self.folder.join("root.squashfs")))?;
        let mut pack = sh::line("tar --create --format=posix --sort=name --xattrs --file");
        pack.arg(&self.tar).arg("--directory").arg(&root);
        sh::output(pack.arg("."))?;
        std::fs::remove_dir_all(root)?;
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn squashfs(&self) -> Result<(Used, Used)> {
        let out = self.path("ours.squashfs");
        let other = self.path("theirs.squashfs");
        medians(
            || {
                let mut command = formats("squashfs");
                self_measured(command.arg(&self.tar).arg(&out).arg(&self.threads))
            },
            || self.mksquashfs(&other),
        )
    }

    fn mksquashfs(&self, out: &Path) -> Result<Used> {
        let mut command = sh::command(["mksquashfs", "-"]);
        command.arg(out).args(["-tar", "-comp", "zstd"]);
        command.args(["-Xcompression-level", "9", "-b", "256K"]);
        command.args(["-noappend", "-no-progress", "-quiet"]);
        command.stdin(File::open(&self.tar)?);
        timed(&command, Some(File::open(&self.tar)?), out)
    }

    pub(super) fn iso(&self) -> Result<(Used, Used)> {
        let root = self.path("theirs.squashfs");
        let ours = self.path("ours.iso");
        let theirs = self.path("theirs.iso");
        medians(
            || {
                let mut command = formats("iso");
                self_measured(command.arg(&root).arg(self.path("boot")).arg(&ours))
            },
            || self.xorriso(&root, &theirs),
        )
    }

    /// An ISO of the same files that boots under BIOS and UEFI, and its digest.
    fn xorriso(&self, root: &Path, out: &Path) -> Result<Used> {
        let boot = self.path("boot");
        let esp = self.path("esp.img");
        if !esp.exists() {
            sh::output(sh::command(["mkfs.fat", "-C"]).arg(&esp).arg("8192"))?;
        }
        if out.exists() {
            std::fs::remove_file(out)?;
        }
        let mut command = sh::line(
            "xorriso -as mkisofs -quiet -iso-level 3 -V COS_LIVE -R -J -graft-points \
             -b boot/eltorito.img -no-emul-boot -boot-load-size 4 -boot-info-table \
             --grub2-boot-info --grub2-mbr",
        );
        command.arg(boot.join("boot_hybrid.img"));
        command.args(["-append_partition", "2", "0xef"]).arg(&esp);
        let uefi = "-eltorito-alt-boot -e --interval:appended_partition_2:all:: -no-emul-boot \
                    -appended_part_as_gpt -o";
        command.args(uefi.split_whitespace()).arg(out);
        for (name, path) in [
            ("rootfs.squashfs", root.to_owned()),
            ("boot/kernel", boot.join("kernel")),
            ("boot/initrd", boot.join("initrd")),
            ("boot/eltorito.img", boot.join("core.img")),
        ] {
            command.arg(format!("{name}={}", path.display()));
        }
        let written = timed(&command, None, out)?;
        let hashed = timed(sh::command(["sha256sum"]).arg(out), None, out)?;
        Ok(Used {
            seconds: written.seconds + hashed.seconds,
            ..written
        })
    }

    /// Everything from the archive to an ISO, from an empty store.
    pub(super) fn whole(&self) -> Result<(Used, Used)> {
        let profile = self.path("profile.toml");
        std::fs::write(&profile, PROFILE)?;
        std::fs::create_dir_all(self.path("kubernetes/usr/lib/kubernetes"))?;
        std::fs::write(self.path("kubernetes/usr/lib/kubernetes/version"), "1\n")?;
        medians(
            || {
                let store = self.path("store");
                if store.exists() {
                    std::fs::remove_dir_all(&store)?;
                }
                self.build(&profile, None)
            },
            || {
                let root = self.path("whole.squashfs");
                let first = self.mksquashfs(&root)?;
                let second = self.xorriso(&root, &self.path("whole.iso"))?;
                Ok(Used {
                    seconds: first.seconds + second.seconds,
                    bytes: second.bytes,
                    peak_mib: first.peak_mib.max(second.peak_mib),
                })
            },
        )
    }

    /// The same again after a change of the cloud-config.
    pub(super) fn rebuild(&self) -> Result<Used> {
        let mut runs = Vec::new();
        for round in 0..ROUNDS {
            let change = format!("vars.hostname=changed-{round}");
            runs.push(self.build(&self.path("profile.toml"), Some(&change))?);
        }
        median(runs)
    }

    fn build(&self, profile: &Path, set: Option<&str>) -> Result<Used> {
        let mut command = Command::new(std::path::absolute(sh::isoforge())?);
        command.arg("build").arg(profile);
        command.args(["--only", "iso", "--quiet", "--cache-dir"]);
        command
            .arg(self.path("store"))
            .arg("--output")
            .arg(self.path("dist"));
        if let Some(set) = set {
            command.args(["--set", set]);
        }
        timed(&command, None, &self.path("dist/bench-1/bench-1.iso"))
    }
}

/// A profile over the archive beside it.
const PROFILE: &str = r#"schema = 1

[appliance]
name = "bench"
version = "1"
arch = ["amd64"]

[os]
flavor = "appliance"
distribution = "debian"
version = "13"
rootfs = "root.tar"

[kubernetes]
distribution = "none"
version = "1.0.0"

[[kubernetes.layers]]
folder = "kubernetes"

[provider]
repository = "registry.example/bench"
"#;

/// The program in `benches/formats.rs`, doing `what`.
fn formats(what: &str) -> Command {
    sh::line(&format!("cargo bench --quiet --bench formats -- {what}"))
}
