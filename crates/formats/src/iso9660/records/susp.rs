//! System use areas: SUSP 1.12 and Rock Ridge 1.12 entries of one directory
//! record, with continuation areas for what does not fit.

use super::super::Block;
use super::fields::{both_u32, short_date};

/// A directory record is at most 255 bytes long and of even length.
pub(super) const MAX_RECORD_BYTES: usize = 254;

/// Bytes of a continuation entry (SUSP 5.1).
const CE_BYTES: usize = 28;

/// Bytes before the text of an `NM` or `SL` entry (RRIP 4.1.4, 4.1.3).
const HEADER_BYTES: usize = 5;

/// Bytes of one entry; its length is one byte.
const MAX_ENTRY_BYTES: usize = 255;

/// A continuation area stays within a block, or Linux refuses it.
const BLOCK: usize = super::super::BLOCK_BYTES as usize;

/// `NM` and `SL` flag: goes on in the next entry of this kind.
const CONTINUE: u8 = 1;

/// `SL` component flags (RRIP 4.1.3.1).
const CURRENT: u8 = 2;
const PARENT: u8 = 4;
const ROOT: u8 = 8;

/// What the entries of one directory record say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes<'a> {
    /// File type and permission bits, as `st_mode`.
    pub(super) mode: u32,
    /// Number of links.
    pub(super) links: u32,
    /// The same for all records of one file.
    pub(super) serial: u32,
    /// Name, except for `.` and `..`.
    pub(super) name: Option<&'a [u8]>,
    /// Target of a symbolic link.
    pub(super) target: Option<&'a [u8]>,
    /// The root's own record, which tells that the tree has these entries.
    pub(super) root_self: bool,
}

/// Continuation areas of one directory, in blocks of their own behind it.
#[derive(Debug, Default)]
pub(super) struct Continuations {
    pub(super) first_block: Block,
    pub(super) bytes: Vec<u8>,
}

impl Continuations {
    /// Bytes left in the last block.
    fn left(&self) -> usize {
        BLOCK - self.bytes.len() % BLOCK
    }

    /// Adds one area, which fits in [`Self::left`], and gives the `CE` entry
    /// that leads to it.
    fn push(&mut self, area: &[u8]) -> Vec<u8> {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(area);
        let block = (at / BLOCK) as u32;
        let mut ce = entry(*b"CE", &[]);
        both_u32(&mut ce, self.first_block.0 + block);
        both_u32(&mut ce, (at % BLOCK) as u32);
        both_u32(&mut ce, area.len() as u32);
        with_length(ce)
    }
}

/// The system use area for a record with `room` bytes left for it; what does
/// not fit goes to `more`.
pub(super) fn system_use(
    attributes: &Attributes<'_>,
    epoch: u32,
    room: usize,
    more: &mut Continuations,
) -> Vec<u8> {
    let mut fixed = Vec::new();
    if attributes.root_self {
        fixed.extend(with_length(entry(*b"SP", &[0xBE, 0xEF, 0])));
    }
    fixed.extend(posix(attributes));
    fixed.extend(times(epoch));
    let links = attributes.target.map(link_entries).unwrap_or_default();
    let name = attributes.name.unwrap_or_default();
    let whole_name = name_entries(name, MAX_ENTRY_BYTES - HEADER_BYTES);
    let whole: usize = whole_name.iter().chain(&links).map(Vec::len).sum();
    if !attributes.root_self && fixed.len() + whole <= room {
        fixed.extend(whole_name.concat());
        fixed.extend(links.concat());
        return fixed;
    }
    let first = room.saturating_sub(fixed.len() + CE_BYTES + HEADER_BYTES);
    let mut rest = name_entries(name, first).into_iter();
    fixed.extend(rest.next().unwrap_or_default());
    let mut entries: Vec<Vec<u8>> = rest.chain(links).collect();
    if attributes.root_self {
        entries.push(extensions_reference());
    }
    if !entries.is_empty() {
        fixed.extend(continuation(&entries, more));
    }
    fixed
}

/// Stores `entries` in as many chained areas as they need and gives the `CE`
/// entry of the first.
fn continuation(entries: &[Vec<u8>], more: &mut Continuations) -> Vec<u8> {
    let total: usize = entries.iter().map(Vec::len).sum();
    if total > more.left() && more.left() < BLOCK {
        more.bytes.resize(more.bytes.len() + more.left(), 0);
    }
    // An area takes what fits beside a link to the next one, unless all fits.
    let mut taken = 0;
    let mut bytes = 0;
    for item in entries {
        if total > BLOCK && bytes + item.len() + CE_BYTES > BLOCK {
            break;
        }
        bytes += item.len();
        taken += 1;
    }
    let (area, rest) = entries.split_at(taken);
    let mut area = area.concat();
    if rest.is_empty() {
        return more.push(&area);
    }
    // The first area fills its block, so the next one starts in another; its
    // place is known only after it is stored.
    let at = more.bytes.len();
    more.bytes.resize(at + BLOCK, 0);
    area.extend(continuation(rest, more));
    let tail = more.bytes.split_off(at + BLOCK);
    more.bytes.truncate(at);
    let ce = more.push(&area);
    more.bytes.resize(at + BLOCK, 0);
    more.bytes.extend(tail);
    ce
}

