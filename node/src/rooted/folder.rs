//! A directory that is open, and what is read and written in it.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::walk::{Reached, is_own};
use super::{Attributes, Error, READ_MAX_BYTES};

/// An open directory; names in it are used as they are, symlinks refused.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    owners: bool,
}

impl Folder {
    /// An open directory; `owners` is whether what is made in it can be given to others.
    pub(super) fn new(fd: OwnedFd, path: PathBuf, owners: bool) -> Self {
        Self { fd, path, owners }
    }

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
            Err(errno) => return Err(Error::new("making the directory", &path, errno)),
        };
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(|errno| Error::new("opening the directory", &path, errno))?;
        if made || !attributes.keep {
            self.give(&fd, attributes)
                .map_err(|errno| Error::new("giving away", &path, errno))?;
        }
        Ok(Self {
            fd,
            path,
            owners: self.owners,
        })
    }

    /// Makes a directory in it, which is empty; nobody but its maker can look into it
    /// on file systems that know owners.
    ///
    /// # Errors
    /// [`Error`] where something has the name, or somebody put another directory in its
    /// place before it was opened.
    pub(crate) fn make_new(&self, name: &str) -> Result<Self, Error> {
        let failed = |errno: Errno| Error::new("making", &self.path.join(name), errno);
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU).map_err(failed)?;
        let made = self.below_plain(name)?;
        match made.names()?.is_empty() {
            true => Ok(made),
            false => Err(failed(Errno::NOTEMPTY)),
        }
    }

    /// Opens a directory in it, and makes it where it lacks; mode and owner are left as
    /// they come, as on file systems that know none.
    ///
    /// # Errors
    /// [`Error`] where that fails, or it is no directory: a symlink is none.
    pub(crate) fn sub_plain(&self, name: &str) -> Result<Self, Error> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => self.below_plain(name),
            Err(errno) => Err(Error::new("making", &self.path.join(name), errno)),
        }
    }

    fn below_plain(&self, name: &str) -> Result<Self, Error> {
        let path = self.path.join(name);
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(|errno| Error::new("opening the directory", &path, errno))?;
        Ok(Self::new(fd, path, self.owners))
    }

    /// Makes a file in it, to be written.
    ///
    /// # Errors
    /// [`Error`] where something has the name, or it can't be made.
    pub(crate) fn create_new(&self, name: &str, mode: u32) -> Result<std::fs::File, Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(mode))
            .map(std::fs::File::from)
            .map_err(|errno| Error::new("making", &self.path.join(name), errno))
    }

    /// Gives what is in it another name, which nothing may have.
    ///
    /// # Errors
    /// [`Error`] where that fails.
    pub(crate) fn rename_new(&self, from: &str, to: &str) -> Result<(), Error> {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        rustix::fs::renameat_with(&self.fd, from, &self.fd, to, flags)
            .or_else(|errno| match errno {
                // Not every file system knows the flag; without it a directory takes the
                // place of an empty one alone.
                Errno::INVAL => rustix::fs::renameat(&self.fd, from, &self.fd, to),
                _ => Err(errno),
            })
            .map_err(|errno| Error::new("naming", &self.path.join(to), errno))
    }

    /// Removes all that is in it; no link leads out of it.
    ///
    /// # Errors
    /// [`Error`] at the first thing that can't be removed.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        for name in self.names()? {
            let failed = |errno: Errno| Error::new("removing", &self.path.join(&name), errno);
            let is_folder = self
                .stat(&name)?
                .is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
            let mut how = AtFlags::empty();
            if is_folder {
                self.below_plain(&name)?.clear()?;
                how = AtFlags::REMOVEDIR;
            }
            rustix::fs::unlinkat(&self.fd, name.as_str(), how).map_err(failed)?;
        }
        Ok(())
    }

    /// Removes a directory in it that is empty.
    ///
    /// # Errors
    /// [`Error`] where it can't be removed.
    pub(crate) fn remove_empty(&self, name: &str) -> Result<(), Error> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
            .map_err(|errno| Error::new("removing", &self.path.join(name), errno))
    }

    /// What a name in it is; none where there is nothing.
    ///
    /// # Errors
    /// [`Error`] where the system does not tell.
    pub(crate) fn stat(&self, name: &str) -> Result<Option<Stat>, Error> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::new("looking at", &self.path.join(name), errno)),
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
        let opened = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).and_then(|fd| {
            let stat = rustix::fs::fstat(&self.fd)?;
            let stranger = (!is_own(&stat)).then_some(stat.st_uid);
            Ok(Reached { fd, stranger })
        });
        match opened {
            Ok(reached) => read_file(reached, &path).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::new("opening", &path, errno)),
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
            // What can't be read is replaced.
            && self.read(name).is_ok_and(|there| there.as_deref() == Some(bytes))
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
            Error::new("writing", &path, source)
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
        self.give(&fd, attributes)?;
        let mut file = std::fs::File::from(fd);
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Gives an open file its owner, then its mode (a change of owner clears
    /// set-user-id bits).
    fn give(&self, fd: &OwnedFd, attributes: Attributes) -> Result<(), Errno> {
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
            .map_err(|errno| Error::new("reading the directory", &self.path, errno))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry =
                entry.map_err(|errno| Error::new("reading the directory", &self.path, errno))?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        names.sort();
        Ok(names)
    }

    /// Gives all files and directories below it to an account, and not itself. A
    /// file that has a hard link elsewhere stays whose it is, as does whatever else
    /// lies there: somebody may have put them here to get them.
    ///
    /// # Errors
    /// [`Error`] where something can't be looked at or given.
    pub(crate) fn give_below(&self, uid: u32, gid: u32) -> Result<(), Error> {
        let mut links: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        self.below(&mut |_, meta| {
            if meta.is_file() && meta.nlink() > 1 {
                let seen = links.entry((meta.dev(), meta.ino())).or_default();
                *seen = seen.saturating_add(1);
            }
            Ok(())
        })?;
        self.below(&mut |file, meta| {
            let seen = links.get(&(meta.dev(), meta.ino())).copied().unwrap_or(1);
            if meta.is_dir() || (meta.is_file() && meta.nlink() <= seen) {
                let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
                rustix::fs::chownat(file, "", uid, gid, AtFlags::EMPTY_PATH)?;
            }
            Ok(())
        })
    }

    /// Has `done` to all that is below it, what is in a directory before itself.
    fn below(
        &self,
        done: &mut dyn FnMut(&std::fs::File, &std::fs::Metadata) -> io::Result<()>,
    ) -> Result<(), Error> {
        for name in self.names()? {
            let path = self.path.join(&name);
            let failed = |source: io::Error| Error::new("giving away", &path, source);
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(&self.fd, name.as_str(), flags, Mode::empty())
                .map_err(|errno| failed(errno.into()))?;
            let file = std::fs::File::from(fd);
            let meta = file.metadata().map_err(failed)?;
            if meta.is_dir() {
                let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
                let fd = rustix::fs::openat(&file, ".", flags, Mode::empty())
                    .map_err(|errno| failed(errno.into()))?;
                Self::new(fd, path.clone(), self.owners).below(done)?;
            }
            done(&file, &meta).map_err(failed)?;
        }
        Ok(())
    }

    /// Removes a file; none there is no error.
    ///
    /// # Errors
    /// [`Error`] where it can't be removed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::new("removing", &self.path.join(name), errno)),
        }
    }
}

/// Whether it is a regular file.
fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// The bytes of a regular file.
pub(super) fn read_file(reached: Reached, path: &Path) -> Result<Vec<u8>, Error> {
    let Reached { fd, stranger } = reached;
    let failed = |error| Error::new("reading", path, error);
    let stat = rustix::fs::fstat(&fd).map_err(|errno| failed(errno.into()))?;
    if !is_regular(&stat) {
        return Err(failed(io::Error::other("it is no regular file")));
    }
    if stranger.is_some_and(|owner| stat.st_nlink > 1 && stat.st_uid != owner) {
        let text =
            "it is a hard link to another account's file, in a folder that others may change";
        return Err(failed(io::Error::other(text)));
    }
    let mut bytes = Vec::new();
    std::fs::File::from(fd)
        .take(READ_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > READ_MAX_BYTES {
        return Err(failed(io::Error::other("it is too large")));
    }
    Ok(bytes)
}
