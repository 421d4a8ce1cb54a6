//! One file outside of an output directory, replaced in one go.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Error;
use crate::interrupt;

/// Mode of the file before the umask.
const FILE_MODE: u32 = 0o666;

/// Writes `bytes` to a temporary file beside `path`, brings it to the disk and
/// gives it its name. Until then what was there stays. A symbolic link stays
/// one: what it leads to is replaced.
///
/// # Errors
/// [`Error::Replace`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write(path, bytes).map_err(|source| Error::Replace {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = match fs_err::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let handle = fs_err::File::open(&folder)?;
    // So that an interrupt finds either the old file or the new one, and nothing
    // beside it.
    let _whole = interrupt::hold();
    let mut file = tempfile::Builder::new()
        .prefix(".isoforge-")
        .suffix(".partial")
        .permissions(std::fs::Permissions::from_mode(FILE_MODE))
        .tempfile_in(&folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    // The new name is on the disk only when its folder is.
    handle.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_through_links_and_nothing_stays_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        replace(&file, b"1").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, b"2").unwrap();
        assert_eq!(fs_err::read(&file).unwrap(), b"2");
        assert!(fs_err::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 2);
        let error = replace(&dir.path().join("none/file"), b"").unwrap_err();
        assert!(matches!(error, Error::Replace { .. }), "{error}");
    }
}
