//! Documents that the program's own definitions give.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::sh;

/// Arguments of the task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail where a document is not up to date
    #[arg(long)]
    pub(crate) check: bool,
}

/// Words of the program that prints a document, and where that lies.
const DOCUMENTS: [(&[&str], &str); 5] = [
    (&["reference", "profile"], "docs/profile.md"),
    (&["reference", "cli"], "docs/cli.md"),
    (&["reference", "hardening"], "docs/hardening.md"),
    (&["reference", "settings"], "docs/settings.md"),
    (&["verbs"], "docs/appliance.md"),
];

/// The task.
pub(crate) fn run(args: &Args) -> Result<()> {
    // As `cargo test --workspace --release` builds it, so that nothing has to be
    // compiled once more after the tests.
    let build = "cargo build --quiet --workspace --release --examples";
    sh::run(&mut sh::line(build))?;
    let examples = sh::built("examples");
    let mut stale = Vec::new();
    for (words, path) in DOCUMENTS {
        let (program, arguments) = words.split_first().context("a program's name")?;
        let text = sh::output(Command::new(examples.join(program)).args(arguments))?;
        if std::fs::read_to_string(Path::new(path)).is_ok_and(|old| old == text) {
            println!("{path} is up to date");
        } else if args.check {
            stale.push(path);
        } else {
            std::fs::write(path, text)?;
            println!("{path} written");
        }
    }
    if !stale.is_empty() {
        bail!(
            "not up to date: {}; run cargo xtask generate",
            stale.join(", ")
        );
    }
    Ok(())
}
