//! The disks of this machine, as the kernel's own files tell of them.
//!
//! Nothing here writes: a disk's content is looked at through descriptors that
//! are opened for reading, and no file system of it is mounted, since mounting
//! ext4 read-only still replays its journal.

pub(crate) mod content;
pub(crate) mod holders;
pub(crate) mod table;
pub(crate) mod transport;
pub(crate) mod unfinished;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use isoforge_contract::machine::Firmware;

use crate::paths;

/// Bytes of a sector in which sysfs counts, whatever the disk's own have.
pub(crate) const SYSFS_SECTOR_BYTES: u64 = 512;

/// Longest attribute that is read.
const ATTRIBUTE_MAX_BYTES: u64 = 4096;

/// Devices that are no disks to install on, by the beginning of their names:
/// loop devices, memory, CD drives, floppies, flash without a translation
/// layer, network block devices and arrays of other devices.
const NO_DISKS: [&str; 10] = [
    "loop", "ram", "zram", "sr", "fd", "dm-", "md", "mtdblock", "nbd", "zd",
];

/// A disk of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Its device, such as `/dev/sda`.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Bytes of a logical sector: 512 or 4,096.
    pub sector_bytes: u32,
    /// Empty where the disk does not tell.
    pub model: String,
    /// Empty where the disk does not tell.
    pub serial: String,
    /// `nvme`, `sata`, `virtio`, `usb`, …; empty where unknown.
    pub transport: String,
    /// What is on it, in words: `empty`, `GPT: ESP, STATE …`, `ext4`.
    pub content: String,
    /// Whether an installed appliance is on it, and which.
    pub appliance: Option<String>,
    /// Why it can't be taken; none: it can.
    pub unusable: Option<String>,
}

/// Where the kernel tells of the machine; other roots are for tests.
#[derive(Debug, Clone)]
pub(crate) struct Sysfs {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// `/usr/lib/modules`.
    pub modules: PathBuf,
    /// Where the install medium is mounted.
    pub medium: PathBuf,
    /// Where the installer mounts file systems.
    pub work: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self {
            sys: "/sys".into(),
            dev: "/dev".into(),
            proc: "/proc".into(),
            modules: "/usr/lib/modules".into(),
            medium: paths::MEDIUM.into(),
            work: paths::INSTALL_WORK.into(),
        }
    }
}

impl Sysfs {
    /// How this machine was started.
    pub(crate) fn firmware(&self) -> Firmware {
        if self.sys.join("firmware/efi").is_dir() {
            Firmware::Uefi
        } else {
            Firmware::Bios
        }
    }

    /// The folder of a disk.
    pub(crate) fn block(&self, name: &str) -> PathBuf {
        self.sys.join("block").join(name)
    }

    /// The name by which the kernel knows the disk at `path`, which may be a
    /// link such as those below `/dev/disk/by-id`.
    pub(crate) fn name_of(&self, path: &Path) -> Result<String> {
        let shown = path.display();
        if let Some(disk) = self.disk_of_partition(path) {
            let disk = disk.display();
            bail!("'{shown}' is a partition of {disk}; a whole disk is needed");
        }
        let name = self.device_name(path);
        name.filter(|name| self.block(name).is_dir())
            .with_context(|| format!("'{shown}' is no disk of this machine"))
    }

    /// The disk that the device at `path` is a partition of.
    pub(crate) fn disk_of_partition(&self, path: &Path) -> Option<PathBuf> {
        let partition = self.device_name(path)?;
        let mut disks = self.names().ok()?.into_iter();
        let disk = disks.find(|disk| self.block(disk).join(&partition).is_dir())?;
        Some(self.dev.join(disk))
    }

    /// The name by which the kernel knows a device, which may be a link.
    fn device_name(&self, path: &Path) -> Option<String> {
        let (real, dev) = (
            fs::canonicalize(path).ok()?,
            fs::canonicalize(&self.dev).ok()?,
        );
        Some(real.strip_prefix(dev).ok()?.to_str()?.replace('/', "!"))
    }

    /// Names of all block devices that are not partitions, sorted.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.sys.join("block"))? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort_by_cached_key(|name| natural(name));
        Ok(names)
    }
}

/// The disks, in the order of their names; those that can't be taken say why.
///
/// # Errors
/// Where the kernel's files can't be read.
pub(crate) fn list(sys: &Sysfs) -> Result<Vec<Disk>> {
    let names = sys.names().context("the machine's disks can't be listed")?;
    let medium = holders::of_medium(sys);
    Ok(names
        .iter()
        .filter(|name| is_disk(sys, name))
        .map(|name| describe(sys, name, &medium))
        .collect())
}

