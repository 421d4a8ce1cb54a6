//! Mounting, and that nothing stays mounted.

use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

/// How long a file system that is busy is waited for.
const BUSY: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// A mounted file system, which is unmounted at the latest when this goes.
#[derive(Debug)]
pub struct Mounted {
    target: PathBuf,
    mounted: bool,
}

impl Mounted {
    /// Mounts `device` at the folder `target`, which is made.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn new(
        device: &Path,
        target: &Path,
        kind: &str,
        flags: MountFlags,
        data: Option<&CStr>,
    ) -> io::Result<Self> {
        fs::create_dir_all(target)?;
        let flags = flags | MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
        rustix::mount::mount(device, target, kind, flags, data)?;
        Ok(Self {
            target: target.to_owned(),
            mounted: true,
        })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.target
    }

    /// Writes everything out, then unmounts.
    ///
    /// # Errors
    /// Where writing fails, or the file system stays busy.
    pub fn unmount(mut self) -> io::Result<()> {
        let folder = fs::File::open(&self.target)?;
        rustix::fs::syncfs(&folder)?;
        drop(folder);
        self.mounted = false;
        unmount(&self.target)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.mounted {
            // Whoever gives up has an error to tell already.
            let _ = detach(&self.target);
        }
        let _ = std::fs::remove_dir(&self.target);
    }
}

/// Unmounts what is mounted last at `target`. Nothing mounted there is no error.
///
/// # Errors
/// Where it stays busy.
pub(crate) fn unmount(target: &Path) -> io::Result<()> {
    unmount_within(target, BUSY)
}

fn unmount_within(target: &Path, busy: Duration) -> io::Result<()> {
    let deadline = Instant::now() + busy;
    loop {
        match rustix::mount::unmount(target, UnmountFlags::empty()) {
            // INVAL is of a folder where nothing is mounted.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes what is mounted last at `target` out of sight. It is unmounted once nothing
/// uses it any more.
///
/// # Errors
/// Where nothing is mounted there.
pub(crate) fn detach(target: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(target, UnmountFlags::DETACH)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tmpfs(folder: &Path) -> bool {
        let root = rustix::process::geteuid().is_root();
        match root {
            true => {
                rustix::mount::mount("e2e", folder, "tmpfs", MountFlags::empty(), None).unwrap()
            }
            false => isoforge_judges::skip("it needs root"),
        }
        root
    }

    #[test]
    fn nothing_mounted_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        unmount(&dir.path().join("missing")).unwrap();
        if rustix::process::geteuid().is_root() {
            unmount(dir.path()).unwrap();
        }
    }

    #[test]
    fn what_is_busy_is_waited_for_and_not_forever() {
        let dir = tempfile::tempdir().unwrap();
        if !tmpfs(dir.path()) {
            return;
        }
        fs::write(dir.path().join("kept"), "").unwrap();
        let used = fs::File::open(dir.path().join("kept")).unwrap();
        let error = unmount_within(dir.path(), PAUSE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        let user = std::thread::spawn(move || {
            std::thread::sleep(2 * PAUSE);
            drop(used);
        });
        unmount(dir.path()).unwrap();
        user.join().unwrap();
        assert!(!dir.path().join("kept").exists());
    }

    #[test]
    fn what_is_busy_can_be_taken_out_of_sight() {
        let dir = tempfile::tempdir().unwrap();
        if !tmpfs(dir.path()) {
            return;
        }
        fs::write(dir.path().join("kept"), "").unwrap();
        let used = fs::File::open(dir.path().join("kept")).unwrap();
        detach(dir.path()).unwrap();
        assert!(!dir.path().join("kept").exists());
        drop(used);
        detach(dir.path()).unwrap_err();
    }
}
