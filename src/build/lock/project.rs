//! The project's own files: profile, templates, overlays, keyrings. Their
//! digests are what a lock calls its inputs.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use isoforge_base::error::Result;

use crate::build::registry;
use crate::build::renderer::{CLOUD_CONFIG, ISSUE_TEMPLATE};
use crate::build::stages::Build;
use crate::build::system::{BASE_OVERLAY, in_project};
use crate::lock::{Flags, Input, InputKind, Lock, REVISION, Time, VERSION};
use crate::profile::{CloudConfig, FileRead, ImageMethod, LayerSource, OsSource, Target};
use crate::render::{Project, boot_menu, node_files, registry_files};
use crate::sources::kubernetes::component_kind;
use isoforge_base::digest::Digest;
use isoforge_contract::manifest::{ComponentKind, EpochSource};
use isoforge_system::overlay::{self, EmbeddedFile, Source};
use isoforge_system::{appliance_layer, registry_layer};

/// What stands before the path of a file that is part of the program.
const BUILT_IN: &str = "built-in ";

/// A lock of the project's files, flags and components, with no other input.
pub(super) fn lock(build: &Build<'_>) -> Result<Lock> {
    let loaded = build.request.loaded;
    let project = files(build)?;
    let flags = Flags {
        set: build.request.lock.set.clone(),
    };
    let profile = build.request.profile_path.file_name();
    Ok(Lock {
        version: VERSION,
        revision: REVISION,
        profile: profile.unwrap_or_default().to_string_lossy().into_owned(),
        inputs: Lock::inputs_digest(&project, &flags),
        profile_digest: loaded.digest(),
        time: Time {
            epoch: 0,
            source: EpochSource::None,
        },
        flags,
        project,
        components: components(build)?,
        images: Vec::new(),
        charts: build
            .content
            .get()
            .map(|content| content.charts.clone())
            .unwrap_or_default(),
        files: Vec::new(),
        archives: Vec::new(),
        bootstraps: Vec::new(),
        core_images: Vec::new(),
    })
}

fn components(build: &Build<'_>) -> Result<Vec<crate::lock::Component>> {
    use crate::lock::{Component, Method};
    let loaded = build.request.loaded;
    let mut found: Vec<Component> = Vec::new();
    for arch in &loaded.profile.appliance.arch {
        for needed in loaded.component_images(*arch, build.found())? {
            let images = needed.images.iter().map(ToString::to_string);
            let kind = needed.kind.map_or(ComponentKind::Content, component_kind);
            let known = found.iter_mut().find(|known| {
                known.kind == kind && known.name == needed.name && known.version == needed.version
            });
            if let Some(known) = known {
                known.images.extend(images);
                continue;
            }
            found.push(Component {
                kind,
                name: needed.name,
                version: needed.version,
                method: match needed.method {
                    ImageMethod::Catalog => Method::Catalog,
                    ImageMethod::Profile => Method::Profile,
                    ImageMethod::Pack => Method::Pack,
                    ImageMethod::Manifests => Method::Manifests,
                    ImageMethod::Helm => Method::Helm,
                    ImageMethod::Scan => Method::Scan,
                },
                searched: None,
                images: images.collect(),
            });
        }
    }
    if let Some(content) = build.content.get() {
        for (of_it, digest) in content.found.iter().zip(&content.digests) {
            let kind = of_it.kind.map_or(ComponentKind::Content, component_kind);
            let component = found.iter_mut().find(|known| {
                known.kind == kind && known.name == of_it.name && known.version == of_it.version
            });
            if let Some(component) = component {
                component.searched = Some(*digest);
            }
        }
    }
    for component in &mut found {
        component.images.sort();
        component.images.dedup();
    }
    found.sort();
    Ok(found)
}

fn files(build: &Build<'_>) -> Result<Vec<Input>> {
    let loaded = build.request.loaded;
    let root = build.renderer.project.root();
    let mut found = Vec::new();
    let mut read = |kind, files: &[FileRead]| {
        found.extend(files.iter().map(|file| Input {
            kind,
            path: shown(root, &file.path),
            digest: file.digest,
        }));
    };
    let chain = loaded.profile_files();
    read(InputKind::Profile, chain.get(..1).unwrap_or_default());
    read(InputKind::Include, chain.get(1..).unwrap_or_default());
    read(InputKind::Catalog, loaded.catalog_files());
    templates(build, &mut found)?;
    overlays(build, &mut found)?;
    if let OsSource::Bootstrap(bootstrap) = &loaded.profile.os.source
        && let Some(keyring) = &bootstrap.keyring
    {
        found.push(Input {
            kind: InputKind::Keyring,
            path: shown(root, keyring),
            digest: Digest::of(&fs_err::read(keyring)?),
        });
    }
    found.push(Input {
        kind: InputKind::Overlay,
        path: format!("{BUILT_IN}{}", appliance_layer::OVERLAY),
        digest: built_in(node_files(), appliance_layer::OVERLAY)?,
    });
    if registry::of(&loaded.profile).is_some() {
        found.push(Input {
            kind: InputKind::Overlay,
            path: format!("{BUILT_IN}{}", registry_layer::OVERLAY),
            digest: built_in(registry_files(), registry_layer::OVERLAY)?,
        });
    }
    // By architecture alone: where it lies is the machine's own business.
    found.extend(build.programs.iter().map(|(arch, program)| Input {
        kind: InputKind::Program,
        path: format!("appliance for {arch}"),
        digest: program.digest,
    }));
    let content = build.content.get().into_iter();
    found.extend(
        content
            .flat_map(|content| &content.inputs)
            .map(|(kind, path, digest)| Input {
                kind: *kind,
                path: shown(root, path),
                digest: *digest,
            }),
    );
    found.sort();
    found.dedup();
    Ok(found)
}

