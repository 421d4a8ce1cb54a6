//! What an initrd can do: whether it starts a live medium, which storage it
//! has drivers for, and whether it is ready for FIPS mode.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use isoforge_formats::cpio::{self, Limits};

use super::files;
use super::kernel::Kernel;
use super::{Finding, Severity};
use crate::Error;
use isoforge_base::tree::{ReadFile, Tree};
use isoforge_contract::arch::Arch;

/// The program of dracut's module dmsquash-live that mounts the medium.
const LIVE_ROOT: &str = "dmsquash-live-root";

/// Where dracut lists the modules that it put in; under `usr/` since it merged.
const DRACUT_MODULES: &str = "lib/dracut/modules.txt";

/// Largest list of built-in kernel modules or kernel configuration that is
/// read, in bytes; real ones have 10 KB and 300 KB.
const KERNEL_FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Kernel modules without which the medium's file systems can't be mounted.
const FILE_SYSTEMS: [&str; 4] = ["isofs", "squashfs", "overlay", "loop"];

/// Drivers of storage: kernel module, and what can't be done without it.
const DRIVERS: [(&str, Without); 8] = [
    ("ahci", Without::Disk("SATA")),
    ("nvme", Without::Disk("NVMe")),
    ("sr_mod", Without::Medium("a CD drive")),
    ("uas", Without::Disk("USB 3 (UAS)")),
    ("usb_storage", Without::Medium("a USB stick")),
    ("virtio_blk", Without::Disk("virtio")),
    ("virtio_scsi", Without::Disk("virtio SCSI")),
    ("vmw_pvscsi", Without::Disk("VMware's SCSI")),
];

/// The driver of VMware's network card, which may come with the root file
/// system.
const VMXNET3: &str = "vmxnet3";

/// Drivers of a hypervisor that runs on amd64 alone.
const AMD64_ALONE: [&str; 2] = ["vmw_pvscsi", VMXNET3];

/// What can't be done without a driver.
#[derive(Debug, Clone, Copy)]
enum Without {
    /// Start the ISO from this.
    Medium(&'static str),
    /// Start an installed system from such a disk.
    Disk(&'static str),
}

/// What an initrd's archives hold, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// It has dracut's module dmsquash-live.
    pub dmsquash_live: bool,
    /// dracut's modules, where it lists them.
    pub dracut_modules: BTreeSet<String>,
    /// Kernel modules, with underscores for dashes.
    pub kernel_modules: BTreeSet<String>,
    /// The kernels' releases that it has modules of.
    pub module_releases: BTreeSet<String>,
    /// It has scripts of dracut's or initramfs-tools' FIPS support.
    pub fips: bool,
}

/// Where a driver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// Part of the kernel.
    Builtin,
    /// A module in the initrd.
    Module,
    /// Neither.
    Missing,
}

/// What was found out about an initrd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Storage drivers by the kernel module's name.
    pub drivers: BTreeMap<&'static str, Driver>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The findings with which the ISO can't start.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
    }
}

/// Reads an initrd: any number of cpio archives, the last of which may be
/// compressed (Linux, Documentation/driver-api/early-userspace/buffer-format).
///
/// # Errors
/// With the offset where the format is broken or a limit met.
pub fn read(initrd: impl Read, limits: &Limits) -> Result<Contents, isoforge_formats::Error> {
    let mut contents = Contents::default();
    cpio::walk(initrd, limits, &mut |path, data| {
        let name = path.rsplit('/').next().unwrap_or(path);
        contents.module_releases.extend(module_release(path));
        if name == LIVE_ROOT || name == "dmsquash-live-root.sh" {
            contents.dmsquash_live = true;
        } else if path.ends_with(DRACUT_MODULES) {
            let mut text = String::new();
            data.take(KERNEL_FILE_MAX_BYTES).read_to_string(&mut text)?;
            contents
                .dracut_modules
                .extend(text.split_whitespace().map(str::to_owned));
        } else if let Some(module) = module_name(name) {
            contents.kernel_modules.insert(module);
        } else if name.starts_with("fips") || name.contains("-fips-") {
            contents.fips = true;
        }
        Ok(())
    })?;
    contents.dmsquash_live |= contents.dracut_modules.contains("dmsquash-live");
    contents.fips |= contents.dracut_modules.contains("fips");
    Ok(contents)
}

