//! From templates and values to configuration text.
//!
//! [`Engine`] renders Tera templates strictly; [`cloud_config`] renders the
//! cloud-config and checks the result; [`Secrets`] keeps secret values out of
//! what is shown and tells where they land. [`Project`] finds a template or an
//! overlay file: the project's own first, else the one compiled in.

pub(crate) mod boot_menu;
pub(crate) mod cloud_config;
mod context;
mod defaults;
mod engine;
mod filters;
mod project;
mod secrets;

pub(crate) use context::Context;
pub(crate) use defaults::{console_files, embedded_files, node_files, registry_files};
pub(crate) use engine::Engine;
pub(crate) use project::Project;
pub(crate) use secrets::{Secret, Secrets};

/// Ending of files that are rendered.
pub(crate) const TEMPLATE_SUFFIX: &str = ".tera";
