//! A serial console: read, watched under a deadline, and typed at.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::screen::{Plain, Screen};
use super::{key, scratch};

/// Lines of the console that a failure shows.
const TAIL_LINES: usize = 30;

/// How long is waited between a prompt and what is typed: programs throw away
/// what came before they were ready.
const BEFORE_TYPING: Duration = Duration::from_millis(700);

/// What means that a boot has failed, long before any deadline.
pub(crate) const FATAL: &[&str] = &[
    "Kernel panic",
    "Press Enter to continue",
    "Press Enter for maintenance",
    "You are in emergency mode",
    "Entering emergency mode",
    "Security Violation",
    "bad shim signature",
    "grub rescue>",
];

/// What is waited for, and what ends the wait early.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait<'a> {
    /// Any of these.
    pub(crate) texts: &'a [&'a str],
    /// Any of these is a failure.
    pub(crate) fatal: &'a [&'a str],
    pub(crate) deadline: Instant,
}

impl<'a> Wait<'a> {
    /// For any of these texts; what means that a boot has failed ends it.
    pub(crate) fn new(texts: &'a [&'a str], deadline: Instant) -> Self {
        Self {
            texts,
            fatal: FATAL,
            deadline,
        }
    }
}

/// A running QEMU and what its serial port has said. Dropped, QEMU ends.
pub(crate) struct Console {
    child: Child,
    input: Arc<Mutex<ChildStdin>>,
    screen: Arc<Mutex<Screen>>,
    chunks: Receiver<Vec<u8>>,
    plain: Plain,
    /// What was said, without control sequences.
    seen: Vec<u8>,
    /// How much of `seen` earlier waits have used up.
    used: usize,
    log: File,
    log_path: PathBuf,
}

impl Console {
    /// Starts QEMU; `name` names the log file.
    pub(crate) fn start(mut command: Command, name: &str) -> Result<Self> {
        let log_path = scratch(&format!("{name}.log"))?;
        let errors = File::create(scratch(&format!("{name}.qemu"))?)?;
        let mut child = command
            .args(["-chardev", "stdio,id=console,signal=off"])
            .args(["-serial", "chardev:console", "-monitor", "none"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .context("can't start qemu-system-x86_64 (Debian package qemu-system-x86)")?;
        let input = child.stdin.take().context("QEMU without standard input")?;
        let output = child
            .stdout
            .take()
            .context("QEMU without standard output")?;
        let input = Arc::new(Mutex::new(input));
        let screen = Arc::new(Mutex::new(Screen::new()));
        let (sender, chunks) = channel();
        let (answers, shown) = (Arc::clone(&input), Arc::clone(&screen));
        // Ends with QEMU, or when nobody listens any more.
        std::thread::spawn(move || read(output, &answers, &shown, &sender));
        Ok(Self {
            child,
            input,
            screen,
            chunks,
            plain: Plain::default(),
            seen: Vec::new(),
            used: 0,
            log: File::create(&log_path)?,
            log_path,
        })
    }

    /// Waits until the console has said `text`, after what earlier calls
    /// waited for.
    pub(crate) fn wait_for(&mut self, text: &str, deadline: Instant) -> Result<()> {
        self.wait(Wait::new(&[text], deadline)).map(drop)
    }

    /// Waits until the console has said one of several texts, and tells which:
    /// the one that came first.
    pub(crate) fn wait(&mut self, wait: Wait<'_>) -> Result<usize> {
        let mut from = self.used;
        loop {
            let found = wait
                .texts
                .iter()
                .enumerate()
                .filter_map(|(which, text)| Some((self.find(text, from)?, which)))
                .min();
            if let Some((at, which)) = found {
                let length = wait.texts.get(which).map_or(0, |text| text.len());
                self.used = at + length;
                return Ok(which);
            }
            self.check_fatal(wait, from)?;
            from = self.not_seen_yet(wait);
            self.receive(wait)?;
        }
    }

    /// From where on a text of `wait` may be that was not there before. A console
    /// says a few bytes at a time: whoever looked at all of it each time would take
    /// the machine's processors from QEMU.
    fn not_seen_yet(&self, wait: Wait<'_>) -> usize {
        let texts = wait.texts.iter().chain(wait.fatal);
        let longest = texts.map(|text| text.len()).max().unwrap_or_default();
        self.seen.len().saturating_sub(longest).max(self.used)
    }

    /// Waits until the console has said `text`, and gives what it said before.
    pub(crate) fn take_until(&mut self, text: &str, deadline: Instant) -> Result<String> {
        let begin = self.used;
        self.wait(Wait {
            texts: &[text],
            fatal: &[],
            deadline,
        })?;
        let end = self.used - text.len();
        let said = self.seen.get(begin..end).unwrap_or_default();
        Ok(String::from_utf8_lossy(said).into_owned())
    }

    /// Waits until the screen shows one of several texts, whatever the order
    /// in which it was drawn, and tells which.
    pub(crate) fn wait_for_screen(&mut self, wait: Wait<'_>) -> Result<usize> {
        let mut from = self.used;
        loop {
            let shown = self.screen();
            if let Some(which) = wait.texts.iter().position(|text| shown.contains(text)) {
                return Ok(which);
            }
            self.check_fatal(wait, from)?;
            from = self.not_seen_yet(wait);
            self.receive(wait)?;
        }
    }

    /// Waits until QEMU ends: the guest has powered off, or would reboot.
    pub(crate) fn wait_for_end(&mut self, deadline: Instant) -> Result<ExitStatus> {
        let wait = Wait::new(&["the end of the machine"], deadline);
        let mut from = self.used;
        while let Some(chunk) = self.next(wait)? {
            self.keep(&chunk)?;
            self.check_fatal(wait, from)?;
            from = self.not_seen_yet(wait);
        }
        Ok(self.child.wait()?)
    }

    /// Reads for so long, whatever comes.
    pub(crate) fn listen(&mut self, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => self.keep(&chunk)?,
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(self.failure(&[], "QEMU ended")),
            }
        }
    }

