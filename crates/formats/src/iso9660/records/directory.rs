//! Directory records and path tables (ECMA-119 9.1 and 9.4).

use super::super::plan::{Extent, Namespace, Plan, sections};
use super::super::tree::{IsoTree, Node};
use super::super::{BLOCK_BYTES, Block};
use super::fields::{both_u16, both_u32, short_date};
use super::susp::{Attributes, Continuations, MAX_RECORD_BYTES, system_use};

/// Bytes of a record before its identifier.
const RECORD_BYTES: usize = 33;

const FLAG_DIRECTORY: u8 = 2;
const FLAG_MULTI_EXTENT: u8 = 0x80;

const MODE_DIRECTORY: u32 = 0o040_000;
const MODE_FILE: u32 = 0o100_000;
const MODE_SYMLINK: u32 = 0o120_000;
const SYMLINK_PERMISSIONS: u32 = 0o777;

/// A directory's bytes, each part a multiple of the block size.
#[derive(Debug)]
pub(in crate::iso9660) struct Encoded {
    pub(in crate::iso9660) records: Vec<u8>,
    pub(in crate::iso9660) continuations: Vec<u8>,
}

struct Record<'a> {
    identifier: &'a [u8],
    block: Block,
    bytes: u32,
    flags: u8,
    attributes: Attributes<'a>,
}

struct Encoder {
    rock_ridge: bool,
    epoch: u32,
    records: Vec<u8>,
    continuations: Continuations,
}

/// Encodes one directory. Lengths don't depend on the positions in `plan` and
/// `files`, so the layout calls this before it knows any.
pub(in crate::iso9660) fn encode(
    plan: &Plan,
    index: usize,
    tree: &IsoTree,
    files: &[Extent],
    epoch: u32,
) -> Encoded {
    let Some(current) = plan.directories.get(index) else {
        return Encoded {
            records: Vec::new(),
            continuations: Vec::new(),
        };
    };
    let mut encoder = Encoder {
        rock_ridge: plan.namespace == Namespace::Primary,
        epoch,
        records: Vec::new(),
        continuations: Continuations {
            first_block: current.continuation_block,
            bytes: Vec::new(),
        },
    };
    for (identifier, target) in [(&[0_u8][..], index), (&[1_u8][..], current.parent)] {
        let is_root = index == 0 && identifier == [0];
        encoder.directory(plan, target, identifier, None, is_root);
    }
    for child in &current.children {
        if let Some(directory) = child.directory {
            encoder.directory(plan, directory, &child.identifier, Some(&child.name), false);
            continue;
        }
        let (mode, target, extent) = match tree.node(child.node) {
            Some(Node::File { mode, file }) => {
                let size = tree.size(*file);
                let extent = files.get(file.0 as usize).copied().unwrap_or(Extent {
                    block: Block::default(),
                    bytes: size,
                    room: size,
                });
                (MODE_FILE | u32::from(*mode), None, extent)
            }
            Some(Node::Symlink { target }) => {
                let none = Extent {
                    block: Block::default(),
                    bytes: 0,
                    room: 0,
                };
                (
                    MODE_SYMLINK | SYMLINK_PERMISSIONS,
                    Some(target.as_slice()),
                    none,
                )
            }
            Some(Node::Directory { .. }) | None => continue,
        };
        for (block, bytes, more) in sections(extent) {
            encoder.push(&Record {
                identifier: &child.identifier,
                block,
                bytes,
                flags: if more { FLAG_MULTI_EXTENT } else { 0 },
                attributes: Attributes {
                    mode,
                    links: 1,
                    serial: child.node.0 + 1,
                    name: Some(&child.name),
                    target,
                    root_self: false,
                },
            });
        }
    }
    fill_block(&mut encoder.records);
    fill_block(&mut encoder.continuations.bytes);
    Encoded {
        records: encoder.records,
        continuations: encoder.continuations.bytes,
    }
}

impl Encoder {
    fn directory(
        &mut self,
        plan: &Plan,
        index: usize,
        identifier: &[u8],
        name: Option<&[u8]>,
        root_self: bool,
    ) {
        let Some(directory) = plan.directories.get(index) else {
            return;
        };
        let subdirectories = directory
            .children
            .iter()
            .filter(|child| child.directory.is_some())
            .count();
        self.push(&Record {
            identifier,
            block: directory.block,
            bytes: directory.bytes,
            flags: FLAG_DIRECTORY,
            attributes: Attributes {
                mode: MODE_DIRECTORY | u32::from(directory.mode),
                links: 2 + subdirectories as u32,
                serial: directory.node.0 + 1,
                name,
                target: None,
                root_self,
            },
        });
    }

    /// Appends a record; no record crosses a block (ECMA-119 6.8.1.1).
    fn push(&mut self, record: &Record<'_>) {
        let base = (RECORD_BYTES + record.identifier.len()).next_multiple_of(2);
        let mut system_use = if self.rock_ridge {
            let room = MAX_RECORD_BYTES - base;
            let more = &mut self.continuations;
            system_use(&record.attributes, self.epoch, room, more)
        } else {
            Vec::new()
        };
        if system_use.len() % 2 == 1 {
            system_use.push(0);
        }
        let length = base + system_use.len();
        let used = self.records.len() % BLOCK_BYTES as usize;
        if used + length > BLOCK_BYTES as usize {
            fill_block(&mut self.records);
        }
        let start = self.records.len();
        write_record(&mut self.records, length as u8, record, self.epoch);
        self.records.resize(start + base, 0);
        self.records.extend(system_use);
    }
}

fn write_record(out: &mut Vec<u8>, length: u8, record: &Record<'_>, epoch: u32) {
    const NO_EXTENDED_ATTRIBUTES: u8 = 0;
    out.extend([length, NO_EXTENDED_ATTRIBUTES]);
    both_u32(out, record.block.0);
    both_u32(out, record.bytes);
    out.extend(short_date(epoch));
    out.extend([record.flags, 0, 0]);
    both_u16(out, 1);
    out.push(record.identifier.len() as u8);
    out.extend_from_slice(record.identifier);
}

/// The root's record as a volume descriptor holds it, without system use.
pub(in crate::iso9660) fn root_record(plan: &Plan, epoch: u32) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(root) = plan.directories.first() {
        let record = Record {
            identifier: &[0],
            block: root.block,
            bytes: root.bytes,
            flags: FLAG_DIRECTORY,
            attributes: Attributes {
                mode: 0,
                links: 0,
                serial: 0,
                name: None,
                target: None,
                root_self: false,
            },
        };
        write_record(&mut out, RECORD_BYTES as u8 + 1, &record, epoch);
    }
    out
}

/// A path table in the byte order of the given functions.
pub(in crate::iso9660) fn path_table(
    plan: &Plan,
    long: fn(u32) -> [u8; 4],
    short: fn(u16) -> [u8; 2],
) -> Vec<u8> {
    let mut out = Vec::new();
    for directory in &plan.directories {
        out.extend([directory.identifier.len() as u8, 0]);
        out.extend(long(directory.block.0));
        out.extend(short(directory.parent as u16 + 1));
        out.extend_from_slice(&directory.identifier);
        if out.len() % 2 == 1 {
            out.push(0);
        }
    }
    out
}

/// Fills the last block with zeros.
pub(in crate::iso9660) fn fill_block(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES as usize), 0);
}
