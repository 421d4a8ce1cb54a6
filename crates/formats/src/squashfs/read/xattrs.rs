//! Extended attributes.

use std::io::{Read, Seek};

use super::metadata::Cursor;
use super::{Image, no_entry, truncated};
use crate::Error;
use crate::squashfs::layout::{
    METADATA_BYTES, NO_TABLE, XATTR_NAME_BYTES_MAX, XATTR_OUT_OF_LINE, XATTR_PREFIXES,
    XATTR_VALUE_BYTES_MAX, XattrId, XattrKey, XattrTableHeader,
};
use isoforge_base::tree::Xattrs;

const SETS_PER_BLOCK: u32 = (METADATA_BYTES / XattrId::SIZE) as u32;

impl<R: Read + Seek> Image<R> {
    /// The header of the table of extended attributes; `None` where the image
    /// has none.
    ///
    /// # Errors
    /// Where it can't be read.
    pub(crate) fn xattr_header(&mut self) -> Result<Option<XattrTableHeader>, Error> {
        let start = self.superblock.xattr_table;
        if start == NO_TABLE {
            return Ok(None);
        }
        let second = start
            .checked_add(size_of::<u64>() as u64)
            .ok_or_else(|| truncated(start))?;
        let counts = self.blocks.u64_at(second)?;
        Ok(Some(XattrTableHeader {
            keys: self.blocks.u64_at(start)?,
            count: (counts & u64::from(u32::MAX)) as u32,
            unused: (counts >> 32) as u32,
        }))
    }

    /// Where set `number` of extended attributes lies.
    ///
    /// # Errors
    /// Where there is no such set or the table is damaged.
    pub(crate) fn xattr_set(&mut self, number: u32) -> Result<(XattrTableHeader, XattrId), Error> {
        let no_entry = || no_entry("extended attribute table", number);
        let header = self.xattr_header()?;
        let Some(header) = header.filter(|header| number < header.count) else {
            return Err(no_entry());
        };
        let index = self
            .superblock
            .xattr_table
            .checked_add(XattrTableHeader::SIZE as u64)
            .and_then(|index| index.checked_add(u64::from(number / SETS_PER_BLOCK) * 8))
            .ok_or_else(|| truncated(self.superblock.xattr_table))?;
        let block = self.blocks.u64_at(index)?;
        let mut cursor = Cursor {
            block,
            offset: (number % SETS_PER_BLOCK) as usize * XattrId::SIZE,
        };
        let bytes = self.blocks.read(&mut cursor, XattrId::SIZE)?;
        XattrId::parse(&bytes)
            .map(|id| (header, id))
            .ok_or_else(no_entry)
    }

    /// The extended attributes of set `number`.
    ///
    /// # Errors
    /// Where there is no such set, or it is damaged or larger than the limits
    /// and Linux allow.
    pub fn xattrs(&mut self, number: u32) -> Result<Xattrs, Error> {
        let (header, set) = self.xattr_set(number)?;
        let invalid = |reason| invalid(number, reason);
        if set.count > self.limits.xattrs {
            return Err(invalid("it has more attributes than the limit"));
        }
        let mut cursor = self.cursor(header.keys, set.position)?;
        let mut xattrs = Xattrs::new();
        for _ in 0..set.count {
            let key = self.blocks.read(&mut cursor, XattrKey::SIZE)?;
            let key = XattrKey::parse(&key).ok_or_else(|| invalid("a name is cut off"))?;
            let prefix = XATTR_PREFIXES
                .get(usize::from(key.name_type & !XATTR_OUT_OF_LINE))
                .ok_or_else(|| invalid("an attribute has an unknown namespace"))?;
            if usize::from(key.name_length) > XATTR_NAME_BYTES_MAX {
                return Err(invalid("a name is too long"));
            }
            let name = self
                .blocks
                .read(&mut cursor, usize::from(key.name_length))?;
            let mut value = self.xattr_value(number, &mut cursor)?;
            if key.name_type & XATTR_OUT_OF_LINE != 0 {
                let at = value.first_chunk().copied().map(u64::from_le_bytes);
                let at = at.ok_or_else(|| invalid("a reference to a value is cut off"))?;
                let mut elsewhere = self.cursor(header.keys, at)?;
                value = self.xattr_value(number, &mut elsewhere)?;
            }
            xattrs.insert([prefix, name.as_slice()].concat(), value);
        }
        Ok(xattrs)
    }

    fn xattr_value(&mut self, number: u32, cursor: &mut Cursor) -> Result<Vec<u8>, Error> {
        let length = self.blocks.read(cursor, size_of::<u32>())?;
        let length = length.first_chunk().copied().map_or(0, u32::from_le_bytes) as usize;
        if length > XATTR_VALUE_BYTES_MAX {
            return Err(invalid(number, "a value is too long"));
        }
        self.blocks.read(cursor, length)
    }
}

fn invalid(number: u32, reason: &str) -> Error {
    Error::damaged(format!(
        "set {number} of extended attributes in the SquashFS image is invalid: {reason}"
    ))
}
