//! Walks an image: descriptors, directories, boot catalog.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};

use super::record::{BootEntry, Entry, EntryKind, RawRecord, le16, le32, text};
use super::{BLOCK, Block, DESCRIPTOR_START, FileReader, Limits, Namespace, Volume, rock};
use super::{damaged, over, reading};
use crate::Error;
use isoforge_base::limit::Budget;

/// Fields of a volume descriptor, in bytes from its beginning (ECMA-119 8.4).
mod field {
    use std::ops::Range;

    /// Standard identifier (8.4.2).
    pub(super) const IDENTIFIER: Range<usize> = 1..6;
    /// What boots by the record: in a boot record alone (El Torito, figure 7).
    pub(super) const BOOT_SYSTEM: Range<usize> = 7..30;
    /// Block of the boot catalog, there too.
    pub(super) const BOOT_CATALOG: usize = 71;
    /// Volume identifier (8.4.7).
    pub(super) const VOLUME_ID: Range<usize> = 40..72;
    /// Number of blocks (8.4.8).
    pub(super) const VOLUME_BLOCKS: usize = 80;
    /// Escape sequences (8.5.6).
    pub(super) const ESCAPES: Range<usize> = 88..91;
    /// Bytes of a block (8.4.12).
    pub(super) const BLOCK_BYTES: usize = 128;
    /// The root's directory record (8.4.18).
    pub(super) const ROOT: Range<usize> = 156..190;
    /// Application identifier (8.4.22).
    pub(super) const APPLICATION: Range<usize> = 574..702;
    /// Creation time (8.4.26).
    pub(super) const CREATED: Range<usize> = 813..829;
}

/// An opened image.
#[derive(Debug)]
pub struct Image<R> {
    reader: R,
    bytes: u64,
    limits: Limits,
    volume: Volume,
    root: RawRecord,
    joliet_root: Option<RawRecord>,
    /// Bytes to skip at the start of each system use area (SUSP `SP`).
    skip: usize,
}

/// What is left of the limits of one walk: directories may lie over each other, and each
/// entry's path repeats those of all above it.
struct Walked {
    entries: Budget,
    names: Budget,
    records: Budget,
}

impl Walked {
    fn new(limits: &Limits) -> Self {
        Self {
            entries: Budget::new(limits.entries as u64),
            names: Budget::new(limits.name_bytes),
            records: Budget::new(limits.directory_bytes),
        }
    }

    fn read(&mut self, bytes: u64) -> Result<(), Error> {
        let taken = self.records.take(bytes);
        taken.map_err(|limit| over(limit, "bytes in its directories"))
    }

    fn found(&mut self, entry: &Entry) -> Result<(), Error> {
        let target = match &entry.kind {
            EntryKind::Symlink(target) => target.len(),
            _ => 0,
        };
        let entries = self.entries.take(1);
        entries.map_err(|limit| over(limit, "entries"))?;
        let names = self.names.take((entry.path.len() + target) as u64);
        names.map_err(|limit| over(limit, "bytes of names"))
    }
}

