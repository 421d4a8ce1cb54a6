//! The infrastructure profile: what a user writes, read into a typed value.
//!
//! Reading goes through a closure, so that this module opens no file and no
//! connection itself. The stages of [`load`] are: parse (TOML with the place of
//! every value), merge (`extends`, then `--set`), check against the table of
//! keys, typed values, rules over several keys. All problems are reported at
//! once, each in the file that wrote the key.

mod catalog;
mod context;
mod doc;
mod json_schema;
mod keys;
mod leaf;
mod machine;
mod merge;
mod model;
mod parse;
mod parse_cluster;
mod parse_machine;
mod placeholder;
mod plan;
mod problem;
mod reader;
mod schema;
mod secret;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod validate;
mod validate_machine;
mod value;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use isoforge_base::digest::Digest;
use problem::Report;
use source::{Place, Sources};

pub use catalog::{Catalog, CatalogError, Entry, Kind, Resolution, Wanted};
pub use doc::reference;
pub use json_schema::{Document, json_schema};
pub use machine::{ExtraPartition, Install, Partitions, Require};
pub use model::{
    Appliance, Boot, Bootstrap, CloudConfig, Cluster, Component, Content, ContentImage,
    ContentSources, FileSpec, Kubernetes, LayerSource, LayerSpec, Limits, Mode, Os, OsSource,
    Output, Overlays, Profile, Provider, Registration, Var,
};
pub(crate) use parse_cluster::macro_answer;
pub use placeholder::{ImageTemplate, PathTemplate, Target};
pub use plan::{
    ComponentImages, ContentPlan, FoundImages, ImageMethod, KubernetesPlan, PlanError, matches_any,
};
pub use problem::{Excerpt, Location, Problem, Problems};
pub use secret::{REDACTED, Secret, SecretReader, SecretRef, Secrets};
pub use settings::{check_settings, settings_reference};

/// A `--set` argument as it was given: `key.path=value`. The value is TOML, or
/// else a string; a part of the path with dots in it is put in double quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetOverride(pub String);

/// What changes a profile from outside.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// `--set` arguments; a later one wins.
    pub overrides: &'a [SetOverride],
    /// Catalog files beside those that the profile names, which win over these.
    pub catalogs: &'a [PathBuf],
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileRead {
    /// As it was opened.
    pub path: PathBuf,
    /// Of its text.
    pub digest: Digest,
}

/// A profile without problems, and what it was made from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The profile.
    pub profile: Profile,
    /// The built-in catalog with the user's entries.
    pub catalog: Catalog,
    /// All files read, in the order of reading: the entry file, what it
    /// extends, catalogs.
    pub files: Vec<FileRead>,
    /// What is worth knowing though it is no problem.
    pub notes: Vec<String>,
    /// How many of [`files`](Self::files) are the profile and what it extends.
    chain: usize,
    sources: Sources,
    table: value::Table,
}

impl Loaded {
    /// Digest of the profile with all that it extends and what `--set` changed:
    /// of its values as they are written, whatever file or line wrote them.
    /// Secrets are in it by the name of their variable or file alone.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(value::to_json(&self.table).to_string().as_bytes())
    }

    /// The entry file, then what it extends.
    #[must_use]
    pub fn profile_files(&self) -> &[FileRead] {
        self.files.get(..self.chain).unwrap_or_default()
    }

    /// The user's catalogs.
    #[must_use]
    pub fn catalog_files(&self) -> &[FileRead] {
        self.files.get(self.chain..).unwrap_or_default()
    }

    fn place(&self, path: &str) -> Place {
        tree::place(&self.table, path)
    }
}

/// Reads the profile at `entry` with all that it extends.
///
/// Relative paths in a file start from that file's directory, those in a
/// `--set` argument from the current one.
///
/// # Errors
/// Everything that is wrong, at once. After a syntax error only syntax errors.
pub fn load(
    entry: &Path,
    options: &Options<'_>,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Loaded, Problems> {
    let mut loader = merge::Loader {
        read,
        sources: Sources::default(),
        files: Vec::new(),
    };
    let report = Report::default();
    let mut table = loader.chain(entry, &report);
    let chain = loader.files.len();
    loader.overrides(&mut table, options.overrides, &report);
    if !report.is_empty() {
        // Half a tree would only give problems that follow from the first.
        report.finish(&loader.sources)?;
    }
    let report = Report::default();
    let place = Place::whole(0);
    schema::check(&keys::PROFILE, &table, place, &mut loader.sources, &report);
    let catalog = catalogs(&mut loader, &table, options, &report)?;
    let reader = reader::Reader::new(&table, &loader.sources, &report);
    let mut profile = parse::profile(&reader);
    profile.adopt(&catalog);
    let notes = validate::validate(&profile, &catalog, &table, &report);
    report.finish(&loader.sources)?;
    Ok(Loaded {
        profile,
        catalog,
        files: loader.files,
        notes,
        chain,
        sources: loader.sources,
        table,
    })
}

fn catalogs(
    loader: &mut merge::Loader<'_>,
    table: &value::Table,
    options: &Options<'_>,
    report: &Report,
) -> Result<Catalog, Problems> {
    let mut catalog = Catalog::builtin()?;
    let named = {
        let reader = reader::Reader::new(table, &loader.sources, report);
        reader.paths("catalog")
    };
    let place = table.get("catalog").map(|e| e.node.place);
    let outside = options.catalogs.iter().cloned().map(|path| (path, None));
    let all: Vec<_> = named
        .into_iter()
        .map(|path| (path, place))
        .chain(outside)
        .collect();
    for (path, wanted_by) in all {
        if let Some((source, table)) = loader.file(&path, wanted_by, report) {
            catalog.extend(source, &table, &mut loader.sources, report);
        }
    }
    Ok(catalog)
}
