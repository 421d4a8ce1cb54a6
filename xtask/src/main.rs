//! Development tasks. They drive programs (cargo, isoforge itself, QEMU, apt)
//! and never link the library, so that they see what a user sees.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tasks print, run programs and read the environment"
)]

mod another_host;
mod bench;
mod big_file;
mod boots;
mod demo;
mod generate;
mod program;
mod qemu;
mod registry;
mod same_root;
mod setup;
mod sh;
mod steps;
mod suites;
mod twice;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks of isoforge
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building and testing need, on Debian 12 or 13
    Setup(setup::Args),
    /// Build isoforge, and the program for the machine beside it
    Build,
    /// Build profiles/demo.toml on a fresh machine and show the results
    Demo(demo::Args),
    /// Run every test, two boots included; this is what CI runs
    Test,
    /// Boot the demo ISO in all five ways, and build it twice
    E2e(suites::E2e),
    /// Measure against mksquashfs and xorriso
    Bench,
    /// Write the documents that the program's definitions give
    Generate(generate::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = sh::to_workspace_root().and_then(|()| match cli.task {
        Task::Setup(args) => setup::run(&args),
        Task::Build => program::build(),
        Task::Demo(args) => demo::run(&args),
        Task::Test => suites::test(),
        Task::E2e(args) => suites::e2e(&args),
        Task::Bench => bench::run(),
        Task::Generate(args) => generate::run(&args),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
