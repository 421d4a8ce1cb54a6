//! Where everything of an image lies, as a pure function of a tree's names and
//! sizes.
//!
//! In order: system area, volume descriptors, path tables, directories of the
//! primary tree, directories of the Joliet tree, boot catalog, file data in the
//! order of the [`IsoTree`]'s calls, and the blocks asked for at the end.

use super::names::Names;
use super::tree::{FileId, IsoTree, Node, NodeId};
use super::write::directory;
use super::{BLOCK_BYTES, Error, MAX_DIRECTORIES, SYSTEM_AREA_BLOCKS};

/// Bytes of a volume id (ECMA-119 8.4.7).
const VOLUME_ID_BYTES: usize = 32;

/// Most bytes in one extent: the largest multiple of a block in 32 bits.
const MAX_SECTION_BYTES: u64 = u32::MAX as u64 / BLOCK_BYTES * BLOCK_BYTES;

/// What the boot catalog points to; without either there is no catalog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Boot {
    /// A core image for PC BIOS.
    pub bios: Option<FileId>,
    /// A FAT image for UEFI.
    pub uefi: Option<FileId>,
}

/// What the image as a whole is.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Volume id: at most 32 of `A-Z`, `0-9` and `_`.
    pub volume_id: &'a str,
    /// The time of everything, in seconds since 1970-01-01 UTC.
    pub epoch: u32,
    /// Boot catalog.
    pub boot: Boot,
    /// Blocks kept free after the last file.
    pub tail_blocks: u32,
}

/// A run of bytes in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First block; 0 for a file without room.
    pub block: u32,
    /// Bytes of content.
    pub bytes: u64,
    /// Bytes kept for it, a multiple of the block size.
    pub room: u64,
}

impl Extent {
    /// Offset of the first byte in the image.
    #[must_use]
    pub fn offset(&self) -> u64 {
        u64::from(self.block) * BLOCK_BYTES
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
    pub(super) block: u32,
    pub(super) bytes: u32,
    /// First block of the continuation areas.
    pub(super) continuation_block: u32,
}

/// One of the two trees, its directories in the order of the path table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) namespace: Namespace,
    pub(super) directories: Vec<Directory>,
    pub(super) path_table_bytes: u32,
    /// Blocks of the little-endian and the big-endian path table.
    pub(super) path_table_blocks: [u32; 2],
}

/// Positions of everything in an image.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) volume_id: String,
    pub(super) epoch: u32,
    pub(super) boot: Boot,
    pub(super) primary: Plan,
    pub(super) joliet: Plan,
    pub(super) catalog_block: Option<u32>,
    pub(super) files: Vec<Extent>,
    data_block: u32,
    blocks: u32,
}

impl Layout {
    /// Lays out `tree`.
    ///
    /// # Errors
    /// [`Error::VolumeId`], [`Error::TooLarge`], [`Error::UnknownFile`].
    pub fn new(tree: &IsoTree, options: &Options<'_>) -> Result<Self, Error> {
        check_volume_id(options.volume_id)?;
        for file in [options.boot.bios, options.boot.uefi].into_iter().flatten() {
            if tree.files.len() <= file.0 as usize {
                return Err(Error::UnknownFile { file: file.0 });
            }
        }
        let mut layout = Self {
            volume_id: options.volume_id.to_owned(),
            epoch: options.epoch,
            boot: options.boot,
            primary: Plan::new(tree, Namespace::Primary)?,
            joliet: Plan::new(tree, Namespace::Joliet)?,
            catalog_block: None,
            files: Vec::with_capacity(tree.files.len()),
            data_block: 0,
            blocks: 0,
        };
        layout.place(tree, options.tail_blocks)?;
        Ok(layout)
    }