impl<R: Read + Seek> Image<R> {
    /// Reads the volume descriptors.
    ///
    /// # Errors
    /// Where the image is damaged, over the limits, or reading fails.
    pub fn open(mut reader: R, limits: Limits) -> Result<Self, Error> {
        let bytes = reader.seek(SeekFrom::End(0)).map_err(reading)?;
        let mut primary = None;
        let mut joliet_root = None;
        let mut catalog_block = None;
        for number in 0..limits.descriptors {
            let start = (DESCRIPTOR_START + number) * BLOCK as u64;
            if start + BLOCK as u64 > bytes {
                break;
            }
            let descriptor = read_at(&mut reader, bytes, start, BLOCK)?;
            if descriptor.get(field::IDENTIFIER) != Some(b"CD001") {
                break;
            }
            match descriptor.first() {
                Some(0)
                    if descriptor.get(field::BOOT_SYSTEM) == Some(b"EL TORITO SPECIFICATION") =>
                {
                    catalog_block = le32(&descriptor, field::BOOT_CATALOG).map(Block);
                }
                Some(1) if primary.is_none() => primary = Some((descriptor, start)),
                Some(2) if is_joliet(&descriptor) => joliet_root = root(&descriptor, start),
                Some(255) => break,
                _ => {}
            }
        }
        let (descriptor, start) = primary.ok_or_else(|| {
            Error::damaged("this is no ISO 9660 image: no primary volume descriptor")
        })?;
        let damaged = |at: usize, what| damaged(start + at as u64, what);
        if le16(&descriptor, field::BLOCK_BYTES) != Some(BLOCK as u16) {
            let what = "logical blocks are not 2,048 bytes";
            return Err(damaged(field::BLOCK_BYTES, what));
        }
        let root = root(&descriptor, start)
            .ok_or_else(|| damaged(field::ROOT.start, "no root directory record"))?;
        let mut image = Self {
            reader,
            bytes,
            limits,
            volume: Volume {
                id: text(&descriptor, field::VOLUME_ID),
                application: text(&descriptor, field::APPLICATION),
                blocks: le32(&descriptor, field::VOLUME_BLOCKS).unwrap_or_default(),
                created: text(&descriptor, field::CREATED),
                joliet: joliet_root.is_some(),
                rock_ridge: false,
                catalog_block,
            },
            root,
            joliet_root,
            skip: 0,
        };
        image.find_rock_ridge()?;
        Ok(image)
    }

    /// What the volume descriptors say.
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// Size of the image in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All entries of a tree except the root, parents before children, each
    /// directory in the order of its records. Where there is no Joliet tree its
    /// list is empty.
    ///
    /// # Errors
    /// Where the image is damaged, over the limits, or reading fails.
    pub fn entries(&mut self, namespace: Namespace) -> Result<Vec<Entry>, Error> {
        let root = match namespace {
            Namespace::Primary => Some(self.root.clone()),
            Namespace::Joliet => self.joliet_root.clone(),
        };
        let mut out = Vec::new();
        let mut walked = Walked::new(&self.limits);
        let mut seen = BTreeSet::new();
        let mut pending: Vec<(Vec<u8>, RawRecord, usize)> =
            root.into_iter().map(|root| (Vec::new(), root, 1)).collect();
        while let Some((path, directory, depth)) = pending.pop() {
            limit("directory levels", depth, self.limits.depth)?;
            if !seen.insert(directory.block) {
                return Err(damaged(
                    directory.offset,
                    "a directory is in the tree twice",
                ));
            }
            let children = self.directory(&path, &directory, namespace, &mut walked)?;
            let mut below = Vec::new();
            for (entry, record) in children {
                if entry.kind == EntryKind::Directory {
                    below.push((entry.path.clone(), record, depth + 1));
                }
                out.push(entry);
            }
            pending.extend(below.into_iter().rev());
        }
        Ok(out)
    }

