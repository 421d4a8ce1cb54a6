//! Directories on PERSISTENT that lie over the slot's: filled from the slot at
//! first use, and then their own masters.
//!
//! A directory that was filled carries a mark, an extended attribute. Later
//! slots only add directories to it, never files: what a program or a person
//! deleted stays deleted, and an upgrade does not mix its files into theirs.
//!
//! Filling adds what is missing and leaves what is there. It copies into a
//! staging directory of the same file system, has that written out, and then
//! gives things their names; so a power cut leaves whole things or none.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;

use super::{Error, files, tree};

/// Marks a directory that was filled.
const MARK: &str = "user.appliance.kept";

/// Always kept, beside what the configuration lists.
const ALWAYS: [&str; 3] = ["/home", "/root", "/var/log"];

/// Extended attributes that mean something only where they are.
const PLACE_BOUND: [&str; 3] = ["security.selinux", "trusted.overlay.", MARK];

/// Most bytes of one extended attribute, or of the list of their names (the
/// kernel's own limit).
const XATTR_MAX_BYTES: usize = 65_536;

/// What is kept, sorted; a path below another one is kept with that.
///
/// # Errors
/// [`Error::KeptPath`].
pub(super) fn paths(config: &isoforge::node::State) -> Result<Vec<String>, Error> {
    let mut paths: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
    for path in config.directories.iter().chain(&config.etc) {
        if !tree::is_plain(path) {
            return Err(Error::KeptPath { path: path.clone() });
        }
        paths.push(path.trim_end_matches('/').to_owned());
    }
    // By components, so that a directory comes right before what is below it.
    paths.sort_by(|a, b| Path::new(a).cmp(Path::new(b)));
    paths.dedup_by(|path, outer| Path::new(path).starts_with(outer));
    Ok(paths)
}

/// Where the kept directories are, and where they are filled.
#[derive(Debug, Clone)]
pub(super) struct Store {
    /// Each directory lies below it under its own path.
    pub(super) kept: PathBuf,
    /// On the same file system; what is in it is nobody's.
    pub(super) staging: PathBuf,
}

