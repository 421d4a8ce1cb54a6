//! The verbs of a program as a document in Markdown, from the definitions that it runs
//! on. Both programs of the product have such a page.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests look whether a file is there"
    )
)]

use std::fmt::Write as _;

/// Columns of the help texts, whatever terminal this runs on.
const COLUMNS: usize = 80;

/// A section for `root` and each command below it that is not hidden, with its help.
/// All commands stand side by side, those of a command one deeper.
#[must_use]
pub fn commands(root: clap::Command) -> String {
    let mut root = root.term_width(COLUMNS);
    root.build();
    let mut text = String::new();
    sections(&mut text, &mut root);
    text
}

fn sections(text: &mut String, command: &mut clap::Command) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let name = name.to_owned();
    let level = 1 + name.matches(' ').count().max(1);
    let help = command.render_long_help().to_string();
    let _ = write!(
        text,
        "\n{} `{name}`\n\n```text\n{}\n```\n",
        "#".repeat(level),
        help.trim_end()
    );
    for below in command.get_subcommands_mut() {
        if below.get_name() != "help" && !below.is_hide_set() {
            sections(text, below);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    #[test]
    fn each_command_that_is_shown_has_a_section() {
        let content = Command::new("content").subcommand(Command::new("list"));
        let hidden = Command::new("secret").hide(true);
        let list = Command::new("status").arg(Arg::new("all").long("all"));
        let root = Command::new("machine").subcommands([content, hidden, list]);
        let text = super::commands(root);
        let heads = text.lines().filter(|line| line.starts_with('#'));
        assert_eq!(
            heads.collect::<Vec<_>>(),
            [
                "## `machine`",
                "## `machine content`",
                "### `machine content list`",
                "## `machine status`"
            ]
        );
        assert!(text.contains("--all"), "{text}");
    }
}
