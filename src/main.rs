//! The command-line program; calls [`isoforge::cli`] and decides nothing.

use std::process::ExitCode;

fn main() -> ExitCode {
    isoforge::cli::main()
}
