//! The infrastructure profile: what a user writes, read into a typed value.
//!
//! Read it in this order: [`load`], whose stages these are; `model`, where every
//! key is stated; `keys`, by which they are read; `rules`, which look at several
//! keys and at the catalog. `plan` is what the stages of a build ask a profile.
//!
//! Reading goes through a closure, so that this module opens no file and no
//! connection itself. All problems are reported at once, each in the file that
//! wrote the key.

mod catalog;
mod check;
mod context;
mod document;
mod json_schema;
mod keys;
mod merge;
mod model;
mod placeholder;
mod plan;
mod problem;
mod reference;
mod rules;
mod secret;
mod settings;
mod source;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use isoforge_base::digest::Digest;
use isoforge_contract::arch::Arch;
use keys::{Context, Fields, Section as _};
use problem::Report;
use source::{Sources, Span};

pub use catalog::{Catalog, CatalogError, Entry, Kind, Query, Resolution};
pub(crate) use context::network_for;
pub use json_schema::json_schema;
pub(crate) use model::macro_answer;
pub use model::{
    Appliance, Boot, Bootstrap, CloudConfig, Cluster, Component, Console, Content, ContentImage,
    ContentSources, ExtraPartition, FileSpec, Install, Kubernetes, LayerSource, LayerSpec, Limits,
    Mode, Os, OsSource, Output, Overlays, Partitions, Profile, Provider, Registration, Require,
    Var,
};
pub use placeholder::{ImageTemplate, PathTemplate, Target};
pub use plan::{
    ComponentImages, ContentPlan, FoundImages, ImageMethod, KubernetesPlan, matches_any,
};
pub use problem::{Excerpt, Location, Problem, Problems};
pub use reference::{reference, settings_reference};
pub(crate) use secret::BOOT_PASSWORD;
pub use secret::{REDACTED, Secret, SecretReader, SecretRef, Secrets};
pub use settings::{UserSettings, read_settings};

/// A document that the user writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    Profile,
    Catalog,
    /// The user's settings.
    Settings,
}

impl Document {
    /// The keys of its top level.
    fn fields(self) -> &'static Fields {
        match self {
            Self::Profile => Profile::fields(),
            Self::Catalog => catalog::Entries::fields(),
            Self::Settings => UserSettings::fields(),
        }
    }
}

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
    table: document::Table,
}

impl Loaded {
    /// Digest of the profile with all that it extends and what `--set` changed:
    /// of its values as they are written, whatever file or line wrote them.
    /// Secrets are in it by the name of their variable or file alone.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(document::to_json(&self.table).to_string().as_bytes())
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

    fn place(&self, path: &str) -> Span {
        document::place(&self.table, path)
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
    let first = first_reading(&loader.sources, &table);
    let report = Report::default();
    let catalog = catalogs(&mut loader, first.catalog, &table, options, &report)?;
    let context = Context {
        document: Document::Profile,
        sources: &loader.sources,
        report: &report,
        targets: &targets(&first.appliance.arch, &first.kubernetes.versions),
    };
    let mut profile: Profile = context.read("", &table, Span::whole(0));
    profile.adopt(&catalog);
    let notes = rules::validate(&profile, &catalog, &table, &report);
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

/// The profile before it is known for which architectures and versions its texts
/// with placeholders have to be right; what is wrong with it is reported later.
fn first_reading(sources: &Sources, table: &document::Table) -> Profile {
    let context = Context {
        document: Document::Profile,
        sources,
        report: &Report::default(),
        targets: &[],
    };
    context.read("", table, Span::whole(0))
}

/// Every combination that texts with placeholders have to be right for. The form of the
/// texts is checked without a version too; what would be filled in with none is reported.
fn targets<'a>(arch: &[Arch], versions: &'a [String]) -> Vec<Target<'a>> {
    let all = |version: &'a str| arch.iter().map(move |&arch| Target { arch, version });
    match versions {
        [] => all("1.0.0").collect(),
        [none] if none.is_empty() => all("1.0.0").collect(),
        some => some.iter().flat_map(|v| all(v)).collect(),
    }
}

fn catalogs(
    loader: &mut merge::Loader<'_>,
    named: Vec<PathBuf>,
    table: &document::Table,
    options: &Options<'_>,
    report: &Report,
) -> Result<Catalog, Problems> {
    let mut catalog = Catalog::builtin()?;
    let place = table.get("catalog").map(|e| e.node.place);
    let outside = options.catalogs.iter().cloned().map(|path| (path, None));
    let named = named.into_iter().map(|path| (path, place));
    for (path, wanted_by) in named.chain(outside) {
        if let Some((source, table)) = loader.file(&path, wanted_by, report) {
            catalog.extend(source, &table, &loader.sources, report);
        }
    }
    Ok(catalog)
}
