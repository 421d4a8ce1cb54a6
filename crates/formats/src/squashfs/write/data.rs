//! Decides which packed data an image holds and where, and copies it there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Write};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::order::Order;
use crate::Error;
use crate::squashfs::layout::{FragmentEntry, NO_FRAGMENT};
use crate::squashfs::pack::{self, Block, Content, Hash, Packed, PackedData, PackedLayers, Tail};
use crate::squashfs::settings::Settings;
use isoforge_base::error::Class;
use isoforge_base::parallel;
use isoforge_base::tree::{FileData, Kind, LayerId};

/// About as many bytes are read and written at a time.
const COPY_BYTES: usize = 1 << 20;
/// How many times that many are read ahead of the writing.
const COPY_AHEAD: usize = 3;

/// Where data comes from; the order is that in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Layer(LayerId),
    Inline,
}

/// A content, by its number within its source.
type ContentKey = (Source, u32);

/// The data of an image.
pub(super) struct DataPlan<'a> {
    layers: &'a dyn PackedLayers,
    inline: InlineData,
    /// By inode number, for regular files.
    files: BTreeMap<u32, ContentKey>,
    /// Start in the image, of contents with stored blocks.
    starts: BTreeMap<ContentKey, u64>,
    fragment_numbers: BTreeMap<(Source, u32), u32>,
    fragments: Vec<FragmentEntry>,
    copies: Vec<Stretch>,
    end: u64,
}

impl std::fmt::Debug for DataPlan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataPlan")
            .field("copies", &self.copies.len())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Blocks that lie together in their source and in the image.
#[derive(Debug)]
struct Stretch {
    source: Source,
    start: u64,
    blocks: Blocks,
    /// A file whose data this is, for messages.
    path: String,
}

#[derive(Debug, Clone, Copy)]
enum Blocks {
    Data { first: u32, count: u32 },
    Fragment(u32),
}

/// A file's place in the image.
#[derive(Debug)]
pub(super) struct FilePlace<'p> {
    pub(super) content: &'p Content,
    pub(super) packed: &'p Packed,
    /// Start of the first stored block; 0 where none is.
    pub(super) start: u64,
    /// Fragment number and offset; [`NO_FRAGMENT`] and 0 without a tail.
    pub(super) fragment: u32,
    pub(super) offset: u32,
}

impl<'a> DataPlan<'a> {
    pub(super) fn new(
        order: &Order<'_>,
        layers: &'a dyn PackedLayers,
        settings: &Settings,
        start: u64,
    ) -> Result<Self, Error> {
        let (inline, inline_files) = InlineData::new(order, settings)?;
        let mut plan = Self {
            layers,
            inline,
            files: BTreeMap::new(),
            starts: BTreeMap::new(),
            fragment_numbers: BTreeMap::new(),
            fragments: Vec::new(),
            copies: Vec::new(),
            end: start,
        };
        let mut found = BTreeMap::new();
        for number in order.numbers() {
            if let Kind::File(data) = &order.inode(number).kind {
                let key = plan.find(order, settings, number, data, &inline_files)?;
                found.insert(number, key);
            }
        }
        let owners = plan.choose(found);
        plan.place(order, &owners)?;
        Ok(plan)
    }

    /// The content that the tree names for a file.
    fn find(
        &self,
        order: &Order<'_>,
        settings: &Settings,
        number: u32,
        data: &FileData,
        inline_files: &BTreeMap<u32, u32>,
    ) -> Result<ContentKey, Error> {
        let (source, file) = match data {
            FileData::Inline(_) => (Source::Inline, inline_files.get(&number).copied()),
            FileData::Layer { layer, file, .. } => (Source::Layer(*layer), Some(*file)),
        };
        let place = self.data(source);
        if let (Source::Layer(layer), Some(place)) = (source, place)
            && place.settings() != settings
        {
            let (layer, found) = (layer.0, place.settings());
            return Err(Error::new(
                Class::Bug,
                format!("layer {layer} was packed with {found:?}, the image needs {settings:?}"),
            ));
        }
        place
            .zip(file)
            .and_then(|(place, file)| {
                let content = *place.packed().files.get(file as usize)?;
                let found = place.packed().contents.get(content as usize)?;
                (found.size == data.size()).then_some((source, content))
            })
            .ok_or_else(|| {
                let layer = match source {
                    Source::Layer(layer) => layer.0,
                    Source::Inline => u32::MAX,
                };
                let file = file.unwrap_or(u32::MAX);
                super::missing_data(&order.path(number), layer, file, data.size())
            })
    }

