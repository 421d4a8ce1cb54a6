//! Filling the storage of Zot.

use std::path::Path;

use anyhow::Result;
use isoforge_base::output::space::FileSystems;
use isoforge_base::progress::Progress;
use serde::Serialize;

use super::commit::{Moved, Service, commit};
use super::fill::fill;
pub use super::fill::{Existing, Filled};
use super::imported::Imported;
use super::plan::plan;
use super::source::Source;
use super::storage::Storage;

/// How to import.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "its traits have none")]
pub struct Options<'a> {
    /// How blobs are treated that are there.
    pub existing: Existing,
    /// Whether a bundle takes the place of a different one of its name and version.
    pub replace: bool,
    /// What serves the storage meanwhile.
    pub service: &'a dyn Service,
    /// How much room there is.
    pub room: &'a dyn FileSystems,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The images, by their names in full.
    pub images: Vec<String>,
    /// The blobs.
    #[serde(flatten)]
    pub filled: Filled,
    /// Tags that lead elsewhere than before.
    pub moved: Vec<Moved>,
    /// Provider images of the source: no registry gets them.
    pub providers: Vec<String>,
}

/// Imports `source` into the storage below `root`.
///
/// # Errors
/// Those of source and storage. The repositories are as they were then, and blobs that came whole
/// are not copied again.
pub fn import(
    root: &Path,
    source: &dyn Source,
    options: &Options<'_>,
    progress: &Progress,
) -> Result<Report> {
    let storage = Storage::open_to_write(root)?;
    let imported = Imported::read(&storage)?;
    imported.check(source, options.replace)?;
    let there = storage.blobs()?;
    let plan = plan(source, &storage, &there)?;
    if plan.strays > 0 {
        progress.warn(format!(
            "{} manifests of {} belong to no image of it and are left out",
            plan.strays,
            source.name()
        ));
    }
    let filled = fill(
        &storage,
        source,
        &plan,
        &there,
        options.existing,
        options.room,
        progress,
    )?;
    let moved = commit(&storage, &plan, options.service)?;
    imported.add(&storage, source)?;
    storage.sync()?;
    Ok(Report {
        images: plan.images.into_keys().collect(),
        filled,
        moved,
        providers: plan.providers,
    })
}
