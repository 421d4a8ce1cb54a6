//! The only module that prints: data to standard output, everything else to
//! standard error. There it is one voice: a line never lands in the middle of
//! the moving ones, and with `--progress json` all of it is JSON.

mod bars;
mod json;
mod layout;
mod plain;
mod screen;
mod tasks;
mod ticker;

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use indicatif::ProgressDrawTarget;
use serde_json::{Value, json};

use bars::Bars;
use json::JsonLines;
use layout::Row;
use plain::Lines;
use screen::Screen;

use crate::cli::args::{Global, ProgressMode};
use crate::cli::env;
use isoforge_base::error::Class;
use isoforge_base::progress::{Progress, Reporter};
use isoforge_base::shown;

/// Columns and rows of a terminal that does not say how many it has.
const USUAL_SIZE: (usize, usize) = (80, 24);

/// What moves at the bottom of standard error's terminal.
static SCREEN: LazyLock<Mutex<Screen>> =
    LazyLock::new(|| Mutex::new(Screen::new(ProgressDrawTarget::stderr())));

/// Whether standard error is for a program that reads JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// What goes to standard output.
#[derive(Debug)]
pub(crate) enum Data {
    /// For people: each line is ours, what others say in it is not.
    Text(String),
    /// For programs, as it is: JSON has its own escapes.
    Json(String),
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Writes to standard output.
///
/// # Errors
/// What standard output gave; a closed pipe is no error.
pub(crate) fn data(data: impl Into<Data>) -> io::Result<()> {
    let data = data.into();
    let text = match &data {
        Data::Text(text) => shown::lines(text),
        Data::Json(text) => Cow::Borrowed(text.as_str()),
    };
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes a line to standard error; a closed standard error is ignored, since
/// there is nobody left to tell.
pub(crate) fn line(text: &str) {
    if JSON.load(Ordering::Relaxed) {
        json::event("note", json!({"message": text}));
    } else {
        raw(&coloured(&shown::lines(text)));
    }
}

/// A line as it is.
fn raw(text: &str) {
    let line = format!("{text}\n");
    lock(&SCREEN).say(|| {
        let _ = io::stderr().write_all(line.as_bytes());
    });
}

/// Shows the lines that `lines` gives for the terminal's columns and rows.
fn show(lines: impl FnOnce(usize, usize) -> Vec<Row>) {
    let (columns, rows) = terminal_size();
    lock(&SCREEN).draw(lines(columns, rows), columns);
}

/// Columns and rows of standard error's terminal.
fn terminal_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => USUAL_SIZE,
    }
}

/// Whether standard error is a terminal that can do more than print, which one
/// without a name is not trusted with (as `indicatif` has it too).
fn is_capable_terminal() -> bool {
    io::stderr().is_terminal() && env::get("TERM").is_some_and(|term| term != "dumb")
}

/// With the words that begin errors and warnings in colour, where that is wanted
/// (<https://no-color.org/>).
fn coloured(text: &str) -> Cow<'_, str> {
    const BOLD_RED: &str = "1;31";
    const BOLD_YELLOW: &str = "1;33";
    const BOLD: &str = "1";
    let words = [
        ("error:", BOLD_RED),
        ("warning:", BOLD_YELLOW),
        ("hint:", BOLD),
    ];
    let begins = |line: &str| words.iter().any(|(word, _)| line.starts_with(word));
    if !text.lines().any(begins) || env::get_os("NO_COLOR").is_some() || !is_capable_terminal() {
        return Cow::Borrowed(text);
    }
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| {
            for (word, colour) in words {
                if let Some(rest) = line.strip_prefix(word) {
                    return format!("\x1b[{colour}m{word}\x1b[0m{rest}");
                }
            }
            line.to_owned()
        })
        .collect();
    Cow::Owned(lines.join("\n"))
}

/// To be called before anything else: `command` is about to run.
pub(crate) fn begin(options: &Global, command: &str) {
    if options.mode() == ProgressMode::Json {
        JSON.store(true, Ordering::Relaxed);
        let version = env!("CARGO_PKG_VERSION");
        json::event("begin", json!({"version": version, "command": command}));
    }
}

/// What the last event for programs will say: the summary, and where the build's
/// manifest is.
pub(crate) fn result(summary: Value, manifest: Option<PathBuf>) {
    json::result(summary, manifest);
}

/// The command did what it should; nothing is said after this.
pub(crate) fn done() {
    if JSON.load(Ordering::Relaxed) {
        json::done();
    }
}

/// The command failed, or was interrupted, as `text` says; nothing is said after
/// this.
pub(crate) fn failed(text: &str, class: Class) {
    lock(&SCREEN).close();
    if JSON.load(Ordering::Relaxed) {
        json::failed(text, class.exit_code());
    } else {
        line(text);
    }
}

/// Chooses the reporter that the options ask for.
#[must_use]
pub(crate) fn progress(options: &Global) -> Progress {
    let verbosity = match (options.quiet, options.verbose) {
        (true, _) => Verbosity::WarningsOnly,
        (_, true) => Verbosity::EveryTask,
        _ => Verbosity::Default,
    };
    let reporter: Arc<dyn Reporter> = match options.mode() {
        ProgressMode::Json => Arc::new(JsonLines::new(options.quiet, options.verbose)),
        _ if options.quiet => Arc::new(Lines::new(Verbosity::WarningsOnly)),
        ProgressMode::None => Arc::new(Lines::new(Verbosity::WarningsOnly)),
        ProgressMode::Auto if is_capable_terminal() && env::get_os("CI").is_none() => {
            Arc::new(Bars::new(verbosity))
        }
        ProgressMode::Auto | ProgressMode::Plain => Arc::new(Lines::new(verbosity)),
    };
    Progress::new(reporter)
}

/// A reporter's lock; a thread that panicked while holding it leaves the state
/// good enough for messages.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verbosity {
    WarningsOnly,
    /// Stages, notes, and how far the tasks are.
    Default,
    /// Decisions and every task's end too.
    EveryTask,
}
