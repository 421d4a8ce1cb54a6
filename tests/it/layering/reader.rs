//! Reads which modules of a crate name which others behind `crate::`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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
pub(crate) fn named_modules(source: &str) -> BTreeSet<String> {
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

/// A module, and the modules that it may name beside the ground, which every module
/// may. Only such as stand before it: so a table has no circle.
pub(crate) type Table = [(&'static str, &'static [&'static str])];

/// Which module of the sources names which others, with the files that do.
fn edges(src: &Path, ground: &[&str]) -> BTreeMap<(String, String), String> {
    let mut files = Vec::new();
    rust_files(src, &mut files);
    assert!(files.len() > 20, "the sources are where the test looks");
    let mut edges = BTreeMap::new();
    for file in files.iter().map(|file| file.strip_prefix(src).unwrap()) {
        let module = file.components().next().unwrap().as_os_str();
        let module = module.to_str().unwrap().trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) || is_test(file) {
            continue;
        }
        let source = std::fs::read_to_string(src.join(file)).unwrap();
        for named in named_modules(without_tests(&source)) {
            if named != module && !ground.contains(&named.as_str()) {
                edges.insert((module.to_owned(), named), file.display().to_string());
            }
        }
    }
    edges
}

/// What of the sources is not as the table has it, a line each.
pub(crate) fn differences(src: &Path, table: &Table, ground: &[&str]) -> Vec<String> {
    let edges = edges(src, ground);
    let allowed: BTreeMap<_, _> = table.iter().copied().collect();
    let mut wrong = Vec::new();
    for ((module, named), file) in &edges {
        let allowed = allowed
            .get(module.as_str())
            .unwrap_or_else(|| panic!("module '{module}' is not in the table of this test"));
        if !allowed.contains(&named.as_str()) {
            wrong.push(format!("{file} names crate::{named}"));
        }
    }
    for (module, allowed) in table {
        for named in *allowed {
            if !edges.contains_key(&((*module).to_owned(), (*named).to_owned())) {
                wrong.push(format!("{module} may name crate::{named}, and does not"));
            }
        }
    }
    wrong
}

/// What a table lets a module name that does not stand before it, a line each.
pub(crate) fn circles(table: &Table) -> Vec<String> {
    let place = |name: &str| table.iter().position(|(module, _)| *module == name);
    let mut wrong = Vec::new();
    for (module, allowed) in table {
        for named in *allowed {
            if place(named) >= place(module) || place(named).is_none() {
                wrong.push(format!("{module} may name {named}, which stands after it"));
            }
        }
    }
    wrong
}
