//! Paths within a root file system that is not ours yet: links in it are meant
//! from its own top, and must not lead into the initrd.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::rooted::Root;

/// The directory that `path` (absolute, within the root file system at `root`)
/// leads to, with links followed as they will be once that is the root; none
/// where nothing is there.
///
/// # Errors
/// Where something else is there, or links go round.
pub(super) fn enter(root: &Path, path: &str) -> Result<Option<PathBuf>> {
    let entered = || -> Result<Option<PathBuf>> {
        let Some(folder) = Root::open(root)?.dir(path)? else {
            return Ok(None);
        };
        // The kernel knows where it is, free of links.
        let number = folder.fd().as_raw_fd();
        Ok(Some(std::fs::read_link(format!("/proc/self/fd/{number}"))?))
    };
    entered().with_context(|| cant_enter(root, path))
}

fn cant_enter(root: &Path, path: &str) -> String {
    let root = root.display();
    format!("can't enter '{path}' in the root file system at {root}")
}

/// As [`enter`], making what is missing with mode 0755.
///
/// # Errors
/// Where the root can't be written.
pub(super) fn make(root: &Path, path: &str) -> Result<PathBuf> {
    if let Some(found) = enter(root, path)? {
        return Ok(found);
    }
    let full = Path::new(path);
    let (Some(parent), Some(name)) = (full.parent().and_then(Path::to_str), full.file_name())
    else {
        bail!("'{path}' can't be kept: it must be absolute, without '.' and '..', and below /");
    };
    let made_at = make(root, parent)?.join(name);
    match fs_err::create_dir(&made_at) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => bail!(
            "the root file system has no directory '{path}' to mount on, and is read-only: it must be in the image"
        ),
        made => made
            .with_context(|| cant_enter(root, path))
            .map(|()| made_at),
    }
}

/// Whether a path of the configuration names a directory below `/` and nothing
/// but that.
pub(super) fn is_plain(path: &str) -> bool {
    let mut components = Path::new(path).components();
    components.next() == Some(Component::RootDir)
        && components.clone().count() > 0
        && components.all(|component| matches!(component, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn links_are_followed_within_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs_err::create_dir_all(root.join("var/home")).unwrap();
        symlink("/var/home", root.join("home")).unwrap();
        symlink("../../../../var", root.join("up")).unwrap();
        assert_eq!(enter(&root, "/home").unwrap(), Some(root.join("var/home")));
        assert_eq!(enter(&root, "/up").unwrap(), Some(root.join("var")));
        assert_eq!(enter(&root, "/").unwrap(), Some(root.clone()));
        assert_eq!(enter(&root, "/srv/x").unwrap(), None);
        assert_eq!(make(&root, "/home/a/b").unwrap(), root.join("var/home/a/b"));
        assert!(root.join("var/home/a/b").is_dir());
    }

    #[test]
    fn what_is_no_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("file"), "").unwrap();
        symlink("nowhere", dir.path().join("dangling")).unwrap();
        let text = |path| {
            make(dir.path(), path)
                .unwrap_err()
                .to_string()
                .replace(dir.path().to_str().unwrap(), "DIR")
        };
        assert_snapshot!(text("/file"), @"can't enter '/file' in the root file system at DIR");
        assert_snapshot!(text("/dangling"), @"can't enter '/dangling' in the root file system at DIR");
    }

    #[test]
    fn only_plain_paths_are_kept() {
        assert!(is_plain("/var/lib/containerd"));
        for path in ["", "/", "var/lib", "/var/../etc", "/var/./x/.."] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
