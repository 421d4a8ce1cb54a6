//! Writing files that a power cut must not halve.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use serde::Serialize;

/// Writes `bytes` to `path` with `mode`: whole and on the disk, or not at all.
/// What was there stays until then. The temporary beside it, `.NAME.new`, is
/// replaced when an earlier attempt was interrupted: where somebody else put one
/// there, be it a link, nothing is written through it.
///
/// # Errors
/// What can't be written, with its path.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = beside(path)?;
    if_there(fs_err::remove_file(&new))?;
    let mut file = fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        // a secret is never readable, not even for a moment
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    drop(file);
    fs_err::rename(&new, path)?;
    sync_directory(path.parent().unwrap_or(Path::new("/")))
}

/// Makes names within a directory last.
///
/// # Errors
/// Where the directory can't be opened, or the disk fails.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    fs_err::File::open(path)?.sync_all()
}

/// Makes a directory and its parents; the last one gets `mode`, whoever made it.
///
/// # Errors
/// What can't be made, with its path.
pub(crate) fn directory(path: &Path, mode: u32) -> io::Result<()> {
    fs_err::create_dir_all(path)?;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// The content of a file; none where there is no such file.
///
/// # Errors
/// Where it is there and can't be read.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if_there(fs_err::read(path))
}

/// The content of a file that is small.
///
/// # Errors
/// Where it can't be read; [`io::ErrorKind::FileTooLarge`] of more than `limit` bytes.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    at_most(fs_err::File::open(path)?, limit)
}

/// As [`read_at_most`], of a file that is open.
///
/// # Errors
/// As there.
pub(crate) fn at_most(file: fs_err::File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let text = format!("it has more than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// A file's bytes as text.
///
/// # Errors
/// Where they are no UTF-8.
pub(crate) fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// What was done to something; none where there is no such thing.
///
/// # Errors
/// Any but [`io::ErrorKind::NotFound`].
pub(crate) fn if_there<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file of JSON, for people too, as [`write`] does.
///
/// # Errors
/// What can't be written, with its path.
pub(crate) fn write_json(path: &Path, value: &impl Serialize, mode: u32) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    write(path, &bytes, mode)
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other(format!("'{}' names no file", path.display())))?;
    let mut new = std::ffi::OsString::from(".");
    new.push(name);
    new.push(".new");
    Ok(path.with_file_name(new))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use isoforge_base::regular;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        fs_err::write(dir.path().join(".id.new"), "left by a power cut").unwrap();
        write(&path, b"one", 0o444).unwrap();
        write(&path, b"two", 0o600).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"two");
        assert_eq!(fs_err::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_written_through_a_link_in_the_temporarys_place() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs_err::write(&victim, "before").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join(".id.new")).unwrap();
        write(&dir.path().join("id"), b"one", 0o444).unwrap();
        assert_eq!(fs_err::read(&victim).unwrap(), b"before");
        assert!(regular::open_unlinked(&dir.path().join("id")).is_ok());
        std::os::unix::fs::symlink(&victim, dir.path().join("link")).unwrap();
        regular::open_unlinked(&dir.path().join("link")).unwrap_err();
        regular::open_unlinked(dir.path()).unwrap_err();
    }

    /// What is under the name is the old file while the new one is written.
    #[test]
    fn what_was_there_stays_when_writing_fails() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        write(&path, b"one", 0o444).unwrap();
        fs_err::create_dir(dir.path().join(".id.new")).unwrap();
        write(&path, b"two", 0o444).unwrap_err();
        assert_eq!(fs_err::read(&path).unwrap(), b"one");
    }

    #[test]
    fn a_missing_file_is_none_and_another_failure_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("none")).unwrap(), None);
        read(dir.path()).unwrap_err();
    }
}
