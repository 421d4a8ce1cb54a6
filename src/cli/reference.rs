//! The command line and the environment as a document, from the same
//! definitions that the program runs on.

use std::fmt::Write as _;

use super::args;
use super::env::VARIABLES;
use super::settings::SETTINGS;
use crate::profile::settings_reference;

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
    text.push_str(&isoforge_manual::commands(args::command()));
    text.push_str(VARIABLES_HEAD);
    variables(&mut text);
    text
}

/// `docs/settings.md`.
#[must_use]
pub fn settings() -> String {
    let mut text = String::from(
        "# Settings\n\n\
         <!-- Written by `cargo xtask generate` from the program's own tables; edits here are \
         lost. -->\n\n\
         What a profile says goes into the artifacts. Settings say how they are made on this \
         machine:\nthey never change a byte of an output, except for `SOURCE_DATE_EPOCH` and the program that\n`--appliance` names.\n\n\
         A flag wins over an environment variable, that over the settings file, that over the \
         default.\n`isoforge config show` says what holds and who said so; it takes the flags of \
         `build`. Passwords\nof proxies are not shown.\n\n\
         | setting | flag | variable | settings file | default |\n|---|---|---|---|---|\n",
    );
    let code = |names: Option<&str>| -> String {
        let names = names.into_iter().flat_map(|names| names.split(", "));
        let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    for setting in &SETTINGS {
        let key = setting.in_file.then_some(setting.name);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            setting.name,
            code(setting.flag),
            code(setting.variable),
            code(key),
            setting.default
        );
    }
    text.push_str(
        "\n## The settings file\n\n\
         `isoforge/isoforge.toml` in `$XDG_CONFIG_HOME`, or in `~/.config` where that is not set; \
         `--config`\nor `ISOFORGE_CONFIG` name another file, which must exist. `isoforge config \
         path` says which it is.\nAll problems are reported at once, with line and column; an \
         unknown key is an error.\n\n\
         ```toml\njobs = 4\ncache_dir = \"/var/cache/isoforge\"\n\n\
         [registries.\"quay.io\"]\nmirror = \"mirror.example/quay\"\n```\n",
    );
    text.push_str(&settings_reference());
    text.push_str(VARIABLES_HEAD);
    variables(&mut text);
    text
}

const VARIABLES_HEAD: &str = "\n## Environment\n\n\
     A variable that is set to nothing counts as not set, except for `ISOFORGE_…`, whose values \
     are those\nof flags.\n\n| variable | meaning |\n|---|---|\n";

fn variables(text: &mut String) {
    for (name, meaning) in VARIABLES {
        let names: Vec<_> = name.split(", ").map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "| {} | {meaning} |", names.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::args;

    /// What a sentence names may lack what is said around it.
    const OF_SENTENCES: [ErrorKind; 4] = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ErrorKind::MissingSubcommand,
        ErrorKind::InvalidValue,
    ];

    #[test]
    fn every_command_of_the_documents_is_one() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let found = isoforge_judges::documented::commands(root, "isoforge");
        assert!(found.len() > 60, "{}", found.len());
        for one in found {
            let Err(error) = args::command().try_get_matches_from(&one.words) else {
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
