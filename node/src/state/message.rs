//! What is said while no journal is there that lasts: the kernel's log shows it
//! on every console, and journald takes it from there.

use isoforge_base::shown;
use std::io::Write as _;

/// The kernel's log.
const KERNEL_LOG: &str = "/dev/kmsg";

/// How urgent something is, as the kernel counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// The boot fails.
    Error,
    /// Something is missing, and the boot goes on.
    Warning,
    /// What was done.
    Info,
}

impl Level {
    fn number(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Info => 6,
        }
    }
}

/// The kernel's log, open: it stays so when the root of the process changes.
#[derive(Debug)]
pub(crate) struct Log(Option<fs_err::File>);

impl Log {
    /// Opens it; that there is none is no error.
    pub(crate) fn open() -> Self {
        let log = fs_err::OpenOptions::new().write(true).open(KERNEL_LOG);
        Self(log.ok())
    }

    /// Says it; nobody listening is no error.
    pub(crate) fn say(&mut self, level: Level, text: &str) {
        let Some(log) = &mut self.0 else { return };
        for record in records(level, text) {
            // Each write is one record.
            let _ = log.write_all(record.as_bytes());
        }
    }
}

/// Says it in the kernel's log; nobody listening is no error.
pub(crate) fn say(level: Level, text: &str) {
    Log::open().say(level, text);
}

/// Says an error with its causes.
pub(crate) fn say_error(error: &anyhow::Error) {
    say(Level::Error, &format!("{error:#}"));
}

fn records(level: Level, text: &str) -> Vec<String> {
    text.lines()
        .map(|line| format!("<{}>appliance: {}\n", level.number(), shown::line(line)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_record_with_its_level() {
        assert_eq!(
            records(Level::Error, "one\ntwo"),
            ["<3>appliance: one\n", "<3>appliance: two\n"]
        );
        assert_eq!(records(Level::Warning, "w"), ["<4>appliance: w\n"]);
        assert_eq!(records(Level::Info, "i"), ["<6>appliance: i\n"]);
    }
}
