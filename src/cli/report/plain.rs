//! Lines for logs. However many tasks run at once, a log grows by a line every
//! [`INTERVAL`] at most, beside stages, notes and warnings.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::layout;
use super::tasks::{Running, Tasks};
use super::ticker::Ticker;
use super::{Verbosity, line, lock};
use isoforge_base::progress::{Reporter, TaskId};
use isoforge_base::shown;

/// How often a run says how far it is.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// How often the run is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Where time and lines go; a test has its own.
type Now = Box<dyn Fn() -> Instant + Send + Sync>;
type Say = Box<dyn Fn(&str) + Send + Sync>;

/// The reporter.
#[derive(Debug)]
pub(super) struct Lines {
    run: Arc<Run>,
    _ticker: Option<Ticker>,
}

struct Run {
    verbosity: Verbosity,
    state: Mutex<State>,
    now: Now,
    say: Say,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

struct State {
    tasks: Tasks,
    /// When a line about the tasks, or a stage, was said last.
    said: Instant,
}

impl Lines {
    pub(super) fn new(verbosity: Verbosity) -> Self {
        let run = Arc::new(Run::new(verbosity, Box::new(Instant::now), Box::new(line)));
        let ticking = Arc::clone(&run);
        Self {
            run,
            _ticker: (verbosity >= Verbosity::Default)
                .then(|| Ticker::new(TICK, move || ticking.tick())),
        }
    }
}

impl Run {
    fn new(verbosity: Verbosity, now: Now, say: Say) -> Self {
        let state = State {
            tasks: Tasks::default(),
            said: now(),
        };
        Self {
            verbosity,
            state: Mutex::new(state),
            now,
            say,
        }
    }

    fn say(&self, least: Verbosity, text: &str) {
        if self.verbosity >= least {
            (self.say)(text);
        }
    }

    /// Says how far the oldest task is, and how many others run, where that was
    /// not said of late.
    fn tick(&self) {
        let now = (self.now)();
        let mut state = lock(&self.state);
        if now.saturating_duration_since(state.said) < INTERVAL {
            return;
        }
        let Some(oldest) = state.tasks.iter().next() else {
            return;
        };
        let mut text = format!("  {}", layout::sentence(oldest, now));
        let others = state.tasks.len() - 1;
        if others > 0 {
            text.push_str(&format!("; and {others} more"));
        }
        self.say(Verbosity::Default, &text);
        state.said = now;
    }
}

impl Reporter for Lines {
    fn start(&self, id: TaskId, label: &str, total_bytes: Option<u64>) {
        let task = Running::new(label, total_bytes, (self.run.now)());
        lock(&self.run.state).tasks.start(id, task);
    }

    fn advance(&self, id: TaskId, bytes: u64) {
        lock(&self.run.state).tasks.advance(id, bytes);
    }

    fn finish(&self, id: TaskId) {
        if let Some(task) = lock(&self.run.state).tasks.finish(id) {
            let text = format!("  {}", layout::sentence(&task, (self.run.now)()));
            self.run.say(Verbosity::EveryTask, &text);
        }
    }

    fn note(&self, message: &str) {
        self.run.say(
            Verbosity::Default,
            &format!("  {}", shown::continued(message)),
        );
    }

    fn warn(&self, message: &str) {
        self.run.say(
            Verbosity::WarningsOnly,
            &format!("warning: {}", shown::continued(message)),
        );
    }

    fn stage(&self, name: &str) {
        let mut state = lock(&self.run.state);
        state.said = (self.run.now)();
        self.run.say(Verbosity::Default, &shown::continued(name));
    }

