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
    fn what_tests_skip_is_remembered() {
        let lines = b"test one ... SKIPPED: no such tool\nother\n".as_slice();
        let mut shown = Vec::new();
        pass_on(lines, &mut shown).unwrap();
        assert_eq!(shown, lines);
        assert!(SKIPS.lock().unwrap().contains(&"no such tool".to_owned()));
        assert!(run_tests(&mut sh::command(["false"])).is_err());
    }
}
