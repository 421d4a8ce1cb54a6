//! Files below a root directory, reached so that no symlink in it leads out, and
//! none that another account may have made leads anywhere (see [`walk`]). What is
//! written appears whole or not at all.
//!
//! All that root reads and writes by path below a folder of another account goes
//! through here, or is done with that account's rights ([`Acting`]).

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

mod acting;
mod folder;
mod walk;

pub(crate) use acting::Acting;
pub(crate) use folder::Folder;

use folder::read_file;
use walk::{Reached, Stopped};

/// Largest file that is read whole.
const READ_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Why a file could not be reached, read or written.
#[derive(Debug, thiserror::Error)]
#[error("{action} '{}' failed: {source}", path.display())]
pub(crate) struct Error {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Error {
    /// What `source` says of `action` on the file at `path`.
    pub(crate) fn new(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        let (path, source) = (path.to_owned(), source.into());
        Self {
            action,
            path,
            source,
        }
    }
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

impl Root {
    /// Opens a directory as root. Without the rights of the superuser (a dry
    /// run into a folder) owners are left as they come.
    ///
    /// # Errors
    /// [`Error`] where it can't be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let fd = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| Error::new("opening", path, errno))?;
        let owners = rustix::process::geteuid().is_root();
        Ok(Self {
            folder: Folder::new(fd, path.to_owned(), owners),
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
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// Whether something is there, symlinks followed where they are the system's.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.resolve(path, OFlags::PATH).is_ok()
    }

    /// Opens a directory; none where there is none.
    ///
    /// # Errors
    /// [`Error`] where it is something else or can't be opened.
    pub(crate) fn dir(&self, path: &str) -> Result<Option<Folder>, Error> {
        match self.resolve(path, OFlags::DIRECTORY) {
            Ok(reached) => Ok(Some(self.at(reached.fd, path))),
            Err(Stopped::Errno(Errno::NOENT)) => Ok(None),
            Err(stopped) => Err(Error::new("opening", &self.outside(path), stopped)),
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

    /// A file's bytes, the system's symlinks followed within the root; none where
    /// there is none.
    ///
    /// # Errors
    /// [`Error`] where it is no regular file, another account's link, too large, or
    /// can't be read.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let outside = self.outside(path);
        match self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(reached) => read_file(reached, &outside).map(Some),
            Err(Stopped::Errno(Errno::NOENT)) => Ok(None),
            Err(stopped) => Err(Error::new("opening", &outside, stopped)),
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
        Folder::new(fd, self.outside(path), self.folder.gives_owners())
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<Reached, Stopped> {
        walk::open(self.folder.fd(), path, flags)
    }
}

/// A path's directory and its last name; none where it ends in no name.
fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.trim_end_matches('/');
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let usable = !matches!(name, "" | "." | "..") && !path.contains('\0');
    usable.then_some((parent, name))
}

fn unusable(path: &Path) -> Error {
    Error::new(
        "writing",
        path,
        io::Error::other("the path ends in no name"),
    )
}

#[cfg(test)]
mod tests;