/// `PX`: POSIX attributes, in the 44-byte form of version 1.12 (RRIP 4.1.1).
fn posix(attributes: &Attributes<'_>) -> Vec<u8> {
    let mut px = entry(*b"PX", &[]);
    for value in [attributes.mode, attributes.links, 0, 0, attributes.serial] {
        both_u32(&mut px, value);
    }
    with_length(px)
}

/// `TF`: modification, access and attribute change time (RRIP 4.1.6).
fn times(epoch: u32) -> Vec<u8> {
    const MODIFY_ACCESS_ATTRIBUTES: u8 = 0x0E;
    let mut tf = entry(*b"TF", &[MODIFY_ACCESS_ATTRIBUTES]);
    let date = short_date(epoch);
    for _ in 0..3 {
        tf.extend(date);
    }
    with_length(tf)
}

/// `NM` entries, the first with at most `first` bytes of the name.
fn name_entries(name: &[u8], first: usize) -> Vec<Vec<u8>> {
    let (head, tail) = name.split_at(name.len().min(first));
    let mut parts = vec![head];
    parts.extend(tail.chunks(MAX_ENTRY_BYTES - HEADER_BYTES));
    parts.retain(|part| !part.is_empty());
    let last = parts.len().saturating_sub(1);
    parts
        .iter()
        .enumerate()
        .map(|(n, part)| {
            let flags = if n < last { CONTINUE } else { 0 };
            let mut nm = entry(*b"NM", &[flags]);
            nm.extend_from_slice(part);
            with_length(nm)
        })
        .collect()
}

/// `SL` entries of a link's target.
fn link_entries(target: &[u8]) -> Vec<Vec<u8>> {
    const ROOM: usize = MAX_ENTRY_BYTES - HEADER_BYTES;
    let mut areas: Vec<Vec<u8>> = vec![Vec::new()];
    for component in components(target) {
        let last = areas.last().map_or(0, Vec::len);
        if last + component.len() > ROOM {
            areas.push(component);
        } else if let Some(area) = areas.last_mut() {
            area.extend(component);
        }
    }
    let last = areas.len() - 1;
    areas
        .iter()
        .enumerate()
        .map(|(n, area)| {
            let flags = if n < last { CONTINUE } else { 0 };
            let mut sl = entry(*b"SL", &[flags]);
            sl.extend_from_slice(area);
            with_length(sl)
        })
        .collect()
}

/// Component records of a target, each short enough for any `SL` entry.
fn components(target: &[u8]) -> Vec<Vec<u8>> {
    const ROOM: usize = MAX_ENTRY_BYTES - HEADER_BYTES - 2;
    let mut out = Vec::new();
    let mut rest = target;
    if let Some(relative) = target.strip_prefix(b"/") {
        out.push(vec![ROOT, 0]);
        rest = relative;
    }
    for name in rest.split(|&byte| byte == b'/') {
        match name {
            b"" => {}
            b"." => out.push(vec![CURRENT, 0]),
            b".." => out.push(vec![PARENT, 0]),
            _ => {
                let last = name.chunks(ROOM).count() - 1;
                for (n, part) in name.chunks(ROOM).enumerate() {
                    let flags = if n < last { CONTINUE } else { 0 };
                    let mut record = vec![flags, part.len() as u8];
                    record.extend_from_slice(part);
                    out.push(record);
                }
            }
        }
    }
    out
}

/// `ER`: names the extension that the other entries belong to (SUSP 5.5,
/// RRIP 4.3).
fn extensions_reference() -> Vec<u8> {
    const ID: &[u8] = b"IEEE_P1282";
    const DESCRIPTION: &[u8] =
        b"THE IEEE P1282 PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
    const SOURCE: &[u8] = b"PLEASE CONTACT THE IEEE STANDARDS DEPARTMENT, PISCATAWAY, NJ, USA FOR THE P1282 SPECIFICATION";
    let lengths = [
        ID.len() as u8,
        DESCRIPTION.len() as u8,
        SOURCE.len() as u8,
        1,
    ];
    let mut er = entry(*b"ER", &lengths);
    er.extend_from_slice(ID);
    er.extend_from_slice(DESCRIPTION);
    er.extend_from_slice(SOURCE);
    with_length(er)
}

/// Signature, room for the length, version 1, and the first data bytes.
fn entry(signature: [u8; 2], data: &[u8]) -> Vec<u8> {
    let mut out = vec![signature[0], signature[1], 0, 1];
    out.extend_from_slice(data);
    out
}

fn with_length(mut entry: Vec<u8>) -> Vec<u8> {
    let length = entry.len() as u8;
    if let Some(byte) = entry.get_mut(2) {
        *byte = length;
    }
    entry
}
