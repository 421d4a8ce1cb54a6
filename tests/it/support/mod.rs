//! What several areas of tests share.

pub(crate) mod bootable;
pub(crate) mod certificates;
pub(crate) mod docker_registry;
pub(crate) mod elf;
pub(crate) mod layers;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod uploads;

use std::process::{Command, Output};

/// Runs a foreign tool that judges our work, and gives its standard output.
///
/// Panics with the tool's messages where it fails, and with the Debian package
/// that has it where it is missing.
pub(crate) fn judge(package: &str, program: &str, arguments: &[&str]) -> String {
    let output = run(package, Command::new(program).args(arguments));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?} failed: {stderr}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Whether crane is installed; else the test is skipped.
pub(crate) fn has_crane() -> bool {
    isoforge_judges::has_client("crane", "github.com/google/go-containerregistry/cmd/crane")
}

fn run(package: &str, command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!(
            "{:?} can't be run: {error}; the Debian package {package} has it ('cargo xtask setup' installs it)",
            command.get_program()
        )
    })
}
