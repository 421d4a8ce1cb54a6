//! The project's own files: profile, templates, overlays, keyrings. Their
//! digests are what a lock calls its inputs.

use std::ffi::OsStr;
use std::io;
use std::path::{self, Path, PathBuf};

use isoforge_base::error::Result;

use crate::build::Request;
use crate::build::content::Searched;
use crate::inputs::{FileOrigin, Inputs, ProjectFile};
use crate::lock::{Component, Flags, Input, Lock, REVISION, Time, VERSION};
use crate::render::Project;
use crate::sources::kubernetes::component_kind;
use isoforge_base::digest::Digest;
use isoforge_contract::manifest::{ComponentKind, EpochSource};
use isoforge_system::overlay::{self, Source};

/// What stands before the path of a file that is part of the program.
const BUILT_IN: &str = "built-in ";

/// A lock of the project's files, flags and components, with no other input.
pub(in crate::build) fn lock(
    request: &Request<'_>,
    project: &Project,
    files: &[ProjectFile],
    inputs: &Inputs,
    content: &Searched,
) -> Result<Lock> {
    let files = files.iter().map(|file| input(project, file));
    let mut files = files.collect::<Result<Vec<Input>>>()?;
    files.sort();
    files.dedup();
    let flags = Flags {
        set: request.lock.set.clone(),
    };
    let profile = request.profile_path.file_name();
    Ok(Lock {
        version: VERSION,
        revision: REVISION,
        profile: profile.unwrap_or_default().to_string_lossy().into_owned(),
        inputs: Lock::inputs_digest(&files, &flags),
        profile_digest: request.loaded.digest(),
        time: Time {
            epoch: 0,
            source: EpochSource::None,
        },
        flags,
        project: files,
        components: components(inputs, content),
        images: Vec::new(),
        charts: content.charts.clone(),
        files: Vec::new(),
        archives: Vec::new(),
        bootstraps: Vec::new(),
        core_images: Vec::new(),
    })
}

/// Components with their images, those of several architectures together.
fn components(inputs: &Inputs, content: &Searched) -> Vec<Component> {
    let mut found: Vec<Component> = Vec::new();
    for (_, needed) in &inputs.components {
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
            name: needed.name.clone(),
            version: needed.version.clone(),
            method: needed.method,
            searched: None,
            images: images.collect(),
        });
    }
    for (of_it, digest) in content.found.iter().zip(&content.digests) {
        let kind = of_it.kind.map_or(ComponentKind::Content, component_kind);
        let component = found.iter_mut().find(|known| {
            known.kind == kind && known.name == of_it.name && known.version == of_it.version
        });
        if let Some(component) = component {
            component.searched = Some(*digest);
        }
    }
    for component in &mut found {
        component.images.sort();
        component.images.dedup();
    }
    found.sort();
    found
}

/// A file of the project as the lock has it.
fn input(project: &Project, file: &ProjectFile) -> Result<Input> {
    let root = project.root();
    let (path, digest) = match &file.origin {
        FileOrigin::Read(path, digest) => (shown(root, path), *digest),
        FileOrigin::Disk(path) => (shown(root, path), Digest::of(&fs_err::read(path)?)),
        FileOrigin::File(path) => (named(project, path)?, Digest::of(&project.read(path)?)),
        FileOrigin::Overlay(path) => {
            let digest = overlay::digest(&project.overlay(path)?, path)?;
            (named(project, path)?, digest)
        }
        FileOrigin::BuiltIn(dir, files) => {
            let digest = overlay::digest(&Source::embedded(files, dir), dir)?;
            (format!("{BUILT_IN}{dir}"), digest)
        }
        FileOrigin::Program(arch, digest) => (format!("appliance for {arch}"), *digest),
    };
    Ok(Input {
        kind: file.kind,
        path,
        digest,
    })
}

/// What a path of [`Project::path_of`] is called in the lock.
fn named(project: &Project, path: &str) -> io::Result<String> {
    if project.is_built_in(path)? {
        return Ok(format!("{BUILT_IN}{path}"));
    }
    Ok(shown(project.root(), &project.root().join(path)))
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
    let names = std::iter::repeat_n(OsStr::new(".."), up).chain(
        path.components()
            .skip(common)
            .map(path::Component::as_os_str),
    );
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
            path::Component::ParentDir => {
                normal.pop();
            }
            path::Component::CurDir => {}
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
