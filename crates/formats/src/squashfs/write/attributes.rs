//! Owners, groups and extended attributes: what inodes name by number.

use std::collections::{BTreeMap, BTreeSet};

use super::metadata::MetadataWriter;
use super::order::Order;
use crate::Error;
use crate::squashfs::layout::{
    IDS_MAX, NO_XATTRS, XATTR_NAME_BYTES_MAX, XATTR_PREFIXES, XATTR_VALUE_BYTES_MAX, XattrId,
    XattrKey, inode_ref,
};
use crate::squashfs::settings::Compressor;
use isoforge_base::tree::{self, Xattrs};

/// Collects owners, groups and sets of extended attributes. Equal sets are
/// stored once.
#[derive(Debug)]
pub(super) struct Attributes {
    ids: Vec<u32>,
    sets: BTreeMap<Vec<u8>, u32>,
    set_ids: Vec<u8>,
    keys: MetadataWriter,
    dropped: BTreeMap<String, u64>,
}

/// All extended attributes of an image.
#[derive(Debug)]
pub(super) struct FinishedXattrs {
    /// The table; `None` where no inode has any.
    pub(super) table: Option<XattrTable>,
    /// Attributes that the format can't hold, and how often each was met.
    pub(super) dropped: BTreeMap<String, u64>,
}

#[derive(Debug)]
pub(super) struct XattrTable {
    /// Metadata blocks of keys and values.
    pub(super) keys: Vec<u8>,
    /// The sets, not yet in metadata blocks.
    pub(super) ids: Vec<u8>,
    /// Number of sets.
    pub(super) count: u32,
}

impl Attributes {
    /// Collects the owners and groups of all inodes.
    pub(super) fn new(order: &Order<'_>, compressor: Compressor) -> Result<Self, Error> {
        let ids: BTreeSet<u32> = order
            .numbers()
            .flat_map(|number| {
                let meta = &order.inode(number).meta;
                [meta.uid, meta.gid]
            })
            .collect();
        if ids.len() > IDS_MAX {
            return Err(super::too_many_ids());
        }
        Ok(Self {
            ids: ids.into_iter().collect(),
            sets: BTreeMap::new(),
            set_ids: Vec::new(),
            keys: MetadataWriter::new(compressor)?,
            dropped: BTreeMap::new(),
        })
    }

    /// All owners and groups, ascending.
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The number of an owner or group.
    pub(super) fn id(&self, id: u32) -> Result<u16, Error> {
        self.ids
            .binary_search(&id)
            .ok()
            .and_then(|index| u16::try_from(index).ok())
            .ok_or_else(super::too_many_ids)
    }

    /// The number of a set of extended attributes, [`NO_XATTRS`] for an empty
    /// one. `path` is for messages.
    pub(super) fn xattrs(
        &mut self,
        xattrs: &Xattrs,
        path: impl Fn() -> String,
    ) -> Result<u32, Error> {
        let mut encoded = Vec::new();
        let mut count = 0;
        for (name, value) in xattrs {
            let Some((name_type, short_name)) = parse_name(name) else {
                *self.dropped.entry(tree::display(name)).or_insert(0) += 1;
                continue;
            };
            encode(name_type, short_name, value, &mut encoded).ok_or_else(|| {
                let (path, name, bytes) = (path(), tree::display(name), value.len());
                Error::unfit(format!(
                    "'{path}': the extended attribute '{name}' is larger than Linux allows ({bytes} bytes)"
                ))
            })?;
            count += 1;
        }
        if count == 0 {
            return Ok(NO_XATTRS);
        }
        if let Some(&number) = self.sets.get(&encoded) {
            return Ok(number);
        }
        self.new_set(encoded, count)
    }

    fn new_set(&mut self, encoded: Vec<u8>, count: u32) -> Result<u32, Error> {
        let too_large = |_| super::too_large("extended attribute table");
        let number = u32::try_from(self.sets.len()).map_err(too_large)?;
        let position = self.keys.position();
        XattrId {
            position: inode_ref(position.block, position.offset),
            count,
            size: u32::try_from(encoded.len()).map_err(too_large)?,
        }
        .write(&mut self.set_ids);
        self.keys.write(&encoded)?;
        self.sets.insert(encoded, number);
        Ok(number)
    }

    pub(super) fn finish(self) -> Result<FinishedXattrs, Error> {
        let table = if self.sets.is_empty() {
            None
        } else {
            Some(XattrTable {
                keys: self.keys.finish()?,
                ids: self.set_ids,
                count: self.sets.len() as u32,
            })
        };
        Ok(FinishedXattrs {
            table,
            dropped: self.dropped,
        })
    }
}

/// Type number of the name's namespace, and the name within it.
fn parse_name(name: &[u8]) -> Option<(u16, &[u8])> {
    (0..)
        .zip(XATTR_PREFIXES)
        .find_map(|(number, prefix)| Some((number, name.strip_prefix(prefix)?)))
}

fn encode(name_type: u16, name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if name.len() > XATTR_NAME_BYTES_MAX || value.len() > XATTR_VALUE_BYTES_MAX {
        return None;
    }
    XattrKey {
        name_type,
        name_length: u16::try_from(name.len()).ok()?,
    }
    .write(out);
    out.extend_from_slice(name);
    out.extend_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
    out.extend_from_slice(value);
    Some(())
}
