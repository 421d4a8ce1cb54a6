//! Named steps with the time that each took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Runs steps and remembers their times; the table is printed when it goes.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, bool)>,
}

impl Steps {
    /// Runs a step.
    pub(crate) fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n=== {name}");
        let start = Instant::now();
        let result = step().with_context(|| format!("step '{name}'"));
        self.done
            .push((name.to_owned(), start.elapsed(), result.is_ok()));
        result
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if self.done.is_empty() {
            return;
        }
        println!("\nTime spent:");
        let mut total = Duration::ZERO;
        for (name, time, passed) in &self.done {
            total += *time;
            let mark = if *passed { "ok" } else { "FAILED" };
            println!("  {:>7.1} s  {mark:<6}  {name}", time.as_secs_f64());
        }
        println!("  {:>7.1} s  in all", total.as_secs_f64());
    }
}
