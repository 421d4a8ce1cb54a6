//! Files below a folder that no link leads out of: who gives a folder away does not say
//! with a link in it what else of the disk is read.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Where `path`, which starts from `root`, lies once links are followed; none where that
/// is outside of `root`.
///
/// # Errors
/// What the system says, [`io::ErrorKind::NotFound`] for one.
pub fn resolve(root: &Path, path: &Path) -> io::Result<Option<PathBuf>> {
    let root = match root.as_os_str().is_empty() {
        true => Path::new("."),
        false => root,
    };
    let real = fs_err::canonicalize(root.join(path))?;
    let is_below = real.starts_with(fs_err::canonicalize(root)?);
    Ok(is_below.then_some(real))
}

/// Whether the text of a path itself leads out of where it starts from, links aside: then
/// whoever wrote it means what lies there.
#[must_use]
pub fn leads_out(path: &Path) -> bool {
    let mut depth = 0_usize;
    for part in path.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_within_and_not_out() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs_err::create_dir_all(root.join("a")).unwrap();
        fs_err::create_dir(&outside).unwrap();
        for file in [root.join("a/file"), outside.join("file")] {
            fs_err::write(file, "x").unwrap();
        }
        symlink(root.join("a/file"), root.join("within")).unwrap();
        symlink("../outside/file", root.join("file")).unwrap();
        symlink(&outside, root.join("folder")).unwrap();
        let at = |path: &str| resolve(&root, Path::new(path)).unwrap();
        let real = fs_err::canonicalize(root.join("a/file")).unwrap();
        assert_eq!(at("a/../a/./file"), Some(real.clone()));
        assert_eq!(at("within"), Some(real));
        for path in ["file", "folder/file", "folder", "../outside/file"] {
            assert_eq!(at(path), None, "{path}");
        }
        let missing = resolve(&root, Path::new("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(resolve(Path::new(""), Path::new(".")).unwrap().is_some());
    }

    #[test]
    fn a_path_that_says_that_it_leads_out_is_told() {
        for path in ["../x", "a/../../x", "/x"] {
            assert!(leads_out(Path::new(path)), "{path}");
        }
        for path in ["", "x", "./a/../x"] {
            assert!(!leads_out(Path::new(path)), "{path}");
        }
    }
}
