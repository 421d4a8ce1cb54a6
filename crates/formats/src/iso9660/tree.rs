//! What an image shall hold: names, modes and sizes, without the bytes.

use std::collections::BTreeMap;

use super::{BLOCK_BYTES, MAX_DEPTH, MAX_NAME_BYTES, MAX_TARGET_BYTES};
use super::{exists, too_large, unknown_file, unusable_path, wrong_length};
use crate::Error;
use isoforge_base::tree::{self, display, normalize, split};

/// Mode of directories that are made on the way to a file.
pub const DIRECTORY_MODE: u16 = 0o755;

/// Names a file's data within its [`IsoTree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub(super) u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(pub(super) u32);

/// A run of blocks that holds one file's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileSpec {
    /// For messages.
    pub(super) label: String,
    pub(super) size: u64,
    /// Bytes kept free for the file, at least its size.
    pub(super) room: u64,
    /// The first block's number is a multiple of this.
    pub(super) align_blocks: u32,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Directory {
        mode: u16,
        children: BTreeMap<Vec<u8>, NodeId>,
    },
    File {
        mode: u16,
        file: FileId,
    },
    Symlink {
        target: Vec<u8>,
    },
}

/// The file tree of an image. Everything belongs to root; times come from the
/// layout's epoch. File data is laid out in the order of the calls that add
/// files.
#[derive(Debug, Clone)]
pub struct IsoTree {
    pub(super) nodes: Vec<Node>,
    pub(super) files: Vec<FileSpec>,
}

impl Default for IsoTree {
    fn default() -> Self {
        Self::new()
    }
}

impl IsoTree {
    /// An empty root directory.
    #[must_use]
    pub fn new() -> Self {
        Self {
            nodes: vec![empty_directory(DIRECTORY_MODE)],
            files: Vec::new(),
        }
    }

    /// Adds a directory, or sets the mode of one that is there.
    ///
    /// # Errors
    /// For a path that the image can't hold, or where something else is there.
    pub fn directory(&mut self, path: &[u8], mode: u16) -> Result<(), Error> {
        let path = normal(path)?;
        let id = self.make_directories(&path)?;
        if let Some(Node::Directory { mode: old, .. }) = self.nodes.get_mut(id.0 as usize) {
            *old = mode;
        }
        Ok(())
    }

    /// Adds a file of `size` bytes; missing parents are made.
    ///
    /// # Errors
    /// For a path that the image can't hold, or where something is there.
    pub fn file(&mut self, path: &[u8], mode: u16, size: u64) -> Result<FileId, Error> {
        self.file_with_room(path, mode, size, size)
    }

    /// Adds a file with `room` bytes kept for it, so that [`Self::set_size`]
    /// can change its size without moving anything.
    ///
    /// # Errors
    /// For a path that the image can't hold, where something is there, and where the
    /// size is over the room.
    pub fn file_with_room(
        &mut self,
        path: &[u8],
        mode: u16,
        size: u64,
        room: u64,
    ) -> Result<FileId, Error> {
        let path = normal(path)?;
        let file = self.next_file()?;
        self.insert(&path, Node::File { mode, file })?;
        self.push(display(&path), size, room, 1, file)
    }

    /// Keeps a run of blocks that no directory names, such as the EFI system
    /// partition; it starts at a multiple of `align_blocks`.
    ///
    /// # Errors
    /// For more than the image can hold.
    pub fn hidden(&mut self, label: &str, size: u64, align_blocks: u32) -> Result<FileId, Error> {
        let file = self.next_file()?;
        self.push(label.to_owned(), size, size, align_blocks.max(1), file)
    }

    /// Adds a symbolic link. The Joliet tree leaves it out.
    ///
    /// # Errors
    /// For a path that the image can't hold, or where something is there.
    pub fn symlink(&mut self, path: &[u8], target: &[u8]) -> Result<(), Error> {
        let path = normal(path)?;
        limit(&path, "target bytes", target.len(), MAX_TARGET_BYTES)?;
        self.insert(
            &path,
            Node::Symlink {
                target: target.to_vec(),
            },
        )
    }

    /// Whether something is at `path` (normalized).
    #[must_use]
    pub fn contains(&self, path: &[u8]) -> bool {
        self.find(path).is_some()
    }

    /// Changes a file's size within its room.
    ///
    /// # Errors
    /// Where the room is too small.
    pub fn set_size(&mut self, file: FileId, size: u64) -> Result<(), Error> {
        let spec = self
            .files
            .get_mut(file.0 as usize)
            .ok_or_else(|| unknown_file(file))?;
        if size > spec.room {
            return Err(wrong_length(&spec.label, spec.room, size));
        }
        spec.size = size;
        Ok(())
    }

