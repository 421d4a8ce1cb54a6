//! The project's own files: profile, templates, overlays, keyrings, and what of the
//! program itself goes in.

use std::path::PathBuf;

use isoforge_base::error::Result;

use super::{Inputs, Source};
use crate::lock::InputKind;
use crate::profile::{CloudConfig, FileRead, Loaded, OsSource};
use crate::render::{Project, boot_menu, console_files, node_files, registry_files};
use isoforge_base::digest::Digest;
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::RegistryKind;
use isoforge_system::overlay::EmbeddedFile;
use isoforge_system::{appliance_layer, registry_layer};

/// The template that is used where the profile names none.
pub const CLOUD_CONFIG: &str = "templates/cloud-config.yaml.tera";

/// The template of the console's banner.
pub const ISSUE_TEMPLATE: &str = "templates/issue.tera";

/// The overlay that every system gets: what no two machines may share is taken
/// out, the mount points of a read-only root are made.
pub const BASE_OVERLAY: &str = "overlays/base";

/// A file or folder of the project, or one that is built into the program.
#[derive(Debug, Clone)]
pub struct ProjectFile {
    /// What it is.
    pub kind: InputKind,
    /// Where it is.
    pub origin: FileOrigin,
}

/// Where a file of the project is.
#[derive(Debug, Clone)]
pub enum FileOrigin {
    /// On the disk; it was read already.
    Read(PathBuf, Digest),
    /// On the disk.
    Disk(PathBuf),
    /// A file by its path as `Project` takes it: the project's, else the default.
    File(String),
    /// The same of an overlay.
    Overlay(String),
    /// An overlay that a project can't replace.
    BuiltIn(&'static str, &'static [EmbeddedFile]),
    /// The program `appliance`. By architecture alone: where it lies is the
    /// machine's own business.
    Program(Arch, Digest),
}

/// The files of a project whose inputs are `inputs`. `found` are packs, charts and
/// manifests that were read, `programs` the programs that systems carry.
///
/// # Errors
/// The folder of templates can't be listed.
pub fn project_files(
    loaded: &Loaded,
    project: &Project,
    inputs: &Inputs,
    found: &[(InputKind, PathBuf, Digest)],
    programs: impl Iterator<Item = (Arch, Digest)>,
) -> Result<Vec<ProjectFile>> {
    let profile = &loaded.profile;
    let mut files = Vec::new();
    let mut push = |kind, origin| files.push(ProjectFile { kind, origin });
    let read = |file: &FileRead| FileOrigin::Read(file.path.clone(), file.digest);
    for (at, file) in loaded.profile_files().iter().enumerate() {
        let kind = match at {
            0 => InputKind::Profile,
            _ => InputKind::Include,
        };
        push(kind, read(file));
    }
    for file in loaded.catalog_files() {
        push(InputKind::Catalog, read(file));
    }
    let config = cloud_config(loaded, project);
    push(InputKind::CloudConfig, FileOrigin::File(config));
    let templates = [ISSUE_TEMPLATE, boot_menu::MENU_TEMPLATE].map(str::to_owned);
    for path in templates.into_iter().chain(project.includes()?) {
        push(InputKind::Template, FileOrigin::File(path));
    }
    let overlays = profile.overlays.rootfs.iter().chain(&profile.overlays.iso);
    let folders = inputs.list.iter().filter_map(|input| match &input.source {
        Source::Folder(path) => Some(path),
        _ => None,
    });
    let folders = overlays.chain(folders).map(|path| project.path_of(path));
    for path in folders.chain([BASE_OVERLAY.to_owned()]) {
        push(InputKind::Overlay, FileOrigin::Overlay(path));
    }
    if let OsSource::Bootstrap(bootstrap) = &profile.os.source
        && let Some(keyring) = &bootstrap.keyring
    {
        push(InputKind::Keyring, FileOrigin::Disk(keyring.clone()));
    }
    let appliance = FileOrigin::BuiltIn(appliance_layer::OVERLAY, node_files());
    push(InputKind::Overlay, appliance);
    if profile.console.enabled {
        let console = FileOrigin::BuiltIn(appliance_layer::CONSOLE_OVERLAY, console_files());
        push(InputKind::Overlay, console);
    }
    let registry = profile.registry.as_ref();
    if registry.is_some_and(|it| RegistryKind::of(&it.name).is_some()) {
        let registry = FileOrigin::BuiltIn(registry_layer::OVERLAY, registry_files());
        push(InputKind::Overlay, registry);
    }
    for (arch, digest) in programs {
        push(InputKind::Program, FileOrigin::Program(arch, digest));
    }
    for (kind, path, digest) in found {
        push(*kind, FileOrigin::Read(path.clone(), *digest));
    }
    Ok(files)
}

/// Where the cloud-config comes from, as `Project` takes it.
#[must_use]
pub fn cloud_config(loaded: &Loaded, project: &Project) -> String {
    match &loaded.profile.cloud_config {
        CloudConfig::Builtin => CLOUD_CONFIG.to_owned(),
        CloudConfig::Template(path) | CloudConfig::File(path) => project.path_of(path),
    }
}