fn built_in(files: &'static [EmbeddedFile], dir: &str) -> Result<Digest> {
    Ok(overlay::digest(&Source::embedded(files, dir), dir)?)
}

fn templates(build: &Build<'_>, found: &mut Vec<Input>) -> Result<()> {
    let project = &build.renderer.project;
    let cloud_config = match &build.request.loaded.profile.cloud_config {
        CloudConfig::Builtin => CLOUD_CONFIG.to_owned(),
        CloudConfig::Template(path) | CloudConfig::File(path) => in_project(project, path),
    };
    let mut paths = vec![
        (InputKind::CloudConfig, cloud_config),
        (InputKind::Template, ISSUE_TEMPLATE.to_owned()),
        (InputKind::Template, boot_menu::MENU_TEMPLATE.to_owned()),
    ];
    let includes = project.includes()?.into_iter();
    paths.extend(includes.map(|path| (InputKind::Template, path)));
    for (kind, path) in paths {
        found.push(Input {
            kind,
            digest: Digest::of(&project.read(&path)?),
            path: named(project, &path),
        });
    }
    Ok(())
}

fn overlays(build: &Build<'_>, found: &mut Vec<Input>) -> Result<()> {
    let loaded = build.request.loaded;
    let profile = &loaded.profile;
    let project = &build.renderer.project;
    let mut folders = vec![BASE_OVERLAY.to_owned()];
    let laid = profile.overlays.rootfs.iter().chain(&profile.overlays.iso);
    folders.extend(laid.map(|path| in_project(project, path)));
    for arch in &profile.appliance.arch {
        let mut layers = Vec::new();
        for version in &profile.kubernetes.versions {
            let target = Target {
                arch: *arch,
                version,
            };
            let plan = loaded.kubernetes_plan(target)?;
            layers.extend(plan.layers.into_iter().map(|layer| (layer, target)));
        }
        let target = profile.iso_target(*arch);
        let further = profile.layers.iter().filter(|layer| layer.is_for(*arch));
        layers.extend(further.map(|layer| (layer.clone(), target)));
        for (layer, target) in layers {
            if let LayerSource::Folder(template) = layer.source {
                folders.push(in_project(project, &template.expand(target)));
            }
        }
    }
    folders.sort();
    folders.dedup();
    for folder in folders {
        found.push(Input {
            kind: InputKind::Overlay,
            digest: overlay::digest(&project.overlay(&folder)?, &folder)?,
            path: named(project, &folder),
        });
    }
    Ok(())
}

/// What a path of [`in_project`] is called in the lock.
fn named(project: &Project, path: &str) -> String {
    if project.is_built_in(path) {
        return format!("{BUILT_IN}{path}");
    }
    shown(project.root(), &project.root().join(path))
}

/// `path` relative to `root`, with slashes, whatever both start from; as it is
/// where they have no folder in common, since a way through the root folder
/// would tell where the project lies.
fn shown(root: &Path, path: &Path) -> String {
    let (root, path) = (normal(root), normal(path));
    let common = root
        .components()
        .zip(path.components())
        .take_while(|(a, b)| a == b)
        .count();
    if common < 2 {
        return path.to_string_lossy().into_owned();
    }
    let up = root.components().count().saturating_sub(common);
    let names = std::iter::repeat_n(OsStr::new(".."), up)
        .chain(path.components().skip(common).map(Component::as_os_str));
    let names: Vec<_> = names.map(OsStr::to_string_lossy).collect();
    names.join("/")
}

/// The absolute path without `.` and `..`, links not followed.
fn normal(path: &Path) -> PathBuf {
    // The empty path is the current folder, which `absolute` does not take it for.
    let path = Path::new(".").join(path);
    let absolute = std::path::absolute(&path).unwrap_or(path);
    let mut normal = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_the_projects_folder() {
        let shown = |path: &str| shown(Path::new("/home/u/project"), Path::new(path));
        assert_eq!(shown("/home/u/project/a/./b.toml"), "a/b.toml");
        assert_eq!(shown("/home/u/project/a/../b.toml"), "b.toml");
        assert_eq!(shown("/home/u/common/base.toml"), "../common/base.toml");
        assert_eq!(shown("/usr/share/key.gpg"), "/usr/share/key.gpg");
        assert_eq!(super::shown(Path::new(""), Path::new("a.toml")), "a.toml");
        assert_eq!(super::shown(Path::new("a"), Path::new("b/c")), "../b/c");
    }
}
