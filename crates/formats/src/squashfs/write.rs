//! Plans an image of a [`Tree`] over packed data, and writes it.
//!
//! Planning computes all that is not file data: where each live block will be,
//! every table, and so the exact size. Writing then streams the superblock, the
//! blocks (each checked against its hash as it is copied) and the tables.

mod attributes;
mod data;
mod inodes;
mod metadata;
mod order;

use std::collections::BTreeMap;
use std::io::Write;

use attributes::Attributes;
use data::DataPlan;
use inodes::InodeTables;
use metadata::write_table;
use order::Order;

use super::compress;
use super::layout::{
    FLAG_ALWAYS_FRAGMENTS, FLAG_COMPRESSOR_OPTIONS, FLAG_DUPLICATES, FLAG_EXPORTABLE,
    FLAG_NO_XATTRS, FragmentEntry, IDS_MAX, MAGIC, METADATA_STORED, NO_TABLE, Superblock,
    VERSION_MAJOR, VERSION_MINOR, XattrTableHeader,
};
use super::pack::PackedLayers;
use super::settings::Settings;
use crate::Error;
use isoforge_base::error::Class;
use isoforge_base::tree::Tree;

/// Images end on a multiple of this, so that they can be used as block devices.
const PADDING_BYTES: u64 = 4096;

/// What of the tree the image can't show as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Number of inodes in the image.
    pub inodes: u32,
    /// Names of extended attributes that SquashFS can't hold (POSIX ACLs, for
    /// example) and on how many inodes each was left out.
    pub dropped_xattrs: BTreeMap<String, u64>,
    /// How many inodes have a time before 1970 or after 2106, which became the
    /// nearest that SquashFS can hold.
    pub clamped_times: u64,
}

/// An image all of whose bytes are decided.
#[derive(Debug)]
pub struct ImagePlan<'a> {
    head: Vec<u8>,
    data: DataPlan<'a>,
    tables: Vec<u8>,
    bytes_used: u64,
    report: Report,
}

impl<'a> ImagePlan<'a> {
    /// Plans the image of `tree`, whose files' data is inline or in `layers`.
    /// `epoch` (seconds since 1970-01-01 UTC) becomes the image's time of
    /// making.
    ///
    /// # Errors
    /// What the format can't hold, with the path; layers that lack data or were
    /// packed with other settings.
    pub fn new(
        tree: &Tree,
        layers: &'a dyn PackedLayers,
        settings: &Settings,
        epoch: u32,
    ) -> Result<Self, Error> {
        settings.validate()?;
        let options = compress::options(settings.compressor);
        let options_block = options.as_deref().map(stored_metadata).transpose()?;
        let options_block = options_block.unwrap_or_default();
        let data_start = (Superblock::SIZE + options_block.len()) as u64;

        let order = Order::new(tree)?;
        let data = DataPlan::new(&order, layers, settings, data_start)?;
        let mut attributes = Attributes::new(&order, settings.compressor)?;
        let inodes = InodeTables::new(&order, &data, &mut attributes, settings)?;

        let mut tables = Tables::new(data.end(), settings);
        let inode_table = tables.append(&inodes.inodes);
        let directory_table = tables.append(&inodes.directories);
        let fragments = data.fragments();
        let fragment_table = tables.indexed_or_none(&fragment_bytes(fragments))?;
        let export_table = tables.indexed(&u64_bytes(&inodes.refs))?;
        let id_table = tables.indexed(&u32_bytes(attributes.ids()))?;
        let id_count = u16::try_from(attributes.ids().len()).map_err(|_| too_many_ids())?;
        let xattrs = attributes.finish()?;
        let xattr_table = match &xattrs.table {
            Some(table) => tables.xattrs(table)?,
            None => NO_TABLE,
        };

        let mut flags = FLAG_ALWAYS_FRAGMENTS | FLAG_DUPLICATES | FLAG_EXPORTABLE;
        if xattrs.table.is_none() {
            flags |= FLAG_NO_XATTRS;
        }
        if options.is_some() {
            flags |= FLAG_COMPRESSOR_OPTIONS;
        }
        let bytes_used = tables.end();
        let superblock = Superblock {
            magic: MAGIC,
            inode_count: order.count(),
            mkfs_time: epoch,
            block_size: settings.block_size,
            fragment_count: count(fragments.len(), "fragment table")?,
            compressor: settings.compressor.number(),
            block_log: settings.block_size.trailing_zeros() as u16,
            flags,
            id_count,
            version_major: VERSION_MAJOR,
            version_minor: VERSION_MINOR,
            root_inode: inodes.root,
            bytes_used,
            id_table,
            xattr_table,
            inode_table,
            directory_table,
            fragment_table,
            export_table,
        };
        let mut head = Vec::new();
        superblock.write(&mut head);
        head.extend_from_slice(&options_block);
        Ok(Self {
            head,
            data,
            tables: tables.bytes,
            bytes_used,
            report: Report {
                inodes: order.count(),
                dropped_xattrs: xattrs.dropped,
                clamped_times: inodes.clamped_times,
            },
        })
    }

