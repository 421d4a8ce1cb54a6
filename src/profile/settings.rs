//! The check of the user's settings file: the same as a profile's, by a table of
//! keys of its own.

use std::path::Path;

use super::problem::{Draft, Problems, Report};
use super::reader::Reader;
use super::source::{Place, Sources};
use super::{doc, keys, leaf, merge, schema, value};

/// Checks the text of the settings file at `path`.
///
/// # Errors
/// All that is wrong with it, each with its place.
pub fn check_settings(path: &Path, text: &str) -> Result<(), Problems> {
    let mut sources = Sources::default();
    let source = sources.add_file(path, text.to_owned());
    let report = Report::default();
    if text.len() > merge::MAX_FILE_BYTES {
        let message = format!(
            "the settings file has {} bytes, more than the {} allowed",
            text.len(),
            merge::MAX_FILE_BYTES
        );
        report.add(Draft::new(Place::whole(source), message));
        return report.finish(&sources);
    }
    let table = value::parse(source, text, &report);
    let whole = Place::whole(source);
    schema::check(&keys::SETTINGS, &table, whole, &mut sources, &report);
    let hosts = table.get("registries").and_then(|e| e.node.value.table());
    let settings = Reader::new(&table, &sources, &report).table("registries");
    for (host, entry) in hosts.into_iter().flatten() {
        if let Err(bad) = leaf::registry_host(host) {
            report.bad(entry.key, bad);
        }
        settings.table(host).parsed("mirror", leaf::mirror);
    }
    report.finish(&sources)
}

/// The reference of all keys of the settings file, as Markdown.
#[must_use]
pub fn settings_reference() -> String {
    doc::settings()
}