    /// Of equal contents the one in the lowest layer is taken. Gives the chosen
    /// ones, each with a file that has it.
    fn choose(&mut self, found: BTreeMap<u32, ContentKey>) -> BTreeMap<ContentKey, u32> {
        let mut lowest: BTreeMap<(Hash, u64), ContentKey> = BTreeMap::new();
        for &key in found.values() {
            if let Some((_, content)) = self.content(key) {
                let chosen = lowest.entry((content.id, content.size)).or_insert(key);
                *chosen = key.min(*chosen);
            }
        }
        let mut owners = BTreeMap::new();
        for (number, key) in found {
            let chosen = self
                .content(key)
                .and_then(|(_, content)| lowest.get(&(content.id, content.size)))
                .copied()
                .unwrap_or(key);
            owners.entry(chosen).or_insert(number);
            self.files.insert(number, chosen);
        }
        owners
    }

    /// Gives every chosen content and every fragment block that one of them
    /// uses a place, in the order in which they are stored.
    fn place(
        &mut self,
        order: &Order<'_>,
        owners: &BTreeMap<ContentKey, u32>,
    ) -> Result<(), Error> {
        let mut stretches: BTreeSet<(Source, u64, StoredPart)> = BTreeSet::new();
        let mut fragment_owners = BTreeMap::new();
        for (&(source, number), &owner) in owners {
            let Some((packed, content)) = self.content((source, number)) else {
                continue;
            };
            if content.stored_blocks > 0 {
                stretches.insert((source, content.start, StoredPart::Content(number)));
            }
            if let Some(Tail { fragment, .. }) = content.tail {
                let start = packed
                    .fragments
                    .get(fragment as usize)
                    .map_or(0, |fragment| fragment.start);
                stretches.insert((source, start, StoredPart::Fragment(fragment)));
                fragment_owners.entry((source, fragment)).or_insert(owner);
            }
        }
        for (source, start, part) in stretches {
            let (blocks, owner) = match part {
                StoredPart::Content(number) => {
                    let key = (source, number);
                    self.starts.insert(key, self.end);
                    let content = self.content(key).map(|(_, content)| content);
                    let blocks = Blocks::Data {
                        first: content.map_or(0, |content| content.first_block),
                        count: content.map_or(0, |content| content.stored_blocks),
                    };
                    (blocks, owners.get(&key))
                }
                StoredPart::Fragment(number) => {
                    self.place_fragment(source, number)?;
                    (
                        Blocks::Fragment(number),
                        fragment_owners.get(&(source, number)),
                    )
                }
            };
            let stored: u64 = self
                .blocks(source, blocks)
                .map(|block| u64::from(block.stored_bytes()))
                .sum();
            self.end += stored;
            self.copies.push(Stretch {
                source,
                start,
                blocks,
                path: owner.map_or_else(String::new, |&owner| order.path(owner)),
            });
        }
        Ok(())
    }

    fn place_fragment(&mut self, source: Source, number: u32) -> Result<(), Error> {
        let size = self
            .blocks(source, Blocks::Fragment(number))
            .next()
            .map_or(0, |block| block.word);
        let in_image = super::count(self.fragments.len(), "fragment table")?;
        self.fragment_numbers.insert((source, number), in_image);
        self.fragments.push(FragmentEntry {
            start: self.end,
            size,
            unused: 0,
        });
        Ok(())
    }

    fn data(&self, source: Source) -> Option<&dyn PackedData> {
        match source {
            Source::Layer(layer) => self.layers.layer(layer),
            Source::Inline => Some(&self.inline),
        }
    }

    fn content(&self, (source, number): ContentKey) -> Option<(&Packed, &Content)> {
        let packed = self.data(source)?.packed();
        Some((packed, packed.contents.get(number as usize)?))
    }

