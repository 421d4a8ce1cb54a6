//! One digest over all that an overlay is made from.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::load::open_no_follow;
use super::read_error;
use super::source::Source;
use crate::Error;
use isoforge_base::digest::{Digest, Sha256};

/// Kinds of entries, as the digest has them.
const FILE: u8 = b'f';
const EXECUTABLE: u8 = b'x';
const LINK: u8 = b'l';
const EMPTY_DIRECTORY: u8 = b'd';

/// The digest over names, executable bits, contents and manifest of the overlay
/// `name`, templates as they are written. A copy of a default has the digest of
/// the default. Nothing else of the host is in it: no owner, mode, time or path.
///
/// # Errors
/// [`Error::Io`].
pub fn digest(source: &Source, name: &str) -> Result<Digest, Error> {
    let name = name.trim_end_matches('/');
    let mut entries: BTreeMap<Vec<u8>, (u8, Digest)> = BTreeMap::new();
    match source {
        Source::Disk(root) => on_disk(name, root, &mut entries)?,
        Source::Embedded { files, .. } => {
            for (path, file) in files {
                let kind = if file.executable { EXECUTABLE } else { FILE };
                let found = (kind, Digest::of(file.bytes));
                entries.insert(path.as_bytes().to_vec(), found);
            }
        }
    }
    let manifest = source.manifest();
    let manifest = manifest.map_err(|e| read_error(name, format!("{name}.toml").as_bytes(), e))?;
    Ok(over(&entries, &manifest))
}

fn over(entries: &BTreeMap<Vec<u8>, (u8, Digest)>, manifest: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    for (path, (kind, digest)) in entries {
        hasher.update(&[*kind]);
        hasher.update(&(path.len() as u64).to_le_bytes());
        hasher.update(path);
        hasher.update(digest.as_bytes());
    }
    hasher.update(b"m");
    hasher.update(Digest::of(manifest).as_bytes());
    hasher.finish()
}

fn on_disk(
    name: &str,
    root: &Path,
    entries: &mut BTreeMap<Vec<u8>, (u8, Digest)>,
) -> Result<(), Error> {
    for entry in walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            let path = error
                .path()
                .map(|path| path.as_os_str().as_bytes().to_vec());
            read_error(name, &path.unwrap_or_default(), error.into())
        })?;
        let full = entry.path();
        let relative = full.strip_prefix(root).unwrap_or(full);
        let path = relative.as_os_str().as_bytes();
        let found = one(full, entry.file_type()).map_err(|e| read_error(name, path, e))?;
        if let Some(found) = found {
            entries.insert(path.to_vec(), found);
        }
    }
    Ok(())
}

/// What the digest says of one path; none of a directory with entries of its
/// own, and of what no overlay can hold.
fn one(path: &Path, kind: std::fs::FileType) -> io::Result<Option<(u8, Digest)>> {
    if kind.is_symlink() {
        let target = fs_err::read_link(path)?;
        return Ok(Some((LINK, Digest::of(target.as_os_str().as_bytes()))));
    }
    if kind.is_dir() {
        let empty = fs_err::read_dir(path)?.next().is_none();
        return Ok(empty.then(|| (EMPTY_DIRECTORY, Digest::of(b""))));
    }
    if !kind.is_file() {
        return Ok(None);
    }
    let file = open_no_follow(path)?;
    let executable = file.metadata()?.permissions().mode() & 0o100 != 0;
    let kind = if executable { EXECUTABLE } else { FILE };
    Ok(Some((kind, Digest::of_reader(file)?.0)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn names_contents_modes_and_manifest_count_and_nothing_of_the_host() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let source = Source::Disk(at("o"));
        fs_err::create_dir_all(at("o/etc")).unwrap();
        fs_err::write(at("o/etc/a"), "1").unwrap();
        let mut seen = vec![digest(&source, "o").unwrap()];
        let mut next = |what: &str| {
            let now = digest(&source, "o/").unwrap();
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        fs_err::write(at("o/etc/a"), "2").unwrap();
        next("content");
        fs_err::set_permissions(at("o/etc/a"), PermissionsExt::from_mode(0o700)).unwrap();
        next("executable bit");
        fs_err::rename(at("o/etc/a"), at("o/etc/b")).unwrap();
        next("name");
        std::os::unix::fs::symlink("b", at("o/etc/c")).unwrap();
        next("link");
        fs_err::create_dir(at("o/var")).unwrap();
        next("empty directory");
        fs_err::write(at("o.toml"), "delete = []").unwrap();
        next("manifest");
        let last = digest(&source, "o").unwrap();
        fs_err::set_permissions(at("o/etc/b"), PermissionsExt::from_mode(0o755)).unwrap();
        fs_err::set_permissions(at("o/etc"), PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(digest(&source, "o").unwrap(), last);
        assert!(digest(&Source::Disk(at("nothing")), "nothing").is_err());
    }
}
