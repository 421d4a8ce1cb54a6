//! `test`, which CI runs, and `e2e`, which boots in every way.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::boots::{self, BIOS_CD, SECURE_CD, WAYS};
use crate::install::{self, Lab, STEPS};
use crate::qemu::{self, Accel};
use crate::setup::{self, Need};
use crate::steps::{self, Steps};
use crate::{big_file, demo, generate, same_root, sh, twice};

/// Arguments of `e2e`.
#[derive(clap::Args)]
pub(crate) struct E2e {
    /// Only the step of this name (bios-cd, upgrade, …), or all that begin like it
    /// (`fallback-*`); can be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Boot this ISO instead of building the demo, and install nothing
    #[arg(long, value_name = "FILE")]
    iso: Option<PathBuf>,
    /// Write a picture of the installer's screen, when it is driven by keys
    #[arg(long, value_name = "PNG", num_args = 0..=1, default_missing_value = "docs/installer.png")]
    screenshot: Option<PathBuf>,
    /// Only list the steps
    #[arg(long)]
    list: bool,
}

impl E2e {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| is_meant(only, name))
    }

    /// Fails for what no step is called.
    fn check(&self) -> Result<()> {
        for only in &self.only {
            ensure!(
                step_names().any(|name| is_meant(only, name)),
                "no step is called '{only}'; `cargo xtask e2e --list` names all"
            );
        }
        Ok(())
    }
}

/// Whether `only` is the name, or ends with `*` and the name begins like it.
fn is_meant(only: &str, name: &str) -> bool {
    match only.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == only,
    }
}

/// All of `e2e`, in its order.
fn step_names() -> impl Iterator<Item = &'static str> {
    let ways = WAYS.iter().map(|way| way.name);
    ways.chain(STEPS.iter().map(|(name, _)| *name))
        .chain([FAULTS, MUTATED, TWICE])
}

/// The kernel's answers disturbed.
const FAULTS: &str = "faults-injected";

/// Damaged artifacts, many of each.
const MUTATED: &str = "mutated";

/// Reproducibility's step.
const TWICE: &str = "twice";

/// Everything that has to hold before a commit is taken.
///
/// Everything is compiled like the product (`--release`): dependencies are then
/// compiled once for all, what builds them runs once for lints and tests, and the
/// profile keeps overflow checks on.
pub(crate) fn test() -> Result<()> {
    let steps = Steps::default();
    steps.run("setup", || setup::ensure(Need::Test))?;
    steps.run("format", || cargo(&["fmt", "--all", "--check"]))?;
    steps.run("lints", || {
        cargo(&[
            "clippy",
            "--workspace",
            "--release",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ])
    })?;
    steps.run("unit and integration tests", || {
        steps::run_tests(&mut sh::command([
            "cargo",
            "test",
            "--workspace",
            "--release",
        ]))
    })?;
    steps.run("documentation of the code", || {
        let words = ["cargo", "doc", "--workspace", "--release", "--no-deps"];
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
    let boots = || {
        for way in [BIOS_CD, SECURE_CD] {
            steps.run(&format!("boot: {}", way.name), || {
                boots::boot(way, &iso, accel)
            })?;
        }
        steps.run("a kernel reads a file of 5 GiB", || {
            big_file::check(&iso, accel)
        })
    };
    Steps::beside(boots, || {
        steps.run("installation, boot, upgrade, boot", || {
            install::shortest(&Lab::prepare(accel, None)?)
        })
    })
}

/// All boots, installations and upgrades, and reproducibility.
pub(crate) fn e2e(args: &E2e) -> Result<()> {
    args.check()?;
    if args.list {
        for name in step_names().filter(|name| args.wants(name)) {
            println!("{name}");
        }
        return Ok(());
    }
    let steps = Steps::default();
    steps.run("setup", || setup::ensure(Need::Test))?;
    let iso = match &args.iso {
        Some(iso) => iso.clone(),
        None => steps.run("demo build", demo::build)?,
    };
    let accel = steps.run("probe of KVM", || probe(&iso))?;
    for way in WAYS.into_iter().filter(|way| args.wants(way.name)) {
        steps.run(&format!("boot: {}", way.name), || {
            boots::boot(way, &iso, accel)
        })?;
    }
    if args.iso.is_some() {
        return Ok(());
    }
    let lab = Lab::prepare(accel, args.screenshot.clone())?;
    // Hours of work do not end with the first step that fails.
    let mut failed = Vec::new();
    let mut attempt = |name: &'static str, step: &mut dyn FnMut() -> Result<()>| {
        if let Err(error) = steps.run(name, step) {
            println!("\nFAILED: {error:#}");
            failed.push(name);
        }
    };
    for (name, step) in STEPS.iter().filter(|(name, _)| args.wants(name)) {
        attempt(name, &mut || step(&lab));
    }
    for (name, test) in [(FAULTS, "faults_injected"), (MUTATED, "mutated")] {
        if args.wants(name) {
            attempt(name, &mut || long_test(test));
        }
    }
    if args.wants(TWICE) {
        attempt(TWICE, &mut twice::check);
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

fn probe(iso: &std::path::Path) -> Result<Accel> {
    qemu::check_version()?;
    Accel::probe(iso)
}

/// A test of the program that takes too long for `xtask test`, with what it counts.
fn long_test(name: &str) -> Result<()> {
    let words = ["test", "--workspace", "--release", "--test", "it", name];
    let mut test = sh::command(["cargo"].iter().chain(&words));
    sh::run(
        test.args(["--", "--nocapture"])
            .env("ISOFORGE_TEST_LONG", "1"),
    )
}

fn cargo(words: &[&str]) -> Result<()> {
    sh::run(&mut sh::command(["cargo"].iter().chain(words)))
}

/// cargo-deny is no part of Rust, and its list of advisories needs a network:
/// where it is installed, what can be said offline is checked.
fn deny() -> Result<()> {
    if !sh::succeeds(&mut sh::command(["cargo", "deny", "--version"])) {
        steps::skip("cargo-deny is not installed (cargo install --locked cargo-deny)");
        return Ok(());
    }
    cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> E2e {
        E2e {
            only: names.iter().map(|&name| name.to_owned()).collect(),
            iso: None,
            screenshot: None,
            list: false,
        }
    }

    fn wanted(args: &E2e) -> Vec<&'static str> {
        step_names().filter(|name| args.wants(name)).collect()
    }

    #[test]
    fn steps_are_meant_by_whole_names_or_by_their_beginning() {
        assert_eq!(wanted(&only(&["upgrade"])), ["upgrade"]);
        assert_eq!(
            wanted(&only(&["content*", "twice"])),
            ["content", "content-kairos", "twice"]
        );
        assert_eq!(wanted(&only(&[])).len(), WAYS.len() + STEPS.len() + 3);
    }

    #[test]
    fn a_name_that_no_step_has_is_an_error() {
        only(&["bios-cd", "fallback-*"]).check().unwrap();
        let error = only(&["upgrad"]).check().unwrap_err();
        assert!(error.to_string().contains("'upgrad'"), "{error}");
    }
}
