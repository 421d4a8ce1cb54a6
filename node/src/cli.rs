//! Arguments, and what a failure looks like.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::verbs;
use isoforge_base::shown;

/// Installs, configures and upgrades this appliance
#[derive(Debug, Parser)]
#[command(name = "appliance", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The installer on the medium: full-screen, or unattended
    Installer(verbs::installer::Args),
    /// Upgrade to another provider image
    Upgrade(verbs::upgrade::Args),
    /// Show what is installed, and what boots next
    Status(verbs::status::Args),
    /// Boot the other slot next
    Rollback(verbs::rollback::Args),
    /// Show this machine and its settings, full-screen, in a shell
    Tui(verbs::console::Tui),
    /// Content of this machine's registry: images, packs and charts
    Content(verbs::content::Args),
    /// Start over, from recovery
    Reset(verbs::reset::Args),
    /// The machine's own pages on one of its consoles
    #[command(hide = true)]
    Console(verbs::console::Args),
    /// Prepare the registry of this machine
    #[command(hide = true)]
    Registry(verbs::registry::Args),
    /// Lay the state over the root before it is switched to
    #[command(hide = true)]
    EarlyState(verbs::early_state::Args),
    /// Apply one stage of the cloud-config
    #[command(hide = true)]
    Configure(verbs::configure::Args),
    /// Make the SSH host keys of this machine, and keep them
    #[command(hide = true)]
    HostKeys(verbs::host_keys::Args),
    /// Keep changed accounts and passwords
    #[command(hide = true)]
    Accounts(verbs::accounts::Args),
    /// Mark a system on trial as good, or boot the good one again
    #[command(hide = true)]
    Confirm(verbs::confirm::Args),
}

/// `docs/appliance.md`: the verbs for people. Those that only units and other programs
/// use are left out.
#[must_use]
pub fn reference() -> String {
    let head = "# `appliance`\n\n\
         Written by `cargo xtask generate` from the program's own definitions.\n\n\
         The program on the machine. Data goes to standard output, everything else to\n\
         standard error. It ends with 0 where all was done, else with 1, and with 130 where it\n\
         was interrupted.\n";
    format!("{head}{}", isoforge_manual::commands(Cli::command()))
}

/// Runs the program and gives its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.verb {
        Verb::Installer(args) => verbs::installer::run(args),
        Verb::Upgrade(args) => verbs::upgrade::run(args),
        Verb::Status(args) => verbs::status::run(args),
        Verb::Rollback(args) => verbs::rollback::run(args),
        Verb::Tui(args) => verbs::console::tui(args),
        Verb::Console(args) => verbs::console::run(args),
        Verb::Content(args) => verbs::content::run(args),
        Verb::Registry(args) => verbs::registry::run(args),
        Verb::Reset(args) => verbs::reset::run(args),
        Verb::EarlyState(args) => verbs::early_state::run(args),
        Verb::Configure(args) => verbs::configure::run(args),
        Verb::HostKeys(args) => verbs::host_keys::run(args),
        Verb::Accounts(args) => verbs::accounts::run(args),
        Verb::Confirm(args) => verbs::confirm::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            verbs::output::say(&format!("error: {}", causes(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error's causes, one a line.
fn causes(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error
        .chain()
        .map(|error| shown::continued(&error.to_string()).into_owned())
        .collect();
    causes.join("\n  caused by: ")
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    /// What a sentence names may lack what is said around it.
    const OF_SENTENCES: [ErrorKind; 4] = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ErrorKind::MissingSubcommand,
        ErrorKind::InvalidValue,
    ];

    #[test]
    fn every_command_of_the_documents_is_one() {
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let found = isoforge_judges::documented::commands(root, "appliance");
        assert!(found.len() > 20, "{}", found.len());
        for one in found {
            let Err(error) = Cli::command().try_get_matches_from(&one.words) else {
                continue;
            };
            let is_fine = match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
                kind => !one.is_whole && OF_SENTENCES.contains(&kind),
            };
            assert!(is_fine, "{}: {}\n{error}", one.place, one.words.join(" "));
        }
    }
}
