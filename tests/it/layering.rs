//! Dependencies between the modules of isoforge point one way. This test reads
//! every `crate::` path in the sources and holds it to the table.

#[path = "layering/reader.rs"]
mod reader;

use std::path::Path;

pub(crate) use reader::{is_test, rust_files, without_tests};

/// A module, and the modules that it may name. Only such as stand before it: so the
/// table has no circle. What crates may name is Cargo's to say.
const ALLOWED: &reader::Table = &[
    ("profile", &[]),
    ("render", &[]),
    ("lock", &["profile"]),
    ("inputs", &["lock", "profile", "render"]),
    ("sources", &["inputs", "lock", "profile"]),
    ("inspect", &["sources"]),
    ("build", &["inputs", "lock", "profile", "render", "sources"]),
    ("cli", &["build", "inspect", "lock", "profile", "render"]),
];

#[test]
fn modules_depend_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let wrong = reader::differences(&src, ALLOWED, &[]);
    assert!(
        wrong.is_empty(),
        "not as in the table:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_table_has_no_circle() {
    assert_eq!(reader::circles(ALLOWED), [] as [String; 0]);
    let circle: &reader::Table = &[("a", &["b"]), ("b", &["a"]), ("c", &["none", "c"])];
    assert_eq!(reader::circles(circle).len(), 3);
}

#[test]
fn the_reader_of_this_test_sees_single_paths_and_groups() {
    let text = "use crate::tree::Tree;\nuse crate::{\n    oci,\n    store::{Store, x},\n};\n\
                // crate::cli\n#[cfg(test)]\nmod tests {\n    use crate::pull;\n}\n";
    let found: Vec<_> = reader::named_modules(without_tests(text))
        .into_iter()
        .collect();
    assert_eq!(found, ["oci", "store", "tree"]);
}

/// Both panic where the system gives no more threads; `base::parallel` gives an error.
#[test]
fn no_thread_is_started_that_panics_where_there_are_no_more() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "crates", "node/src"] {
        rust_files(&root.join(folder), &mut files);
    }
    files.retain(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        let code = without_tests(&text);
        let starts = ["thread::spawn(", "scope.spawn("];
        !is_test(file) && starts.iter().any(|call| code.contains(call))
    });
    assert_eq!(files, [] as [std::path::PathBuf; 0]);
}
