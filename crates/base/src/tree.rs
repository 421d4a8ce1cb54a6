//! The merged file tree as a value.
//!
//! A [`Tree`] holds metadata only: modes, owners, times, extended attributes,
//! link targets, device numbers, and for each file's data a reference
//! ([`FileData`]) to where its bytes are. Nothing here touches a disk.
//!
//! Invariants:
//! - The root is a directory, and every reachable directory entry names an
//!   inode of this tree. Hard links are entries that share an [`InodeId`].
//! - No directory has two parents.
//! - Paths are relative byte strings, components parted by single slashes,
//!   without `.`, `..` or NUL; the root is the empty path.
//! - Iteration is in byte order of the names, so it never depends on the order
//!   in which things were inserted.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limit;

/// How many symbolic links one resolution may follow, as Linux limits it
/// (`MAXSYMLINKS`).
pub const MAX_SYMLINKS: usize = 40;

/// Permission bits with set-id and sticky bits; the file type is the [`Kind`].
pub const MODE_MASK: u16 = 0o7777;

/// Extended attributes: full name (`user.x`, `security.capability`) to value.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// What every inode has, whatever its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Permission, set-id and sticky bits (`0o7777`).
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in seconds since 1970-01-01 UTC.
    pub mtime: i64,
    /// Extended attributes; empty for most inodes.
    pub xattrs: Xattrs,
}

impl Meta {
    /// Owned by root, at time 0, without extended attributes.
    #[must_use]
    pub fn with_mode(mode: u16) -> Self {
        Self {
            mode: mode & MODE_MASK,
            ..Self::default()
        }
    }
}

/// A layer, by its place in the build's list of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LayerId(pub u32);

/// Where a file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileData {
    /// Bytes held in memory; for small files that isoforge makes itself.
    Inline(Arc<[u8]>),
    /// The data of a file within a layer.
    Layer {
        /// The layer.
        layer: LayerId,
        /// The file's number within the layer, in the order of the archive,
        /// counting only regular files with data of their own.
        file: u32,
        /// Size in bytes.
        size: u64,
    },
}

impl FileData {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::Inline(Arc::from([]))
    }

    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Layer { size, .. } => *size,
        }
    }
}

/// Gives the bytes of files, wherever they are.
pub trait ReadFile {
    /// A reader over all bytes of `data`.
    ///
    /// # Errors
    /// Where the bytes can't be had.
    fn open<'a>(&'a self, data: &FileData) -> io::Result<Box<dyn Read + 'a>>;
}

/// Device number of a character or block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// What an inode is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory and its entries.
    Directory(BTreeMap<Vec<u8>, InodeId>),
    /// A regular file.
    File(FileData),
    /// A symbolic link and its target, byte for byte.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    /// The type as `ls -l` shows it in its first column.
    #[must_use]
    pub fn type_char(&self) -> char {
        match self {
            Self::Directory(_) => 'd',
            Self::File(_) => '-',
            Self::Symlink(_) => 'l',
            Self::CharDevice(_) => 'c',
            Self::BlockDevice(_) => 'b',
            Self::Fifo => 'p',
            Self::Socket => 's',
        }
    }
}

/// Metadata and kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// Owner, mode, times, extended attributes.
    pub meta: Meta,
    /// The type and what belongs to it.
    pub kind: Kind,
}

/// Names an inode within its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(u32);

/// What can go wrong with a path in a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A component is `..`.
    #[error("path '{path}' has a '..' component")]
    DotDot {
        /// The path, lossily decoded.
        path: String,
    },
    /// A path has a NUL byte.
    #[error("path '{path}' has a NUL byte")]
    Nul {
        /// The path, lossily decoded.
        path: String,
    },
    /// Symbolic links lead in a circle.
    #[error("path '{path}' leads through more than {MAX_SYMLINKS} symbolic links")]
    SymlinkLoop {
        /// The path, lossily decoded.
        path: String,
    },
    /// Symbolic links lead through too many directories.
    #[error(
        "path '{path}' leads through more than {} directories, those of symbolic links counted",
        limit::RESOLVE_STEPS
    )]
    TooManySteps {
        /// The path, lossily decoded.
        path: String,
    },
    /// Something that is no directory stands where one is needed.
    #[error("'{path}' is not a directory")]
    NotADirectory {
        /// The path, lossily decoded.
        path: String,
    },
    /// Nothing is there.
    #[error("'{path}' does not exist")]
    NotFound {
        /// The path, lossily decoded.
        path: String,
    },
    /// A directory can't be hard-linked.
    #[error("'{path}' is a directory and can't be hard-linked")]
    LinkToDirectory {
        /// The path, lossily decoded.
        path: String,
    },
    /// The tree has more inodes than [`limit::TREE_INODES`].
    #[error("the file tree has more than {} inodes", limit::TREE_INODES)]
    TooManyInodes,
}

