//! Named steps with the time that each took, and what of them was left out.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::sh;

/// What a test or step prints that was left out, in front of the reason.
const SKIPPED: &str = "SKIPPED: ";

/// The reasons so far: steps and the tests that they run add to one list.
static SKIPS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Says that something is left out, and remembers it for the closing table.
pub(crate) fn skip(reason: &str) {
    println!("{SKIPPED}{reason}");
    remember(reason);
}

fn remember(reason: &str) {
    if let Ok(mut skips) = SKIPS.lock() {
        skips.push(reason.to_owned());
    }
}

/// As [`sh::run`], for a program that says what it skips on its standard error.
pub(crate) fn run_tests(command: &mut Command) -> Result<()> {
    println!("$ {}", sh::show(command));
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't start {}", sh::show(command)))?;
    let errors = child.stderr.take().context("standard error is piped")?;
    pass_on(errors, std::io::stderr())?;
    let status = child.wait()?;
    if !status.success() {
        bail!("{} failed: {status}", sh::show(command));
    }
    Ok(())
}

/// Copies lines, and remembers what they say was skipped.
fn pass_on(from: impl Read, mut to: impl Write) -> std::io::Result<()> {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        let text = String::from_utf8_lossy(&line);
        // A test's line may stand behind what the harness has not ended yet.
        if let Some((_, reason)) = text.split_once(SKIPPED) {
            remember(reason.trim_end());
        }
        line.clear();
    }
    Ok(())
}

/// Runs steps, also several at a time, and remembers their times; the table is
/// printed when it goes.
pub(crate) struct Steps {
    start: Instant,
    done: Mutex<Vec<(String, Duration, bool)>>,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            done: Mutex::default(),
        }
    }
}

impl Steps {
    /// Runs a step.
    pub(crate) fn run<T>(&self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n=== {name}");
        let start = Instant::now();
        let result = step().with_context(|| format!("step '{name}'"));
        if let Ok(mut done) = self.done.lock() {
            done.push((name.to_owned(), start.elapsed(), result.is_ok()));
        }
        result
    }

    /// Runs two chains of steps beside each other, both to their ends, and gives
    /// the first error.
    ///
    /// An emulated machine rarely keeps two processors busy.
    pub(crate) fn beside(
        one: impl FnOnce() -> Result<()> + Send,
        other: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        std::thread::scope(|scope| {
            let one = std::thread::Builder::new().spawn_scoped(scope, one)?;
            let other = other();
            match one.join() {
                Ok(one) => one.and(other),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        let done = self
            .done
            .lock()
            .map(|done| done.clone())
            .unwrap_or_default();
        if done.is_empty() {
            return;
        }
        println!("\nTime spent:");
        for (name, time, passed) in &done {
            let mark = if *passed { "ok" } else { "FAILED" };
            println!("  {:>7.1} s  {mark:<6}  {name}", time.as_secs_f64());
        }
        println!("  {:>7.1} s  in all", self.start.elapsed().as_secs_f64());
        let skips = SKIPS.lock().map(|skips| skips.clone()).unwrap_or_default();
        println!("\n{} skipped", skips.len());
        for reason in skips {
            println!("  {reason}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_beside_each_other_both_end_and_both_count() {
        let steps = Steps::default();
        let failed = Steps::beside(
            || steps.run("one", || bail!("broken")),
            || steps.run("other", || Ok(())),
        );
        assert!(format!("{:#}", failed.unwrap_err()).contains("broken"));
        let mut done = steps.done.lock().unwrap();
        done.sort();
        let marks: Vec<_> = done.iter().map(|(name, _, ok)| (&**name, *ok)).collect();
        assert_eq!(marks, [("one", false), ("other", true)]);
        done.clear();
    }

    #[test]
    fn what_tests_skip_is_remembered() {
        let lines = b"test one ... SKIPPED: no such tool\nother\n".as_slice();
        let mut shown = Vec::new();
        pass_on(lines, &mut shown).unwrap();
        assert_eq!(shown, lines);
        assert!(SKIPS.lock().unwrap().contains(&"no such tool".to_owned()));
        assert!(run_tests(&mut sh::command(["false"])).is_err());
    }
}
