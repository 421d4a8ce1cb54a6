//! Several files get their names together, or none does.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::Error;
use super::dir::{PARTIAL_PREFIX, PARTIAL_SUFFIX};

/// A complete file under a temporary name, and the one that it gets.
#[derive(Debug)]
pub(super) struct Rename {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
}

/// Gives files their names, in this order, and brings the folder `to_sync` to the disk.
/// What has the same name from before is replaced; until all is done it is kept in
/// `aside`, a folder of the same file system, under the name of a temporary file.
///
/// # Errors
/// [`Error::Replace`] with the name that could not be given, or that of the folder. Then
/// every name leads to what it led to before, and the files have their temporary ones.
pub(super) fn rename_all(files: &[Rename], aside: &Path, to_sync: &Path) -> Result<(), Error> {
    let mut done: Vec<(&Rename, Option<TempPath>)> = Vec::with_capacity(files.len());
    for file in files {
        let given = put_aside(&file.to, aside).and_then(|old| {
            done.push((file, old));
            fs_err::rename(&file.from, &file.to)
        });
        if let Err(source) = given {
            take_back(done);
            return Err(replace(&file.to, source));
        }
    }
    if let Err(source) = fs_err::File::open(to_sync).and_then(|folder| folder.sync_all()) {
        take_back(done);
        return Err(replace(to_sync, source));
    }
    Ok(())
}

fn replace(path: &Path, source: io::Error) -> Error {
    Error::Replace {
        path: path.to_owned(),
        source,
    }
}

/// A second name for what is at `path`, so that replacing it loses nothing; none where
/// nothing is there. Where the file system knows no second names, what is there gets
/// another one.
fn put_aside(path: &Path, aside: &Path) -> io::Result<Option<TempPath>> {
    let is_file = match fs_err::symlink_metadata(path) {
        Ok(there) => !there.is_dir(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !is_file {
        // Renaming over it says what is wrong.
        return Ok(None);
    }
    let kept = tempfile::Builder::new()
        .prefix(PARTIAL_PREFIX)
        .suffix(PARTIAL_SUFFIX)
        .make_in(aside, |name| {
            fs_err::hard_link(path, name).or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Err(error),
                _ if fs_err::exists(name)? => Err(io::ErrorKind::AlreadyExists.into()),
                _ => fs_err::rename(path, name),
            })
        })?;
    Ok(Some(kept.into_temp_path()))
}

/// As well as it can be done: who asked has an error to tell already.
fn take_back(done: Vec<(&Rename, Option<TempPath>)>) {
    for (file, old) in done.into_iter().rev() {
        let is_there = |path: &Path| fs_err::exists(path).unwrap_or(true);
        let is_given = !is_there(&file.from);
        if is_given {
            let _ = fs_err::rename(&file.to, &file.from);
        }
        // Else it has its name still, and loses the second one.
        if let Some(old) = old.filter(|_| is_given || !is_there(&file.to)) {
            let _ = old.persist(&file.to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::names;
    use super::*;

    fn files(folder: &Path, names: &[&str]) -> Vec<Rename> {
        let each = names.iter();
        each.map(|name| {
            let from = folder.join(format!("new-{name}"));
            fs_err::write(&from, format!("new {name}")).unwrap();
            let to = folder.join(name);
            Rename { from, to }
        })
        .collect()
    }

    #[test]
    fn one_that_can_not_be_renamed_takes_the_others_back() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs_err::write(folder.join("a"), "old a").unwrap();
        fs_err::create_dir(folder.join("c")).unwrap();
        fs_err::write(folder.join("c/mine"), "").unwrap();
        let error = rename_all(&files(folder, &["a", "b", "c"]), folder, folder).unwrap_err();
        assert!(matches!(&error, Error::Replace { path, .. } if path.ends_with("c")));
        let read = |name: &str| fs_err::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("a"), "old a");
        assert!(folder.join("c/mine").exists());
        assert_eq!(names(folder), ["a", "c", "new-a", "new-b", "new-c"]);
        assert_eq!(
            (read("new-a"), read("new-b")),
            ("new a".to_owned(), "new b".to_owned())
        );
    }

    #[test]
    fn all_get_their_names_and_nothing_is_left_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs_err::write(folder.join("a"), "old a").unwrap();
        rename_all(&files(folder, &["a", "b"]), folder, folder).unwrap();
        assert_eq!(fs_err::read_to_string(folder.join("a")).unwrap(), "new a");
        assert_eq!(names(folder), ["a", "b"]);
    }
}
