//! Nobody else writes on the consoles while the pages are there: neither the
//! kernel nor systemd.

use std::path::{Path, PathBuf};

use isoforge_base::process::Program;

/// The kernel's log levels; the first one is that of the consoles.
pub(crate) const PRINTK: &str = "/proc/sys/kernel/printk";

/// Only what ends the machine is shown (`KERN_EMERG`).
const EMERGENCIES: &str = "1\n";

/// SIGRTMIN+20 and +21, by which systemd shows its messages or doesn't. Shells
/// do not all know them by name; systemd is built with glibc, whose SIGRTMIN
/// is 34.
const SHOW_STATUS: &str = "kill -54 1";
const HIDE_STATUS: &str = "kill -55 1";

/// It is quiet as long as this lives.
#[derive(Debug)]
pub(crate) struct Quiet {
    printk: PathBuf,
    before: Option<String>,
    systemd: bool,
}

impl Quiet {
    /// Makes it quiet. Where that fails, the pages are scribbled over, which
    /// Ctrl-L mends.
    pub(crate) fn new(printk: &Path, systemd: bool) -> Self {
        let before = fs_err::read_to_string(printk).ok();
        let _ = fs_err::write(printk, EMERGENCIES);
        if systemd {
            run(HIDE_STATUS);
        }
        Self {
            printk: printk.to_owned(),
            before,
            systemd,
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = fs_err::write(&self.printk, before);
        }
        if self.systemd {
            run(SHOW_STATUS);
        }
    }
}

fn run(script: &str) {
    let _ = Program::new("sh", "dash").args(["-c", script]).output(1024);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_level_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let printk = folder.path().join("printk");
        fs_err::write(&printk, "7\t4\t1\t7\n").unwrap();
        let quiet = Quiet::new(&printk, false);
        assert_eq!(fs_err::read_to_string(&printk).unwrap(), "1\n");
        drop(quiet);
        assert_eq!(fs_err::read_to_string(&printk).unwrap(), "7\t4\t1\t7\n");
    }
}
