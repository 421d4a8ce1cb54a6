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
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// What makes tests run that take many minutes.
pub(crate) const LONG: &str = "ISOFORGE_TEST_LONG";

/// Whether long tests are asked for; else the test is skipped.
pub(crate) fn is_long(step: &str) -> bool {
    let is_wanted = std::env::var_os(LONG).is_some();
    if !is_wanted {
        isoforge_judges::skip(format_args!(
            "it takes many minutes (cargo xtask e2e --only {step})"
        ));
    }
    is_wanted
}

/// Tries all items, each bench at its own pace beside the others; gives all that was
/// wrong.
pub(crate) fn on_each<B: Sync, T: Sync>(
    benches: &[B],
    items: &[T],
    work: impl Fn(&B, &T) -> Result<(), String> + Sync,
) -> Vec<String> {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for bench in benches {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(problem) = work(bench, item) {
                        wrong.lock().unwrap().push(problem);
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

/// Fails with all that was wrong.
#[track_caller]
pub(crate) fn assert_nothing_wrong(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}
