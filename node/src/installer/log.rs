//! The log of an installation: a file, and the lines on a second console.

use isoforge_base::shown;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::model::Message;
use crate::install::model::Event;

/// Where the lines go. What can't be written is left out: an installation does
/// not fail by its log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    file: Option<File>,
    console: Option<File>,
}

impl Log {
    /// A log in `file`, shown on `console`.
    pub(crate) fn open(file: &Path, console: &Path) -> Self {
        if let Some(folder) = file.parent() {
            let _ = fs_err::create_dir_all(folder);
        }
        // Nobody may ever look at that console: writing must not wait for it.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        Self {
            file: File::options().create(true).append(true).open(file).ok(),
            console: File::options()
                .write(true)
                .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
                .open(console)
                .ok(),
        }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: &str) {
        for file in [&mut self.file, &mut self.console].into_iter().flatten() {
            let _ = writeln!(file, "{}", shown::continued(line));
        }
    }

    /// Writes what a message tells.
    pub(crate) fn message(&mut self, message: &Message) {
        match message {
            Message::Install(Event::Step { number, of, name }) => {
                self.line(&format!("== {number}/{of} {name}"));
            }
            Message::Install(Event::Log(line)) => self.line(line),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_lines_arrive_in_both_places() {
        let folder = tempfile::tempdir().unwrap();
        let (file, console) = (folder.path().join("run/log"), folder.path().join("console"));
        fs_err::write(&console, "").unwrap();
        let mut log = Log::open(&file, &console);
        let name = "Copying".to_owned();
        log.message(&Message::Install(Event::Step {
            number: 2,
            of: 3,
            name,
        }));
        log.message(&Message::Install(Event::Bytes { done: 1, total: 2 }));
        log.message(&Message::Install(Event::Log("a line".to_owned())));
        let expected = "== 2/3 Copying\na line\n";
        assert_eq!(fs_err::read_to_string(&file).unwrap(), expected);
        assert_eq!(fs_err::read_to_string(&console).unwrap(), expected);
        // Neither place is there: nothing fails.
        Log::open(Path::new("/proc/no/log"), Path::new("/no/console")).line("x");
    }
}
