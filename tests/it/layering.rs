//! Dependencies between the library's modules point one way. This test reads
//! every `crate::` path in the sources and holds it to the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Usable from everywhere.
const GROUND: &[&str] = &["error", "progress", "tree", "util"];

/// A module, and the modules that it may name beside [`GROUND`]. Only such as
/// stand before it: so the table has no circle.
const ALLOWED: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("progress", &[]),
    ("tree", &[]),
    ("util", &[]),
    ("oci", &[]),
    ("formats", &[]),
    ("hardening", &[]),
    ("node", &[]),
    ("profile", &["hardening", "oci"]),
    ("render", &[]),
    ("store", &["oci"]),
    ("registry", &["formats", "oci"]),
    ("pull", &["oci", "registry", "store"]),
    ("push", &["oci", "registry"]),
    ("rootfs", &["formats", "oci", "render"]),
    ("boot", &["oci"]),
    ("output", &["oci"]),
    ("lock", &["oci", "output"]),
    (
        "content",
        &["formats", "oci", "output", "pull", "registry", "store"],
    ),
    ("provider", &["oci", "output", "store"]),
    (
        "sources",
        &[
            "boot", "lock", "oci", "output", "profile", "provider", "pull", "registry", "rootfs",
            "store",
        ],
    ),
    ("installer_iso", &["formats", "oci"]),
    ("inspect", &["formats", "oci", "output", "sources"]),
    (
        "pipeline",
        &[
            "boot",
            "content",
            "formats",
            "hardening",
            "installer_iso",
            "lock",
            "node",
            "oci",
            "output",
            "profile",
            "provider",
            "pull",
            "push",
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
            "boot",
            "content",
            "formats",
            "inspect",
            "installer_iso",
            "lock",
            "node",
            "oci",
            "output",
            "pipeline",
            "profile",
            "provider",
            "pull",
            "push",
            "registry",
            "render",
            "rootfs",
            "sources",
            "store",
        ],
    ),
];

pub(crate) fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Files that hold tests alone.
pub(crate) fn is_test(file: &Path) -> bool {
    let name = file.file_name().unwrap().to_string_lossy();
    name.ends_with("_tests.rs")
        || ["tests.rs", "judges.rs", "testing.rs"].contains(&name.as_ref())
        || file.components().any(|part| part.as_os_str() == "tests")
}

/// A source text up to its modules of tests, which end a file.
pub(crate) fn without_tests(source: &str) -> &str {
    let end = source
        .match_indices("#[cfg(test)]\n")
        .map(|(at, _)| at)
        .find(|at| {
            let after = source[*at..].lines().nth(1).unwrap_or_default();
            after.contains("mod ") && after.ends_with('{')
        });
    &source[..end.unwrap_or(source.len())]
}

/// The top-level modules that a source text names behind `crate::`, code only.
fn named_modules(source: &str) -> BTreeSet<String> {
    let code: String = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let end = group.find(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth == 0
            });
            let mut depth = 0;
            let parts = group[..end.unwrap()].split(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                c == ',' && depth == 0
            });
            found.extend(parts.map(|part| first_word(part.trim())));
        } else {
            found.insert(first_word(rest));
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

/// Which module of the sources names which others, with the files that do.
fn edges() -> BTreeMap<(String, String), String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 20, "the sources are where the test looks");
    let mut edges = BTreeMap::new();
    for file in files.iter().map(|file| file.strip_prefix(&src).unwrap()) {
        let module = file.components().next().unwrap().as_os_str();
        let module = module.to_str().unwrap().trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) || is_test(file) {
            continue;
        }
        let source = std::fs::read_to_string(src.join(file)).unwrap();
        for named in named_modules(without_tests(&source)) {
            if named != module && !GROUND.contains(&named.as_str()) {
                edges.insert((module.to_owned(), named), file.display().to_string());
            }
        }
    }
    edges
}

#[test]
fn modules_depend_one_way() {
    let table: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let edges = edges();
    let mut wrong = Vec::new();
    for ((module, named), file) in &edges {
        let allowed = table
            .get(module.as_str())
            .unwrap_or_else(|| panic!("module '{module}' is not in the table of this test"));
        if !allowed.contains(&named.as_str()) {
            wrong.push(format!("{file} names crate::{named}"));
        }
    }
    for (module, allowed) in &table {
        for named in *allowed {
            if !edges.contains_key(&((*module).to_owned(), (*named).to_owned())) {
                wrong.push(format!("{module} may name crate::{named}, and does not"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not as in the table:\n{}",
        wrong.join("\n")
    );
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
    let text = "use crate::tree::Tree;\nuse crate::{\n    oci,\n    store::{Store, x},\n};\n\
                // crate::cli\n#[cfg(test)]\nmod tests {\n    use crate::pull;\n}\n";
    let found: Vec<_> = named_modules(without_tests(text)).into_iter().collect();
    assert_eq!(found, ["oci", "store", "tree"]);
}