/// The one disk at `path`, of whatever kind.
pub(crate) fn find(sys: &Sysfs, path: &Path) -> Result<Disk> {
    let name = sys.name_of(path)?;
    Ok(describe(sys, &name, &holders::of_medium(sys)))
}

/// What a person should know about the boot order before an installation; none
/// where the installed system is started by itself.
pub(crate) fn boot_order_warning(firmware: Firmware) -> Option<&'static str> {
    match firmware {
        Firmware::Uefi => None,
        Firmware::Bios => Some(
            "This machine was started by legacy BIOS, whose boot order the installer can't \
             change. When the installation is done, remove the install medium, or put the \
             chosen disk before it in the BIOS setup: else the machine starts the installer \
             again.",
        ),
    }
}

fn is_disk(sys: &Sysfs, name: &str) -> bool {
    let named_so = |prefix: &&str| {
        name.strip_prefix(*prefix)
            .is_some_and(|rest| rest.chars().next().is_none_or(|c| c.is_ascii_digit()))
    };
    if NO_DISKS.iter().any(named_so) {
        return false;
    }
    // eMMC's boot and replay-protected areas are devices of their own.
    if name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb")) {
        return false;
    }
    // A card reader without a card has no size; `hidden` is a path of a
    // multipath NVMe disk.
    let block = sys.block(name);
    number(&block.join("size")).is_some_and(|sectors| sectors > 0)
        && attribute(&block.join("hidden")) != "1"
}

fn describe(sys: &Sysfs, name: &str, medium: &[String]) -> Disk {
    let block = sys.block(name);
    let path = sys.dev.join(name.replace('!', "/"));
    let sectors = number(&block.join("size")).unwrap_or(0);
    let sector_bytes = number(&block.join("queue/logical_block_size"))
        .and_then(|bytes| u32::try_from(bytes).ok())
        .unwrap_or(512);
    let link = transport::Link::of(&block);
    let found = content::look(&path, sector_bytes, sys.firmware());
    let mut disk = Disk {
        bytes: sectors.saturating_mul(SYSFS_SECTOR_BYTES),
        sector_bytes,
        model: link.model(),
        serial: link.serial(),
        transport: link.transport().to_owned(),
        content: found.words,
        appliance: found.appliance,
        unusable: None,
        path,
    };
    disk.unusable = unusable(sys, name, &disk, medium);
    disk
}

/// Why a disk can't be taken, whatever shall be installed.
fn unusable(sys: &Sysfs, name: &str, disk: &Disk, medium: &[String]) -> Option<String> {
    if medium.iter().any(|of| of == name) {
        return Some("the install medium".to_owned());
    }
    if attribute(&sys.block(name).join("ro")) == "1" {
        return Some("read-only".to_owned());
    }
    if let Some(held) = holders::use_of(sys, name) {
        return Some(held);
    }
    match (disk.sector_bytes, sys.firmware()) {
        (512, _) | (4096, Firmware::Uefi) => None,
        (4096, Firmware::Bios) => {
            Some("legacy BIOS can't start a disk with 4,096-byte sectors".to_owned())
        }
        (other, _) => Some(format!("sectors of {other} bytes, not 512 or 4,096")),
    }
}

/// An attribute's text without white space around it; empty where it is not
/// there.
pub(crate) fn attribute(path: &Path) -> String {
    let bytes = attribute_bytes(path);
    let text = String::from_utf8_lossy(&bytes);
    printable(&text)
}

/// An attribute's bytes; none where it is not there.
pub(crate) fn attribute_bytes(path: &Path) -> Vec<u8> {
    use io::Read as _;
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        // What can't be read is as good as not there.
        let _ = file.take(ATTRIBUTE_MAX_BYTES).read_to_end(&mut bytes);
    }
    bytes
}

fn number(path: &Path) -> Option<u64> {
    attribute(path).parse().ok()
}

/// What a device says of itself, so that it can be shown: without control
/// characters and runs of white space.
pub(crate) fn printable(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A key by which `sdb` comes before `sdaa` and `nvme2n1` before `nvme10n1`.
fn natural(name: &str) -> (String, usize, Vec<(u64, String)>) {
    let kind: String = name.chars().take(2).collect();
    let letters = name.chars().take_while(char::is_ascii_alphabetic).count();
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text: String = rest.chars().take_while(|c| !c.is_ascii_digit()).collect();
        rest = rest.get(text.len()..).unwrap_or_default();
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        rest = rest.get(digits.len()..).unwrap_or_default();
        if !text.is_empty() {
            parts.push((0, text));
        }
        if !digits.is_empty() {
            parts.push((digits.parse().unwrap_or(u64::MAX), String::new()));
        }
    }
    (kind, letters, parts)
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
