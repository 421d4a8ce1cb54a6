//! The command line: arguments and settings in, one call of the library, a
//! report and an exit code out.

pub(crate) mod args;
mod cmd;
pub mod env;
mod exit;
mod reference;
pub(crate) mod report;
pub(crate) mod settings;
mod texts;

use std::process::ExitCode;

pub use reference::{reference, settings as settings_reference};

use clap::FromArgMatches as _;
use clap::error::ErrorKind;

use crate::cli::args::{Cli, Command, ConfigCommand, Given};
use isoforge_base::error::{Class, Diagnose as _, Result};

/// Runs the program: parses the arguments, does what they say, reports.
#[must_use]
pub fn main() -> ExitCode {
    let (mut cli, name) = match parse() {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    match prepare(&mut cli, &name).and_then(|()| run(&cli)) {
        Ok(()) => {
            report::done();
            ExitCode::SUCCESS
        }
        Err(error) => {
            let diagnosis = exit::diagnose(&error);
            report::failed(&diagnosis.text, diagnosis.class);
            diagnosis.class.exit_code().into()
        }
    }
}

/// The arguments, and the name of the command among them.
fn parse() -> Result<(Cli, String), clap::Error> {
    let matches = args::command().try_get_matches()?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    cli.global.given = Given::of(&matches);
    Ok((
        cli,
        matches.subcommand_name().unwrap_or_default().to_owned(),
    ))
}

/// Help, the version, or what is wrong with the arguments.
fn usage(error: &clap::Error) -> ExitCode {
    match (error.print(), error.kind()) {
        // Whoever closed the pipe has read enough.
        (Err(failed), _) if failed.kind() != std::io::ErrorKind::BrokenPipe => {
            failed.class().exit_code().into()
        }
        (_, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => ExitCode::SUCCESS,
        _ => Class::Profile.exit_code().into(),
    }
}

/// Settings that hold for every command.
fn prepare(cli: &mut Cli, name: &str) -> Result<()> {
    // Where the settings file is can be asked even if it is wrong.
    let asks_where = matches!(&cli.command, Command::Config(args) if matches!(args.command, ConfigCommand::Path));
    let settings = match asks_where {
        true => Ok(()),
        false => settings::complete(&mut cli.global),
    };
    report::begin(&cli.global, name);
    settings
}

fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Init(args) => cmd::init::run(args, &cli.global),
        Command::Validate(args) => cmd::validate::run(args, &cli.global),
        Command::Lock(args) => cmd::lock::run(args, &cli.global),
        Command::Plan(args) => cmd::lock::plan(args, &cli.global),
        Command::Pull(args) => cmd::lock::pull(args, &cli.global),
        Command::Build(args) => cmd::build::run(args, &cli.global),
        Command::Bundle(args) => cmd::bundle::run(args, &cli.global),
        Command::Login(args) => cmd::login::run(args, &cli.global),
        Command::Logout(args) => cmd::logout::run(args, &cli.global),
        Command::Push(args) => cmd::push::run(args, &cli.global),
        Command::Cache(args) => cmd::cache::run(args, &cli.global),
        Command::Content(args) => cmd::content::run(args, &cli.global),
        Command::Pack(args) => cmd::pack::run(args, &cli.global),
        Command::Inspect(args) => cmd::inspect::run(args, &cli.global),
        Command::Config(args) => cmd::config::run(args, &cli.global),
        Command::Schema(args) => cmd::schema::run(args),
    }
}