/// Decodes a path for a message.
#[must_use]
pub fn display(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// Brings a path as archives write it (`./a//b/`, `/a/b`) into the form of this
/// module.
///
/// # Errors
/// [`Error::DotDot`] where a component is `..`, [`Error::Nul`] on a NUL byte.
pub fn normalize(path: &[u8]) -> Result<Vec<u8>, Error> {
    if path.contains(&0) {
        return Err(Error::Nul {
            path: display(path),
        });
    }
    let mut out = Vec::with_capacity(path.len());
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                return Err(Error::DotDot {
                    path: display(path),
                });
            }
            name => {
                if !out.is_empty() {
                    out.push(b'/');
                }
                out.extend_from_slice(name);
            }
        }
    }
    Ok(out)
}

/// Joins a directory's path and a name.
#[must_use]
pub fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() {
        return name.to_vec();
    }
    [dir, b"/", name].concat()
}

/// Parts a normalized path into its parent's path and its last name; the root
/// has none.
#[must_use]
pub fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => Some((path.get(..at)?, path.get(at + 1..)?)),
        None => Some((&[], path)),
    }
}

/// A file tree.
#[derive(Debug, Clone)]
pub struct Tree {
    inodes: Vec<Inode>,
}

const ROOT: InodeId = InodeId(0);

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree with an empty root directory, mode 0755.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inodes: vec![Inode {
                meta: Meta::with_mode(0o755),
                kind: Kind::Directory(BTreeMap::new()),
            }],
        }
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> InodeId {
        ROOT
    }

    /// An inode of this tree.
    ///
    /// Ids come from this tree's own methods only, so the look-up succeeds;
    /// an id of another tree that is too large gives the root.
    #[must_use]
    pub fn inode(&self, id: InodeId) -> &Inode {
        match self.inodes.get(id.0 as usize) {
            Some(inode) => inode,
            None => &self.inodes[0],
        }
    }

    /// The metadata of an inode, to be changed.
    pub fn meta_mut(&mut self, id: InodeId) -> &mut Meta {
        let index = if (id.0 as usize) < self.inodes.len() {
            id.0 as usize
        } else {
            0
        };
        &mut self.inodes[index].meta
    }

    /// What is at `path`, symbolic links not followed.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<InodeId> {
        let mut at = ROOT;
        for name in components(path) {
            at = *self.children(at)?.get(name)?;
        }
        Some(at)
    }

    /// The entries of a directory; `None` for anything else.
    #[must_use]
    pub fn children(&self, id: InodeId) -> Option<&BTreeMap<Vec<u8>, InodeId>> {
        match &self.inode(id).kind {
            Kind::Directory(entries) => Some(entries),
            _ => None,
        }
    }

    /// What is at `path`, symbolic links followed inside the root.
    #[must_use]
    pub fn lookup(&self, path: &[u8]) -> Option<InodeId> {
        self.get(&self.resolve(path).ok()?)
    }

    /// The data of the regular file at `path`, symbolic links followed.
    #[must_use]
    pub fn file(&self, path: &[u8]) -> Option<&FileData> {
        match &self.inode(self.lookup(path)?).kind {
            Kind::File(data) => Some(data),
            _ => None,
        }
    }

    /// Puts `inode` at `path`. Missing parents become directories, mode 0755,
    /// owned by root. What was there is replaced; a directory put over a
    /// directory keeps the old one's entries and takes the new metadata.
    ///
    /// # Errors
    /// [`Error::NotADirectory`] where a parent is something else (symbolic
    /// links are not followed: [`resolve`](Self::resolve) the parent first).
    pub fn insert(&mut self, path: &[u8], inode: Inode) -> Result<InodeId, Error> {
        let Some((parent, name)) = split(path) else {
            return self.replace_root(inode);
        };
        let parent = self.make_directories(parent)?;
        if let (Some(&old), Kind::Directory(new)) =
            (self.children(parent).and_then(|c| c.get(name)), &inode.kind)
            && new.is_empty()
            && self.children(old).is_some()
        {
            *self.meta_mut(old) = inode.meta;
            return Ok(old);
        }
        let id = self.push(inode)?;
        self.set_entry(parent, name, id);
        Ok(id)
    }

    /// Adds a hard link at `path` to the inode at `target`.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the target is missing,
    /// [`Error::LinkToDirectory`] where it is a directory, and what
    /// [`insert`](Self::insert) gives.
    pub fn link(&mut self, path: &[u8], target: &[u8]) -> Result<InodeId, Error> {
        let id = self.get(target).ok_or_else(|| Error::NotFound {
            path: display(target),
        })?;
        if self.children(id).is_some() {
            return Err(Error::LinkToDirectory {
                path: display(target),
            });
        }
        let Some((parent, name)) = split(path) else {
            return Err(Error::NotADirectory {
                path: String::new(),
            });
        };
        let parent = self.make_directories(parent)?;
        self.set_entry(parent, name, id);
        Ok(id)
    }

    /// Removes what is at `path`, a directory with all below it. Says whether
    /// something was there. The root can't be removed, only
    /// [cleared](Self::clear).
    pub fn remove(&mut self, path: &[u8]) -> bool {
        let Some((parent, name)) = split(path) else {
            return false;
        };
        let Some(parent) = self.get(parent) else {
            return false;
        };
        match self.kind_mut(parent) {
            Kind::Directory(entries) => entries.remove(name).is_some(),
            _ => false,
        }
    }

    /// Empties the directory at `path`, keeping its metadata.
    pub fn clear(&mut self, path: &[u8]) {
        if let Some(id) = self.get(path)
            && let Kind::Directory(entries) = self.kind_mut(id)
        {
            entries.clear();
        }
    }

    /// All entries with their paths, depth first, parents before children, in
    /// byte order of the names; the root comes first. A file with several hard
    /// links comes once for each.
    pub fn walk(&self) -> impl Iterator<Item = (Vec<u8>, InodeId)> + '_ {
        let mut stack = vec![(Vec::new(), ROOT)];
        std::iter::from_fn(move || {
            let (path, id) = stack.pop()?;
            if let Some(children) = self.children(id) {
                stack.extend(
                    children
                        .iter()
                        .rev()
                        .map(|(name, &child)| (join(&path, name), child)),
                );
            }
            Some((path, id))
        })
    }

    /// How many directory entries name each inode that is not a directory.
    #[must_use]
    pub fn link_counts(&self) -> BTreeMap<InodeId, u32> {
        let mut counts = BTreeMap::new();
        for (_, id) in self.walk() {
            if self.children(id).is_none() {
                *counts.entry(id).or_insert(0) += 1;
            }
        }
        counts
    }

    fn make_directories(&mut self, path: &[u8]) -> Result<InodeId, Error> {
        let mut at = ROOT;
        for name in components(path) {
            let Some(children) = self.children(at) else {
                return Err(Error::NotADirectory {
                    path: display(path),
                });
            };
            at = if let Some(&child) = children.get(name) {
                child
            } else {
                let id = self.push(Inode {
                    meta: Meta::with_mode(0o755),
                    kind: Kind::Directory(BTreeMap::new()),
                })?;
                self.set_entry(at, name, id);
                id
            };
        }
        if self.children(at).is_none() {
            return Err(Error::NotADirectory {
                path: display(path),
            });
        }
        Ok(at)
    }

    fn replace_root(&mut self, inode: Inode) -> Result<InodeId, Error> {
        let Kind::Directory(_) = inode.kind else {
            return Err(Error::NotADirectory {
                path: String::new(),
            });
        };
        self.inodes[0].meta = inode.meta;
        Ok(ROOT)
    }

    fn push(&mut self, inode: Inode) -> Result<InodeId, Error> {
        let id = u32::try_from(self.inodes.len())
            .ok()
            .filter(|&id| id < limit::TREE_INODES)
            .ok_or(Error::TooManyInodes)?;
        self.inodes.push(inode);
        Ok(InodeId(id))
    }

    fn kind_mut(&mut self, id: InodeId) -> &mut Kind {
        &mut self.inodes[id.0 as usize].kind
    }

    fn set_entry(&mut self, parent: InodeId, name: &[u8], id: InodeId) {
        if let Kind::Directory(entries) = self.kind_mut(parent) {
            entries.insert(name.to_vec(), id);
        }
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|c| !c.is_empty())
}

mod resolve;
#[cfg(test)]
mod tests;
