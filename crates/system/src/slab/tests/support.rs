//! Layers made from text, and their way into slabs and trees.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::entry::{Entry, EntryKind, FileSink};
use crate::slab::{self, Slab, SlabSet};
use isoforge_base::tree::{FileData, Inode, Kind, LayerId, Meta, Tree};
use isoforge_formats::squashfs::write::ImagePlan;
use isoforge_formats::squashfs::{Compressor, Settings};

pub(super) const EPOCH: u32 = 1_700_000_000;
pub(super) const MTIME: i64 = 1_600_000_000;

/// Bytes that no compressor shrinks, the same for the same seed.
pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut reader = blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof();
    let mut bytes = vec![0; len];
    reader.fill(&mut bytes);
    bytes
}

/// Bytes that shrink well without repeating themselves.
pub(super) fn text(seed: u64, len: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(len + 40);
    let mut line = seed;
    while text.len() < len {
        writeln!(text, "line {line} says {}", line.wrapping_mul(0x9e37_79b9)).unwrap();
        line += 1;
    }
    text.truncate(len);
    text
}

pub(super) fn settings(compressor: &str, block_size: u32) -> Settings {
    Settings {
        compressor: compressor.parse::<Compressor>().unwrap(),
        block_size,
    }
}

/// A layer under construction.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    pub(super) entries: Vec<Entry>,
    pub(super) data: Vec<Vec<u8>>,
}

impl Layer {
    pub(super) fn entry(&mut self, path: &[u8], mode: u16, kind: EntryKind) -> &mut Meta {
        let mut meta = Meta::with_mode(mode);
        meta.mtime = MTIME;
        self.entries.push(Entry {
            path: path.to_vec(),
            meta,
            kind,
        });
        &mut self.entries.last_mut().unwrap().meta
    }

    pub(super) fn file(&mut self, path: &[u8], data: Vec<u8>) -> &mut Meta {
        let kind = EntryKind::File {
            file: u32::try_from(self.data.len()).unwrap(),
            size: data.len() as u64,
        };
        self.data.push(data);
        self.entry(path, 0o644, kind)
    }

    pub(super) fn slab_bytes(&self, settings: &Settings, threads: usize) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        slab::build(&mut file, settings, threads, |sink| self.feed(sink)).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    pub(super) fn slab(&self, dir: &Path, name: &str, settings: &Settings) -> Slab {
        let path = dir.join(name);
        fs_err::write(&path, self.slab_bytes(settings, 2)).unwrap();
        Slab::open(&path).unwrap()
    }

    pub(super) fn feed(&self, sink: &mut dyn FileSink) -> std::io::Result<Vec<Entry>> {
        for data in &self.data {
            sink.file(data.len() as u64, &mut data.as_slice())?;
        }
        Ok(self.entries.clone())
    }

    /// Lays the layer over `tree`: plain entries only, no whiteouts.
    pub(super) fn apply(&self, tree: &mut Tree, layer: LayerId) {
        for entry in &self.entries {
            let kind = match entry.kind.clone() {
                EntryKind::Directory => Kind::Directory(BTreeMap::new()),
                EntryKind::File { file, size } => Kind::File(FileData::Layer { layer, file, size }),
                EntryKind::Symlink(target) => Kind::Symlink(target),
                EntryKind::Hardlink(target) => {
                    tree.link(&entry.path, &target).unwrap();
                    continue;
                }
                EntryKind::CharDevice(device) => Kind::CharDevice(device),
                EntryKind::BlockDevice(device) => Kind::BlockDevice(device),
                EntryKind::Fifo => Kind::Fifo,
                other => panic!("{other:?} is not for this helper"),
            };
            let meta = entry.meta.clone();
            tree.insert(&entry.path, Inode { meta, kind }).unwrap();
        }
    }
}

/// The data as it went in, to be compared with what came out.
#[derive(Debug)]
pub(super) struct Originals<'a>(pub(super) &'a [Layer]);

impl Originals<'_> {
    pub(super) fn data(&self, data: &FileData) -> &[u8] {
        match data {
            FileData::Layer { layer, file, .. } => &self.0[layer.0 as usize].data[*file as usize],
            FileData::Inline(_) => panic!("layers have no inline data"),
        }
    }
}

/// Slabs and tree of layers laid one over the other.
pub(super) fn stack(dir: &Path, settings: &Settings, layers: &[Layer]) -> (SlabSet, Tree) {
    let mut tree = Tree::new();
    let mut slabs = Vec::new();
    for (number, layer) in (0..).zip(layers) {
        slabs.push(layer.slab(dir, &format!("{number}.slab"), settings));
        layer.apply(&mut tree, LayerId(number));
    }
    (SlabSet::new(slabs), tree)
}

pub(super) fn write_image(tree: &Tree, slabs: &SlabSet, settings: &Settings) -> Vec<u8> {
    let plan = ImagePlan::new(tree, slabs, settings, EPOCH).unwrap();
    let mut image = Vec::new();
    plan.write(&mut image).unwrap();
    assert_eq!(image.len() as u64, plan.size());
    image
}

impl From<crate::Error> for TestError {
    fn from(error: crate::Error) -> Self {
        Self::Slab(error)
    }
}

/// What a failing feed gives, to see that it comes through.
#[derive(Debug)]
pub(super) enum TestError {
    Slab(crate::Error),
    Feed(&'static str),
}
