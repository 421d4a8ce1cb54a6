//! Mounting, and that nothing stays mounted.

use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
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
            let _ = rustix::mount::unmount(&self.target, UnmountFlags::DETACH);
        }
        let _ = std::fs::remove_dir(&self.target);
    }
}

/// Unmounts what is mounted at `target`.
///
/// # Errors
/// Where it stays busy.
pub(super) fn unmount(target: &Path) -> io::Result<()> {
    let deadline = Instant::now() + BUSY;
    loop {
        match rustix::mount::unmount(target, UnmountFlags::empty()) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::BUSY) if Instant::now() < deadline => {
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
