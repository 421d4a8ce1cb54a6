//! Runs that are timed, and what they used.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::qemu::scratch;
use crate::sh;

/// Pairs that are run of each comparison.
pub(super) const ROUNDS: usize = 3;

/// Starts that are timed together where one takes milliseconds.
const STARTS: u32 = 20;

/// What one run used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    pub(super) seconds: f64,
    pub(super) bytes: u64,
    pub(super) peak_mib: f64,
}

pub(super) fn require(failures: &mut Vec<String>, what: &str, value: f64, most: f64) {
    if value > most {
        failures.push(format!("{what} is {value:.2}, and may be {most:.2}"));
    }
}

pub(super) fn row(what: &str, other: &str, ours: Used, theirs: Used) {
    println!(
        "{what:<22} {:>7.2} s {:>9} peak {:>4.0} MiB | {other}: {:.2} s {} peak {:.0} MiB | time {:.2}, size {:.3}, memory {:.2}",
        ours.seconds,
        sh::mib(ours.bytes),
        ours.peak_mib,
        theirs.seconds,
        sh::mib(theirs.bytes),
        theirs.peak_mib,
        ours.seconds / theirs.seconds,
        ours.bytes as f64 / theirs.bytes as f64,
        ours.peak_mib / theirs.peak_mib,
    );
}

/// Runs a program that prints seconds, bytes and KiB.
pub(super) fn self_measured(command: &mut Command) -> Result<Used> {
    let text = sh::output(command)?;
    let mut words = text.split_whitespace();
    let mut next = || words.next().context("the bench printed too little");
    Ok(Used {
        seconds: next()?.parse()?,
        bytes: next()?.parse()?,
        peak_mib: next()?.parse::<f64>()? / 1024.0,
    })
}

/// Runs a program under GNU time; `out` is what it writes.
pub(super) fn timed(command: &Command, stdin: Option<File>, out: &Path) -> Result<Used> {
    let report = scratch("bench")?.join("time.txt");
    let mut timed = sh::command(["/usr/bin/time", "--format=%e %M", "--output"]);
    timed.arg(&report).arg("--");
    timed.arg(command.get_program()).args(command.get_args());
    let input = stdin.map_or_else(Stdio::null, Stdio::from);
    let done = timed
        .stdin(input)
        .output()
        .with_context(|| format!("can't start {}", sh::show(&timed)))?;
    if !done.status.success() {
        bail!(
            "{} failed: {}\n{}",
            sh::show(command),
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
    }
    let text = std::fs::read_to_string(&report)?;
    let (seconds, kib) = text
        .trim()
        .split_once(' ')
        .with_context(|| format!("time said {text:?}"))?;
    Ok(Used {
        seconds: seconds.parse()?,
        bytes: std::fs::metadata(out)?.len(),
        peak_mib: kib.parse::<f64>()? / 1024.0,
    })
}

/// Runs both in turn and gives the median of each.
pub(super) fn medians(
    mut ours: impl FnMut() -> Result<Used>,
    mut theirs: impl FnMut() -> Result<Used>,
) -> Result<(Used, Used)> {
    let mut runs = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        runs.0.push(ours()?);
        runs.1.push(theirs()?);
    }
    Ok((median(runs.0)?, median(runs.1)?))
}

/// The run of middle duration, with the largest peak of all.
pub(super) fn median(mut runs: Vec<Used>) -> Result<Used> {
    let peak_mib = runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max);
    runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let middle = runs.get(runs.len() / 2).context("no runs")?;
    Ok(Used {
        peak_mib,
        ..*middle
    })
}

/// Seconds that one start of a program takes, on the average of many.
pub(super) fn start_up(command: &mut Command) -> Result<f64> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begun = Instant::now();
    for _ in 0..STARTS {
        if !command.status()?.success() {
            bail!("{} failed", sh::show(command));
        }
    }
    Ok(begun.elapsed().as_secs_f64() / f64::from(STARTS))
}

/// A row of two durations without files.
pub(super) fn duration_row(what: &str, other: &str, ours: f64, theirs: f64) {
    println!(
        "{what:<22} {:>7.1} ms | {other}: {:.1} ms | time {:.2}",
        ours * 1e3,
        theirs * 1e3,
        ours / theirs
    );
}
