//! A file of the user's that nobody else may read, replaced in one step.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::Error;
use crate::interrupt;

/// Folders that are made on the way are for the user alone.
const FOLDER_MODE: u32 = 0o700;

/// Puts `bytes` in the place of `path`: whoever reads it finds the old or the new
/// file. It can be read and written by its owner alone. Where `path` is a
/// symbolic link, what it leads to is replaced.
///
/// # Errors
/// Where folder or file can't be written; the old file is as it was then.
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let target = real_path(path);
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(|error| named(folder, error))?;
    // Temporary files have mode 0600 whatever the umask is. An interrupt waits,
    // so none is left.
    let _hold = interrupt::hold();
    let mut file = tempfile::Builder::new()
        .prefix(".isoforge-")
        .tempfile_in(folder)
        .map_err(|error| named(folder, error))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| named(file.path(), error))?;
    file.persist(&target)
        .map_err(|error| named(&target, error.error))?;
    fs_err::File::open(folder)?.sync_all()?;
    Ok(())
}

/// What a symbolic link leads to, be it there or not.
fn real_path(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match path.read_link() {
        Ok(target) => path.parent().unwrap_or(Path::new("")).join(target),
        Err(_) => path.to_owned(),
    }
}

fn named(path: &Path, error: std::io::Error) -> Error {
    let text = format!("{}: {error}", path.display());
    std::io::Error::new(error.kind(), text).into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_file_is_replaced_through_links_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/file");
        replace_private(&path, b"one").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let link = folder.path().join("link");
        symlink("new/folder/file", &link).unwrap();
        replace_private(&link, b"two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(mode(&path), 0o600);
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn where_it_can_not_be_written_the_old_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"old").unwrap();
        let below = file.join("below");
        let error = replace_private(&below, b"new").unwrap_err();
        let said = std::error::Error::source(&error).unwrap().to_string();
        assert!(said.contains(&file.display().to_string()), "{said}");
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
    }
}