    /// Waits for bytes, and takes all that are there.
    fn receive(&mut self, wait: Wait<'_>) -> Result<()> {
        match self.next(wait)? {
            Some(chunk) => self.keep(&chunk)?,
            None => return Err(self.failure(wait.texts, "QEMU ended")),
        }
        while let Ok(chunk) = self.chunks.try_recv() {
            self.keep(&chunk)?;
        }
        Ok(())
    }

    fn check_fatal(&self, wait: Wait<'_>, from: usize) -> Result<()> {
        let said = |fatal: &&&str| self.find(fatal, from).is_some();
        match wait.fatal.iter().find(said) {
            Some(fatal) => Err(self.failure(wait.texts, &format!("the console said '{fatal}'"))),
            None => Ok(()),
        }
    }

    /// The next bytes; nothing where QEMU has ended.
    fn next(&mut self, wait: Wait<'_>) -> Result<Option<Vec<u8>>> {
        let left = wait.deadline.saturating_duration_since(Instant::now());
        match self.chunks.recv_timeout(left) {
            Ok(chunk) => Ok(Some(chunk)),
            Err(RecvTimeoutError::Timeout) => Err(self.failure(wait.texts, "time is up")),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
        }
    }

    fn keep(&mut self, chunk: &[u8]) -> Result<()> {
        self.log.write_all(chunk)?;
        self.plain.take(chunk, &mut self.seen);
        Ok(())
    }

    /// Types, as it is.
    pub(crate) fn send(&mut self, keys: &str) -> Result<()> {
        let mut input = lock(&self.input);
        input.write_all(keys.as_bytes())?;
        input.flush().context("QEMU takes no input")
    }

    /// Types a line after a prompt.
    pub(crate) fn type_line(&mut self, text: &str) -> Result<()> {
        self.listen(BEFORE_TYPING)?;
        self.send(text)?;
        self.send(key::ENTER)
    }

    /// Presses keys one after the other, as a person does.
    pub(crate) fn press(&mut self, keys: &[&str]) -> Result<()> {
        for key in keys {
            self.listen(BEFORE_TYPING)?;
            self.send(key)?;
        }
        Ok(())
    }

    /// All that the console said, without control sequences.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// What was said after what was waited for.
    pub(crate) fn rest(&self) -> String {
        String::from_utf8_lossy(self.seen.get(self.used..).unwrap_or_default()).into_owned()
    }

    /// What a terminal shows now.
    pub(crate) fn screen(&self) -> String {
        lock(&self.screen).text()
    }

