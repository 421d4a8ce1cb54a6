//! Rock Ridge entries: names, attributes, times, links.

use super::Block;
use super::record::{Entry, EntryKind, le32};
use isoforge_base::tree::join;

/// One SUSP entry: signature and what follows its four-byte header.
#[derive(Debug)]
pub(super) struct Field {
    signature: [u8; 2],
    data: Vec<u8>,
}

/// Where a continuation area lies (SUSP 5.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Continuation {
    pub(super) block: Block,
    /// Bytes from the block's beginning.
    pub(super) offset: u32,
    /// Bytes.
    pub(super) length: u32,
}

const CONTINUE: u8 = 1;
const MODE_TYPE: u32 = 0o170_000;
const MODE_DIRECTORY: u32 = 0o040_000;
const MODE_FILE: u32 = 0o100_000;
const MODE_SYMLINK: u32 = 0o120_000;

/// Splits an area into entries and gives the continuation that it names.
/// Whatever is cut off ends the area, as Linux does it.
pub(super) fn split(mut area: &[u8], fields: &mut Vec<Field>) -> Option<Continuation> {
    let mut next = None;
    while let Some((&[a, b, length, _version], _)) = area.split_first_chunk::<4>() {
        let length = usize::from(length);
        let Some(data) = area.get(4..length) else {
            break;
        };
        match &[a, b] {
            b"ST" => break,
            b"CE" => next = continuation(data).or(next),
            _ => fields.push(Field {
                signature: [a, b],
                data: data.to_vec(),
            }),
        }
        area = area.get(length..).unwrap_or_default();
    }
    next
}

fn continuation(data: &[u8]) -> Option<Continuation> {
    // SUSP 5.1; each number is there in both byte orders.
    const BLOCK: usize = 0;
    const OFFSET: usize = 8;
    const LENGTH: usize = 16;
    Some(Continuation {
        block: Block(le32(data, BLOCK)?),
        offset: le32(data, OFFSET)?,
        length: le32(data, LENGTH)?,
    })
}

/// Puts what the entries say over what the record says.
pub(super) fn apply(entry: &mut Entry, parent: &[u8], fields: &[Field]) {
    let mut name: Vec<u8> = Vec::new();
    let mut target = Target::default();
    for field in fields {
        match &field.signature {
            b"PX" => posix(entry, &field.data),
            b"TF" => times(entry, &field.data),
            b"NM" => name.extend_from_slice(field.data.get(1..).unwrap_or_default()),
            b"SL" => target.add(field.data.get(1..).unwrap_or_default()),
            _ => {}
        }
    }
    // A slash would move the entry elsewhere.
    if !name.is_empty() && !name.contains(&b'/') && !name.contains(&0) {
        entry.path = join(parent, &name);
    }
    if entry.kind == EntryKind::Directory {
        return;
    }
    entry.kind = match entry.mode.map(|mode| mode & MODE_TYPE) {
        Some(MODE_SYMLINK) => EntryKind::Symlink(target.path),
        Some(MODE_FILE | MODE_DIRECTORY) | None => EntryKind::File,
        Some(_) => EntryKind::Special,
    };
}

fn posix(entry: &mut Entry, data: &[u8]) {
    // RRIP 4.1.1.
    const MODE: usize = 0;
    const OWNER: usize = 16;
    const GROUP: usize = 24;
    entry.mode = le32(data, MODE);
    entry.owner = le32(data, OWNER).zip(le32(data, GROUP));
}

/// The modification time comes after the creation time, where that is there.
fn times(entry: &mut Entry, data: &[u8]) {
    const CREATION: u8 = 1;
    const MODIFICATION: u8 = 2;
    const LONG_FORM: u8 = 0x80;
    let Some((&flags, dates)) = data.split_first() else {
        return;
    };
    if flags & LONG_FORM != 0 || flags & MODIFICATION == 0 {
        return;
    }
    let skip = if flags & CREATION != 0 { 7 } else { 0 };
    if let Some(date) = dates.get(skip..).and_then(<[u8]>::first_chunk::<7>) {
        entry.time = *date;
    }
}

#[derive(Default)]
struct Target {
    path: Vec<u8>,
    /// The last component goes on in the next one.
    open: bool,
}

impl Target {
    /// Adds the component records of one `SL` entry.
    fn add(&mut self, mut components: &[u8]) {
        const CURRENT: u8 = 2;
        const PARENT: u8 = 4;
        const ROOT: u8 = 8;
        while let Some((&[flags, length], rest)) = components.split_first_chunk::<2>() {
            let Some(text) = rest.get(..usize::from(length)) else {
                return;
            };
            if !self.open && !self.path.is_empty() && !self.path.ends_with(b"/") {
                self.path.push(b'/');
            }
            match flags & (CURRENT | PARENT | ROOT) {
                CURRENT => self.path.push(b'.'),
                PARENT => self.path.extend_from_slice(b".."),
                ROOT => self.path = b"/".to_vec(),
                _ => self.path.extend_from_slice(text),
            }
            self.open = flags & CONTINUE != 0;
            components = rest.get(usize::from(length)..).unwrap_or_default();
        }
    }
}
