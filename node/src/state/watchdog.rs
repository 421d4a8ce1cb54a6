//! A trial whose init hangs must end. Before the root is switched a watchdog is
//! started and left alone: closed without the letter that stops it, it resets
//! the machine unless the slot's systemd takes it over in time
//! (`RuntimeWatchdogSec`).
//!
//! The timeout of hardware can't be set by file, only by ioctl; so it keeps its
//! own where that is long enough for a start. Where there is no hardware driver
//! in the initrd, as is usual, the kernel's software watchdog is loaded from the
//! slot's modules, with the timeout as its parameter.

use std::fmt;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Result, bail};
use isoforge_base::process::Program;

use super::mounts;
use crate::files;

/// Seconds that the slot's systemd has for taking the watchdog over.
const TIMEOUT_SECONDS: u32 = 120;

/// Shortest timeout of hardware under which a slow machine still gets there.
const SHORTEST_SECONDS: u32 = 20;

/// The watchdog that systemd takes.
const DEVICE: &str = "dev/watchdog0";

/// Where it tells its timeout.
const TIMEOUT: &str = "sys/class/watchdog/watchdog0/timeout";

/// What the slot's modprobe needs of the initrd.
const BORROWED: [&str; 3] = ["dev", "proc", "sys"];

/// Most that modprobe prints.
const OUTPUT_MAX_BYTES: u64 = 65_536;

/// A watchdog that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Armed {
    /// Seconds until it resets the machine; none where it does not tell.
    pub(super) seconds: Option<u32>,
}

impl fmt::Display for Armed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("trial: a watchdog resets the machine unless systemd takes it over")?;
        match self.seconds {
            Some(seconds) => write!(f, " within {seconds} s"),
            None => f.write_str(" in time"),
        }
    }
}

/// Starts a watchdog, with the slot's modules where that takes a driver. It may
/// change the root of this process to `root`, so it comes last.
///
/// # Errors
/// There is none, or its timeout is too short.
pub(super) fn arm(root: &Path) -> Result<Armed> {
    let top = Path::new("/");
    if fs_err::exists(top.join(DEVICE))? {
        return start(top);
    }
    for name in BORROWED {
        mounts::bind(&top.join(name), &root.join(name))?;
    }
    rustix::process::chroot(root)?;
    rustix::process::chdir(top)?;
    let armed = load().and_then(|()| start(top));
    for name in BORROWED {
        // systemd moves its own ones here only where nothing is mounted.
        mounts::unmount(&top.join(name))?;
    }
    armed
}

/// Loads the software watchdog. modprobe is the slot's own: it knows how the
/// slot's modules are compressed.
fn load() -> Result<()> {
    let parameter = format!("soft_margin={TIMEOUT_SECONDS}");
    Program::new("modprobe", "kmod")
        .args(["softdog", &parameter])
        .output(OUTPUT_MAX_BYTES)
        .map(|_| ())
        .map_err(|error| anyhow::anyhow!("softdog: {error}"))
}

/// Starts the watchdog below `top` (which is `/`) and leaves it running.
fn start(top: &Path) -> Result<Armed> {
    let device = top.join(DEVICE);
    let seconds = files::read(&top.join(TIMEOUT))?
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.trim().parse().ok());
    if let Some(seconds @ ..SHORTEST_SECONDS) = seconds {
        bail!(
            "{}: its timeout of {seconds} s is too short to start a system",
            device.display()
        );
    }
    // Opening starts it, and what is written counts as a sign of life. Only a
    // 'V' before it is closed would stop it.
    let mut dog = fs_err::OpenOptions::new().write(true).open(&device)?;
    dog.write_all(b"\0")?;
    Ok(Armed { seconds })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn machine(timeout: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [(DEVICE, ""), (TIMEOUT, timeout)] {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        dir
    }

    /// A file stands in for the device: what counts is that no 'V' goes into it.
    #[test]
    fn it_is_started_and_not_stopped() {
        for (timeout, seconds) in [("120\n", Some(120)), ("20\n", Some(20)), ("", None)] {
            let machine = machine(timeout);
            assert_eq!(start(machine.path()).unwrap(), Armed { seconds });
            assert_eq!(fs_err::read(machine.path().join(DEVICE)).unwrap(), b"\0");
        }
    }

    #[test]
    fn a_timeout_too_short_for_a_start_is_refused() {
        let machine = machine("10\n");
        let text = start(machine.path()).unwrap_err().to_string();
        let text = text.replace(machine.path().to_str().unwrap(), "");
        assert_snapshot!(text, @"/dev/watchdog0: its timeout of 10 s is too short to start a system");
        assert_eq!(fs_err::read(machine.path().join(DEVICE)).unwrap(), b"");
    }

    #[test]
    fn how_long_there_is_is_told() {
        let seconds = Some(120);
        assert_snapshot!(Armed { seconds }, @"trial: a watchdog resets the machine unless systemd takes it over within 120 s");
        assert_snapshot!(Armed { seconds: None }, @"trial: a watchdog resets the machine unless systemd takes it over in time");
    }

    #[test]
    fn no_device_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        start(dir.path()).unwrap_err();
    }
}
