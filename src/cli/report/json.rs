//! Progress for programs: one JSON object a line, as `docs/progress.md` and
//! `docs/progress.schema.json` have it.
//!
//! Invariant: the lines of one process stand in the order of their numbers,
//! whoever says them; the last one is `done` or `failed`.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::tasks::{Running, Tasks};
use super::{lock, raw};
use isoforge_base::progress::{Reporter, TaskId};

/// Version of the events; a reader should refuse another one.
pub(super) const PROGRESS_SCHEMA: u32 = 1;

/// How often a running task says how far it is.
const INTERVAL: Duration = Duration::from_millis(500);

/// What all events of the process share.
static STREAM: Mutex<Stream> = Mutex::new(Stream {
    began: None,
    next: 0,
    ended: false,
    summary: Value::Null,
    manifest: None,
});

struct Stream {
    began: Option<Instant>,
    next: u64,
    ended: bool,
    summary: Value,
    manifest: Option<PathBuf>,
}

impl Stream {
    fn say(&mut self, kind: &str, mut fields: Value) {
        if self.ended {
            return;
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        let mut event = json!({
            "schema": PROGRESS_SCHEMA,
            "seq": self.next,
            "elapsed_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "event": kind,
        });
        if let (Some(event), Some(fields)) = (event.as_object_mut(), fields.as_object_mut()) {
            event.append(fields);
        }
        self.next += 1;
        raw(&event.to_string());
    }
}

/// Says one event.
pub(super) fn event(kind: &str, fields: Value) {
    lock(&STREAM).say(kind, fields);
}

/// What the last event will say of a build that succeeds.
pub(super) fn result(summary: Value, manifest: Option<PathBuf>) {
    let mut stream = lock(&STREAM);
    stream.summary = summary;
    stream.manifest = manifest;
}

/// The last event of a run that did what it should.
pub(super) fn done() {
    let mut stream = lock(&STREAM);
    let fields = json!({
        "exit_code": 0,
        "manifest": stream.manifest.take(),
        "summary": stream.summary.take(),
    });
    stream.say("done", fields);
    stream.ended = true;
}

/// The last event of a run that failed.
pub(super) fn failed(message: &str, exit_code: u8) {
    let mut stream = lock(&STREAM);
    stream.say(
        "failed",
        json!({"exit_code": exit_code, "message": message}),
    );
    stream.ended = true;
}

/// The reporter.
#[derive(Debug)]
pub(super) struct JsonLines {
    quiet: bool,
    verbose: bool,
    tasks: Mutex<Tasks>,
}

impl JsonLines {
    pub(super) fn new(quiet: bool, verbose: bool) -> Self {
        Self {
            quiet,
            verbose,
            tasks: Mutex::default(),
        }
    }

    fn event(&self, kind: &str, fields: Value) {
        if !self.quiet {
            event(kind, fields);
        }
    }
}

impl Reporter for JsonLines {
    fn start(&self, id: TaskId, label: &str, total_bytes: Option<u64>) {
        let mut tasks = lock(&self.tasks);
        tasks.start(id, Running::new(label, total_bytes, Instant::now()));
        self.event(
            "start",
            json!({"task": id.0, "label": label, "total_bytes": total_bytes}),
        );
    }

    fn advance(&self, id: TaskId, bytes: u64) {
        let mut tasks = lock(&self.tasks);
        let Some(task) = tasks.advance(id, bytes) else {
            return;
        };
        let now = Instant::now();
        if now.saturating_duration_since(task.said) >= INTERVAL {
            task.said = now;
            self.event(
                "advance",
                json!({"task": id.0, "done_bytes": task.done_bytes}),
            );
        }
    }

    fn finish(&self, id: TaskId) {
        // Held until it is said, so that no event of the task comes after it.
        let mut tasks = lock(&self.tasks);
        if let Some(task) = tasks.finish(id) {
            self.event(
                "finish",
                json!({"task": id.0, "done_bytes": task.done_bytes}),
            );
        }
    }

    fn note(&self, message: &str) {
        self.event("note", json!({"message": message}));
    }

    fn warn(&self, message: &str) {
        event("warning", json!({"message": message}));
    }

    fn stage(&self, name: &str) {
        self.event("stage", json!({"name": name}));
    }

    fn detail(&self, message: &str) {
        if self.verbose {
            self.event("detail", json!({"message": message}));
        }
    }
}
