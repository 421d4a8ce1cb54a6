//! Runs the foreign tools that judge what the writers of formats made. For tests alone.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends where its tool is missing"
)]

use std::process::Command;

/// A directory of its own for one test, removed at its end.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs `tool`, which must succeed, and gives its standard output and, after
/// it, its standard error.
pub fn run(tool: &str, args: &[&str]) -> String {
    let bytes = run_bytes(tool, args);
    String::from_utf8_lossy(&[bytes.0, bytes.1].concat()).into_owned()
}

/// Runs `tool`, which must succeed, and gives standard output and error.
#[allow(clippy::disallowed_methods)]
pub fn run_bytes(tool: &str, args: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let output = Command::new(tool)
        .args(args)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{tool} can't be run ({error}); install the Debian package {}",
                package(tool)
            )
        });
    assert!(
        output.status.success(),
        "{tool} {args:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.stdout, output.stderr)
}

fn package(tool: &str) -> &'static str {
    match tool {
        "xorriso" => "xorriso",
        "isoinfo" => "genisoimage",
        "fsck.fat" => "dosfstools",
        "mcopy" | "mdir" => "mtools",
        "sfdisk" => "fdisk",
        _ => "of the same name",
    }
}
