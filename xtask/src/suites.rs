//! `test`, which CI runs, and `e2e`, which boots in every way.

use std::path::PathBuf;

use anyhow::Result;

use crate::boots::{self, BIOS_CD, SECURE_CD, WAYS};
use crate::qemu::{self, Accel};
use crate::setup::{self, Need};
use crate::steps::Steps;
use crate::{big_file, demo, generate, same_root, sh, twice};

/// Arguments of `e2e`.
#[derive(clap::Args)]
pub(crate) struct E2e {
    /// Only the ways whose name contains this (bios-cd, uefi-usb, …)
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Boot this ISO instead of building the demo
    #[arg(long, value_name = "FILE")]
    iso: Option<PathBuf>,
}

/// Everything that has to hold before a commit is taken.
///
/// Tests are compiled like the product (`--release`): its dependencies are then
/// compiled once for both, large inputs take a third of the time, and the
/// profile keeps overflow checks on.
pub(crate) fn test() -> Result<()> {
    let mut steps = Steps::default();
    steps.run("setup", || setup::ensure(Need::Test))?;
    steps.run("format", || cargo(&["fmt", "--all", "--check"]))?;
    steps.run("lints", || {
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ])
    })?;
    steps.run("unit and integration tests", || {
        cargo(&["test", "--workspace", "--release"])
    })?;
    steps.run("documentation of the code", || {
        let words = ["cargo", "doc", "--workspace", "--no-deps"];
        sh::run(sh::command(words).env("RUSTDOCFLAGS", "-Dwarnings"))
    })?;
    steps.run("generated documents", || {
        generate::run(&generate::Args { check: true })
    })?;
    steps.run("dependencies' licences and sources", deny)?;
    let iso = steps.run("demo build", demo::build)?;
    steps.run(
        "one system from a layout and from a registry",
        same_root::check,
    )?;
    let accel = steps.run("probe of KVM", || probe(&iso))?;
    for way in [BIOS_CD, SECURE_CD] {
        steps.run(&format!("boot: {}", way.name), || {
            boots::boot(way, &iso, accel)
        })?;
    }
    steps.run("a kernel reads a file of 5 GiB", || {
        big_file::check(&iso, accel)
    })
}

/// All boots, and reproducibility.
pub(crate) fn e2e(args: &E2e) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("setup", || setup::ensure(Need::Test))?;
    let iso = match &args.iso {
        Some(iso) => iso.clone(),
        None => steps.run("demo build", demo::build)?,
    };
    let accel = steps.run("probe of KVM", || probe(&iso))?;
    let wanted = |name: &str| {
        args.only
            .as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
    };
    for way in WAYS.into_iter().filter(|way| wanted(way.name)) {
        steps.run(&format!("boot: {}", way.name), || {
            boots::boot(way, &iso, accel)
        })?;
    }
    if args.iso.is_none() && wanted("twice") {
        steps.run("built twice, from nothing", twice::check)?;
    }
    Ok(())
}

fn probe(iso: &std::path::Path) -> Result<Accel> {
    qemu::check_version()?;
    Accel::probe(iso)
}

fn cargo(words: &[&str]) -> Result<()> {
    sh::run(&mut sh::command(["cargo"].iter().chain(words)))
}

/// cargo-deny is no part of Rust, and its list of advisories needs a network:
/// where it is installed, what can be said offline is checked.
fn deny() -> Result<()> {
    if !sh::succeeds(&mut sh::command(["cargo", "deny", "--version"])) {
        println!("SKIPPED: cargo-deny is not installed (cargo install --locked cargo-deny)");
        return Ok(());
    }
    cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"])
}