    fn blocks(&self, source: Source, blocks: Blocks) -> impl Iterator<Item = Block> + '_ {
        let packed = self.data(source).map(PackedData::packed);
        let (data, fragment) = match blocks {
            Blocks::Data { first, count } => {
                let range = first as usize..(first as usize).saturating_add(count as usize);
                (packed.and_then(|packed| packed.blocks.get(range)), None)
            }
            Blocks::Fragment(number) => (
                None,
                packed.and_then(|packed| packed.fragments.get(number as usize)),
            ),
        };
        data.into_iter()
            .flatten()
            .copied()
            .chain(fragment.map(|fragment| fragment.block))
    }

    /// Where the data ends in the image.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The fragment blocks in the image.
    pub(super) fn fragments(&self) -> &[FragmentEntry] {
        &self.fragments
    }

    /// The place of the regular file with this inode number.
    pub(super) fn file(&self, number: u32) -> Option<FilePlace<'_>> {
        let key = *self.files.get(&number)?;
        let (packed, content) = self.content(key)?;
        let (fragment, offset) = match content.tail {
            Some(tail) => (
                *self.fragment_numbers.get(&(key.0, tail.fragment))?,
                tail.offset,
            ),
            None => (NO_FRAGMENT, 0),
        };
        Some(FilePlace {
            content,
            packed,
            start: self.starts.get(&key).copied().unwrap_or(0),
            fragment,
            offset,
        })
    }

    /// Copies all blocks to `out`. A second thread reads and checks ahead.
    pub(super) fn copy(&self, out: &mut dyn Write) -> Result<(), Error> {
        let (full_sender, full) = bounded(COPY_AHEAD);
        let (empty_sender, empty) = bounded(COPY_AHEAD);
        for _ in 0..COPY_AHEAD {
            // There is room for all of them.
            let _ = empty_sender.send(Vec::new());
        }
        // The closure owns its ends of the channels: when it returns early, the
        // reader finds them gone and stops.
        thread::scope(move |scope| {
            let reader = parallel::scoped(scope, move || self.read_ahead(&full_sender, &empty));
            let reader = reader.map_err(Error::io(super::WRITING))?;
            for bytes in full {
                out.write_all(&bytes).map_err(Error::io(super::WRITING))?;
                // A reader that is done needs no more.
                let _ = empty_sender.send(bytes);
            }
            parallel::joined(reader)
        })
    }

    /// Reads all blocks in the image's order. Ends early where no one takes
    /// them any more.
    fn read_ahead(&self, full: &Sender<Vec<u8>>, empty: &Receiver<Vec<u8>>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let pass_on = |bytes: &mut Vec<u8>| {
            let Ok(mut next) = empty.recv() else {
                return false;
            };
            next.clear();
            full.send(std::mem::replace(bytes, next)).is_ok()
        };
        let blocks_per_read = (COPY_BYTES / self.inline.settings.block_size as usize).max(1);
        for stretch in &self.copies {
            let blocks: Vec<Block> = self.blocks(stretch.source, stretch.blocks).collect();
            let mut start = stretch.start;
            for group in blocks.chunks(blocks_per_read) {
                if bytes.len() >= COPY_BYTES && !pass_on(&mut bytes) {
                    return Ok(());
                }
                start = self.read_group(stretch, start, group, &mut bytes)?;
            }
        }
        if !bytes.is_empty() {
            pass_on(&mut bytes);
        }
        Ok(())
    }

    /// Appends consecutive blocks to `bytes`, each checked against its hash.
    /// Gives where the next block begins.
    fn read_group(
        &self,
        stretch: &Stretch,
        start: u64,
        group: &[Block],
        bytes: &mut Vec<u8>,
    ) -> Result<u64, Error> {
        let Some(data) = self.data(stretch.source) else {
            return Ok(start);
        };
        let length: usize = group.iter().map(|b| b.stored_bytes() as usize).sum();
        let before = bytes.len();
        bytes.resize(before + length, 0);
        let rest = bytes.get_mut(before..).unwrap_or_default();
        let damaged = pack::read_blocks(data, start, group, rest).map_err(|source| {
            let (path, layer) = (&stretch.path, data.name());
            Error::io(format!(
                "reading the packed data of '{path}' from {layer} failed"
            ))(source)
        })?;
        match damaged {
            Some(offset) => Err(Error::PackedData {
                path: stretch.path.clone(),
                layer: data.name(),
                offset,
            }),
            None => Ok(start + length as u64),
        }
    }
}

/// A part of a source that is copied as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum StoredPart {
    Content(u32),
    Fragment(u32),
}

/// Data that the tree holds itself, packed when the image is planned.
#[derive(Debug)]
struct InlineData {
    settings: Settings,
    packed: Packed,
    bytes: Vec<u8>,
}

impl InlineData {
    /// Packs all inline files. Gives the file number of each, by inode number.
    fn new(order: &Order<'_>, settings: &Settings) -> Result<(Self, BTreeMap<u32, u32>), Error> {
        let files: Vec<(u32, &[u8])> = order
            .numbers()
            .filter_map(|number| match &order.inode(number).kind {
                Kind::File(FileData::Inline(bytes)) => Some((number, &bytes[..])),
                _ => None,
            })
            .collect();
        let mut inline = Self {
            settings: *settings,
            packed: Packed::default(),
            bytes: Vec::new(),
        };
        if files.is_empty() {
            return Ok((inline, BTreeMap::new()));
        }
        let mut out = Cursor::new(Vec::new());
        let (packed, ()) = pack::pack(&mut out, settings, 1, |packer| {
            for (_, bytes) in &files {
                packer
                    .file(bytes.len() as u64, &mut &bytes[..])
                    .map_err(Error::io(pack::WRITING))?;
            }
            Ok::<_, Error>(())
        })?;
        inline.packed = packed;
        inline.bytes = out.into_inner();
        Ok((
            inline,
            files.iter().map(|&(number, _)| number).zip(0..).collect(),
        ))
    }
}

impl PackedData for InlineData {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn packed(&self) -> &Packed {
        &self.packed
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let stored = start
            .checked_add(buf.len())
            .and_then(|end| self.bytes.get(start..end))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(stored);
        Ok(())
    }

    fn name(&self) -> String {
        "isoforge's own files".to_owned()
    }
}
