//! Where everything of an image lies, as a pure function of a tree's names and
//! sizes.
//!
//! In order: system area, volume descriptors, path tables, directories of the
//! primary tree, directories of the Joliet tree, boot catalog, file data in the
//! order of the [`IsoTree`]'s calls, and the blocks asked for at the end.

pub use super::plan::Extent;
use super::plan::{Namespace, Plan};
use super::records;
use super::tree::{FileId, IsoTree};
use super::{BLOCK_BYTES, Block, SYSTEM_AREA_BLOCKS, too_large, unknown_file};
use crate::Error;

/// Bytes of a volume id (ECMA-119 8.4.7).
const VOLUME_ID_BYTES: usize = 32;

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

/// Positions of everything in an image.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) volume_id: String,
    pub(super) epoch: u32,
    pub(super) boot: Boot,
    pub(super) primary: Plan,
    pub(super) joliet: Plan,
    pub(super) catalog_block: Option<Block>,
    pub(super) files: Vec<Extent>,
    data_block: Block,
    blocks: u32,
}

impl Layout {
    /// Lays out `tree`.
    ///
    /// # Errors
    /// Where the volume id, the sizes or the boot files are none that an image can have.
    pub fn new(tree: &IsoTree, options: &Options<'_>) -> Result<Self, Error> {
        check_volume_id(options.volume_id)?;
        for file in [options.boot.bios, options.boot.uefi].into_iter().flatten() {
            if tree.files.len() <= file.0 as usize {
                return Err(unknown_file(file));
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
            data_block: Block::default(),
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
    pub fn data_block(&self) -> Block {
        self.data_block
    }

    /// Where a file's data lies.
    ///
    /// # Errors
    /// For an id of another tree.
    pub fn extent(&self, file: FileId) -> Result<Extent, Error> {
        self.files
            .get(file.0 as usize)
            .copied()
            .ok_or_else(|| unknown_file(file))
    }

    /// Whether all that has a place has the same one in `other`: names and
    /// sizes within the room may differ.
    #[must_use]
    pub fn same_places(&self, other: &Self) -> bool {
        let places = |layout: &Self| -> Vec<(Block, u64)> {
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
            let table = records::path_table(plan, u32::to_le_bytes, u16::to_le_bytes);
            plan.path_table_bytes = narrow(table.len() as u64, "path table bytes")?;
            for block in &mut plan.path_table_blocks {
                *block = next.take(u64::from(plan.path_table_bytes))?;
            }
        }
        let epoch = self.epoch;
        for plan in [&mut self.primary, &mut self.joliet] {
            for index in 0..plan.directories.len() {
                let encoded = records::encode(plan, index, tree, &[], epoch);
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
                Block::default()
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
        self.blocks = next.block()?.0;
        Ok(())
    }
}

/// The next free block, in 64 bits so that adding never overflows.
struct Cursor(u64);

impl Cursor {
    fn block(&self) -> Result<Block, Error> {
        narrow(self.0, "a number of blocks").map(Block)
    }

    /// Takes the blocks for `bytes` and gives the first.
    fn take(&mut self, bytes: u64) -> Result<Block, Error> {
        let block = self.block()?;
        self.0 += bytes.div_ceil(BLOCK_BYTES);
        Ok(block)
    }

    fn align(&mut self, blocks: u32) {
        self.0 = self.0.next_multiple_of(u64::from(blocks.max(1)));
    }
}

fn narrow(value: u64, what: &'static str) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| too_large("", what, value, u64::from(u32::MAX)))
}

fn check_volume_id(id: &str) -> Result<(), Error> {
    let allowed = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    if id.is_empty() || id.len() > VOLUME_ID_BYTES || !id.bytes().all(allowed) {
        return Err(Error::unfit(format!(
            "'{id}' is no volume id: at most 32 of A-Z, 0-9 and '_'"
        )));
    }
    Ok(())
}