impl Store {
    /// Makes the directory that lies over `path`, and fills it from the slot's
    /// directory `slot` if it never was.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn keep(&self, path: &str, slot: &Path) -> Result<PathBuf, Error> {
        let within = Path::new(path).strip_prefix("/").unwrap_or(Path::new(path));
        let kept = self.kept.join(within);
        if self.is_filled(within)? {
            add_directories(slot, &kept)?;
            return Ok(kept);
        }
        if let Some(parent) = kept.parent() {
            fs_err::create_dir_all(parent)?;
        }
        self.clear_staging()?;
        copy_missing(slot, &kept, &self.staging)?;
        self.sync()?;
        place(&self.staging, &kept)?;
        self.sync()?;
        mark(&kept)?;
        self.sync()?;
        self.clear_staging()?;
        Ok(kept)
    }

    /// Whether the directory was filled, or is part of one that was.
    fn is_filled(&self, within: &Path) -> Result<bool, Error> {
        for part in within.ancestors() {
            if !part.as_os_str().is_empty() && is_marked(&self.kept.join(part))? {
                return Ok(self.kept.join(within).is_dir());
            }
        }
        Ok(false)
    }

    fn clear_staging(&self) -> Result<(), Error> {
        match fs_err::remove_dir_all(&self.staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Has all of the file system written out.
    fn sync(&self) -> Result<(), Error> {
        let top = fs_err::File::open(&self.kept)?;
        Ok(rustix::fs::syncfs(&top)?)
    }
}

fn is_marked(path: &Path) -> Result<bool, Error> {
    let mut value = [0_u8; 1];
    match rustix::fs::lgetxattr(path, MARK, &mut value) {
        Ok(_) => Ok(true),
        Err(Errno::NODATA | Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(described(path, errno).into()),
    }
}

fn mark(path: &Path) -> Result<(), Error> {
    rustix::fs::lsetxattr(path, MARK, b"1", XattrFlags::empty())
        .map_err(|errno| described(path, errno).into())
}

/// Copies what `slot` has and `kept` lacks to `staging`.
fn copy_missing(slot: &Path, kept: &Path, staging: &Path) -> Result<(), Error> {
    make_directory(slot, staging)?;
    for name in names(slot)? {
        let (from, there, to) = (slot.join(&name), kept.join(&name), staging.join(&name));
        if is_directory(&from)? {
            if !exists(&there)? || is_directory(&there)? {
                copy_missing(&from, &there, &to)?;
            }
        } else if !exists(&there)? {
            copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Gives what was staged its name where nothing has it.
fn place(staging: &Path, kept: &Path) -> Result<(), Error> {
    if !exists(kept)? {
        return Ok(fs_err::rename(staging, kept)?);
    }
    for name in names(staging)? {
        let (from, to) = (staging.join(&name), kept.join(&name));
        if !exists(&to)? {
            fs_err::rename(from, to)?;
        } else if is_directory(&from)? && is_directory(&to)? {
            place(&from, &to)?;
        }
    }
    Ok(())
}

/// Makes the directories that `slot` has and `kept` lacks.
fn add_directories(slot: &Path, kept: &Path) -> Result<(), Error> {
    for name in names(slot)? {
        let (from, to) = (slot.join(&name), kept.join(&name));
        if !is_directory(&from)? {
            continue;
        }
        if !exists(&to)? {
            make_directory(&from, &to)?;
        }
        if is_directory(&to)? {
            add_directories(&from, &to)?;
        }
    }
    Ok(())
}

fn make_directory(like: &Path, path: &Path) -> Result<(), Error> {
    fs_err::create_dir(path)?;
    copy_attributes(like, path)
}

/// Copies anything but a directory. A socket is not copied: whoever listens
/// makes it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let metadata = fs_err::symlink_metadata(from)?;
    let kind = metadata.file_type();
    if kind.is_symlink() {
        fs_err::os::unix::fs::symlink(fs_err::read_link(from)?, to)?;
    } else if kind.is_file() {
        let mut target = fs_err::File::create(to)?;
        io::copy(&mut fs_err::File::open(from)?, &mut target)?;
        target.file().set_modified(metadata.modified()?)?;
    } else if kind.is_socket() {
        return Ok(());
    } else {
        let kind = FileType::from_raw_mode(metadata.mode());
        rustix::fs::mknodat(CWD, to, kind, Mode::empty(), metadata.rdev())
            .map_err(|errno| described(to, errno))?;
    }
    copy_attributes(from, to)
}

/// Gives `to` owner, mode and extended attributes of `from`.
fn copy_attributes(from: &Path, to: &Path) -> Result<(), Error> {
    let metadata = fs_err::symlink_metadata(from)?;
    let (uid, gid) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    // Owner first: changing it clears set-id bits and capabilities.
    rustix::fs::chownat(CWD, to, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| described(to, errno))?;
    if !metadata.is_symlink() {
        let mode = metadata.permissions().mode() & 0o7777;
        fs_err::set_permissions(to, std::fs::Permissions::from_mode(mode))?;
    }
    copy_xattrs(from, to)
}

fn copy_xattrs(from: &Path, to: &Path) -> Result<(), Error> {
    let mut list = vec![0_u8; XATTR_MAX_BYTES];
    let length = match rustix::fs::llistxattr(from, &mut list[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(errno) => return Err(described(from, errno).into()),
    };
    list.truncate(length);
    let mut value = vec![0_u8; XATTR_MAX_BYTES];
    for name in list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        if PLACE_BOUND.iter().any(|it| name.starts_with(it.as_bytes())) {
            continue;
        }
        let length = rustix::fs::lgetxattr(from, name, &mut value[..])
            .map_err(|errno| described(from, errno))?;
        let bytes = value.get(..length).unwrap_or_default();
        rustix::fs::lsetxattr(to, name, bytes, XattrFlags::empty())
            .map_err(|errno| described(to, errno))?;
    }
    Ok(())
}

fn names(directory: &Path) -> Result<Vec<OsString>, Error> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        names.push(entry?.file_name());
    }
    names.sort();
    Ok(names)
}

fn is_directory(path: &Path) -> Result<bool, Error> {
    Ok(fs_err::symlink_metadata(path)?.is_dir())
}

fn exists(path: &Path) -> Result<bool, Error> {
    match fs_err::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn described(path: &Path, errno: Errno) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Makes the directory of `store` that only root looks into.
pub(super) fn prepare(store: &Store) -> Result<(), Error> {
    if let Some(parent) = store.staging.parent() {
        fs_err::create_dir_all(parent)?;
    }
    // Below it everything has its own mode a second time: one way in is enough.
    Ok(files::directory(&store.kept, 0o700)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
        store: Store,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store {
                kept: dir.path().join("persistent/kept"),
                staging: dir.path().join("persistent/appliance/staging"),
            };
            prepare(&store).unwrap();
            Self { dir, store }
        }

        /// Writes a file of the slot, or with `/` at the end a directory.
        fn slot(&self, path: &str, text: &str) -> PathBuf {
            put(&self.dir.path().join("slot"), path, text)
        }

        fn kept(&self, path: &str, text: &str) -> PathBuf {
            put(&self.store.kept, path, text)
        }

        fn keep(&self, path: &str) -> PathBuf {
            let slot = self.dir.path().join("slot").join(&path[1..]);
            fs_err::create_dir_all(&slot).unwrap();
            self.store.keep(path, &slot).unwrap()
        }
    }

    fn put(top: &Path, path: &str, text: &str) -> PathBuf {
        let full = top.join(path);
        if path.ends_with('/') {
            fs_err::create_dir_all(&full).unwrap();
        } else {
            fs_err::create_dir_all(full.parent().unwrap()).unwrap();
            fs_err::write(&full, text).unwrap();
        }
        full
    }

    fn text(path: &Path) -> String {
        fs_err::read_to_string(path).unwrap()
    }

    #[test]
    fn the_list_has_no_path_below_another() {
        let config = isoforge::node::State {
            directories: ["/var/lib/a/b", "/var/lib/a", "/var/lib/a-b", "/home/x/"]
                .map(str::to_owned)
                .to_vec(),
            etc: vec!["/etc/kubernetes".to_owned()],
        };
        assert_eq!(
            paths(&config).unwrap(),
            [
                "/etc/kubernetes",
                "/home",
                "/root",
                "/var/lib/a",
                "/var/lib/a-b",
                "/var/log"
            ]
        );
        let config = isoforge::node::State {
            directories: vec!["/var/../etc".to_owned()],
            etc: Vec::new(),
        };
        insta::assert_snapshot!(paths(&config).unwrap_err(), @"'/var/../etc' can't be kept: it must be absolute, without '.' and '..', and below /");
    }

    #[test]
    fn the_first_use_copies_all_that_the_slot_has() {
        let fixture = Fixture::new();
        let secret = fixture.slot("root/.ssh/key", "k");
        fs_err::set_permissions(&secret, PermissionsExt::from_mode(0o4610)).unwrap();
        let folder = secret.parent().unwrap();
        fs_err::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
        symlink("nowhere", folder.join("link")).unwrap();
        rustix::fs::lsetxattr(&secret, "user.note", b"n", XattrFlags::empty()).unwrap();
        let kept = fixture.keep("/root");
        let copy = kept.join(".ssh/key");
        assert_eq!(text(&copy), "k");
        let (was, is) = (
            fs_err::metadata(&secret).unwrap(),
            fs_err::metadata(&copy).unwrap(),
        );
        assert_eq!((is.mode(), is.mtime()), (was.mode(), was.mtime()));
        assert_eq!(
            fs_err::metadata(kept.join(".ssh")).unwrap().mode() & 0o7777,
            0o700
        );
        assert_eq!(
            fs_err::read_link(kept.join(".ssh/link")).unwrap(),
            Path::new("nowhere")
        );
        let mut value = [0; 8];
        assert_eq!(rustix::fs::lgetxattr(&copy, "user.note", &mut value), Ok(1));
        assert!(!fixture.store.staging.exists());
        assert_eq!(
            fs_err::metadata(&fixture.store.kept).unwrap().mode() & 0o7777,
            0o700
        );
    }

    #[test]
    fn later_slots_add_directories_and_no_files() {
        let fixture = Fixture::new();
        fixture.slot("var/log/old", "slot");
        let kept = fixture.keep("/var/log");
        fs_err::remove_file(kept.join("old")).unwrap();
        fixture.kept("var/log/mine", "mine");
        fixture.kept("var/log/was-directory", "now a file");
        fixture.slot("var/log/mine", "slot");
        fixture.slot("var/log/was-directory/x", "slot");
        fixture.slot("var/log/new/deep/file", "slot");
        fixture.keep("/var/log");
        assert!(!kept.join("old").exists());
        assert_eq!(text(&kept.join("mine")), "mine");
        assert_eq!(text(&kept.join("was-directory")), "now a file");
        assert!(kept.join("new/deep").is_dir());
        assert!(!kept.join("new/deep/file").exists());
    }

    /// A power cut while names are given: some have theirs, the rest does not.
    #[test]
    fn an_interrupted_filling_goes_on() {
        let fixture = Fixture::new();
        fixture.slot("home/one", "slot");
        fixture.slot("home/two/three", "slot");
        fixture.kept("home/one", "kept");
        put(&fixture.store.staging, "half", "");
        let kept = fixture.keep("/home");
        assert_eq!(text(&kept.join("one")), "kept");
        assert_eq!(text(&kept.join("two/three")), "slot");
        assert!(!kept.join("half").exists());
    }

    /// A version that keeps more, and one that keeps less, than the one before.
    #[test]
    fn directories_that_contain_each_other_keep_their_content() {
        let fixture = Fixture::new();
        fixture.slot("opt/vendor/program", "slot");
        fixture.slot("opt/vendor/data/table", "slot");
        let data = fixture.keep("/opt/vendor/data");
        fs_err::remove_file(data.join("table")).unwrap();
        fixture.kept("opt/vendor/data/mine", "mine");
        let vendor = fixture.keep("/opt/vendor");
        assert_eq!(text(&vendor.join("program")), "slot");
        assert_eq!(text(&data.join("mine")), "mine");
        fixture.kept("opt/vendor/log/x", "mine");
        fixture.slot("opt/vendor/log/y", "slot");
        let log = fixture.keep("/opt/vendor/log");
        assert_eq!(text(&log.join("x")), "mine");
        assert!(!log.join("y").exists());
    }
}
