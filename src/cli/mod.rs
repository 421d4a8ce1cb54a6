//! The command line: arguments and settings in, one call of the library, a
//! report and an exit code out.

pub mod args;
mod cmd;
pub mod env;
mod exit;
mod reference;
pub mod report;
pub mod settings;

use std::process::ExitCode;

pub use reference::reference;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::args::{Cli, Command};
use crate::error::Class;

/// Runs the program: parses the arguments, does what they say, reports.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell where printing fails.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => Class::Profile.exit_code().into(),
            };
        }
    };
    let result = match &cli.command {
        Command::Init(args) => cmd::init::run(args, &cli.global),
        Command::Validate(args) => cmd::validate::run(args, &cli.global),
        Command::Lock(args) => cmd::lock::run(args, &cli.global),
        Command::Plan(args) => cmd::lock::plan(args, &cli.global),
        Command::Pull(args) => cmd::lock::pull(args, &cli.global),
        Command::Build(args) => cmd::build::run(args, &cli.global),
        Command::Cache(args) => cmd::cache::run(args, &cli.global),
        Command::Inspect(args) => cmd::inspect::run(args, &cli.global),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let diagnosis = exit::diagnose(&error);
            report::line(&diagnosis.text);
            diagnosis.class.exit_code().into()
        }
    }
}
