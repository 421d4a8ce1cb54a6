//! A console: keys come in, pictures go out, and it never blocks. It is left
//! as it was found.

use isoforge_base::shown;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ratatui::{Frame, Terminal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::{
    ControlModes, OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr,
    tcsetwinsize,
};

use super::key::{Decoder, Key};
use super::screen::Screen;

/// The other screen, no wrapping at its edge (drawing the last cell must not
/// scroll), no cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[0m\x1b[2J";

/// All of that back. The Linux console has no other screen: it is cleared.
const LEAVE: &[u8] = b"\x1b[0m\x1b[2J\x1b[H\x1b[?7h\x1b[?25h\x1b[?1049l";

/// The Linux console never goes dark: what is shown may be looked at for hours.
const NO_BLANKING: &[u8] = b"\x1b[9;0]\x1b[14;0]";

/// How long a console may take for the last bytes.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Who has a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// The pages.
    Us,
    Shell,
    /// Nobody: it went away, or the pages ended.
    Nobody,
}

#[derive(Debug)]
pub(crate) struct Console {
    name: String,
    path: PathBuf,
    file: File,
    found: Termios,
    terminal: Terminal<Screen>,
    decoder: Decoder,
    pending: Vec<u8>,
    holder: Holder,
}

impl Console {
    /// Opens a console and takes it over.
    ///
    /// # Errors
    /// Where it can't be opened, or is no terminal.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let unusable = || format!("the console {} can't be used", path.display());
        let file = open(path).with_context(unusable)?;
        let found = tcgetattr(&file).with_context(unusable)?;
        let name = path.strip_prefix("/dev").unwrap_or(path);
        let mut console = Self {
            name: name.display().to_string(),
            path: path.to_owned(),
            terminal: terminal(&file).with_context(unusable)?,
            file,
            found,
            decoder: Decoder::default(),
            pending: Vec::new(),
            holder: Holder::Us,
        };
        console.set_size();
        console.enter();
        Ok(console)
    }

    /// Its name, such as `ttyS0`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a screen with a keyboard, not a serial line.
    fn is_screen(&self) -> bool {
        let number = self.name.strip_prefix("tty");
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// Columns and rows.
    #[cfg(test)]
    pub(crate) fn size(&self) -> ratatui::layout::Size {
        super::screen::size(&self.file)
    }

    /// A serial line has no size, so that programs in a shell would not know
    /// one either.
    fn set_size(&self) {
        let unknown = |size: Winsize| size.ws_col == 0 || size.ws_row == 0;
        if tcgetwinsize(&self.file).is_ok_and(unknown) {
            let size = super::screen::size(&self.file);
            let size = Winsize {
                ws_row: size.height,
                ws_col: size.width,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            // Where it can't be set, the default holds.
            let _ = tcsetwinsize(&self.file, size);
        }
    }

    fn enter(&mut self) {
        let mut raw = self.found.clone();
        raw.make_raw();
        // A line without a modem has no carrier to wait for.
        raw.control_modes |= ControlModes::CLOCAL;
        // A console that went away is found when it is written to.
        let _ = tcsetattr(&self.file, OptionalActions::Now, &raw);
        self.holder = Holder::Us;
        self.show(ENTER);
        if self.is_screen() {
            self.pending.extend(NO_BLANKING);
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        self.pending.extend(bytes);
        self.redraw();
    }

    /// The next picture is drawn as a whole.
    pub(crate) fn redraw(&mut self) {
        // Drawing goes into memory, which does not fail.
        let _ = self.terminal.clear();
    }

    /// Gives the console back as it was found.
    fn leave(&mut self, to: Holder) {
        self.pending.extend(LEAVE);
        let end = Instant::now() + LAST_WORDS;
        while !self.pending.is_empty() && self.holder == Holder::Us && Instant::now() < end {
            let mut fds = [PollFd::new(&self.file, PollFlags::OUT)];
            let _ = poll(&mut fds, Some(&timespec(Duration::from_millis(100))));
            self.write();
        }
        self.pending.clear();
        let _ = tcsetattr(&self.file, OptionalActions::Drain, &self.found);
        self.holder = to;
    }

    /// Gives the console to a shell.
    pub(crate) fn lend(&mut self) {
        if self.ours() {
            self.leave(Holder::Shell);
        }
    }

    /// The shell is over. The kernel has hung up its terminal for all who had
    /// it open, so it is opened anew.
    pub(crate) fn take_back(&mut self) {
        if self.holder != Holder::Shell {
            return;
        }
        self.holder = Holder::Nobody;
        let Ok(file) = open(&self.path) else {
            return;
        };
        let Ok(terminal) = terminal(&file) else {
            return;
        };
        self.file = file;
        self.terminal = terminal;
        self.decoder = Decoder::default();
        self.enter();
    }

    /// Whether pictures and keys are the pages'.
    pub(crate) fn ours(&self) -> bool {
        self.holder == Holder::Us
    }

    /// Whether it is there at all.
    pub(crate) fn there(&self) -> bool {
        self.holder != Holder::Nobody
    }

    /// Lines that stay, outside of the pages.
    pub(crate) fn say(&mut self, lines: &[String]) {
        if !self.ours() {
            return;
        }
        self.pending.extend(LEAVE);
        for line in lines.iter().flat_map(|text| text.lines()) {
            self.pending.extend(shown::line(line).bytes());
            self.pending.extend(b"\r\n");
        }
        self.show(ENTER);
        self.write();
    }

    /// Draws, unless the console has not taken the picture before.
    pub(crate) fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) {
        // What stands before a whole picture (other screen, cleared) is short.
        if !self.ours() || self.pending.len() > ENTER.len() + NO_BLANKING.len() {
            return;
        }
        let _ = self.terminal.draw(view);
        self.pending.extend(self.terminal.backend_mut().take());
        self.write();
    }

    /// What to wait for.
    pub(crate) fn poll_fd(&self) -> Option<PollFd<'_>> {
        let out = if self.pending.is_empty() {
            PollFlags::empty()
        } else {
            PollFlags::OUT
        };
        self.ours()
            .then(|| PollFd::new(&self.file, PollFlags::IN | out))
    }

    /// Writes as much as the console takes.
    pub(crate) fn write(&mut self) {
        while !self.pending.is_empty() && self.ours() {
            match self.file.write(&self.pending) {
                Ok(0) => self.holder = Holder::Nobody,
                Ok(n) => drop(self.pending.drain(..n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.holder = Holder::Nobody,
            }
        }
    }

    /// The keys that have come.
    pub(crate) fn keys(&mut self) -> Vec<Key> {
        let mut bytes = [0; 256];
        match self.file.read(&mut bytes) {
            Ok(0) => self.holder = Holder::Nobody,
            Ok(n) => return self.decoder.feed(bytes.get(..n).unwrap_or(&[])),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(_) => self.holder = Holder::Nobody,
        }
        Vec::new()
    }

    /// Whether time decides on a key.
    pub(crate) fn waits(&self) -> bool {
        self.decoder.waits()
    }

    /// The key that time decided on.
    pub(crate) fn timeout(&mut self) -> Option<Key> {
        self.decoder.timeout()
    }
}

/// Opens a terminal without waiting for a carrier, and without making it the
/// one that signals come from.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    File::options()
        .read(true)
        .write(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
        .open(path)
}

fn terminal(file: &File) -> io::Result<Terminal<Screen>> {
    Terminal::new(Screen::new(file.try_clone()?))
}

impl Drop for Console {
    fn drop(&mut self) {
        if self.ours() {
            self.leave(Holder::Nobody);
        }
    }
}

/// As the kernel takes it.
pub(crate) fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// The names of the consoles in `/sys/class/tty/console/active`. `tty0` is the
/// screen that is in front; the first one is, when the machine has booted.
pub(crate) fn names(active: &str) -> Vec<String> {
    let mut names = Vec::new();
    for name in active.split_ascii_whitespace() {
        let name = if name == "tty0" { "tty1" } else { name };
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        names.push("tty1".to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_consoles_are_ours() {
        assert_eq!(names("tty0 ttyS0\n"), ["tty1", "ttyS0"]);
        assert_eq!(names("tty1 tty0 hvc0"), ["tty1", "hvc0"]);
        assert_eq!(names("\n"), ["tty1"]);
    }

    #[test]
    fn what_is_no_terminal_is_refused() {
        let error = Console::open(Path::new("/dev/null")).unwrap_err();
        assert_eq!(error.to_string(), "the console /dev/null can't be used");
        assert!(Console::open(Path::new("/no/such")).is_err());
    }
}