/// The release of the kernel whose modules a file is among.
fn module_release(path: &str) -> Option<String> {
    let path = path.trim_start_matches('/');
    let path = path.strip_prefix("usr/").unwrap_or(path);
    let (release, file) = path.strip_prefix("lib/modules/")?.split_once('/')?;
    (!release.is_empty() && !file.is_empty()).then(|| release.to_owned())
}

/// The module in a file's name: `usb-storage.ko.xz` is `usb_storage`.
fn module_name(file: &str) -> Option<String> {
    let (name, suffix) = file.split_once(".ko")?;
    matches!(suffix, "" | ".xz" | ".zst" | ".gz").then(|| name.replace('-', "_"))
}

/// Looks into the initrd of `kernel` and tells what the system can do with it.
///
/// # Errors
/// [`Error::Initrd`] where the initrd can't be read; where a file about the kernel
/// can't be.
pub fn inspect(
    tree: &Tree,
    data: &dyn ReadFile,
    kernel: &Kernel,
    arch: Arch,
    fips: bool,
    limits: &Limits,
) -> Result<Report, Error> {
    let path = kernel.initrd.path.clone();
    let contents = data
        .open(&kernel.initrd.data)
        .map_err(|source| isoforge_formats::Error::Io {
            doing: "reading failed".into(),
            source,
        })
        .and_then(|initrd| read(initrd, limits))
        .map_err(|source| Error::Initrd {
            path: path.clone(),
            source,
        })?;
    let builtin = kernel_file(tree, data, kernel, "modules.builtin")?
        .map(|text| builtin_modules(&text))
        .unwrap_or_default();
    let mut report = report(&path, &contents, &builtin, arch);
    let foreign = of_another_kernel(&path, &contents, kernel.release.as_deref());
    report.findings.splice(0..0, foreign);
    let known = |module| builtin.contains(module) || contents.kernel_modules.contains(module);
    if arch == Arch::Amd64
        && !builtin.is_empty()
        && !known(VMXNET3)
        && !has_module(tree, kernel, "kernel/drivers/net/vmxnet3", VMXNET3)
    {
        report.findings.push(Finding::warning(
            format!(
                "neither the kernel nor its modules have '{VMXNET3}': the system has no network \
                 on VMware"
            ),
            REAL_KERNEL,
        ));
    }
    if fips {
        let config = match kernel_file(tree, data, kernel, "config")? {
            Some(config) => Some(config),
            None => boot_config(tree, data, kernel)?,
        };
        report
            .findings
            .extend(fips_findings(&path, &contents, config.as_deref()));
        report.findings.extend(hmac_finding(tree, data, kernel)?);
    }
    Ok(report)
}

/// What to do about missing drivers.
const REAL_KERNEL: &str = "install a kernel for real hardware (on Debian linux-image-amd64, not \
                           the cloud variant), and make the initrd with hostonly=\"no\"";

/// Whether the root file system has a module of the kernel in `dir`.
fn has_module(tree: &Tree, kernel: &Kernel, dir: &str, module: &str) -> bool {
    let Some(modules) = kernel.modules.as_deref() else {
        return false;
    };
    let dir = format!("{}/{dir}", modules.trim_start_matches('/'));
    files::names(tree, &dir).any(|name| module_name(name).as_deref() == Some(module))
}