    /// The entry of the primary tree at `path` (no leading slash).
    ///
    /// # Errors
    /// Where the image is damaged, over the limits, or reading fails.
    pub fn find(&mut self, path: &[u8]) -> Result<Option<Entry>, Error> {
        let mut directory = self.root.clone();
        let mut at = Vec::new();
        let mut walked = Walked::new(&self.limits);
        let mut names = path.split(|&byte| byte == b'/').peekable();
        while let Some(name) = names.next() {
            let wanted = isoforge_base::tree::join(&at, name);
            let children = self.directory(&at, &directory, Namespace::Primary, &mut walked)?;
            let found = children.into_iter().find(|(entry, _)| entry.path == wanted);
            match found {
                Some((entry, _)) if names.peek().is_none() => return Ok(Some(entry)),
                Some((entry, record)) if entry.kind == EntryKind::Directory => {
                    directory = record;
                    at = wanted;
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// A reader over a file's data.
    pub fn open_file<'a>(&'a mut self, entry: &Entry) -> FileReader<'a, R> {
        FileReader::new(&mut self.reader, entry)
    }

    /// A file's data, where it has at most `max_bytes`.
    ///
    /// # Errors
    /// Where the image is damaged, over the limits, or reading fails.
    pub fn read_file(&mut self, entry: &Entry, max_bytes: u64) -> Result<Vec<u8>, Error> {
        if entry.size > max_bytes {
            return Err(over(max_bytes, "bytes in a file"));
        }
        let mut out = Vec::new();
        self.open_file(entry)
            .read_to_end(&mut out)
            .map_err(reading)?;
        Ok(out)
    }

    /// The boot catalog's entries; none where there is no catalog.
    ///
    /// # Errors
    /// Where the image is damaged, over the limits, or reading fails.
    pub fn boot_entries(&mut self) -> Result<Vec<BootEntry>, Error> {
        let Some(block) = self.volume.catalog_block else {
            return Ok(Vec::new());
        };
        let offset = block.offset();
        let catalog = self.read_at(offset, BLOCK)?;
        let sum = catalog
            .get(..32)
            .unwrap_or_default()
            .chunks_exact(2)
            .fold(0_u16, |sum, word| {
                sum.wrapping_add(le16(word, 0).unwrap_or_default())
            });
        if catalog.first() != Some(&1) || catalog.get(30..32) != Some(&[0x55, 0xAA]) || sum != 0 {
            let what = "the boot catalog has no valid validation entry";
            return Err(damaged(offset, what));
        }
        let mut platform = catalog.get(1).copied().unwrap_or_default();
        let mut out = Vec::new();
        for (number, entry) in catalog.chunks_exact(32).enumerate().skip(1) {
            match entry.first() {
                Some(0x90 | 0x91) => platform = entry.get(1).copied().unwrap_or_default(),
                Some(0x44) => {}
                Some(&indicator @ (0x88 | 0)) if number == 1 || indicator == 0x88 => {
                    out.extend(BootEntry::parse(entry, platform));
                    limit("boot entries", out.len(), self.limits.boot_entries)?;
                }
                _ => break,
            }
        }
        Ok(out)
    }

    /// `length` bytes at `offset`, both within the image.
    ///
    /// # Errors
    /// Where that leads outside, or reading fails.
    pub fn read_at(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        read_at(&mut self.reader, self.bytes, offset, length)
    }

    /// The records of one directory, the parts of a file joined, with the
    /// entries they describe.
    fn directory(
        &mut self,
        path: &[u8],
        directory: &RawRecord,
        namespace: Namespace,
        walked: &mut Walked,
    ) -> Result<Vec<(Entry, RawRecord)>, Error> {
        let length = u64::from(directory.bytes);
        walked.read(length)?;
        let start = directory.block.offset();
        let bytes = self.read_at(start, length as usize)?;
        let mut out: Vec<(Entry, RawRecord)> = Vec::new();
        let mut goes_on = false;
        for (offset, record) in records(&bytes, start) {
            let record = record.ok_or_else(|| damaged(offset, "a directory record is cut off"))?;
            if record.is_self_or_parent() {
                continue;
            }
            let more = record.has_more();
            match out.last_mut() {
                Some((entry, _)) if goes_on => {
                    limit(
                        "extents in a file",
                        entry.sections.len(),
                        self.limits.sections,
                    )?;
                    entry.add_section(&record);
                }
                _ => {
                    let entry = self.entry(path, &record, namespace, walked)?;
                    walked.found(&entry)?;
                    out.push((entry, record));
                }
            }
            goes_on = more;
        }
        Ok(out)
    }

    fn entry(
        &mut self,
        path: &[u8],
        record: &RawRecord,
        namespace: Namespace,
        walked: &mut Walked,
    ) -> Result<Entry, Error> {
        let mut entry = Entry::plain(path, record, namespace == Namespace::Joliet);
        if namespace == Namespace::Primary && self.volume.rock_ridge {
            let area = self.system_use(record, walked)?;
            rock::apply(&mut entry, path, &area);
        }
        Ok(entry)
    }

    /// The entries of a record's system use area and its continuations.
    fn system_use(
        &mut self,
        record: &RawRecord,
        walked: &mut Walked,
    ) -> Result<Vec<rock::Field>, Error> {
        let in_record = record.system_use.get(self.skip..).unwrap_or_default();
        let mut fields = Vec::new();
        let mut next = rock::split(in_record, &mut fields);
        for _ in 0..self.limits.continuations {
            let Some(continuation) = next else {
                return Ok(fields);
            };
            let at = continuation.block.offset() + u64::from(continuation.offset);
            let length = continuation.length as usize;
            if length > BLOCK {
                return Err(damaged(at, "a continuation area is longer than a block"));
            }
            walked.read(length as u64)?;
            let area = self.read_at(at, length)?;
            next = rock::split(&area, &mut fields);
        }
        let what = "continuation areas in a directory record";
        Err(over(self.limits.continuations as u64, what))
    }

    /// Looks for the `SP` entry in the root's own record.
    fn find_rock_ridge(&mut self) -> Result<(), Error> {
        let start = self.root.block.offset();
        let Ok(bytes) = self.read_at(start, BLOCK) else {
            return Ok(());
        };
        if let Some((_, Some(record))) = records(&bytes, start).next()
            && let Some(&[b'S', b'P', 7, 1, 0xBE, 0xEF, skip]) = record.system_use.get(..7)
        {
            self.skip = usize::from(skip);
            self.volume.rock_ridge = true;
        }
        Ok(())
    }
}

/// The records of a directory, `None` for one that is cut off, each with its
/// offset in the image.
fn records(bytes: &[u8], start: u64) -> impl Iterator<Item = (u64, Option<RawRecord>)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            match bytes.get(at) {
                None => return None,
                // The rest of the block is empty.
                Some(0) => at = (at / BLOCK + 1) * BLOCK,
                Some(&length) => {
                    let offset = start + at as u64;
                    let end = at + usize::from(length);
                    let record = bytes
                        .get(at..end)
                        .filter(|_| at / BLOCK == (end - 1) / BLOCK)
                        .and_then(|record| RawRecord::parse(record, offset));
                    at = if record.is_some() { end } else { bytes.len() };
                    return Some((offset, record));
                }
            }
        }
    })
}

/// The root's record in the volume descriptor that begins at byte `start`.
fn root(descriptor: &[u8], start: u64) -> Option<RawRecord> {
    let record = descriptor.get(field::ROOT)?;
    RawRecord::parse(record, start + field::ROOT.start as u64)
}

/// Whether a supplementary descriptor has one of Joliet's escape sequences.
fn is_joliet(descriptor: &[u8]) -> bool {
    matches!(
        descriptor.get(field::ESCAPES),
        Some(b"%/@" | b"%/C" | b"%/E")
    )
}

fn limit(what: &'static str, value: usize, limit: usize) -> Result<(), Error> {
    if value > limit {
        return Err(over(limit as u64, what));
    }
    Ok(())
}

fn read_at<R: Read + Seek>(
    reader: &mut R,
    size: u64,
    offset: u64,
    length: usize,
) -> Result<Vec<u8>, Error> {
    if offset
        .checked_add(length as u64)
        .is_none_or(|end| end > size)
    {
        return Err(damaged(offset.min(size), "a position outside the image"));
    }
    let mut out = vec![0_u8; length];
    reader
        .seek(SeekFrom::Start(offset))
        .and_then(|_| reader.read_exact(&mut out))
        .map_err(reading)?;
    Ok(out)
}
