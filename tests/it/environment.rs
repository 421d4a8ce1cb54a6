//! Every environment variable that the program reads is documented, and every
//! documented one is read.

use std::collections::BTreeSet;
use std::path::Path;

use isoforge::cli::env::VARIABLES;

use crate::layering::{is_test, rust_files, without_tests};

/// Read by what isoforge is built from or hands its environment on to, by nobody
/// in the sources.
const READ_BY_OTHERS: [&str; 1] = ["PATH"];

/// The names in `text` that stand in quotes behind `before`.
fn quoted_behind(text: &str, before: &str) -> Vec<String> {
    text.match_indices(before)
        .filter_map(|(at, _)| text[at + before.len()..].split_once('"'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// What `cli/env.rs` itself looks at: all names in it but the list's texts.
fn of_env(text: &str) -> Vec<String> {
    let (_, code) = text.split_once("\n];\n").unwrap();
    let is_name = |word: &&str| {
        let proxy = word.ends_with("_proxy");
        !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_') || proxy
    };
    code.split('"')
        .skip(1)
        .step_by(2)
        .filter(is_name)
        .map(str::to_uppercase)
        .collect()
}

#[test]
fn the_list_of_variables_is_complete_and_true() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut read: BTreeSet<String> = READ_BY_OTHERS
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    for file in files.iter().filter(|file| !is_test(file)) {
        let text = std::fs::read_to_string(file).unwrap();
        let text = without_tests(&text);
        if file.ends_with("cli/env.rs") {
            read.extend(of_env(text));
            continue;
        }
        for before in ["env::get(\"", "env::get_os(\"", "env::path(\"", "env = \""] {
            read.extend(quoted_behind(text, before));
        }
    }
    // What a profile's messages and documents give as an example.
    read.remove("NAME");
    let documented: BTreeSet<String> = VARIABLES
        .iter()
        .flat_map(|(names, _)| names.split(", "))
        .map(str::to_owned)
        .collect();
    assert_eq!(documented, read);
    for name in ["ISOFORGE_JOBS", "NO_PROXY", "SOURCE_DATE_EPOCH", "TERM"] {
        assert!(read.contains(name), "the scan finds {name}");
    }
}
