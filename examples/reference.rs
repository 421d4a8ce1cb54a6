//! Prints the generated documents, one at a time, for `cargo xtask generate`:
//! `profile` is docs/profile.md, `cli` is docs/cli.md,
//! `hardening` is docs/hardening.md, `settings` is docs/settings.md.

#![allow(clippy::print_stdout, reason = "printing is all that it does")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let text = match name.as_str() {
        "profile" => isoforge::profile::reference(),
        "cli" => isoforge::cli::reference(),
        "hardening" => isoforge_system::hardening::reference(),
        "settings" => isoforge::cli::settings_reference(),
        _ => return ExitCode::FAILURE,
    };
    print!("{text}");
    ExitCode::SUCCESS
}
