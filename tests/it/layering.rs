//! Dependencies between the library's modules point one way. This test reads
//! every `crate::` path in the sources and holds it to the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Usable from everywhere.
const GROUND: &[&str] = &["error", "progress", "tree", "util"];

/// A module, and the modules that it may name beside [`GROUND`].
const ALLOWED: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("progress", &[]),
    ("tree", &[]),
    ("util", &[]),
    ("oci", &[]),
    ("formats", &["oci"]),
    ("store", &["oci"]),
    ("registry", &["oci"]),
    ("pull", &["oci", "registry", "store"]),
    ("profile", &["oci"]),
    ("render", &[]),
    ("rootfs", &["oci", "formats", "render", "store"]),
    ("boot", &["oci"]),
    (
        "sources",
        &[
            "boot", "oci", "profile", "pull", "registry", "rootfs", "store", "formats",
        ],
    ),
    ("provider", &["oci", "store"]),
    ("installer_iso", &["oci", "formats", "boot"]),
    ("output", &["oci"]),
    ("inspect", &["oci", "formats", "output"]),
    (
        "pipeline",
        &[
            "boot",
            "formats",
            "installer_iso",
            "oci",
            "output",
            "profile",
            "provider",
            "pull",
            "registry",
            "render",
            "rootfs",
            "sources",
            "store",
        ],
    ),
    (
        "cli",
        &[
            "inspect",
            "output",
            "pipeline",
            "profile",
            "registry",
            "render",
            "rootfs",
            "store",
            "boot",
            "sources",
            "provider",
            "installer_iso",
            "formats",
            "pull",
            "oci",
        ],
    ),
];

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The top-level modules that a source text names behind `crate::`, code only.
fn named_modules(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in source.lines() {
        let code = line.split("//").next().unwrap_or_default();
        for (at, _) in code.match_indices("crate::") {
            let rest = &code[at + "crate::".len()..];
            if let Some(group) = rest.strip_prefix('{') {
                for part in group.split([',', '}']) {
                    found.insert(first_word(part.trim()));
                }
            } else {
                found.insert(first_word(rest));
            }
        }
    }
    found.remove("");
    found
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn modules_depend_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let table: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 20, "the sources are where the test looks");
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        let module = relative
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .trim_end_matches(".rs")
            .to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        let allowed = table
            .get(module.as_str())
            .unwrap_or_else(|| panic!("module '{module}' is not in the table of this test"));
        for named in named_modules(&std::fs::read_to_string(&file).unwrap()) {
            if named != module
                && !GROUND.contains(&named.as_str())
                && !allowed.contains(&named.as_str())
            {
                wrong.push(format!("{}: names crate::{named}", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not allowed:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    let table: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let order: Vec<_> = ALLOWED.iter().map(|(module, _)| *module).collect();
    for (module, allowed) in table {
        let own = order.iter().position(|m| *m == module).unwrap();
        for dependency in allowed {
            let other = order.iter().position(|m| m == dependency).unwrap();
            assert!(
                other < own,
                "{module} may name {dependency}, which stands after it"
            );
        }
    }
}

#[test]
fn the_reader_of_this_test_sees_single_paths_and_groups() {
    let text = "use crate::tree::Tree;\nuse crate::{oci, store::Store};\n// crate::cli\n";
    let found: Vec<_> = named_modules(text).into_iter().collect();
    assert_eq!(found, ["oci", "store", "tree"]);
}
