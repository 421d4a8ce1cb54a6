//! What runs on the cluster, and the images that it needs: packs, charts and
//! manifests read, merged and searched.
//!
//! A *pack* is a folder of a component's chart, manifests and values ([`pack`]);
//! a *chart* is Helm's ([`chart`]). [`find`] gives the images that they need,
//! with the places where each was found and how; [`definition`] puts a
//! cluster's packs into one document; a [`bundle`] carries it all, and [`check`] tells
//! whether it has every image that is named in it.
//!
//! Invariants:
//! - What is read here is data: no template of a pack or chart is run, except by
//!   Helm where [`find::helm`] is asked to.
//! - Every problem of a file names the file and, where the format tells, line
//!   and column.
//! - Equal input gives equal values and equal order, whatever the order of a
//!   folder or a hash map.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests look whether a file is there"
    )
)]

pub mod artifacts;
pub mod bundle;
pub mod chart;
pub mod check;
pub mod definition;
mod error;
mod files;
pub mod find;
pub mod macros;
pub mod pack;
pub mod requirements;
pub mod tarball;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod values;
mod yaml;

use std::path::Path;

pub use error::Error;

/// The text of a file.
fn read_text(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(error::read(path))?;
    Error::text(bytes, &path.display().to_string())
}