    /// Where the console is logged.
    pub(crate) fn log(&self) -> &Path {
        &self.log_path
    }

    /// Where the text is, at `from` or later.
    fn find(&self, text: &str, from: usize) -> Option<usize> {
        let rest = self.seen.get(from..)?;
        let mut windows = rest.windows(text.len());
        let at = windows.position(|window| window == text.as_bytes())?;
        Some(from + at)
    }

    fn failure(&self, texts: &[&str], why: &str) -> anyhow::Error {
        let said = self.text();
        let lines: Vec<_> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let tail = lines
            .get(lines.len().saturating_sub(TAIL_LINES)..)
            .unwrap_or_default();
        let errors = std::fs::read_to_string(self.log_path.with_extension("qemu"));
        anyhow::anyhow!(
            "waiting for '{}': {why}; log: {}\n{}\n{}",
            texts.join("' or '"),
            self.log_path.display(),
            tail.join("\n"),
            errors.unwrap_or_default()
        )
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What came since the last wait belongs into the log too.
        while let Ok(chunk) = self.chunks.recv_timeout(Duration::from_millis(200)) {
            if self.keep(&chunk).is_err() {
                break;
            }
        }
    }
}

/// Hands on what QEMU says, and has the terminal show it and answer.
fn read(
    mut output: ChildStdout,
    input: &Mutex<ChildStdin>,
    screen: &Mutex<Screen>,
    sender: &Sender<Vec<u8>>,
) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = output.read(&mut buffer) {
        let chunk = buffer.get(..n).unwrap_or_default();
        // QEMU may take no more input; what it says is read nevertheless.
        let _ = lock(screen).take(chunk, &mut *lock(input));
        if sender.send(chunk.to_vec()).is_err() {
            break;
        }
    }
}

/// A lock whose holder can't have left anything half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(script: &str, name: &str) -> Console {
        // The options that are added for QEMU become the script's arguments.
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]);
        crate::sh::to_workspace_root().unwrap();
        Console::start(command, name).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_console_is_waited_for_in_order() {
        let mut console = console("printf 'one two '; printf three", "test-order");
        console.wait_for("two", soon()).unwrap();
        console.wait_for("three", soon()).unwrap();
        let error = console.wait_for("two", soon()).unwrap_err().to_string();
        assert!(error.contains("QEMU ended"), "{error}");
        assert!(error.contains("one two three"), "{error}");
    }

    #[test]
    fn a_panic_ends_the_wait_at_once_and_a_deadline_does_too() {
        let mut panics = console(
            "echo 'Kernel panic - not syncing'; exec sleep 600",
            "test-panic",
        );
        let error = panics.wait_for("login:", soon()).unwrap_err().to_string();
        assert!(error.contains("'Kernel panic'"), "{error}");
        let mut silent = console("exec sleep 600", "test-deadline");
        let error = silent
            .wait_for("login:", Instant::now())
            .unwrap_err()
            .to_string();
        assert!(error.contains("time is up"), "{error}");
    }

    #[test]
    fn what_came_first_is_found_and_a_panic_may_be_what_is_waited_for() {
        let mut console = console(
            "echo 'Kernel panic, then login:'; exec sleep 600",
            "test-first",
        );
        let wait = Wait {
            texts: &["login:", "Kernel panic"],
            fatal: &[],
            deadline: soon(),
        };
        assert_eq!(console.wait(wait).unwrap(), 1);
        assert_eq!(console.wait(wait).unwrap(), 0);
    }

    #[test]
    fn what_is_typed_arrives_and_the_end_is_seen() {
        let mut console = console(
            "printf 'name: '; read -r name; printf 'hello \\033[1m%s\\n' \"$name\"",
            "test-type",
        );
        console.wait_for("name: ", soon()).unwrap();
        console.send("World\n").unwrap();
        console.wait_for("hello World", soon()).unwrap();
        assert!(console.wait_for_end(soon()).unwrap().success());
    }

    #[test]
    fn a_screen_is_waited_for() {
        let mut console = console(
            "printf '\\033[5;7Hworld\\033[5;1Hhello \\033[6n'; exec sleep 600",
            "test-screen",
        );
        let wait = Wait::new(&["hello world"], soon());
        console.wait_for_screen(wait).unwrap();
        assert!(!console.text().contains("hello world"));
    }
}
