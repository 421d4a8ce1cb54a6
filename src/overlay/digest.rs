//! One digest over all that an overlay is made from.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::error::Error;
use super::load::{below, open_no_follow};
use crate::render::{Directory, EmbeddedFile, Project};
use isoforge_base::digest::{Digest, HashingReader, Sha256};
use isoforge_base::tree::display;

/// Kinds of entries, as the digest has them.
const FILE: u8 = b'f';
const EXECUTABLE: u8 = b'x';
const LINK: u8 = b'l';
const EMPTY_DIRECTORY: u8 = b'd';

/// The digest over names, executable bits, contents and manifest of the overlay
/// `dir`, templates as they are written. A copy of a default has the digest of
/// the default. Nothing else of the host is in it: no owner, mode, time or path.
///
/// # Errors
/// As [`load`](super::load) for what can't be read.
pub fn digest(project: &Project, dir: &str) -> Result<Digest, Error> {
    let dir = dir.trim_end_matches('/');
    let manifest_path = format!("{dir}.toml");
    let mut entries: BTreeMap<Vec<u8>, (u8, Digest)> = BTreeMap::new();
    let manifest = match project.directory(dir)? {
        Directory::Disk(root) => {
            on_disk(dir, &root, &mut entries)?;
            match fs_err::read(project.root().join(&manifest_path)) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                Err(source) => return Err(read_error(dir, manifest_path.as_bytes(), source)),
            }
        }
        Directory::Defaults(files) => {
            for (path, file) in files {
                entries.insert(path.as_bytes().to_vec(), of_default(file));
            }
            match project.read(&manifest_path) {
                Ok(bytes) => bytes,
                Err(crate::render::Error::Missing { .. }) => Vec::new(),
                Err(error) => return Err(error.into()),
            }
        }
    };
    Ok(over(&entries, &manifest))
}

/// The same of the overlay `dir` that `files` make.
#[must_use]
pub fn digest_of(files: &'static [EmbeddedFile], dir: &str) -> Digest {
    let mut entries = BTreeMap::new();
    for (path, file) in below(files, dir) {
        entries.insert(path.as_bytes().to_vec(), of_default(file));
    }
    let manifest_path = format!("{dir}.toml");
    let manifest = files.iter().find(|file| file.path == manifest_path);
    over(&entries, manifest.map_or(b"", |file| file.bytes))
}

fn of_default(file: &EmbeddedFile) -> (u8, Digest) {
    let kind = if file.executable { EXECUTABLE } else { FILE };
    (kind, Digest::of(file.bytes))
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
    let mut reader = HashingReader::new(file);
    io::copy(&mut reader, &mut io::sink())?;
    let kind = if executable { EXECUTABLE } else { FILE };
    Ok(Some((kind, reader.finish().0)))
}

fn read_error(overlay: &str, path: &[u8], source: io::Error) -> Error {
    Error::Read {
        overlay: overlay.to_owned(),
        path: display(path),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn names_contents_modes_and_manifest_count_and_nothing_of_the_host() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let project = Project::new(dir.path());
        fs_err::create_dir_all(at("o/etc")).unwrap();
        fs_err::write(at("o/etc/a"), "1").unwrap();
        let mut seen = vec![digest(&project, "o").unwrap()];
        let mut next = |what: &str| {
            let now = digest(&project, "o/").unwrap();
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
        let last = digest(&project, "o").unwrap();
        fs_err::set_permissions(at("o/etc/b"), PermissionsExt::from_mode(0o755)).unwrap();
        fs_err::set_permissions(at("o/etc"), PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(digest(&project, "o").unwrap(), last);
        assert!(digest(&project, "nothing").is_err());
    }

    #[test]
    fn a_copy_of_a_default_has_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::new(dir.path());
        let default = digest(&project, "overlays/base").unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for entry in walkdir::WalkDir::new(root.join("overlays")).min_depth(1) {
            let entry = entry.unwrap();
            let to = dir.path().join(entry.path().strip_prefix(root).unwrap());
            fs_err::create_dir_all(to.parent().unwrap()).unwrap();
            if entry.file_type().is_file() {
                fs_err::copy(entry.path(), to).unwrap();
            }
        }
        assert!(!project.is_built_in("overlays/base"));
        assert_eq!(digest(&project, "overlays/base").unwrap(), default);
    }
}
