//! Writes an image: the head from a layout, file data at its place.

mod boot;
mod descriptors;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

pub use boot::patch_core_image;

use super::layout::{Extent, Layout};
use super::records;
use super::tree::{FileId, IsoTree};
use super::{BLOCK_BYTES, SYSTEM_AREA_BLOCKS, unknown_file, wrong_length};
use crate::Error;

/// Where the bytes of [`head`] begin in the image.
pub const HEAD_OFFSET: u64 = SYSTEM_AREA_BLOCKS as u64 * BLOCK_BYTES;

/// Volume descriptors, path tables, directories and boot catalog: all bytes
/// from [`HEAD_OFFSET`] to the first file. `layout` is `tree`'s.
///
/// # Errors
/// Where the time or a file of the boot catalog is none that the image can have.
pub fn head(tree: &IsoTree, layout: &Layout) -> Result<Vec<u8>, Error> {
    let mut out = descriptors::descriptors(layout)?;
    for plan in [&layout.primary, &layout.joliet] {
        out.extend(records::path_table(
            plan,
            u32::to_le_bytes,
            u16::to_le_bytes,
        ));
        records::fill_block(&mut out);
        out.extend(records::path_table(
            plan,
            u32::to_be_bytes,
            u16::to_be_bytes,
        ));
        records::fill_block(&mut out);
    }
    for plan in [&layout.primary, &layout.joliet] {
        for index in 0..plan.directories.len() {
            let encoded = records::encode(plan, index, tree, &layout.files, layout.epoch);
            out.extend(encoded.records);
            out.extend(encoded.continuations);
        }
    }
    if layout.catalog_block.is_some() {
        out.extend(boot::catalog(layout)?);
    }
    Ok(out)
}

/// Writes one file's data to its place, in order.
#[derive(Debug)]
pub struct DataWriter<'a> {
    out: &'a File,
    label: String,
    extent: Extent,
    written: u64,
}

impl<'a> DataWriter<'a> {
    /// A writer for `file`, which announced its size to `tree`.
    ///
    /// # Errors
    /// For an id of another tree.
    pub fn new(
        out: &'a File,
        tree: &IsoTree,
        layout: &Layout,
        file: FileId,
    ) -> Result<Self, Error> {
        let spec = tree
            .files
            .get(file.0 as usize)
            .ok_or_else(|| unknown_file(file))?;
        Ok(Self {
            out,
            label: spec.label.clone(),
            extent: layout.extent(file)?,
            written: 0,
        })
    }

    /// Offset in the image up to which data is written.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.extent.offset() + self.written
    }

    /// Checks that all announced bytes came.
    ///
    /// # Errors
    /// Where fewer came.
    pub fn finish(self) -> Result<(), Error> {
        if self.written != self.extent.bytes {
            return Err(wrong_length(&self.label, self.extent.bytes, self.written));
        }
        Ok(())
    }
}

impl Write for DataWriter<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.len() as u64 > self.extent.bytes - self.written {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("more than the announced {} bytes came", self.extent.bytes),
            ));
        }
        self.out.write_all_at(buf, self.position())?;
        self.written += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
