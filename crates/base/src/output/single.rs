//! Files or a folder outside of a build's output directory, written whole or not at
//! all: under a temporary name beside their place, then renamed.

use std::fs::TryLockError;
use std::io;
use std::path::Path;

use super::Error;
use super::dir::{PARTIAL_PREFIX, PARTIAL_SUFFIX};
use super::together::{Rename, rename_all};
use crate::interrupt;

/// Writes the file at `path`, replacing what is there. What a killed process left of such
/// a file in the same folder is removed.
///
/// # Errors
/// What `write` gives, and what the system says; then everything is as before.
pub fn replace_with<E: From<Error>>(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> Result<(), E>,
) -> Result<(), E> {
    // In a folder of its own, which tells the next process whether this one lives.
    in_temporary(folder_of(path), |partial| {
        let temporary = partial.path().join("file");
        let mut file = std::fs::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&temporary)
            .map_err(|source| not_writable(&temporary, source))?;
        write(&mut file)?;
        file.sync_all().map_err(Error::from)?;
        let _whole = interrupt::hold();
        fs_err::rename(&temporary, path).map_err(|source| not_writable(path, source))?;
        Ok(())
    })
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
    let above = folder_of(path);
    check_free(path)?;
    in_temporary(above, |partial| {
        write(partial.path())?;
        let _whole = interrupt::hold();
        // rename(2) replaces an empty folder, and nothing else.
        rustix::fs::rename(partial.path(), path)
            .map_err(|error| not_writable(path, error.into()))?;
        let _ = partial.keep();
        Ok(())
    })
}

/// Writes files into the folder `to`. `write` makes them in the folder that it is
/// given, and names them in the order in which they get to their place.
///
/// # Errors
/// [`Error::Exists`] where one is there and `replace` is not set, what `write` gives,
/// and what the system says; then everything is as before.
pub fn new_files<E: From<Error>>(
    to: &Path,
    replace: bool,
    write: impl FnOnce(&Path) -> Result<Vec<String>, E>,
) -> Result<(), E> {
    in_temporary(to, |partial| {
        let names = write(partial.path())?;
        for name in &names {
            sync(&partial.path().join(name))?;
        }
        let _whole = interrupt::hold();
        for name in &names {
            let path = to.join(name);
            let is_there = || fs_err::exists(&path).map_err(|error| not_writable(&path, error));
            if !replace && is_there()? {
                return Err(Error::Exists { path }.into());
            }
        }
        let renames: Vec<Rename> = names
            .iter()
            .map(|name| Rename {
                from: partial.path().join(name),
                to: to.join(name),
            })
            .collect();
        rename_all(&renames, partial.path(), to)?;
        Ok(())
    })
}

/// Has `work` done with a temporary folder in `above`, which is gone afterwards; so is
/// what a killed process left there.
fn in_temporary<E: From<Error>>(
    above: &Path,
    work: impl FnOnce(tempfile::TempDir) -> Result<(), E>,
) -> Result<(), E> {
    remove_leftovers(above);
    let whole = interrupt::hold();
    let (partial, _lock) = temporary_folder(above).map_err(|source| not_writable(above, source))?;
    drop(whole);
    let interrupted = partial.path().to_owned();
    let _interrupt = interrupt::on_interrupt(move || {
        let _ = fs_err::remove_dir_all(interrupted);
    });
    work(partial)?;
    sync(above)?;
    Ok(())
}

/// A temporary folder, and its lock, which says that its process lives.
fn temporary_folder(above: &Path) -> io::Result<(tempfile::TempDir, fs_err::File)> {
    use std::os::unix::fs::PermissionsExt as _;
    loop {
        let partial = tempfile::Builder::new()
            .prefix(PARTIAL_PREFIX)
            .suffix(PARTIAL_SUFFIX)
            .permissions(std::fs::Permissions::from_mode(0o777))
            .tempdir_in(above)?;
        // Before it is locked, another process may take it for a leftover.
        match fs_err::File::open(partial.path()) {
            Ok(lock) => match lock.file().try_lock() {
                Err(TryLockError::WouldBlock) => {}
                _ if fs_err::exists(partial.path())? => return Ok((partial, lock)),
                _ => {}
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes temporary folders whose process is gone, as far as that can be told.
pub(super) fn remove_leftovers(above: &Path) {
    let Ok(entries) = fs_err::read_dir(above) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = name.starts_with(PARTIAL_PREFIX) && name.ends_with(PARTIAL_SUFFIX);
        if is_ours
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Ok(folder) = fs_err::File::open(entry.path())
            && folder.file().try_lock().is_ok()
        {
            let _ = fs_err::remove_dir_all(entry.path());
        }
    }
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

    use super::super::testing::names;
    use super::*;

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
    fn files_come_together_and_replace_only_where_that_is_asked_for() {
        let base = tempfile::tempdir().unwrap();
        let write = |text: &'static str, replace: bool| {
            new_files(base.path(), replace, |folder| -> Result<_, Error> {
                fs_err::write(folder.join("a"), text)?;
                fs_err::write(folder.join("b"), text)?;
                Ok(vec!["a".to_owned(), "b".to_owned()])
            })
        };
        write("one", false).unwrap();
        let error = write("two", false).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error}");
        let read = |name: &str| fs_err::read_to_string(base.path().join(name)).unwrap();
        assert_eq!((read("a"), read("b")), ("one".to_owned(), "one".to_owned()));
        write("two", true).unwrap();
        assert_eq!((read("a"), read("b")), ("two".to_owned(), "two".to_owned()));
        assert_eq!(names(base.path()), ["a", "b"]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not() {
        let base = tempfile::tempdir().unwrap();
        for name in ["dead", "alive"] {
            let folder = base.path().join(format!(".isoforge-{name}.partial"));
            fs_err::create_dir(&folder).unwrap();
            fs_err::write(folder.join("half"), b"x").unwrap();
        }
        let alive = base.path().join(".isoforge-alive.partial");
        let lock = fs_err::File::open(&alive).unwrap();
        lock.file().try_lock().unwrap();
        fs_err::create_dir(base.path().join("mine.partial")).unwrap();
        new_files(base.path(), false, |folder| -> Result<_, Error> {
            fs_err::write(folder.join("a"), b"a")?;
            // As long as it is worked in, it is no leftover.
            remove_leftovers(base.path());
            assert!(folder.join("a").exists());
            Ok(vec!["a".to_owned()])
        })
        .unwrap();
        let expected = [".isoforge-alive.partial", "a", "mine.partial"];
        assert_eq!(names(base.path()), expected);
        let dead = base.path().join(".isoforge-dead.partial");
        fs_err::create_dir(&dead).unwrap();
        fs_err::write(dead.join("file"), b"half").unwrap();
        replace_with(&base.path().join("a"), |_| Ok::<_, Error>(())).unwrap();
        assert_eq!(names(base.path()), expected);
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
