//! What users see: diagnostics, merging, the example profiles.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use super::*;
use isoforge_contract::machine::Firmware;

mod bad_input;
mod catalog;
mod cluster;
mod examples;
mod forms;
mod json_schema;
mod machine;
mod merging;
mod mutation;
mod network;
mod stages;

/// The smallest right profile.
pub(super) const MINIMAL: &str = include_str!("tests/minimal.toml");

/// Loads `p/main.toml` from files in memory.
pub(super) fn load_files(files: &[(&str, &str)], sets: &[&str]) -> Result<Loaded, Problems> {
    let files: BTreeMap<PathBuf, String> = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
        .collect();
    let overrides: Vec<_> = sets.iter().map(|s| SetOverride((*s).to_owned())).collect();
    let options = Options {
        overrides: &overrides,
        catalogs: &[],
    };
    load(Path::new("p/main.toml"), &options, &|path| {
        let found = files.get(path).cloned();
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    })
}

pub(super) fn load_text(text: &str) -> Result<Loaded, Problems> {
    load_files(&[("p/main.toml", text)], &[])
}

/// What is printed for a wrong profile.
pub(super) fn problems_of(text: &str) -> String {
    load_text(text).unwrap_err().to_string()
}

pub(super) fn problems_with(sets: &[&str]) -> String {
    load_files(&[("p/main.toml", MINIMAL)], sets)
        .unwrap_err()
        .to_string()
}

pub(super) fn minimal_with(sets: &[&str]) -> Loaded {
    match load_files(&[("p/main.toml", MINIMAL)], sets) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{problems}"),
    }
}

#[test]
fn the_reference_in_docs_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/profile.md");
    let written = fs_err::read_to_string(path).unwrap();
    assert!(
        written == reference(),
        "docs/profile.md is out of date: run `cargo xtask generate`"
    );
}

#[test]
fn every_key_is_described() {
    fn walk(fields: &keys::Fields) {
        for key in &fields.keys {
            assert!(!key.usable() || key.help.ends_with('.'), "{}", key.name);
            key.shape.fields().into_iter().for_each(walk);
        }
    }
    for document in [Document::Profile, Document::Catalog, Document::Settings] {
        walk(document.fields());
    }
}
