//! Which directories an image has, in what order, and what is in them: all but
//! where they lie.

use super::names::Names;
use super::tree::{DIRECTORY_MODE, IsoTree, Node, NodeId};
use super::{BLOCK_BYTES, Block, MAX_DIRECTORIES, too_large};
use crate::Error;

/// Most bytes in one extent: the largest multiple of a block in 32 bits.
const MAX_SECTION_BYTES: u64 = u32::MAX as u64 / BLOCK_BYTES * BLOCK_BYTES;

/// A run of bytes in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First block; 0 for a file without room.
    pub block: Block,
    /// Bytes of content.
    pub bytes: u64,
    /// Bytes kept for it, a multiple of the block size.
    pub room: u64,
}

impl Extent {
    /// Offset of the first byte in the image.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.block.offset()
    }
}

/// Which of the two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespace {
    Primary,
    Joliet,
}

/// An entry of a directory, under the tree's own identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) identifier: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) node: NodeId,
    /// Position in [`Plan::directories`] where it is a directory.
    pub(super) directory: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) node: NodeId,
    pub(super) mode: u16,
    /// Position of the parent; the root is its own.
    pub(super) parent: usize,
    pub(super) identifier: Vec<u8>,
    /// In the order of their identifiers.
    pub(super) children: Vec<Child>,
    pub(super) block: Block,
    pub(super) bytes: u32,
    /// First block of the continuation areas.
    pub(super) continuation_block: Block,
}

/// One of the two trees, its directories in the order of the path table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) namespace: Namespace,
    pub(super) directories: Vec<Directory>,
    pub(super) path_table_bytes: u32,
    /// Blocks of the little-endian and the big-endian path table.
    pub(super) path_table_blocks: [Block; 2],
}

/// The extents of a file: block, bytes, and whether another one follows. An
/// empty file has one without bytes.
pub(super) fn sections(extent: Extent) -> Vec<(Block, u32, bool)> {
    let mut out = Vec::new();
    let mut block = extent.block;
    let mut left = extent.bytes;
    loop {
        let bytes = left.min(MAX_SECTION_BYTES);
        left -= bytes;
        out.push((block, bytes as u32, left > 0));
        if left == 0 {
            return out;
        }
        block = Block(block.0.saturating_add((bytes / BLOCK_BYTES) as u32));
    }
}

impl Plan {
    /// Lists the directories level by level, each level in the order of the
    /// parents and then of the identifiers (ECMA-119 6.9.1).
    pub(super) fn new(tree: &IsoTree, namespace: Namespace) -> Result<Self, Error> {
        let mut directories = vec![Directory::new(tree, NodeId(0), 0, vec![0])];
        let mut index = 0;
        while index < directories.len() {
            let node = directories.get(index).map_or(NodeId(0), |dir| dir.node);
            let mut children = children(tree, node, namespace);
            for child in &mut children {
                if let Some(Node::Directory { .. }) = tree.node(child.node) {
                    child.directory = Some(directories.len());
                    let identifier = child.identifier.clone();
                    directories.push(Directory::new(tree, child.node, index, identifier));
                }
            }
            if let Some(directory) = directories.get_mut(index) {
                directory.children = children;
            }
            index += 1;
        }
        if directories.len() > MAX_DIRECTORIES {
            let (count, limit) = (directories.len() as u64, MAX_DIRECTORIES as u64);
            return Err(too_large("", "a number of directories", count, limit));
        }
        Ok(Self {
            namespace,
            directories,
            path_table_bytes: 0,
            path_table_blocks: [Block::default(); 2],
        })
    }
}

impl Directory {
    fn new(tree: &IsoTree, node: NodeId, parent: usize, identifier: Vec<u8>) -> Self {
        let mode = match tree.node(node) {
            Some(Node::Directory { mode, .. }) => *mode,
            _ => DIRECTORY_MODE,
        };
        Self {
            node,
            mode,
            parent,
            identifier,
            children: Vec::new(),
            block: Block::default(),
            bytes: 0,
            continuation_block: Block::default(),
        }
    }
}

fn children(tree: &IsoTree, node: NodeId, namespace: Namespace) -> Vec<Child> {
    let Some(Node::Directory { children, .. }) = tree.node(node) else {
        return Vec::new();
    };
    let mut names = Names::default();
    let mut out: Vec<Child> = children
        .iter()
        .filter_map(|(name, &id)| {
            let node = tree.node(id)?;
            let identifier = match (namespace, node) {
                (Namespace::Primary, _) => names.iso(name, matches!(node, Node::Directory { .. })),
                (Namespace::Joliet, Node::Symlink { .. }) => return None,
                (Namespace::Joliet, _) => names.joliet(name),
            };
            Some(Child {
                identifier,
                name: name.clone(),
                node: id,
                directory: None,
            })
        })
        .collect();
    out.sort_by(|a, b| a.identifier.cmp(&b.identifier));
    out
}
