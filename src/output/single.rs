//! One file or folder outside of a build's output directory, written whole or
//! not at all: under a temporary name beside its place, then renamed.

use std::io;
use std::path::Path;

use super::Error;
use super::dir::{PARTIAL_PREFIX, PARTIAL_SUFFIX, temporary};
use crate::util::interrupt;

/// Writes the file at `path`, replacing what is there.
///
/// # Errors
/// What `write` gives, and what the system says; then everything is as before.
pub fn replace_with<E: From<Error>>(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> Result<(), E>,
) -> Result<(), E> {
    let folder = folder_of(path);
    let mut file = temporary(folder).map_err(|source| not_writable(folder, source))?;
    let partial = file.path().to_owned();
    let _interrupt = interrupt::on_interrupt(move || {
        let _ = fs_err::remove_file(partial);
    });
    write(file.as_file_mut())?;
    file.as_file().sync_all().map_err(Error::from)?;
    {
        let _whole = interrupt::hold();
        file.persist(path)
            .map_err(|error| not_writable(path, error.error))?;
    }
    sync(folder)?;
    Ok(())
}

/// Writes the folder at `path`, which must not be there or be empty.
///
/// # Errors
/// [`Error::NotWritable`] where something is there, what `write` gives, and what
/// the system says; then everything is as before.
pub fn new_folder<E: From<Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    use std::os::unix::fs::PermissionsExt as _;
    let above = folder_of(path);
    check_free(path)?;
    let whole = interrupt::hold();
    let partial = tempfile::Builder::new()
        .prefix(PARTIAL_PREFIX)
        .suffix(PARTIAL_SUFFIX)
        .permissions(std::fs::Permissions::from_mode(0o777))
        .tempdir_in(above)
        .map_err(|source| not_writable(above, source))?;
    drop(whole);
    let interrupted = partial.path().to_owned();
    let _interrupt = interrupt::on_interrupt(move || {
        let _ = fs_err::remove_dir_all(interrupted);
    });
    write(partial.path())?;
    {
        let _whole = interrupt::hold();
        // rename(2) replaces an empty folder, and nothing else.
        rustix::fs::rename(partial.path(), path)
            .map_err(|error| not_writable(path, error.into()))?;
        let _ = partial.keep();
    }
    sync(above)?;
    Ok(())
}

/// Found before the work starts; the renaming finds it at its end.
fn check_free(path: &Path) -> Result<(), Error> {
    match fs_err::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(not_writable(path, io::ErrorKind::DirectoryNotEmpty.into())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(not_writable(path, error)),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn not_writable(path: &Path, source: io::Error) -> Error {
    Error::NotWritable {
        path: path.to_owned(),
        source,
    }
}

fn sync(folder: &Path) -> Result<(), Error> {
    fs_err::File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs_err::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn failing() -> Error {
        io::Error::other("no more").into()
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("out.tar");
        let write = |text: &'static str, fails: bool| {
            replace_with(&path, |file| -> Result<(), Error> {
                file.write_all(text.as_bytes())?;
                if fails { Err(failing()) } else { Ok(()) }
            })
        };
        write("one", false).unwrap();
        write("another", true).unwrap_err();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "one");
        assert_eq!(names(base.path()), ["out.tar"]);
        write("two", false).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "two");
    }

    #[test]
    fn a_folder_takes_an_empty_place_only() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("out");
        let write = |fails: bool| {
            new_folder(&path, |folder| -> Result<(), Error> {
                fs_err::write(folder.join("a"), b"x")?;
                if fails { Err(failing()) } else { Ok(()) }
            })
        };
        write(true).unwrap_err();
        assert_eq!(names(base.path()), [""; 0]);
        fs_err::create_dir(&path).unwrap();
        write(false).unwrap();
        assert_eq!(names(&path), ["a"]);
        fs_err::write(path.join("mine"), b"").unwrap();
        assert!(matches!(write(false), Err(Error::NotWritable { .. })));
        assert_eq!(names(&path), ["a", "mine"]);
        assert_eq!(names(base.path()), ["out"]);
    }
}
