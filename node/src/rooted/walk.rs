//! A path below a root, one name after another, each from the directory before it
//! that is open already: what somebody moves or replaces meanwhile is not gone
//! through twice.
//!
//! A symlink is followed only where nobody but root could have put it there: all
//! directories on the way to it are root's (or the caller's own), and no others may
//! write to them. So the system's own links lead where they should, and one that
//! an account planted below its home has root work nowhere.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;

/// Symlinks on a way, as many as the kernel follows.
const LINKS_MAX: usize = 40;

const WRITABLE_BY_GROUP: u32 = 0o020;
const WRITABLE_BY_ALL: u32 = 0o002;

/// Why a way ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// At a symlink that somebody else may have made.
    Link,
    /// At what the system says.
    Errno(Errno),
}

impl From<Errno> for Stopped {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Stopped> for io::Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Link => Self::other(
                "there is a symlink on the way, in a folder that another account may change; it is not followed (name the path that is meant)",
            ),
            Stopped::Errno(errno) => errno.into(),
        }
    }
}

/// What a path led to.
#[derive(Debug)]
pub(super) struct Reached {
    /// It, open.
    pub(super) fd: OwnedFd,
    /// Owner of the folder that it lies in, where others may change that.
    pub(super) stranger: Option<u32>,
}

/// A directory on the way.
struct Level {
    fd: OwnedFd,
    uid: u32,
    /// Whether no other account can have put anything into it.
    own: bool,
}

impl Level {
    fn of(fd: OwnedFd, above: bool) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&fd)?;
        Ok(Self {
            fd,
            uid: stat.st_uid,
            own: above && is_own(&stat),
        })
    }

    fn stranger(&self) -> Option<u32> {
        (!self.own).then_some(self.uid)
    }
}

/// Whether a directory is root's or the caller's, and nobody else's to change.
pub(super) fn is_own(stat: &Stat) -> bool {
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let groups = stat.st_mode & WRITABLE_BY_GROUP == 0 || [0, gid].contains(&stat.st_gid);
    [0, uid].contains(&stat.st_uid) && groups && stat.st_mode & WRITABLE_BY_ALL == 0
}

/// Opens what `path` leads to below `root`, as if that were `/`.
pub(super) fn open(root: &OwnedFd, path: &str, flags: OFlags) -> Result<Reached, Stopped> {
    let opened = |at: &OwnedFd, name: &[u8], flags| {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(at, name, flags, Mode::empty())
    };
    let folder = OFlags::PATH | OFlags::DIRECTORY;
    let mut at = Level::of(opened(root, b".", folder)?, true)?;
    let mut above: Vec<Level> = Vec::new();
    let mut left = names(path.as_bytes());
    let mut links = 0_usize;
    while let Some(name) = left.pop() {
        if name == b".." {
            at = above.pop().unwrap_or(at);
            continue;
        }
        match rustix::fs::readlinkat(&at.fd, name.as_slice(), Vec::new()) {
            Ok(_) if !at.own => return Err(Stopped::Link),
            Ok(_) if links == LINKS_MAX => return Err(Errno::LOOP.into()),
            Ok(target) => {
                links += 1;
                if target.as_bytes().starts_with(b"/") && !above.is_empty() {
                    at = above.swap_remove(0);
                    above.clear();
                }
                left.append(&mut names(target.as_bytes()));
                continue;
            }
            // It is no symlink.
            Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno.into()),
        }
        if left.is_empty() {
            return Ok(Reached {
                fd: opened(&at.fd, &name, flags)?,
                stranger: at.stranger(),
            });
        }
        let next = Level::of(opened(&at.fd, &name, folder)?, at.own)?;
        above.push(std::mem::replace(&mut at, next));
    }
    Ok(Reached {
        fd: opened(&at.fd, b".", flags)?,
        stranger: at.stranger(),
    })
}

/// The names of a path, the first one last.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = path
        .split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
        .map(<[u8]>::to_vec)
        .collect();
    names.reverse();
    names
}
