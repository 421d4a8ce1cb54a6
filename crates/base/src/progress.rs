//! How long work says what it is doing, without knowing who listens.
//!
//! Stages hold a [`Progress`] and open [`Task`]s on it; only `cli` implements
//! [`Reporter`] and prints. A task that is dropped is finished.
//!
//! A [`Progress`] also keeps the books of its run: how long each stage took and
//! how much came from where ([`Figures`]). They are read off a clock and a
//! store's contents, so they are for people and logs; no artifact may hold them.

mod ledger;

use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ledger::Ledger;
pub use ledger::{Counted, Figures, StageTime, Tally};

/// Identifies a task within one [`Reporter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId(pub u64);

/// Receives events from stages, possibly from several threads at once.
pub trait Reporter: Send + Sync {
    /// Work named `label` begins; `total_bytes` where it is known.
    fn start(&self, id: TaskId, label: &str, total_bytes: Option<u64>);
    /// `bytes` more of the task are done.
    fn advance(&self, id: TaskId, bytes: u64);
    /// The task is over.
    fn finish(&self, id: TaskId);
    /// A line worth telling at the default verbosity.
    fn note(&self, message: &str);
    /// Something the user should know, though the work goes on.
    fn warn(&self, message: &str);
    /// A stage of the build begins.
    fn stage(&self, name: &str);
    /// A decision, for those who want to follow each one.
    fn detail(&self, _message: &str) {}
}

/// Handle to a reporter that stages pass along; cheap to clone.
#[derive(Clone)]
pub struct Progress {
    reporter: Arc<dyn Reporter>,
    next: Arc<AtomicU64>,
    ledger: Arc<Mutex<Ledger>>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

impl Progress {
    /// Reports to `reporter`.
    #[must_use]
    pub fn new(reporter: Arc<dyn Reporter>) -> Self {
        Self {
            reporter,
            next: Arc::new(AtomicU64::new(0)),
            ledger: Arc::new(Mutex::new(Ledger::new(Instant::now()))),
        }
    }

    /// Reports to nobody; for library use and tests.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(Arc::new(Silent))
    }

    /// Opens a task; it ends when the handle is dropped.
    #[must_use]
    pub fn task(&self, label: &str, total_bytes: Option<u64>) -> Task {
        let id = TaskId(self.next.fetch_add(1, Ordering::Relaxed));
        self.reporter.start(id, label, total_bytes);
        Task {
            reporter: Arc::clone(&self.reporter),
            id,
        }
    }

    /// Says a line at the default verbosity.
    pub fn note(&self, message: impl AsRef<str>) {
        self.reporter.note(message.as_ref());
    }

    /// Warns; the work goes on. What was said before, as of the ISO's system and now of the
    /// provider image's, is not said again.
    pub fn warn(&self, message: impl AsRef<str>) {
        if self.ledger().is_new_warning(message.as_ref()) {
            self.reporter.warn(message.as_ref());
        }
    }

    /// Says a decision that only matters to those who follow each one: which
    /// mirror is asked, what the store had, why something is made again.
    pub fn detail(&self, message: impl AsRef<str>) {
        self.reporter.detail(message.as_ref());
    }

    /// Says that a stage of the build begins; the one before is over.
    pub fn stage(&self, name: &str) {
        self.ledger().stage(name, Instant::now());
        self.reporter.stage(name);
    }

    /// Has the time until the result is dropped counted as `name`'s instead of
    /// the stage's that it is part of. For the thread that goes from stage to
    /// stage, not for its helpers: parts lie in each other, they never overlap.
    #[must_use]
    pub fn part(&self, name: &str) -> TimedPart {
        self.ledger().enter(name, Instant::now());
        TimedPart {
            ledger: Arc::clone(&self.ledger),
        }
    }

    /// Counts `bytes` that came as `how` says. `key` names the thing, a blob's
    /// digest for instance: of one thing only the first count holds, so that
    /// what was downloaded is not from the store when it is used again.
    pub fn count(&self, how: Counted, key: impl fmt::Display, bytes: u64) {
        self.ledger().count(how, key.to_string(), bytes);
    }

    /// The run's figures so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.ledger().figures(Instant::now())
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A part of a stage whose time is counted apart; made by [`Progress::part`].
#[derive(Debug)]
pub struct TimedPart {
    ledger: Arc<Mutex<Ledger>>,
}

impl Drop for TimedPart {
    fn drop(&mut self) {
        lock(&self.ledger).leave(Instant::now());
    }
}

/// One piece of work under way.
pub struct Task {
    reporter: Arc<dyn Reporter>,
    id: TaskId,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("id", &self.id).finish()
    }
}

impl Task {
    /// `bytes` more are done.
    pub fn advance(&self, bytes: u64) {
        self.reporter.advance(self.id, bytes);
    }

    /// A reader that advances this task by what is read through it.
    pub fn reader<R: Read>(&self, inner: R) -> TaskReader<'_, R> {
        TaskReader { task: self, inner }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.reporter.finish(self.id);
    }
}

/// Made by [`Task::reader`].
#[derive(Debug)]
pub struct TaskReader<'a, R> {
    task: &'a Task,
    inner: R,
}

impl<R: Read> Read for TaskReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.task.advance(n as u64);
        Ok(n)
    }
}

struct Silent;

impl Reporter for Silent {
    fn start(&self, _: TaskId, _: &str, _: Option<u64>) {}
    fn advance(&self, _: TaskId, _: u64) {}
    fn finish(&self, _: TaskId) {}
    fn note(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn stage(&self, _: &str) {}
}
