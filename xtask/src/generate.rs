//! Documents that the program's own definitions give.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::sh;

/// Arguments of the task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail where a document is not up to date
    #[arg(long)]
    pub(crate) check: bool,
}

const DOCUMENTS: [(&str, &str); 4] = [
    ("profile", "docs/profile.md"),
    ("cli", "docs/cli.md"),
    ("hardening", "docs/hardening.md"),
    ("settings", "docs/settings.md"),
];

/// The task.
pub(crate) fn run(args: &Args) -> Result<()> {
    // As `cargo test --workspace --release` builds it, so that nothing has to be
    // compiled once more after the tests.
    let words = [
        "cargo",
        "build",
        "--quiet",
        "--workspace",
        "--release",
        "--examples",
    ];
    sh::run(&mut sh::command(words))?;
    let program = sh::target_dir().join("release/examples/reference");
    let mut stale = Vec::new();
    for (name, path) in DOCUMENTS {
        let text = sh::output(Command::new(&program).arg(name))?;
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
