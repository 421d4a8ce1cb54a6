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

use anyhow::{Result, bail};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::tree;
use crate::files;

/// Marks a directory that was filled.
const MARK: &str = "user.appliance.kept";

/// Always kept, beside what the configuration lists.
const ALWAYS: [&str; 3] = ["/home", "/root", "/var/log"];

/// How file systems are mounted that hold data alone.
pub(super) const NO_PRIVILEGES: MountFlags = MountFlags::NODEV.union(MountFlags::NOSUID);

/// Extended attributes that mean something only where they are.
const PLACE_BOUND: [&str; 3] = ["security.selinux", "trusted.overlay.", MARK];

/// Most bytes of one extended attribute, or of the list of their names (the
/// kernel's own limit).
const XATTR_MAX_BYTES: usize = 65_536;

/// Where nothing but data lies: of it, no program runs as somebody else, and no device
/// can be opened.
const DATA: [&str; 7] = [
    "/etc",
    "/home",
    "/root",
    "/srv",
    "/var/lib/etcd",
    "/var/lib/registry",
    "/var/log",
];

/// Where programs lie, some of which may run as somebody else, as `sudo` does.
const PROGRAMS: [&str; 2] = ["/opt", "/usr/local"];

/// What does not take effect on what is mounted at a path. Elsewhere, as in
/// `/var/lib/containerd` and `/var/lib/kubelet`, containers' root file systems and
/// volumes may lie, which have programs and devices of their own.
pub(super) fn flags(path: &str) -> MountFlags {
    let is_below = |folders: &[&str]| folders.iter().any(|it| Path::new(path).starts_with(it));
    if is_below(&DATA) {
        NO_PRIVILEGES
    } else if is_below(&PROGRAMS) {
        MountFlags::NODEV
    } else {
        MountFlags::empty()
    }
}

/// What is kept, sorted; a path below another one is kept with that.
pub(super) fn paths(config: &isoforge_contract::machine::State) -> Result<Vec<String>> {
    let mut paths: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
    for path in config.directories.iter().chain(&config.etc) {
        if !tree::is_plain(path) {
            bail!("'{path}' can't be kept: it must be absolute, without '.' and '..', and below /");
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
    pub(super) fn keep(&self, path: &str, slot: &Path) -> Result<PathBuf> {
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
    fn is_filled(&self, within: &Path) -> Result<bool> {
        for part in within.ancestors() {
            if !part.as_os_str().is_empty() && is_marked(&self.kept.join(part))? {
                let found = files::if_there(fs_err::metadata(self.kept.join(within)))?;
                return Ok(found.is_some_and(|found| found.is_dir()));
            }
        }
        Ok(false)
    }

    fn clear_staging(&self) -> Result<()> {
        files::if_there(fs_err::remove_dir_all(&self.staging))?;
        Ok(())
    }

    /// Has all of the file system written out.
    fn sync(&self) -> Result<()> {
        let top = fs_err::File::open(&self.kept)?;
        Ok(rustix::fs::syncfs(&top)?)
    }
}

fn is_marked(path: &Path) -> Result<bool> {
    let mut value = [0_u8; 1];
    match rustix::fs::lgetxattr(path, MARK, &mut value) {
        Ok(_) => Ok(true),
        Err(Errno::NODATA | Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(described(path, errno).into()),
    }
}

fn mark(path: &Path) -> Result<()> {
    rustix::fs::lsetxattr(path, MARK, b"1", XattrFlags::empty())
        .map_err(|errno| described(path, errno).into())
}

/// Copies what `slot` has and `kept` lacks to `staging`.
fn copy_missing(slot: &Path, kept: &Path, staging: &Path) -> Result<()> {
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
fn place(staging: &Path, kept: &Path) -> Result<()> {
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
fn add_directories(slot: &Path, kept: &Path) -> Result<()> {
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

fn make_directory(like: &Path, path: &Path) -> Result<()> {
    fs_err::create_dir(path)?;
    copy_attributes(like, path)
}

/// Copies anything but a directory. A socket is not copied: whoever listens
/// makes it.
fn copy(from: &Path, to: &Path) -> Result<()> {
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
fn copy_attributes(from: &Path, to: &Path) -> Result<()> {
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

fn copy_xattrs(from: &Path, to: &Path) -> Result<()> {
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

fn names(directory: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        names.push(entry?.file_name());
    }
    names.sort();
    Ok(names)
}

fn is_directory(path: &Path) -> Result<bool> {
    Ok(fs_err::symlink_metadata(path)?.is_dir())
}

fn exists(path: &Path) -> Result<bool> {
    Ok(files::if_there(fs_err::symlink_metadata(path))?.is_some())
}

fn described(path: &Path, errno: Errno) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Makes the directory of `store` that only root looks into.
pub(super) fn prepare(store: &Store) -> Result<()> {
    if let Some(parent) = store.staging.parent() {
        fs_err::create_dir_all(parent)?;
    }
    // Below it everything has its own mode a second time: one way in is enough.
    Ok(files::directory(&store.kept, 0o700)?)
}

#[cfg(test)]
mod tests;
