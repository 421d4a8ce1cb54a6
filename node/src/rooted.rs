//! Files below a root directory, reached so that no symlink in it leads out:
//! paths are resolved by the kernel as if the root were `/`. What is written
//! appears whole or not at all.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// Largest file that is read whole.
pub(crate) const READ_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// How often a path is resolved anew when something moved meanwhile.
const RESOLVE_TRIES: u32 = 8;

/// Why a file could not be reached, read or written.
#[derive(Debug, thiserror::Error)]
#[error("{action} '{}' failed: {source}", path.display())]
pub(crate) struct Error {
    pub action: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

/// Mode and owner of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Whether a file that is there already keeps its own.
    pub keep: bool,
}

impl Attributes {
    /// Root's, with these permission bits.
    pub(crate) const fn root(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            keep: false,
        }
    }

    /// The same, but what is there already keeps its own.
    pub(crate) const fn or_kept(mut self) -> Self {
        self.keep = true;
        self
    }
}

/// A directory taken as the root of paths.
#[derive(Debug)]
pub(crate) struct Root {
    folder: Folder,
}

/// An open directory; names in it are used as they are, symlinks refused.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    owners: bool,
}

impl Root {
    /// Opens a directory as root. Without the rights of the superuser (a dry
    /// run into a folder) owners are left as they come.
    ///
    /// # Errors
    /// [`Error`] where it can't be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let fd = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| failed("opening", path, errno))?;
        Ok(Self {
            folder: Folder {
                fd,
                path: path.to_owned(),
                owners: rustix::process::geteuid().is_root(),
            },
        })
    }

    /// The root itself.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The root itself, and nothing but it.
    pub(crate) fn into_folder(self) -> Folder {
        self.folder
    }

    /// Where a path of this root lies for everyone else.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.folder.path.join(path.trim_start_matches('/'))
    }

    /// Whether something is there, symlinks followed.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.resolve(path, OFlags::PATH).is_ok()
    }

    /// Opens a directory; none where there is none.
    ///
    /// # Errors
    /// [`Error`] where it is something else or can't be opened.
    pub(crate) fn dir(&self, path: &str) -> Result<Option<Folder>, Error> {
        match self.resolve(path, OFlags::DIRECTORY) {
            Ok(fd) => Ok(Some(self.at(fd, path))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("opening", &self.outside(path), errno)),
        }
    }

    /// Opens a directory, and makes it and those above it where they lack.
    /// Those above get mode 0755 and belong to root.
    ///
    /// # Errors
    /// [`Error`] where one can't be made.
    pub(crate) fn make_dir(&self, path: &str, attributes: Attributes) -> Result<Folder, Error> {
        if let Some(folder) = self.dir(path)? {
            return Ok(folder);
        }
        let (parent, name) = split(path).ok_or_else(|| unusable(&self.outside(path)))?;
        self.make_dir(parent, Attributes::root(0o755))?
            .sub(name, attributes)
    }

    /// A file's bytes, symlinks followed within the root; none where there is
    /// none.
    ///
    /// # Errors
    /// [`Error`] where it is no regular file, too large, or can't be read.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let outside = self.outside(path);
        match self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(fd) => read_file(fd, &outside).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("opening", &outside, errno)),
        }
    }

    /// Writes a file whole; a symlink in its place is replaced. Tells whether
    /// anything changed.
    ///
    /// # Errors
    /// [`Error`] where that fails; what was there is there still.
    pub(crate) fn write(
        &self,
        path: &str,
        bytes: &[u8],
        attributes: Attributes,
    ) -> Result<bool, Error> {
        let (parent, name) = split(path).ok_or_else(|| unusable(&self.outside(path)))?;
        self.make_dir(parent, Attributes::root(0o755))?
            .write(name, bytes, attributes)
    }

    fn at(&self, fd: OwnedFd, path: &str) -> Folder {
        Folder {
            fd,
            path: self.outside(path),
            owners: self.folder.owners,
        }
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        let mut tries = 0;
        loop {
            tries += 1;
            let opened = rustix::fs::openat2(
                &self.folder.fd,
                path,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            );
            match opened {
                Err(Errno::AGAIN) if tries < RESOLVE_TRIES => {}
                other => return other,
            }
        }
    }
}

impl Folder {
    /// Where it lies, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The open directory.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Whether what is made in it can be given to others.
    pub(crate) fn gives_owners(&self) -> bool {
        self.owners
    }

