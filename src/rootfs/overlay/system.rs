//! What the system says about itself: its components on the console before the
//! login prompt, and the same for programs.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::OverlayLayer;
use super::error::Error;
use crate::render::{Context, Engine, Project};
use crate::rootfs::filter::Patterns;
use crate::tree::{FileData, Inode, Kind, Meta, Tree};

/// The console's banner; agetty shows `/etc/issue`, then what is in
/// `/etc/issue.d`.
pub const ISSUE_PATH: &str = "etc/issue.d/10-appliance.issue";
/// The components for programs, as JSON.
pub const COMPONENTS_PATH: &str = "usr/lib/isoforge/components.json";

/// The template of the banner.
pub const ISSUE_TEMPLATE: &str = "templates/issue.tera";

/// A part of the appliance, as users know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The layer with [`ISSUE_PATH`], rendered from `templates/issue.tera`, and
/// [`COMPONENTS_PATH`]. Templates see the components as `components`.
///
/// # Errors
/// [`Error::Render`].
pub fn system_files(
    project: &Project,
    engine: &Engine,
    context: &Context,
    components: &[Component],
    mtime: i64,
) -> Result<OverlayLayer, Error> {
    let mut context = context.clone();
    context.insert("components", &components)?;
    let template = project.read_text(ISSUE_TEMPLATE)?;
    let issue = engine.render(ISSUE_TEMPLATE, &template, &context)?;
    let appliance = context.get("appliance").unwrap_or_default();
    let document = serde_json::json!({
        "schema": 1,
        "appliance": {
            "name": appliance.get("name"),
            "version": appliance.get("version"),
        },
        "components": components,
    });
    let json = format!("{document:#}\n");
    let mut tree = Tree::new();
    for (path, text) in [(ISSUE_PATH, issue), (COMPONENTS_PATH, json)] {
        let inode = Inode {
            meta: Meta::with_mode(0o644),
            kind: Kind::File(FileData::Inline(Arc::from(text.into_bytes()))),
        };
        tree.insert(path.as_bytes(), inode)
            .map_err(|source| Error::Tree {
                overlay: path.to_owned(),
                source,
            })?;
    }
    let walk: Vec<_> = tree.walk().map(|(_, id)| id).collect();
    for id in walk {
        tree.meta_mut(id).mtime = mtime;
    }
    Ok(OverlayLayer {
        tree,
        deletes: Patterns::default(),
        keep: BTreeSet::new(),
        host_files: Vec::new(),
    })
}
