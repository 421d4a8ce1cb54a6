//! How long work says what it is doing, without knowing who listens.
//!
//! Stages hold a [`Progress`] and open [`Task`]s on it; only `cli` implements
//! [`Reporter`] and prints. A task that is dropped is finished.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
}

/// Handle to a reporter that stages pass along; cheap to clone.
#[derive(Clone)]
pub struct Progress {
    reporter: Arc<dyn Reporter>,
    next: Arc<AtomicU64>,
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

    /// Warns; the work goes on.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.reporter.warn(message.as_ref());
    }

    /// Says that a stage of the build begins.
    pub fn stage(&self, name: &str) {
        self.reporter.stage(name);
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