    /// Size of the image in blocks.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Size of the image in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.blocks) * BLOCK_BYTES
    }

    /// The first block after descriptors, directories and boot catalog.
    #[must_use]
    pub fn data_block(&self) -> u32 {
        self.data_block
    }

    /// Where a file's data lies.
    ///
    /// # Errors
    /// [`Error::UnknownFile`] for an id of another tree.
    pub fn extent(&self, file: FileId) -> Result<Extent, Error> {
        self.files
            .get(file.0 as usize)
            .copied()
            .ok_or(Error::UnknownFile { file: file.0 })
    }

    /// Whether all that has a place has the same one in `other`: names and
    /// sizes within the room may differ.
    #[must_use]
    pub fn same_places(&self, other: &Self) -> bool {
        let places = |layout: &Self| -> Vec<(u32, u64)> {
            let files = layout.files.iter().map(|file| (file.block, file.room));
            files
                .chain([(layout.data_block, u64::from(layout.blocks))])
                .collect()
        };
        places(self) == places(other)
    }

    fn place(&mut self, tree: &IsoTree, tail_blocks: u32) -> Result<(), Error> {
        let bootable = self.boot != Boot::default();
        let descriptors = if bootable { 4 } else { 3 };
        let mut next = Cursor(u64::from(SYSTEM_AREA_BLOCKS) + descriptors);
        for plan in [&mut self.primary, &mut self.joliet] {
            for block in &mut plan.path_table_blocks {
                *block = next.take(u64::from(plan.path_table_bytes))?;
            }
        }
        let epoch = self.epoch;
        for plan in [&mut self.primary, &mut self.joliet] {
            for index in 0..plan.directories.len() {
                let encoded = directory::encode(plan, index, tree, &[], epoch);
                let bytes = encoded.records.len() as u64;
                let block = next.take(bytes)?;
                let continuation_block = next.take(encoded.continuations.len() as u64)?;
                if let Some(directory) = plan.directories.get_mut(index) {
                    directory.block = block;
                    directory.bytes = narrow(bytes, "directory bytes")?;
                    directory.continuation_block = continuation_block;
                }
            }
        }
        if bootable {
            self.catalog_block = Some(next.take(BLOCK_BYTES)?);
        }
        self.data_block = next.block()?;
        for spec in &tree.files {
            let room = spec.room.next_multiple_of(BLOCK_BYTES);
            let block = if room == 0 {
                0
            } else {
                next.align(spec.align_blocks);
                next.take(room)?
            };
            self.files.push(Extent {
                block,
                bytes: spec.size,
                room,
            });
        }
        next.take(u64::from(tail_blocks) * BLOCK_BYTES)?;
        self.blocks = next.block()?;
        Ok(())
    }
}

/// The next free block, in 64 bits so that adding never overflows.
struct Cursor(u64);

impl Cursor {
    fn block(&self) -> Result<u32, Error> {
        narrow(self.0, "a number of blocks")
    }

    /// Takes the blocks for `bytes` and gives the first.
    fn take(&mut self, bytes: u64) -> Result<u32, Error> {
        let block = self.block()?;
        self.0 += bytes.div_ceil(BLOCK_BYTES);
        Ok(block)
    }

    fn align(&mut self, blocks: u32) {
        self.0 = self.0.next_multiple_of(u64::from(blocks.max(1)));
    }
}

fn narrow(value: u64, what: &'static str) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::TooLarge {
        path: String::new(),
        what,
        value,
        limit: u64::from(u32::MAX),
    })
}

/// The extents of a file: block, bytes, and whether another one follows. An
/// empty file has one without bytes.
pub(super) fn sections(extent: Extent) -> Vec<(u32, u32, bool)> {
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
        block = block.saturating_add((bytes / BLOCK_BYTES) as u32);
    }
}

impl Plan {
    /// Lists the directories level by level, each level in the order of the
    /// parents and then of the identifiers (ECMA-119 6.9.1).
    fn new(tree: &IsoTree, namespace: Namespace) -> Result<Self, Error> {
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
            return Err(Error::TooLarge {
                path: String::new(),
                what: "a number of directories",
                value: directories.len() as u64,
                limit: MAX_DIRECTORIES as u64,
            });
        }
        let mut plan = Self {
            namespace,
            directories,
            path_table_bytes: 0,
            path_table_blocks: [0; 2],
        };
        let table = directory::path_table(&plan, u32::to_le_bytes, u16::to_le_bytes);
        plan.path_table_bytes = narrow(table.len() as u64, "path table bytes")?;
        Ok(plan)
    }
}

impl Directory {
    fn new(tree: &IsoTree, node: NodeId, parent: usize, identifier: Vec<u8>) -> Self {
        let mode = match tree.node(node) {
            Some(Node::Directory { mode, .. }) => *mode,
            _ => super::tree::DIRECTORY_MODE,
        };
        Self {
            node,
            mode,
            parent,
            identifier,
            children: Vec::new(),
            block: 0,
            bytes: 0,
            continuation_block: 0,
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

fn check_volume_id(id: &str) -> Result<(), Error> {
    let allowed = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    if id.is_empty() || id.len() > VOLUME_ID_BYTES || !id.bytes().all(allowed) {
        return Err(Error::VolumeId { id: id.to_owned() });
    }
    Ok(())
}
