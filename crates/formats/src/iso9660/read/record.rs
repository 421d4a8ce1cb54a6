//! Directory records and boot catalog entries as plain values.

use std::ops::Range;

use isoforge_base::tree::join;

use super::Block;

const FLAG_DIRECTORY: u8 = 2;
const FLAG_MULTI_EXTENT: u8 = 0x80;

/// Fields of a directory record, in bytes from its beginning (ECMA-119 9.1).
mod field {
    use std::ops::Range;

    /// Blocks of an extended attribute record before the data (9.1.2).
    pub(super) const ATTRIBUTE_BLOCKS: usize = 1;
    /// First block (9.1.3).
    pub(super) const BLOCK: usize = 2;
    /// Bytes of data (9.1.4).
    pub(super) const BYTES: usize = 10;
    /// Recording date and time (9.1.5).
    pub(super) const TIME: Range<usize> = 18..25;
    /// Flags (9.1.6).
    pub(super) const FLAGS: usize = 25;
    /// Length of the identifier (9.1.10), and the identifier.
    pub(super) const IDENTIFIER_LENGTH: usize = 32;
    pub(super) const IDENTIFIER: usize = 33;
}

/// What an entry of a tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A device, fifo or socket.
    Special,
}

/// A run of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// Offset in the image.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// An entry of one of an image's trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path without a leading slash. In the primary tree without Rock Ridge
    /// names, the identifier without its version.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// File type and permission bits, where Rock Ridge tells them.
    pub mode: Option<u32>,
    /// Owner and group, where Rock Ridge tells them.
    pub owner: Option<(u32, u32)>,
    /// Recording or, where Rock Ridge tells it, modification time: year, month,
    /// day, hour, minute, second, offset from Greenwich in quarter hours.
    pub time: [u8; 7],
    /// Size in bytes over all sections.
    pub size: u64,
    /// Where the bytes are.
    pub sections: Vec<Section>,
    /// Offsets of the directory records in the image, one per section.
    pub records: Vec<u64>,
}

/// A directory record, decoded but not interpreted.
#[derive(Debug, Clone)]
pub(super) struct RawRecord {
    pub(super) offset: u64,
    pub(super) block: Block,
    pub(super) bytes: u32,
    time: [u8; 7],
    flags: u8,
    identifier: Vec<u8>,
    pub(super) system_use: Vec<u8>,
}

impl RawRecord {
    /// Decodes a record that fills `bytes`.
    pub(super) fn parse(bytes: &[u8], offset: u64) -> Option<Self> {
        let extended = u32::from(*bytes.get(field::ATTRIBUTE_BLOCKS)?);
        let length = usize::from(*bytes.get(field::IDENTIFIER_LENGTH)?);
        let end = field::IDENTIFIER + length;
        let identifier = bytes.get(field::IDENTIFIER..end)?.to_vec();
        let system_use = bytes.get(end.next_multiple_of(2)..);
        let mut time = [0; 7];
        time.copy_from_slice(bytes.get(field::TIME)?);
        Some(Self {
            offset,
            block: Block(le32(bytes, field::BLOCK)?.checked_add(extended)?),
            bytes: le32(bytes, field::BYTES)?,
            time,
            flags: *bytes.get(field::FLAGS)?,
            identifier,
            system_use: system_use.unwrap_or_default().to_vec(),
        })
    }

    pub(super) fn is_self_or_parent(&self) -> bool {
        matches!(self.identifier.as_slice(), [0 | 1])
    }

    pub(super) fn has_more(&self) -> bool {
        self.flags & FLAG_MULTI_EXTENT != 0
    }

    fn section(&self) -> Section {
        Section {
            offset: self.block.offset(),
            bytes: u64::from(self.bytes),
        }
    }
}

impl Entry {
    /// What a record says without Rock Ridge.
    pub(super) fn plain(parent: &[u8], record: &RawRecord, wide: bool) -> Self {
        let directory = record.flags & FLAG_DIRECTORY != 0;
        let name = if wide {
            be_text(&record.identifier).into_bytes()
        } else {
            record.identifier.clone()
        };
        let mut out = Self {
            path: join(parent, &without_version(&name, directory)),
            kind: if directory {
                EntryKind::Directory
            } else {
                EntryKind::File
            },
            mode: None,
            owner: None,
            time: record.time,
            size: 0,
            sections: Vec::new(),
            records: Vec::new(),
        };
        out.add_section(record);
        out
    }

    /// Adds another part of the same file.
    pub(super) fn add_section(&mut self, record: &RawRecord) {
        let section = record.section();
        self.size = self.size.saturating_add(section.bytes);
        self.sections.push(section);
        self.records.push(record.offset);
    }
}

/// `NAME.;1` is `NAME`, `NAME.EXT;1` is `NAME.EXT`.
fn without_version(name: &[u8], directory: bool) -> Vec<u8> {
    if directory {
        return name.to_vec();
    }
    let end = name
        .iter()
        .rposition(|&byte| byte == b';')
        .unwrap_or(name.len());
    let name = name.get(..end).unwrap_or_default();
    name.strip_suffix(b".").unwrap_or(name).to_vec()
}

/// An entry of the El Torito boot catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootEntry {
    /// 0 for PC BIOS, 0xEF for UEFI.
    pub platform: u8,
    /// Whether it is marked bootable.
    pub bootable: bool,
    /// 0 for no emulation.
    pub emulation: u8,
    /// 512-byte sectors to load; for UEFI the size of the image, or 0.
    pub sectors: u16,
    /// First block of the image.
    pub block: Block,
}

impl BootEntry {
    pub(super) fn parse(entry: &[u8], platform: u8) -> Option<Self> {
        /// Boot indicator, and where the other fields are (El Torito, figure 3).
        const BOOTABLE: u8 = 0x88;
        const EMULATION: usize = 1;
        const SECTORS: usize = 6;
        const FIRST_BLOCK: usize = 8;
        Some(Self {
            platform,
            bootable: *entry.first()? == BOOTABLE,
            emulation: *entry.get(EMULATION)? & 0x0F,
            sectors: le16(entry, SECTORS)?,
            block: Block(le32(entry, FIRST_BLOCK)?),
        })
    }
}

pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    match bytes.get(at..at.checked_add(2)?)? {
        &[a, b] => Some(u16::from_le_bytes([a, b])),
        _ => None,
    }
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    match bytes.get(at..at.checked_add(4)?)? {
        &[a, b, c, d] => Some(u32::from_le_bytes([a, b, c, d])),
        _ => None,
    }
}

/// A text field without the spaces and zeros behind it.
pub(super) fn text(bytes: &[u8], field: Range<usize>) -> String {
    let field = bytes.get(field).unwrap_or_default();
    String::from_utf8_lossy(field)
        .trim_end_matches([' ', '\0'])
        .to_owned()
}

/// Big-endian UCS-2.
pub(super) fn be_text(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|unit| match unit {
        &[high, low] => u16::from_be_bytes([high, low]),
        _ => 0,
    });
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
