//! Lines on a terminal that change in place: one for each running task.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::layout;
use super::tasks::{Running, Tasks};
use super::ticker::Ticker;
use super::{Verbosity, line, lock, show};
use isoforge_base::progress::{Reporter, TaskId};
use isoforge_base::shown;

/// How often the lines are drawn. A task that is shorter may never be seen.
const FRAME: Duration = Duration::from_millis(100);

/// The reporter.
#[derive(Debug)]
pub(super) struct Bars {
    verbosity: Verbosity,
    tasks: Arc<Mutex<Tasks>>,
    ticker: Option<Ticker>,
}

impl Bars {
    pub(super) fn new(verbosity: Verbosity) -> Self {
        let tasks = Arc::new(Mutex::new(Tasks::default()));
        let drawn = Arc::clone(&tasks);
        Self {
            verbosity,
            tasks,
            ticker: Some(Ticker::new(FRAME, move || draw(&mut lock(&drawn)))),
        }
    }

    fn say(&self, text: &str) {
        let mut tasks = lock(&self.tasks);
        line(text);
        draw(&mut tasks);
    }
}

/// Shows how far all are.
fn draw(tasks: &mut Tasks) {
    let now = Instant::now();
    tasks.sample(now);
    show(|columns, rows| layout::lines(tasks, columns, rows, now));
}

impl Drop for Bars {
    fn drop(&mut self) {
        // No frame may come after the last one.
        drop(self.ticker.take());
        show(|_, _| Vec::new());
    }
}

impl Reporter for Bars {
    fn start(&self, id: TaskId, label: &str, total_bytes: Option<u64>) {
        lock(&self.tasks).start(id, Running::new(label, total_bytes, Instant::now()));
    }

    fn advance(&self, id: TaskId, bytes: u64) {
        lock(&self.tasks).advance(id, bytes);
    }

    fn finish(&self, id: TaskId) {
        let mut tasks = lock(&self.tasks);
        let Some(task) = tasks.finish(id) else { return };
        if self.verbosity == Verbosity::EveryTask {
            line(&format!("  {}", layout::sentence(&task, Instant::now())));
        }
        if tasks.len() == 0 {
            draw(&mut tasks);
        }
    }

    fn note(&self, message: &str) {
        self.say(&format!("  {}", shown::continued(message)));
    }

    fn warn(&self, message: &str) {
        self.say(&format!("warning: {}", shown::continued(message)));
    }

    fn stage(&self, name: &str) {
        self.say(&shown::continued(name));
    }

    fn detail(&self, message: &str) {
        if self.verbosity == Verbosity::EveryTask {
            self.say(&format!("  {}", shown::continued(message)));
        }
    }
}