    /// Gives what is at `path` another last name.
    ///
    /// # Errors
    /// Where nothing is there, and for a name that is taken or can't be.
    pub fn rename(&mut self, path: &[u8], new_name: &[u8]) -> Result<(), Error> {
        let path = normal(path)?;
        let missing = || {
            let path = display(&path);
            unusable_path(&path.clone(), tree::Error::NotFound { path })
        };
        let (parent, name) = split(&path).ok_or_else(missing)?;
        let renamed = normal(&tree::join(parent, new_name))?;
        let dir = self.find(parent).ok_or_else(missing)?;
        let children = self.children_mut(dir).ok_or_else(missing)?;
        let id = children.remove(name).ok_or_else(missing)?;
        self.link(&renamed, id)
    }

    fn next_file(&self) -> Result<FileId, Error> {
        number(self.files.len(), "", "a number of files").map(FileId)
    }

    fn push(
        &mut self,
        label: String,
        size: u64,
        room: u64,
        align_blocks: u32,
        file: FileId,
    ) -> Result<FileId, Error> {
        let limit = u64::from(u32::MAX) * BLOCK_BYTES;
        if room > limit {
            return Err(too_large(&label, "a size in bytes", room, limit));
        }
        self.files.push(FileSpec {
            label,
            size: 0,
            room,
            align_blocks,
        });
        self.set_size(file, size)?;
        Ok(file)
    }

    fn insert(&mut self, path: &[u8], node: Node) -> Result<(), Error> {
        let id = number(self.nodes.len(), &display(path), "a number of entries").map(NodeId)?;
        self.nodes.push(node);
        self.link(path, id)
    }

    fn link(&mut self, path: &[u8], id: NodeId) -> Result<(), Error> {
        let exists = || exists(&display(path));
        let (parent, name) = split(path).ok_or_else(exists)?;
        limit(path, "name bytes", name.len(), MAX_NAME_BYTES)?;
        let depth = 1 + parent.split(|&byte| byte == b'/').count();
        limit(path, "directory levels", depth, MAX_DEPTH)?;
        let dir = self.make_directories(parent)?;
        let children = self.children_mut(dir).ok_or_else(exists)?;
        if children.contains_key(name) {
            return Err(exists());
        }
        children.insert(name.to_vec(), id);
        Ok(())
    }

    /// The directory at `path`, made with all its parents where it is missing.
    fn make_directories(&mut self, path: &[u8]) -> Result<NodeId, Error> {
        if path.is_empty() {
            return Ok(NodeId(0));
        }
        match self.find(path) {
            Some(id) if self.children_mut(id).is_some() => Ok(id),
            Some(_) => {
                let path = display(path);
                Err(unusable_path(
                    &path.clone(),
                    tree::Error::NotADirectory { path },
                ))
            }
            None => {
                self.insert(path, empty_directory(DIRECTORY_MODE))?;
                self.find(path).ok_or_else(|| exists(&display(path)))
            }
        }
    }

    fn find(&self, path: &[u8]) -> Option<NodeId> {
        let mut at = NodeId(0);
        for name in path.split(|&byte| byte == b'/') {
            if name.is_empty() {
                continue;
            }
            match self.nodes.get(at.0 as usize)? {
                Node::Directory { children, .. } => at = *children.get(name)?,
                _ => return None,
            }
        }
        Some(at)
    }

    fn children_mut(&mut self, id: NodeId) -> Option<&mut BTreeMap<Vec<u8>, NodeId>> {
        match self.nodes.get_mut(id.0 as usize)? {
            Node::Directory { children, .. } => Some(children),
            _ => None,
        }
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }

    /// The size of a file; 0 for an id of another tree.
    pub(super) fn size(&self, file: FileId) -> u64 {
        self.files.get(file.0 as usize).map_or(0, |spec| spec.size)
    }
}

fn empty_directory(mode: u16) -> Node {
    Node::Directory {
        mode,
        children: BTreeMap::new(),
    }
}

fn normal(path: &[u8]) -> Result<Vec<u8>, Error> {
    normalize(path).map_err(|source| unusable_path(&display(path), source))
}

/// A number of 32 bits for the next of what there are `count`.
fn number(count: usize, path: &str, what: &str) -> Result<u32, Error> {
    let (count, limit) = (count as u64, u64::from(u32::MAX));
    u32::try_from(count).map_err(|_| too_large(path, what, count, limit))
}

fn limit(path: &[u8], what: &'static str, value: usize, limit: usize) -> Result<(), Error> {
    if value > limit {
        return Err(too_large(&display(path), what, value as u64, limit as u64));
    }
    Ok(())
}
