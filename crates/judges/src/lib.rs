//! Runs the foreign tools that judge what the writers of formats made, and tells which
//! tests are skipped. For tests alone.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends where its tool is missing"
)]

pub mod documented;
pub mod trees;

use std::fmt::Display;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

/// A directory of its own for one test, removed at its end.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Tells that the running test is skipped, and why, in a line that `cargo xtask test`
/// counts. It goes past what the test harness captures, since that shows failures alone.
pub fn skip(reason: impl Display) {
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main");
    let test = test.map(|name| format!("{name}: ")).unwrap_or_default();
    let line = format!("SKIPPED: {test}{reason}").replace('\n', " ");
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The file or folder that the environment variable `variable` names; without it the
/// test is skipped for the lack of `what`.
#[allow(clippy::disallowed_methods)]
pub fn named_by(variable: &str, what: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable);
    if path.is_none() {
        skip(format_args!("{variable} names no {what}"));
    }
    path.map(PathBuf::from)
}

/// Whether a client that Debian does not have is installed; without it the test is
/// skipped. `package` is what Go installs it from.
#[allow(clippy::disallowed_methods)]
pub fn has_client(program: &str, package: &str) -> bool {
    let has = Command::new(program).arg("version").output().is_ok();
    if !has {
        skip(format_args!(
            "{program} is not installed (go install {package}@latest)"
        ));
    }
    has
}

/// Whether loop devices can be made; else the test is skipped.
pub fn can_loop() -> bool {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0);
    let can = is_root && std::fs::exists("/dev/loop-control").is_ok_and(|is_there| is_there);
    if !can {
        skip("it needs root and loop devices");
    }
    can
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