fn report(path: &str, contents: &Contents, builtin: &BTreeSet<String>, arch: Arch) -> Report {
    let driver = |module: &str| {
        if builtin.contains(module) {
            Driver::Builtin
        } else if contents.kernel_modules.contains(module) {
            Driver::Module
        } else {
            Driver::Missing
        }
    };
    let mut findings = Vec::new();
    if !contents.dmsquash_live {
        findings.push(Finding::error(
            format!(
                "the initrd {path} can't start the ISO: it has no dmsquash-live, the module of \
                 dracut that mounts a live medium"
            ),
            "in the image, install dracut and dracut-live (dracut-squash on older releases), put \
             `add_dracutmodules+=\" dmsquash-live \"` and `hostonly=\"no\"` into \
             /etc/dracut.conf.d/live.conf, and run dracut --regenerate-all --force",
        ));
    }
    // Not known where the kernel's list of built-in modules is missing.
    if !builtin.is_empty() {
        for module in FILE_SYSTEMS {
            if driver(module) == Driver::Missing {
                findings.push(Finding::warning(
                    format!("neither the initrd {path} nor the kernel has '{module}', which the ISO needs"),
                    "add it in the image: add_drivers in dracut.conf(5)",
                ));
            }
        }
        for (module, without) in DRIVERS {
            if driver(module) != Driver::Missing
                || (arch != Arch::Amd64 && AMD64_ALONE.contains(&module))
            {
                continue;
            }
            let lost = match without {
                Without::Medium(medium) => format!("the ISO won't start from {medium}"),
                Without::Disk(kind) => {
                    format!("an installed system won't start from a disk at {kind}")
                }
            };
            findings.push(Finding::warning(
                format!("neither the initrd {path} nor the kernel has '{module}': {lost}"),
                REAL_KERNEL,
            ));
        }
    }
    Report {
        drivers: DRIVERS.map(|(module, _)| (module, driver(module))).into(),
        findings,
    }
}

/// An initrd's modules load into the kernel that they were built with alone; one
/// without any may go with a kernel that has all of it built in.
fn of_another_kernel(path: &str, contents: &Contents, release: Option<&str>) -> Option<Finding> {
    let release = release?;
    let there = &contents.module_releases;
    if there.is_empty() || there.contains(release) {
        return None;
    }
    let there: Vec<&str> = there.iter().map(String::as_str).collect();
    Some(Finding::error(
        format!(
            "the initrd {path} has modules of the kernel {} and none of {release}, which is booted",
            there.join(", ")
        ),
        format!("make one for it in the image: dracut --force --kver {release}"),
    ))
}

fn fips_findings(path: &str, contents: &Contents, config: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let hint = "install the distribution's FIPS kernel and run dracut --add fips in the image, or \
                write `fips = false`";
    if !contents.fips {
        findings.push(Finding::error(
            format!("fips = true, but the initrd {path} lacks dracut's module fips"),
            hint,
        ));
    }
    match config {
        Some(config) if config.lines().any(|line| line == "CONFIG_CRYPTO_FIPS=y") => {}
        Some(_) => findings.push(Finding::error(
            "fips = true, but the kernel was built without CONFIG_CRYPTO_FIPS",
            hint,
        )),
        None => findings.push(Finding::warning(
            "fips = true, and the kernel's configuration is not in the image: whether it was \
             built with CONFIG_CRYPTO_FIPS is not known",
            hint,
        )),
    }
    findings
}

/// What dracut's module fips checks the kernel against before it goes on: a file
/// `.NAME.hmac` beside it, or `.vmlinuz.hmac` beside its modules, with an HMAC of
/// SHA-256 or SHA-512 in hex as the first word (`sha512hmac(1)`). Its key is the
/// tool's own, so whether it fits the kernel only that tool can tell.
fn hmac_finding(
    tree: &Tree,
    data: &dyn ReadFile,
    kernel: &Kernel,
) -> Result<Option<Finding>, Error> {
    let hint = "install the distribution's FIPS kernel, which brings the file, or make it in the \
                image with sha512hmac";
    let path = kernel.kernel.path.trim_start_matches('/');
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let beside = format!("{folder}/.{name}.hmac");
    let text = match text_at(tree, data, beside.trim_start_matches('/'))? {
        Some(text) => Some(text),
        None => kernel_file(tree, data, kernel, ".vmlinuz.hmac")?,
    };
    let Some(text) = text else {
        return Ok(Some(Finding::error(
            format!(
                "fips = true, but the kernel /{path} has no .hmac file beside it: the initrd's \
                 module fips stops the boot"
            ),
            hint,
        )));
    };
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    let is_hmac = matches!(word.len(), 64 | 128) && word.bytes().all(|b| b.is_ascii_hexdigit());
    Ok((!is_hmac).then(|| {
        Finding::error(
            format!(
                "fips = true, but the .hmac file of the kernel /{path} holds no HMAC of SHA-256 \
                 or SHA-512"
            ),
            hint,
        )
    }))
}

