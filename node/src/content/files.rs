//! Reading the folders of a registry's storage, whichever registry's it is.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use anyhow::Result;
use fs_err as fs;
use isoforge_base::digest::{Digest, HashingReader};
use isoforge_base::progress::Task;
use isoforge_base::regular;

use super::error::{BadRecord, BadSource, at};
use crate::files;

/// How deep repositories are looked for, which is more than names can have.
const DEPTH_MAX: usize = 64;

/// The repositories below `root`, sorted. `is_part` says of a name, and whether it is
/// in a repository's folder, that nothing below it is a repository.
pub(super) fn repositories(
    root: &Path,
    is_repository: impl Fn(&Path) -> bool,
    is_part: impl Fn(&str, bool) -> bool,
) -> Result<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut left = vec![(root.to_owned(), String::new(), 0_usize)];
    while let Some((folder, name, depth)) = left.pop() {
        let is_one = !name.is_empty() && is_repository(&folder);
        if is_one {
            found.insert(name.clone());
        }
        if depth >= DEPTH_MAX {
            continue;
        }
        for below in names_in(&folder)? {
            let path = folder.join(&below);
            let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
            if is_folder && !is_part(&below, is_one) {
                let name = match name.as_str() {
                    "" => below,
                    name => format!("{name}/{below}"),
                };
                left.push((path, name, depth + 1));
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Names in a folder, sorted; none where there is no folder. A name that is no
/// text is none of the registry's.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = files::if_there(fs::read_dir(folder)).map_err(at(folder, "read"))?;
    let mut names = Vec::new();
    for entry in entries.into_iter().flatten() {
        let entry = entry.map_err(at(folder, "read"))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// A file's bytes; none where there is none. The registry's account owns the folder:
/// a link that it left there is not followed.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let bytes = files::if_there(regular::open_unlinked(path))
        .and_then(|file| file.map(|file| files::at_most(file, limit)).transpose());
    bytes.map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => BadRecord::of(path, error),
        _ => at(path, "read")(error),
    })
}

/// Removes what may not be there.
pub(super) fn remove(
    path: &Path,
    how: impl FnOnce(&Path) -> io::Result<()>,
    action: &'static str,
) -> Result<()> {
    files::if_there(how(path)).map_err(at(path, action))?;
    Ok(())
}

/// Copies a blob and verifies it on the way; `name` is what it comes from, in words.
pub(super) fn copy_verified(
    from: &Path,
    to: &Path,
    digest: &Digest,
    size: Option<u64>,
    name: &str,
    task: &Task,
) -> Result<()> {
    let mut target = fs::File::create(to).map_err(at(to, "written"))?;
    copy_into(from, to, target.file_mut(), digest, size, name, task)
}

/// [`copy_verified`] into the file `target`, which is open and lies at `to`.
pub(super) fn copy_into(
    from: &Path,
    to: &Path,
    target: &mut std::fs::File,
    digest: &Digest,
    size: Option<u64>,
    name: &str,
    task: &Task,
) -> Result<()> {
    let source = regular::open_unlinked(from).map_err(at(from, "read"))?;
    let mut reader = HashingReader::new(task.reader(source));
    io::copy(&mut reader, target).map_err(at(to, "written"))?;
    let (found, bytes) = reader.finish();
    if found == *digest && size.is_none_or(|size| size == bytes) {
        return Ok(());
    }
    Err(BadSource::damaged(name, digest, found, bytes))
}
