//! Which disks something else rests on: the install medium, mounted file
//! systems, arrays and volumes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{Sysfs, attribute};

/// How many devices may lie upon each other.
const DEPTH_MAX: u32 = 16;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The device's numbers, `8:1`.
    pub device: String,
    /// Where it is mounted.
    pub target: PathBuf,
}

/// The mounted file systems, in the order in which they were mounted.
pub(crate) fn mounts(sys: &Sysfs) -> Vec<Mount> {
    let text = fs::read_to_string(sys.proc.join("self/mountinfo")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            // proc_pid_mountinfo(5): id, parent, device, root, mount point, …
            let mut fields = line.split(' ').skip(2);
            let device = fields.next()?.to_owned();
            let target = unescaped(fields.nth(1)?);
            Some(Mount { device, target })
        })
        .collect()
}

/// Names of the whole disks that back the install medium; empty where it is
/// none of this machine's disks (a network, memory).
pub(crate) fn of_medium(sys: &Sysfs) -> Vec<String> {
    let mounts = mounts(sys);
    let mut disks = BTreeSet::new();
    let medium = mounts.iter().rfind(|mount| mount.target == sys.medium);
    if let Some(mount) = medium {
        below(sys, &mounts, &mount.device, DEPTH_MAX, &mut disks);
    }
    disks.into_iter().collect()
}

/// The mounted file systems that lie on the disk `name` or its partitions.
pub(crate) fn mounts_of(sys: &Sysfs, name: &str) -> Vec<Mount> {
    let devices: BTreeSet<String> = family(sys, name)
        .iter()
        .map(|folder| attribute(&folder.join("dev")))
        .collect();
    mounts(sys)
        .into_iter()
        .filter(|mount| devices.contains(&mount.device))
        .collect()
}

/// By what else the disk `name` is in use, in words.
pub(crate) fn use_of(sys: &Sysfs, name: &str) -> Option<String> {
    // What an earlier installation left mounted is unmounted by the next.
    let foreign = mounts_of(sys, name)
        .into_iter()
        .find(|mount| !mount.target.starts_with(&sys.work));
    if let Some(mount) = foreign {
        return Some(format!("in use: mounted at {}", mount.target.display()));
    }
    let swaps = fs::read_to_string(sys.proc.join("swaps")).unwrap_or_default();
    for folder in family(sys, name) {
        let device = folder.file_name()?.to_str()?.to_owned();
        let path = sys.dev.join(&device);
        if swaps
            .lines()
            .any(|line| line.split_whitespace().next().map(Path::new) == Some(&path))
        {
            return Some(format!("in use: {} is swap space", path.display()));
        }
        if let Some(holder) = names_in(&folder.join("holders")).into_iter().next() {
            let dm = attribute(&sys.block(&holder).join("dm/name"));
            let what = if dm.is_empty() { holder } else { dm };
            return Some(format!("in use: {} is part of '{what}'", path.display()));
        }
    }
    None
}

/// Folders of a disk and of its partitions.
pub(crate) fn family(sys: &Sysfs, name: &str) -> Vec<PathBuf> {
    let block = sys.block(name);
    let mut folders = vec![block.clone()];
    folders.extend(
        names_in(&block)
            .into_iter()
            .filter(|entry| entry.starts_with(name))
            .map(|entry| block.join(entry))
            .filter(|folder| folder.join("partition").is_file()),
    );
    folders
}

/// Adds the disks below the device with these numbers.
fn below(sys: &Sysfs, mounts: &[Mount], device: &str, depth: u32, disks: &mut BTreeSet<String>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    for name in names_in(&sys.sys.join("block")) {
        let folders = family(sys, &name);
        let is = |folder: &PathBuf| attribute(&folder.join("dev")) == device;
        if !folders.iter().any(is) {
            continue;
        }
        let block = sys.block(&name);
        for slave in names_in(&block.join("slaves")) {
            // A slave may be a partition, which has no folder of its own.
            let numbers = attribute(&block.join("slaves").join(&slave).join("dev"));
            below(sys, mounts, &numbers, depth, disks);
        }
        let file = attribute(&block.join("loop/backing_file"));
        let holding = mounts
            .iter()
            .filter(|mount| Path::new(&file).starts_with(&mount.target))
            .max_by_key(|mount| mount.target.as_os_str().len());
        if let Some(mount) = holding.filter(|_| !file.is_empty()) {
            below(sys, mounts, &mount.device, depth, disks);
        }
        disks.insert(name);
    }
}

/// Names in a folder, sorted; none where it is not there.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// A mount point: the kernel writes white space and backslash as `\040`.
fn unescaped(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\').and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(text, 8).ok()
        });
        match octal {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(out))
}
