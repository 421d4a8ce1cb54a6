//! The only module that prints: data to standard output, everything else to
//! standard error.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::args::{Global, ProgressMode};
use crate::cli::env;
use crate::progress::{Progress, Reporter, TaskId};

/// Version of the JSON progress events; a reader should refuse another one.
pub const PROGRESS_SCHEMA: u32 = 1;

/// How often a running task may say a plain line.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// How often a running task may say a JSON event.
const JSON_INTERVAL: Duration = Duration::from_millis(500);

/// Writes `text` to standard output.
///
/// # Errors
/// What standard output gave; a closed pipe is no error.
pub fn data(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes a line to standard error; a closed standard error is ignored, since
/// there is nobody left to tell.
pub fn line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Chooses the reporter that the options ask for.
#[must_use]
pub fn progress(options: &Global) -> Progress {
    if options.quiet {
        return Progress::new(Arc::new(Lines::new(Verbosity::WarningsOnly)));
    }
    let terminal = io::stderr().is_terminal()
        && env::get_os("CI").is_none()
        && env::get("TERM").is_none_or(|term| term != "dumb");
    let verbosity = if options.verbose {
        Verbosity::EveryTask
    } else {
        Verbosity::Default
    };
    match options.progress {
        ProgressMode::None => Progress::new(Arc::new(Lines::new(Verbosity::WarningsOnly))),
        ProgressMode::Json => Progress::new(Arc::new(JsonLines::default())),
        ProgressMode::Auto if terminal => Progress::new(Arc::new(Bars::new(verbosity))),
        ProgressMode::Auto | ProgressMode::Plain => Progress::new(Arc::new(Lines::new(verbosity))),
    }
}

/// A reporter's lock; a thread that panicked while holding it leaves the state
/// good enough for messages.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Running {
    label: String,
    done_bytes: u64,
    total_bytes: Option<u64>,
    started: Instant,
    said: Instant,
}

impl Running {
    fn new(label: &str, total_bytes: Option<u64>) -> Self {
        let now = Instant::now();
        Self {
            label: label.to_owned(),
            done_bytes: 0,
            total_bytes,
            started: now,
            said: now,
        }
    }

