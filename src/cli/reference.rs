//! The command line and the environment as a document, from the same
//! definitions that the program runs on.

use std::fmt::Write as _;

use clap::CommandFactory as _;

use super::args::Cli;
use super::env::VARIABLES;

/// `docs/cli.md`.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Commands\n\n\
         Written by `cargo xtask generate` from the program's own definitions.\n\n\
         Data goes to standard output, everything else to standard error.\n\n\
         | exit code | meaning |\n|---|---|\n\
         | 0 | done |\n\
         | 1 | a defect of isoforge |\n\
         | 2 | profile, template, overlay or command line; an image that can't be used |\n\
         | 3 | the machine lacks something: a tool, a kernel feature, disk space |\n\
         | 4 | a network or registry did not deliver |\n\
         | 5 | bytes are not what their digest, size or format says |\n\
         | 6 | reading or writing a local file failed |\n\
         | 7 | the lock file does not match |\n\
         | 130 | interrupted |\n",
    );
    // Wrapped as on a terminal of 80 columns, whatever this one has.
    let mut root = Cli::command().term_width(80);
    root.build();
    section(&mut text, &mut root, 2);
    let names: Vec<String> = root
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .filter(|name| name != "help")
        .collect();
    for name in names {
        if let Some(command) = root.find_subcommand_mut(&name) {
            section(&mut text, command, 2);
            for command in command.get_subcommands_mut() {
                if command.get_name() != "help" {
                    section(&mut text, command, 3);
                }
            }
        }
    }
    text.push_str("\n## Environment\n\n| variable | meaning |\n|---|---|\n");
    for (name, meaning) in VARIABLES {
        let names: Vec<_> = name.split(", ").map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "| {} | {meaning} |", names.join(", "));
    }
    text
}

fn section(text: &mut String, command: &mut clap::Command, level: usize) {
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let help = command.render_long_help();
    let _ = write!(
        text,
        "\n{} `{name}`\n\n```text\n{}\n```\n",
        "#".repeat(level),
        help.to_string().trim_end()
    );
}