/// Text of the file at `path`; none where it is not there.
fn text_at(tree: &Tree, data: &dyn ReadFile, path: &str) -> Result<Option<String>, Error> {
    files::text_at(tree, data, path, KERNEL_FILE_MAX_BYTES)
}

/// Text of a file beside the kernel's modules.
fn kernel_file(
    tree: &Tree,
    data: &dyn ReadFile,
    kernel: &Kernel,
    name: &str,
) -> Result<Option<String>, Error> {
    match kernel.modules.as_deref() {
        None => Ok(None),
        Some(modules) => text_at(
            tree,
            data,
            &format!("{}/{name}", modules.trim_start_matches('/')),
        ),
    }
}

fn boot_config(tree: &Tree, data: &dyn ReadFile, kernel: &Kernel) -> Result<Option<String>, Error> {
    match kernel.release.as_deref() {
        None => Ok(None),
        Some(release) => text_at(tree, data, &format!("boot/config-{release}")),
    }
}

fn builtin_modules(list: &str) -> BTreeSet<String> {
    list.lines()
        .filter_map(|line| module_name(line.rsplit('/').next()?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::kernel;
    use insta::assert_snapshot;
    use isoforge_base::error::{Class, Diagnose as _};
    use isoforge_base::tree::{Inode, Meta};
    use isoforge_judges::trees::{InMemory, file, tree};

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = cpio::Writer::default();
        for (name, data) in files {
            writer.entry(name, 0o100_644, data.as_bytes());
        }
        writer.finish()
    }

    const LIVE: [(&str, &str); 13] = [
        ("usr/sbin/dmsquash-live-root", "#!/bin/sh"),
        (
            "usr/lib/modules/6/kernel/drivers/usb/storage/usb-storage.ko.xz",
            "",
        ),
        ("usr/lib/modules/6/kernel/fs/isofs/isofs.ko.zst", ""),
        ("usr/lib/modules/6/kernel/fs/overlayfs/overlay.ko", ""),
        ("usr/lib/modules/6/kernel/fs/squashfs/squashfs.ko.xz", ""),
        ("usr/lib/modules/6/kernel/drivers/scsi/sr_mod.ko.xz", ""),
        ("usr/lib/modules/6/kernel/drivers/ata/ahci.ko.xz", ""),
        ("usr/lib/modules/6/kernel/drivers/nvme/host/nvme.ko.xz", ""),
        ("usr/lib/modules/6/kernel/drivers/usb/storage/uas.ko.xz", ""),
        (
            "usr/lib/modules/6/kernel/drivers/block/virtio_blk.ko.xz",
            "",
        ),
        (
            "usr/lib/modules/6/kernel/drivers/scsi/virtio_scsi.ko.xz",
            "",
        ),
        ("usr/lib/modules/6/kernel/drivers/scsi/vmw_pvscsi.ko.xz", ""),
        (
            "usr/lib/modules/6/kernel/drivers/net/vmxnet3/vmxnet3.ko.xz",
            "",
        ),
    ];

    fn inspected(initrd: &[u8], extra: &str, fips: bool) -> String {
        let mut tree = tree(&format!(
            "boot/vmlinuz-6
             usr/lib/modules/6/modules.builtin = kernel/drivers/block/loop.ko
             {extra}"
        ));
        let inode = Inode {
            meta: Meta::with_mode(0o600),
            kind: file(initrd),
        };
        tree.insert(b"boot/initrd.img-6", inode).unwrap();
        let kernel = kernel::find(&tree, Arch::Amd64).unwrap();
        let report = inspect(
            &tree,
            &InMemory,
            &kernel,
            Arch::Amd64,
            fips,
            &Limits::default(),
        )
        .unwrap();
        let mut lines: Vec<_> = report
            .findings
            .iter()
            .map(|f| format!("{:?}: {}", f.severity, f.message))
            .collect();
        lines.push(format!("{:?}", report.drivers));
        lines.join("\n")
    }

    #[test]
    fn a_live_initrd_passes() {
        assert_snapshot!(inspected(&archive(&LIVE), "", false), @r#"{"ahci": Module, "nvme": Module, "sr_mod": Module, "uas": Module, "usb_storage": Module, "virtio_blk": Module, "virtio_scsi": Module, "vmw_pvscsi": Module}"#);
    }

    #[test]
    fn without_dmsquash_live_it_is_an_error() {
        assert_snapshot!(inspected(&archive(&LIVE[2..5]), "", false), @r#"
        Error: the initrd /boot/initrd.img-6 can't start the ISO: it has no dmsquash-live, the module of dracut that mounts a live medium
        Warning: neither the initrd /boot/initrd.img-6 nor the kernel has 'ahci': an installed system won't start from a disk at SATA
        Warning: neither the initrd /boot/initrd.img-6 nor the kernel has 'nvme': an installed system won't start from a disk at NVMe
        Warning: neither the initrd /boot/initrd.img-6 nor the kernel has 'sr_mod': the ISO won't start from a CD drive
        Warning: neither the initrd /boot/initrd.img-6 nor the kernel has 'uas': an installed system won't start from a disk at USB 3 (UAS)
        Warning: neither the initrd /boot/initrd.img-6 nor the kernel has 'usb_storage': the ISO won't start from a USB stick
        Warning: neither the initrd /boot/initrd.img-6 nor the kernel has 'virtio_blk': an installed system won't start from a disk at virtio
        Warning: neither the initrd /boot/initrd.img-6 nor the kernel has 'virtio_scsi': an installed system won't start from a disk at virtio SCSI
        Warning: neither the initrd /boot/initrd.img-6 nor the kernel has 'vmw_pvscsi': an installed system won't start from a disk at VMware's SCSI
        Warning: neither the kernel nor its modules have 'vmxnet3': the system has no network on VMware
        {"ahci": Missing, "nvme": Missing, "sr_mod": Missing, "uas": Missing, "usb_storage": Missing, "virtio_blk": Missing, "virtio_scsi": Missing, "vmw_pvscsi": Missing}
        "#);
    }

    #[test]
    fn the_network_card_of_vmware_may_be_in_the_root_file_system() {
        let without = &LIVE[..12];
        let lines = |extra: &str| {
            let text = inspected(&archive(without), extra, false);
            let warnings = text.lines().filter(|line| line.starts_with("Warning"));
            warnings.collect::<Vec<_>>().join("\n")
        };
        assert_snapshot!(lines(""), @"Warning: neither the kernel nor its modules have 'vmxnet3': the system has no network on VMware");
        let module = "usr/lib/modules/6/kernel/drivers/net/vmxnet3/vmxnet3.ko.zst";
        assert_eq!(lines(module), "");
    }

    #[test]
    fn modules_of_another_kernel_alone_are_an_error() {
        let first = |name: &str| {
            let mut files = LIVE[..1].to_vec();
            files.push((name, ""));
            let text = inspected(&archive(&files), "", false);
            text.lines().next().unwrap().to_owned()
        };
        assert_snapshot!(first("usr/lib/modules/5.9-rt/modules.dep"), @"Error: the initrd /boot/initrd.img-6 has modules of the kernel 5.9-rt and none of 6, which is booted");
        assert_snapshot!(first("lib/modules/5.9-rt/kernel/fs/fat/fat.ko.zst"), @"Error: the initrd /boot/initrd.img-6 has modules of the kernel 5.9-rt and none of 6, which is booted");
        for fine in ["lib/modules/6/modules.dep", "lib/modules/5.9-rt", "etc/x"] {
            assert!(!first(fine).contains("which is booted"), "{fine}");
        }
    }

    #[test]
    fn a_file_about_the_kernel_that_cannot_be_read_is_not_one_that_is_missing() {
        let mut tree = tree("boot/vmlinuz-6");
        let initrd = Inode {
            meta: Meta::with_mode(0o600),
            kind: file(&archive(&LIVE)),
        };
        tree.insert(b"boot/initrd.img-6", initrd).unwrap();
        let lost = Inode {
            meta: Meta::with_mode(0o644),
            kind: isoforge_judges::trees::unreadable(),
        };
        tree.insert(b"usr/lib/modules/6/modules.builtin", lost)
            .unwrap();
        let kernel = kernel::find(&tree, Arch::Amd64).unwrap();
        let limits = Limits::default();
        let error = inspect(&tree, &InMemory, &kernel, Arch::Amd64, false, &limits).unwrap_err();
        assert_eq!(error.class(), Class::Io);
        assert_snapshot!(error, @"reading '/usr/lib/modules/6/modules.builtin' from the image");
    }

    #[test]
    fn dracuts_own_list_counts_too() {
        let list = archive(&[("usr/lib/dracut/modules.txt", "base\ndmsquash-live\nfips\n")]);
        let contents = read(list.as_slice(), &Limits::default()).unwrap();
        assert!(contents.dmsquash_live && contents.fips);
    }

    #[test]
    fn fips_needs_initrd_and_kernel() {
        let text = inspected(
            &archive(&LIVE),
            "boot/config-6 = # CONFIG_CRYPTO_FIPS is not set",
            true,
        );
        assert_snapshot!(text.lines().take(3).collect::<Vec<_>>().join("\n"), @r"
        Error: fips = true, but the initrd /boot/initrd.img-6 lacks dracut's module fips
        Error: fips = true, but the kernel was built without CONFIG_CRYPTO_FIPS
        Error: fips = true, but the kernel /boot/vmlinuz-6 has no .hmac file beside it: the initrd's module fips stops the boot
        ");
        let mut ready = LIVE.to_vec();
        ready.push(("var/lib/dracut/hooks/pre-pivot/01-fips-noboot.sh", ""));
        let with = |hmac: &str| {
            let extra = format!("boot/config-6 = CONFIG_CRYPTO_FIPS=y\n{hmac}");
            inspected(&archive(&ready), &extra, true)
        };
        for hmac in [
            format!(
                "boot/.vmlinuz-6.hmac = {}  /boot/vmlinuz-6",
                "0a".repeat(64)
            ),
            format!("usr/lib/modules/6/.vmlinuz.hmac = {}", "0a".repeat(32)),
        ] {
            assert_eq!(with(&hmac).lines().count(), 1, "{}", with(&hmac));
        }
        let text = with("boot/.vmlinuz-6.hmac = nonsense");
        assert_snapshot!(text.lines().next().unwrap(), @"Error: fips = true, but the .hmac file of the kernel /boot/vmlinuz-6 holds no HMAC of SHA-256 or SHA-512");
    }

    #[test]
    fn a_damaged_initrd_is_an_error_that_names_it() {
        let tree = tree("boot/vmlinuz-6\nboot/initrd.img-6 = nonsense");
        let kernel = kernel::find(&tree, Arch::Amd64).unwrap();
        let error = inspect(
            &tree,
            &InMemory,
            &kernel,
            Arch::Amd64,
            false,
            &Limits::default(),
        )
        .unwrap_err();
        assert_eq!(error.class(), Class::Profile);
        assert_snapshot!(error, @"the initrd /boot/initrd.img-6 can't be read");
        let source = std::error::Error::source(&error).unwrap();
        assert_snapshot!(source, @"neither a cpio archive nor a known compression at offset 0 (bytes 6e 6f 6e 73 65 6e)");
    }
}
