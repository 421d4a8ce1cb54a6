//! What the programs and the tests are compiled from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Every dependency of what `cargo tree` is asked for, with the lists of features that it
/// is compiled with: several where the machine that compiles needs it, too.
fn features(arguments: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--prefix=none",
            "--no-dedupe",
        ])
        .args(["--format={p}|{f}"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{output:?}");
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (package, features) = line.split_once('|').expect("as the format has it");
        let package = package.replace(" (proc-macro)", "");
        found
            .entry(package)
            .or_default()
            .insert(features.to_owned());
    }
    found
}

/// With other features a dependency, and all that stands on it, is compiled once for
/// the programs and once more for their tests.
#[test]
fn programs_and_tests_share_what_is_compiled() {
    let programs = features(&[
        "--package=isoforge",
        "--package=appliance",
        "--edges=normal,build",
    ]);
    let tests = features(&["--workspace", "--edges=normal,build,dev"]);
    assert!(programs.len() > 100, "{}", programs.len());
    let differ: Vec<_> = programs
        .iter()
        .filter(|(package, features)| {
            !tests
                .get(*package)
                .is_some_and(|known| features.is_subset(known))
        })
        .map(|(package, features)| format!("{package}: {features:?} / {:?}", tests.get(package)))
        .collect();
    assert!(
        differ.is_empty(),
        "tests ask for other features; name those in Cargo.toml:\n{}",
        differ.join("\n")
    );
}
