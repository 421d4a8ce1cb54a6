//! What the system says about itself: its components on the console before the
//! login prompt, and the same for programs.

use std::sync::Arc;

use serde::Serialize;

use super::OverlayLayer;
use super::error::Error;
use crate::render::{Context, Engine, Project};

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
    let mut layer = OverlayLayer::default();
    for (path, text) in [(ISSUE_PATH, issue), (COMPONENTS_PATH, json)] {
        layer.add_file(path, 0o644, Arc::from(text.into_bytes()))?;
    }
    layer.set_mtime(mtime);
    Ok(layer)
}