    fn describe(&self) -> String {
        let rate = self.done_bytes as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        let total = self
            .total_bytes
            .map(|total| format!(" of {}", HumanBytes(total)))
            .unwrap_or_default();
        format!(
            "{}: {}{total}, {}/s",
            self.label,
            HumanBytes(self.done_bytes),
            HumanBytes(rate as u64)
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verbosity {
    WarningsOnly,
    /// Stages, notes, and tasks that take long.
    Default,
    /// Every task's end too.
    EveryTask,
}

/// Plain lines, for logs.
#[derive(Debug)]
struct Lines {
    verbosity: Verbosity,
    tasks: Mutex<BTreeMap<TaskId, Running>>,
}

impl Lines {
    fn new(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            tasks: Mutex::default(),
        }
    }

    fn say(&self, text: &str) {
        if self.verbosity >= Verbosity::Default {
            line(text);
        }
    }
}

impl Reporter for Lines {
    fn start(&self, id: TaskId, label: &str, total_bytes: Option<u64>) {
        lock(&self.tasks).insert(id, Running::new(label, total_bytes));
    }

    fn advance(&self, id: TaskId, bytes: u64) {
        let mut tasks = lock(&self.tasks);
        if let Some(task) = tasks.get_mut(&id) {
            task.done_bytes += bytes;
            if task.said.elapsed() >= PLAIN_INTERVAL {
                task.said = Instant::now();
                self.say(&format!("  {}", task.describe()));
            }
        }
    }

    fn finish(&self, id: TaskId) {
        if let Some(task) = lock(&self.tasks).remove(&id)
            && (task.started.elapsed() >= PLAIN_INTERVAL || self.verbosity == Verbosity::EveryTask)
        {
            self.say(&format!("  {}", task.describe()));
        }
    }

    fn note(&self, message: &str) {
        self.say(&format!("  {message}"));
    }

    fn warn(&self, message: &str) {
        line(&format!("warning: {message}"));
    }

    fn stage(&self, name: &str) {
        self.say(name);
    }
}

/// One JSON object a line; `schema` is [`PROGRESS_SCHEMA`].
#[derive(Debug, Default)]
struct JsonLines {
    tasks: Mutex<BTreeMap<TaskId, Running>>,
}

impl JsonLines {
    fn event(mut value: serde_json::Value) {
        if let Some(object) = value.as_object_mut() {
            object.insert("schema".to_owned(), json!(PROGRESS_SCHEMA));
        }
        line(&value.to_string());
    }
}

impl Reporter for JsonLines {
    fn start(&self, id: TaskId, label: &str, total_bytes: Option<u64>) {
        lock(&self.tasks).insert(id, Running::new(label, total_bytes));
        Self::event(
            json!({"event": "start", "task": id.0, "label": label, "total_bytes": total_bytes}),
        );
    }

    fn advance(&self, id: TaskId, bytes: u64) {
        let mut tasks = lock(&self.tasks);
        if let Some(task) = tasks.get_mut(&id) {
            task.done_bytes += bytes;
            if task.said.elapsed() >= JSON_INTERVAL {
                task.said = Instant::now();
                Self::event(
                    json!({"event": "advance", "task": id.0, "done_bytes": task.done_bytes}),
                );
            }
        }
    }

    fn finish(&self, id: TaskId) {
        if let Some(task) = lock(&self.tasks).remove(&id) {
            Self::event(json!({"event": "finish", "task": id.0, "done_bytes": task.done_bytes}));
        }
    }

    fn note(&self, message: &str) {
        Self::event(json!({"event": "note", "message": message}));
    }

    fn warn(&self, message: &str) {
        Self::event(json!({"event": "warning", "message": message}));
    }

    fn stage(&self, name: &str) {
        Self::event(json!({"event": "stage", "name": name}));
    }
}

/// Bars on a terminal.
#[derive(Debug)]
struct Bars {
    verbosity: Verbosity,
    all: MultiProgress,
    bars: Mutex<BTreeMap<TaskId, ProgressBar>>,
}

impl Bars {
    fn new(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            all: MultiProgress::default(),
            bars: Mutex::default(),
        }
    }

    fn say(&self, text: &str) {
        if self.all.println(text).is_err() {
            line(text);
        }
    }
}

impl Reporter for Bars {
    fn start(&self, id: TaskId, label: &str, total_bytes: Option<u64>) {
        let bar = self.all.add(match total_bytes {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        });
        let template = if total_bytes.is_some() {
            "  {wide_msg} {bar:20} {bytes:>10}/{total_bytes:10} {bytes_per_sec:>11} {eta:>4}"
        } else {
            "  {spinner} {wide_msg} {bytes:>10} {bytes_per_sec:>11} {elapsed:>4}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(label.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        lock(&self.bars).insert(id, bar);
    }

    fn advance(&self, id: TaskId, bytes: u64) {
        if let Some(bar) = lock(&self.bars).get(&id) {
            bar.inc(bytes);
        }
    }

    fn finish(&self, id: TaskId) {
        if let Some(bar) = lock(&self.bars).remove(&id) {
            bar.finish_and_clear();
            if self.verbosity == Verbosity::EveryTask {
                self.say(&format!(
                    "  {}: {}",
                    bar.message(),
                    HumanBytes(bar.position())
                ));
            }
        }
    }

    fn note(&self, message: &str) {
        self.say(&format!("  {message}"));
    }

    fn warn(&self, message: &str) {
        self.say(&format!("warning: {message}"));
    }

    fn stage(&self, name: &str) {
        self.say(name);
    }
}
