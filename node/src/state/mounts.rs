//! Mounting, each with an error that says what and where.

use std::ffi::CString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::mount::{MountFlags, MountPropagationFlags};

use crate::{files, mount, run};

/// How often a device is looked for.
const POLL: Duration = Duration::from_millis(100);

/// How long a file system is waited for. The one with the slot was found
/// already, mostly on the same disk.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for the file system with `uuid`; `name` is for the message.
///
/// # Errors
/// After `deadline`.
pub(super) fn wait(by_uuid: &Path, uuid: &str, name: &str, deadline: Duration) -> Result<PathBuf> {
    let device = by_uuid.join(uuid);
    // This follows udev's link, which may be there before the device is.
    let is_there = || fs_err::exists(&device).unwrap_or_default();
    if !run::holds_within(deadline, POLL, is_there) {
        bail!(
            "the file system {name} (UUID {uuid}) did not appear within {} s",
            deadline.as_secs()
        );
    }
    Ok(device)
}

/// Mounts an ext4 file system; `flags` say how, beside that no times of reading are
/// noted.
pub(super) fn ext4(device: &Path, target: &Path, flags: MountFlags) -> Result<()> {
    let flags = flags | MountFlags::NOATIME;
    // An error on the disk must not be written on.
    let options = c"errors=remount-ro";
    rustix::mount::mount(device, target, "ext4", flags, options)
        .with_context(|| cant_mount(&device.display().to_string(), target))
}

/// Shows `source` at `target` as well.
pub(super) fn bind(source: &Path, target: &Path) -> Result<()> {
    rustix::mount::mount_bind(source, target)
        .with_context(|| cant_mount(&source.display().to_string(), target))
}

/// Shows `source` at `target` as well, with these flags and no others.
pub(super) fn bind_with(source: &Path, target: &Path, flags: MountFlags) -> Result<()> {
    bind(source, target)?;
    // Until here it has the flags of where it comes from.
    let flags = flags | MountFlags::BIND | MountFlags::NOATIME;
    rustix::mount::mount_remount(target, flags, c"")
        .with_context(|| cant_mount(&source.display().to_string(), target))
}

/// Ends the sharing of later mounts at `target` with where it was bound from.
pub(super) fn private(target: &Path) -> Result<()> {
    rustix::mount::mount_change(target, MountPropagationFlags::PRIVATE)
        .with_context(|| cant_mount("privately what is", target))
}

/// Mounts a tmpfs.
pub(super) fn tmpfs(target: &Path, options: &str) -> Result<()> {
    let options = CString::new(options).map_err(io::Error::other)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", target, "tmpfs", flags, options.as_c_str())
        .with_context(|| cant_mount("a tmpfs", target))
}

/// Makes `target` show `lower` and what is written to it until power-off, which
/// takes at most `size` (of tmpfs's option) of memory. What is written lies in a
/// tmpfs of its own at `scratch`: a full `/var` must not fill `/run`.
pub(super) fn overlay(lower: &Path, scratch: &Path, size: &str, target: &Path) -> Result<()> {
    files::directory(scratch, 0o700)?;
    tmpfs(scratch, &format!("mode=0700,size={size}"))?;
    let (upper, work) = (scratch.join("upper"), scratch.join("work"));
    fs_err::create_dir(&upper)?;
    fs_err::create_dir(&work)?;
    // The top directory is the upper one's.
    let top = fs_err::metadata(lower)?;
    std::os::unix::fs::chown(&upper, Some(top.uid()), Some(top.gid()))?;
    fs_err::set_permissions(&upper, top.permissions())?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    let options = CString::new(options).map_err(io::Error::other)?;
    rustix::mount::mount(
        "overlay",
        target,
        "overlay",
        MountFlags::empty(),
        options.as_c_str(),
    )
    .with_context(|| cant_mount(&format!("an overlay on {}", lower.display()), target))
}

/// Undoes the last mount at `target`.
pub(super) fn unmount(target: &Path) -> Result<()> {
    mount::detach(target).with_context(|| cant_mount("nothing any more", target))
}

fn cant_mount(what: &str, target: &Path) -> String {
    format!("can't mount {what} at {}", target.display())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const UUID: &str = "22222222-2222-4333-8444-555555555555";

    #[test]
    fn a_device_that_comes_late_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join(UUID);
        let late = std::thread::spawn({
            let link = link.clone();
            move || {
                std::thread::sleep(Duration::from_millis(150));
                std::os::unix::fs::symlink("/dev/null", link).unwrap();
            }
        });
        let found = wait(dir.path(), UUID, "PERSISTENT", DEADLINE).unwrap();
        assert_eq!(found, link);
        late.join().unwrap();
    }

    #[test]
    fn a_device_that_does_not_come_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join(UUID)).unwrap();
        let error = wait(dir.path(), UUID, "OEM", Duration::ZERO).unwrap_err();
        assert_snapshot!(error, @"the file system OEM (UUID 22222222-2222-4333-8444-555555555555) did not appear within 0 s");
    }

    #[test]
    fn a_mount_that_fails_says_what_and_where() {
        let error = bind(Path::new("/nowhere"), Path::new("/none")).unwrap_err();
        assert_snapshot!(error, @"can't mount /nowhere at /none");
        assert!(error.source().is_some());
    }
}