    /// Size of the image in bytes, a multiple of 4 KiB.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes_used.next_multiple_of(PADDING_BYTES)
    }

    /// What the image can't show as it is in the tree.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Writes the image from its first byte to its last: exactly
    /// [`size`](Self::size) bytes.
    ///
    /// # Errors
    /// [`Error::PackedData`] where a block is not what it was when it was packed,
    /// and where reading or writing fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), Error> {
        let written = |result: std::io::Result<()>| result.map_err(Error::io(WRITING));
        written(out.write_all(&self.head))?;
        self.data.copy(out)?;
        written(out.write_all(&self.tables))?;
        let padding =
            usize::try_from(self.size() - self.bytes_used).map_err(|_| too_large("padding"))?;
        written(out.write_all(&vec![0; padding]))?;
        written(out.flush())
    }
}

/// What is being done when the image's bytes can't be written.
const WRITING: &str = "writing the SquashFS image failed";

/// A table that outgrew its offsets.
fn too_large(table: &str) -> Error {
    Error::unfit(format!("the {table} outgrows what SquashFS can address"))
}

fn too_many_ids() -> Error {
    Error::unfit(format!(
        "the tree has more than {IDS_MAX} different owners and groups"
    ))
}

/// The tree names data that the packed layers do not have.
fn missing_data(path: &str, layer: u32, file: u32, bytes: u64) -> Error {
    Error::new(
        Class::Bug,
        format!("'{path}': layer {layer} has no file number {file} of {bytes} bytes"),
    )
}

/// The tables as they follow the data.
struct Tables {
    start: u64,
    bytes: Vec<u8>,
    settings: Settings,
}

impl Tables {
    fn new(start: u64, settings: &Settings) -> Self {
        Self {
            start,
            bytes: Vec::new(),
            settings: *settings,
        }
    }

    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn append(&mut self, bytes: &[u8]) -> u64 {
        let at = self.end();
        self.bytes.extend_from_slice(bytes);
        at
    }

    fn indexed(&mut self, entries: &[u8]) -> Result<u64, Error> {
        write_table(
            entries,
            self.start,
            self.settings.compressor,
            &mut self.bytes,
        )
    }

    fn indexed_or_none(&mut self, entries: &[u8]) -> Result<u64, Error> {
        if entries.is_empty() {
            return Ok(NO_TABLE);
        }
        self.indexed(entries)
    }

    /// Keys and values, then the sets, then the header and the sets' index.
    fn xattrs(&mut self, table: &attributes::XattrTable) -> Result<u64, Error> {
        let keys = self.append(&table.keys);
        let mut sets = Vec::new();
        let index = write_table(&table.ids, self.end(), self.settings.compressor, &mut sets)?;
        let index_at = usize::try_from(index - self.end())
            .map_err(|_| too_large("extended attribute table"))?;
        let (blocks, index) = sets.split_at(index_at);
        self.append(blocks);
        let header = self.end();
        XattrTableHeader {
            keys,
            count: table.count,
            unused: 0,
        }
        .write(&mut self.bytes);
        self.append(index);
        Ok(header)
    }
}

/// A metadata block that holds `bytes` uncompressed, as the compressor options
/// have to be.
fn stored_metadata(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let length = u16::try_from(bytes.len()).map_err(|_| too_large("compressor options"))?;
    let mut block = (length | METADATA_STORED).to_le_bytes().to_vec();
    block.extend_from_slice(bytes);
    Ok(block)
}

fn count(length: usize, table: &'static str) -> Result<u32, Error> {
    u32::try_from(length).map_err(|_| too_large(table))
}

fn fragment_bytes(fragments: &[FragmentEntry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for fragment in fragments {
        fragment.write(&mut bytes);
    }
    bytes
}

fn u64_bytes(values: &[u64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn u32_bytes(values: &[u32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}