    /// Opens a directory in it, and makes it where it lacks.
    ///
    /// # Errors
    /// [`Error`] where that fails, or it is no directory: a symlink is none.
    pub(crate) fn sub(&self, name: &str, attributes: Attributes) -> Result<Self, Error> {
        let path = self.path.join(name);
        let made = match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o700)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(failed("making the directory", &path, errno)),
        };
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(|errno| failed("opening the directory", &path, errno))?;
        if made || !attributes.keep {
            self.own(&fd, attributes)
                .map_err(|errno| failed("giving away", &path, errno))?;
        }
        Ok(Self {
            fd,
            path,
            owners: self.owners,
        })
    }

    /// What a name in it is; none where there is nothing.
    ///
    /// # Errors
    /// [`Error`] where the system does not tell.
    pub(crate) fn stat(&self, name: &str) -> Result<Option<Stat>, Error> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("looking at", &self.path.join(name), errno)),
        }
    }

    /// A file's bytes; none where there is none.
    ///
    /// # Errors
    /// [`Error`] where it is no regular file (a symlink is none), too large, or
    /// can't be read.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => read_file(fd, &path).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("opening", &path, errno)),
        }
    }

    /// Writes a file whole: beside it first, on the disk, then renamed over it.
    /// Tells whether anything changed; nothing is written where nothing would.
    ///
    /// # Errors
    /// [`Error`] where that fails; what was there is there still.
    pub(crate) fn write(
        &self,
        name: &str,
        bytes: &[u8],
        attributes: Attributes,
    ) -> Result<bool, Error> {
        let path = self.path.join(name);
        let there = self.stat(name)?.filter(is_regular);
        let attributes = match &there {
            Some(stat) if attributes.keep => Attributes {
                mode: stat.st_mode & 0o7777,
                uid: stat.st_uid,
                gid: stat.st_gid,
                keep: true,
            },
            _ => attributes,
        };
        if let Some(stat) = &there
            && self.has(stat, attributes)
            && self.read(name)?.as_deref() == Some(bytes)
        {
            return Ok(false);
        }
        let temporary = format!(".{name}.appliance-new");
        let written = self
            .write_new(&temporary, bytes, attributes)
            .and_then(|()| {
                rustix::fs::renameat(&self.fd, temporary.as_str(), &self.fd, name)?;
                rustix::fs::fsync(&self.fd)?;
                Ok(())
            });
        written.map_err(|source| {
            // What is left of the attempt helps nobody.
            let _ = rustix::fs::unlinkat(&self.fd, temporary.as_str(), AtFlags::empty());
            Error {
                action: "writing",
                path,
                source,
            }
        })?;
        Ok(true)
    }

    fn write_new(&self, name: &str, bytes: &[u8], attributes: Attributes) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600))?;
        self.own(&fd, attributes)?;
        let mut file = std::fs::File::from(fd);
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Gives an open file its owner, then its mode (a change of owner clears
    /// set-user-id bits).
    fn own(&self, fd: &OwnedFd, attributes: Attributes) -> Result<(), Errno> {
        if self.owners {
            let uid = rustix::fs::Uid::from_raw(attributes.uid);
            let gid = rustix::fs::Gid::from_raw(attributes.gid);
            rustix::fs::fchown(fd, Some(uid), Some(gid))?;
        }
        rustix::fs::fchmod(fd, Mode::from_raw_mode(attributes.mode))
    }

    fn has(&self, stat: &Stat, attributes: Attributes) -> bool {
        let owned = stat.st_uid == attributes.uid && stat.st_gid == attributes.gid;
        stat.st_mode & 0o7777 == attributes.mode && (owned || !self.owners)
    }

    /// The names in it, sorted.
    ///
    /// # Errors
    /// [`Error`] where it can't be read. Names that are no UTF-8 are left out.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let entries = rustix::fs::Dir::read_from(&self.fd)
            .map_err(|errno| failed("reading the directory", &self.path, errno))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry =
                entry.map_err(|errno| failed("reading the directory", &self.path, errno))?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes a file; none there is no error.
    ///
    /// # Errors
    /// [`Error`] where it can't be removed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed("removing", &self.path.join(name), errno)),
        }
    }
}

/// Whether it is a regular file.
pub(crate) fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// A path's directory and its last name; none where it ends in no name.
fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.trim_end_matches('/');
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let usable = !matches!(name, "" | "." | "..") && !path.contains('\0');
    usable.then_some((parent, name))
}

fn read_file(fd: OwnedFd, path: &Path) -> Result<Vec<u8>, Error> {
    let stat = rustix::fs::fstat(&fd).map_err(|errno| failed("reading", path, errno))?;
    if !is_regular(&stat) {
        return Err(other("reading", path, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::from(fd)
        .take(READ_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Error {
            action: "reading",
            path: path.to_owned(),
            source,
        })?;
    if bytes.len() as u64 > READ_MAX_BYTES {
        return Err(other("reading", path, "it is too large"));
    }
    Ok(bytes)
}

fn failed(action: &'static str, path: &Path, errno: Errno) -> Error {
    Error {
        action,
        path: path.to_owned(),
        source: errno.into(),
    }
}

fn other(action: &'static str, path: &Path, message: &str) -> Error {
    Error {
        action,
        path: path.to_owned(),
        source: io::Error::other(message.to_owned()),
    }
}

fn unusable(path: &Path) -> Error {
    other("writing", path, "the path ends in no name")
}

#[cfg(test)]
mod tests;
