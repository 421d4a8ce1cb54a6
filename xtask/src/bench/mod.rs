//! Measures beside foreign tools, in one run, as ratios. Each pair is run in
//! turn several times, and the medians are compared, since machines are noisy.
//!
//! The input is the demo's own root file system; all files stay in the page
//! cache. GNU time tells what other programs use.

mod files;
mod install;
mod measure;
mod registry;

use anyhow::{Result, ensure};

use crate::demo;
use crate::setup::{self, Need};
use files::Bench;
use measure::{ROUNDS, require, row};

/// What has to hold: see the README.
const MAX_COLD_RATIO: f64 = 1.0;
const MAX_REBUILD_RATIO: f64 = 0.2;
const MAX_PEAK_MIB: f64 = 200.0;

/// The task.
pub(crate) fn run() -> Result<()> {
    setup::ensure(Need::Test)?;
    let iso = demo::build()?;
    let bench = Bench::prepare(&iso)?;
    let mut failures = Vec::new();
    println!("\nmedians of {ROUNDS} runs in turn; ratio = isoforge / the other");
    let (ours, theirs) = bench.squashfs()?;
    row("SquashFS", "mksquashfs", ours, theirs);
    require(
        &mut failures,
        "SquashFS time",
        ours.seconds / theirs.seconds,
        MAX_COLD_RATIO,
    );
    let (ours, theirs) = bench.iso()?;
    row("ISO with its SHA-256", "xorriso, sha256sum", ours, theirs);
    let (cold, theirs) = bench.whole()?;
    row(
        "whole build, cold",
        "mksquashfs, xorriso, sha256sum",
        cold,
        theirs,
    );
    require(
        &mut failures,
        "peak memory (MiB)",
        cold.peak_mib,
        MAX_PEAK_MIB,
    );
    let again = bench.rebuild()?;
    row("changed cloud-config", "isoforge cold", again, cold);
    require(
        &mut failures,
        "rebuild time",
        again.seconds / cold.seconds,
        MAX_REBUILD_RATIO,
    );
    let bundle = registry::run(&mut failures)?;
    install::run(&iso, &bundle, &mut failures)?;
    ensure!(failures.is_empty(), "missed: {}", failures.join("; "));
    Ok(())
}
