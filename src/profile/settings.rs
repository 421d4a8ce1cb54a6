//! The user's settings file: read as a profile is, by keys of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Document;
use super::check;
use super::document;
use super::keys::{Context, integer, keys, named, names, placed, text};
use super::merge::MAX_FILE_BYTES;
use super::problem::{Draft, Problems, Report};
use super::source::{Sources, Span};
use isoforge_oci::registry::HostConfig;

keys! {
    /// What the settings file says.
    #[derive(Default, Eq)]
    pub struct UserSettings {
        /// How progress is shown on standard error.
        progress: Option<String> = names(&["auto", "plain", "json", "none"]).optional("`auto`"),
        /// Threads that compress and pull.
        jobs: Option<u16> = integer(1, 256).optional("the machine's cores"),
        /// The store of blobs and slabs; a relative path starts from the settings file's folder.
        cache_dir: Option<PathBuf> = placed(check::path)
            .optional("`isoforge` in the user's cache folder"),
        /// Folder for the outputs of a build; a relative path starts from the current folder.
        output: Option<PathBuf> = text(check::path_as_it_is).optional("`dist`"),
        /// Settings by registry host, such as `[registries."quay.io"]`.
        registries: BTreeMap<String, HostConfig> = named(check::registry_host).or_empty(""),
    }
}

/// Reads the text of the settings file at `path`.
///
/// # Errors
/// All that is wrong with it, each with its place.
pub fn read_settings(path: &Path, text: &str) -> Result<UserSettings, Problems> {
    let mut sources = Sources::default();
    let source = sources.add_file(path, text.to_owned());
    let report = Report::default();
    let whole = Span::whole(source);
    if text.len() > MAX_FILE_BYTES {
        let message = format!(
            "the settings file has {} bytes, more than the {MAX_FILE_BYTES} allowed",
            text.len(),
        );
        report.add(Draft::new(whole, message));
        report.finish(&sources)?;
        return Ok(UserSettings::default());
    }
    let table = document::parse(source, text, &report);
    let context = Context {
        document: Document::Settings,
        sources: &sources,
        report: &report,
        targets: &[],
    };
    let settings = context.read("", &table, whole);
    report.finish(&sources)?;
    Ok(settings)
}
