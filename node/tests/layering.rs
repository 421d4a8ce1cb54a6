//! Dependencies between the modules of the program on the machine point one way.
//! This test reads every `crate::` path in the sources and holds it to the table.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../tests/it/layering/reader.rs"]
mod reader;

use std::path::Path;

/// Usable from everywhere: paths, files, file systems, mounts and programs of the
/// machine.
const GROUND: &[&str] = &[
    "ext4",
    "files",
    "interfaces",
    "mount",
    "paths",
    "random",
    "rooted",
    "run",
];

/// A module, and the modules that it may name beside [`GROUND`]. Only such as
/// stand before it: so the table has no circle.
const ALLOWED: &reader::Table = &[
    ("ext4", &[]),
    ("files", &[]),
    ("interfaces", &[]),
    ("mount", &[]),
    ("paths", &[]),
    ("random", &[]),
    ("rooted", &[]),
    ("run", &[]),
    ("boot_lock", &[]),
    ("disks", &[]),
    ("media", &["disks"]),
    ("accounts", &[]),
    ("cloud", &["accounts"]),
    ("settings", &["cloud"]),
    ("state", &["accounts"]),
    ("registry", &["accounts"]),
    ("content", &["disks", "media", "registry"]),
    ("install", &["content", "disks", "media"]),
    ("upgrade", &["boot_lock", "content", "state"]),
    ("tui", &[]),
    (
        "installer",
        &["accounts", "boot_lock", "disks", "install", "tui"],
    ),
    (
        "console",
        &["accounts", "cloud", "settings", "tui", "upgrade"],
    ),
    (
        "verbs",
        &[
            "accounts",
            "cloud",
            "content",
            "install",
            "installer",
            "registry",
            "state",
            "upgrade",
        ],
    ),
    ("cli", &["verbs"]),
];

#[test]
fn modules_depend_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let wrong = reader::differences(&src, ALLOWED, GROUND);
    assert!(
        wrong.is_empty(),
        "not as in the table:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_table_has_no_circle() {
    assert_eq!(reader::circles(ALLOWED), [] as [String; 0]);
}