    fn detail(&self, message: &str) {
        self.run.say(
            Verbosity::EveryTask,
            &format!("  {}", shown::continued(message)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    /// A run with a clock that the test sets, and what it says.
    struct Bench {
        lines: Lines,
        clock: Arc<Mutex<Instant>>,
        said: Arc<Mutex<Vec<String>>>,
    }

    impl Bench {
        fn new(verbosity: Verbosity) -> Self {
            let clock = Arc::new(Mutex::new(Instant::now()));
            let said = Arc::new(Mutex::new(Vec::new()));
            let (read, write) = (Arc::clone(&clock), Arc::clone(&said));
            let run = Run::new(
                verbosity,
                Box::new(move || *lock(&read)),
                Box::new(move |text| lock(&write).push(text.to_owned())),
            );
            Self {
                lines: Lines {
                    run: Arc::new(run),
                    _ticker: None,
                },
                clock,
                said,
            }
        }

        /// Lets seconds pass, in each of which every task does a mebibyte.
        fn pass(&self, seconds: u64, tasks: &[u64]) {
            for _ in 0..seconds {
                *lock(&self.clock) += Duration::from_secs(1);
                for task in tasks {
                    self.lines.advance(TaskId(*task), 1 << 20);
                }
                self.lines.run.tick();
            }
        }

        fn said(&self) -> String {
            lock(&self.said).join("\n")
        }
    }

    /// Four downloads, a stage, a task without bytes.
    fn story(verbosity: Verbosity) -> String {
        let bench = Bench::new(verbosity);
        let lines = &bench.lines;
        lines.stage("Gathering inputs");
        for task in 0..4 {
            let label = format!("quay.io/a/b:1 layer {}/4", task + 1);
            lines.start(TaskId(task), &label, Some(40 << 20));
        }
        bench.pass(12, &[0, 1, 2, 3]);
        lines.detail("layer 4/4 is in the store");
        for task in 0..4 {
            lines.finish(TaskId(task));
        }
        lines.note("bootstrap: 3 packages installed");
        lines.stage("Building the ISO for amd64");
        lines.start(TaskId(9), "root file system from packages", None);
        bench.pass(6, &[]);
        lines.warn("left out");
        lines.finish(TaskId(9));
        bench.pass(60, &[]);
        bench.said()
    }

    #[test]
    fn a_run_says_a_line_every_few_seconds_however_many_tasks_it_has() {
        assert_snapshot!(story(Verbosity::Default), @r"
        Gathering inputs
          quay.io/a/b:1 layer 1/4: 5.0 of 40.0 MiB, 1.0 MiB/s; and 3 more
          quay.io/a/b:1 layer 1/4: 10.0 of 40.0 MiB, 1.0 MiB/s; and 3 more
          bootstrap: 3 packages installed
        Building the ISO for amd64
          root file system from packages: 5.0 s
        warning: left out
        ");
    }

    #[test]
    fn verbose_says_decisions_and_each_tasks_end_too() {
        assert_snapshot!(story(Verbosity::EveryTask), @r"
        Gathering inputs
          quay.io/a/b:1 layer 1/4: 5.0 of 40.0 MiB, 1.0 MiB/s; and 3 more
          quay.io/a/b:1 layer 1/4: 10.0 of 40.0 MiB, 1.0 MiB/s; and 3 more
          layer 4/4 is in the store
          quay.io/a/b:1 layer 1/4: 12.0 of 40.0 MiB, 1.0 MiB/s
          quay.io/a/b:1 layer 2/4: 12.0 of 40.0 MiB, 1.0 MiB/s
          quay.io/a/b:1 layer 3/4: 12.0 of 40.0 MiB, 1.0 MiB/s
          quay.io/a/b:1 layer 4/4: 12.0 of 40.0 MiB, 1.0 MiB/s
          bootstrap: 3 packages installed
        Building the ISO for amd64
          root file system from packages: 5.0 s
        warning: left out
          root file system from packages: 6.0 s
        ");
    }

    #[test]
    fn no_text_of_others_looks_like_a_message_of_ours() {
        let bench = Bench::new(Verbosity::EveryTask);
        let sly = "a\nwarning: none";
        bench.lines.note(sly);
        bench.lines.warn(sly);
        bench.lines.detail(sly);
        bench.lines.start(TaskId(0), sly, None);
        bench.lines.finish(TaskId(0));
        assert_snapshot!(bench.said(), @r"
          a
            warning: none
        warning: a
            warning: none
          a
            warning: none
          a\nwarning: none: 0.0 s
        ");
    }

    #[test]
    fn quiet_says_warnings_alone() {
        assert_snapshot!(story(Verbosity::WarningsOnly), @"warning: left out");
    }

    #[test]
    fn two_hundred_tasks_do_not_flood_a_log() {
        let bench = Bench::new(Verbosity::Default);
        let all: Vec<u64> = (0..200).collect();
        for task in &all {
            bench.lines.start(TaskId(*task), "x", Some(1 << 30));
        }
        bench.pass(60, &all);
        assert_eq!(lock(&bench.said).len(), 12);
    }
}
