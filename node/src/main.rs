//! The program `appliance`: calls the library and maps an error to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    appliance::cli::run()
}
