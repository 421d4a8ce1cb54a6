//! Slabs: what goes in comes out, damage is noticed, threads don't matter.

use std::io::{self, Cursor, Read};

use super::support::{Layer, TestError, noise, settings, text};
use crate::Error;
use crate::entry::EntryKind;
use crate::slab::{self, Slab, SlabSet};
use isoforge_base::digest::Digest;
use isoforge_base::tree::{FileData, LayerId, ReadFile};
use isoforge_formats::squashfs::pack::PackedData;

const BLOCK: usize = 4096;

/// Every way in which a file can be cut.
fn varied() -> Layer {
    let mut layer = Layer::default();
    layer.entry(b"d", 0o755, EntryKind::Directory);
    layer.file(b"d/empty", vec![]);
    layer.file(b"d/one", vec![7]);
    layer.file(b"d/block", text(1, BLOCK));
    layer.file(b"d/blocks", text(2, 9 * BLOCK));
    layer.file(b"d/tail", text(3, 9 * BLOCK + 17));
    layer.file(b"d/noise", noise(4, 3 * BLOCK + 100));
    layer.file(b"d/zeros", vec![0; 5 * BLOCK]);
    layer.file(b"d/zero-tail", vec![0; 2 * BLOCK + 9]);
    let holes = [
        text(5, BLOCK),
        vec![0; 3 * BLOCK],
        noise(6, 2 * BLOCK),
        vec![0; BLOCK],
        text(7, 50),
    ];
    layer.file(b"d/holes", holes.concat());
    // Blocks that were there before, in another order and mixed with new ones.
    let blocks = text(2, 9 * BLOCK);
    let mixed = [
        &blocks[BLOCK..3 * BLOCK],
        &noise(8, BLOCK),
        &blocks[..BLOCK],
        &blocks[..9],
    ];
    layer.file(b"d/mixed", mixed.concat());
    layer.file(b"d/same", text(3, 9 * BLOCK + 17));
    for number in 0..300 {
        let name = format!("d/small-{number}");
        layer.file(name.as_bytes(), text(number * 1000, 40 + number as usize));
    }
    layer
}

fn open(bytes: &[u8]) -> Result<Slab, Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), bytes).unwrap();
    Slab::open(file.path())
}

#[test]
fn files_come_out_as_they_went_in() {
    for compressor in ["zstd:3", "gzip:6", "xz"] {
        let settings = settings(compressor, BLOCK as u32);
        let layer = varied();
        let slab = open(&layer.slab_bytes(&settings, 2)).unwrap();
        assert_eq!(slab.entries(), layer.entries);
        assert_eq!(slab.settings(), &settings);
        for (number, expected) in (0..).zip(&layer.data) {
            let mut found = Vec::new();
            slab.read_file(number)
                .unwrap()
                .read_to_end(&mut found)
                .unwrap();
            assert!(&found == expected, "{compressor}: file {number} differs");
        }
        let none = slab.read_file(layer.data.len() as u32).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
    }
}

#[test]
fn every_stored_byte_is_checked_without_reading_files() {
    let settings = settings("zstd:3", BLOCK as u32);
    let bytes = varied().slab_bytes(&settings, 2);
    let slab = open(&bytes).unwrap();
    let stored = slab.packed().stored_bytes;
    let mut read = 0;
    slab.check(&mut |bytes| read += bytes).unwrap();
    assert_eq!(read, stored, "each byte of the data belongs to one block");
    for at in [0, stored / 3, stored / 2, stored - 1] {
        let mut changed = bytes.clone();
        changed[16 + at as usize] ^= 1;
        let error = open(&changed).unwrap().check(&mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{at}: {error}");
    }
}

#[test]
fn a_key_tells_of_which_layer_the_slab_is() {
    let diff_id = Digest::of(b"layer");
    let key = slab::key(&diff_id, &settings("zstd:3", BLOCK as u32));
    assert_eq!(slab::diff_id(&key), Some(diff_id));
    for other in ["", "x", &key[1..]] {
        assert_eq!(slab::diff_id(other), None, "{other}");
    }
}

#[test]
fn the_number_of_threads_does_not_show() {
    for (compressor, block_size) in [("zstd:9", 4096), ("gzip:9", 65536), ("xz", 16384)] {
        let settings = settings(compressor, block_size);
        let mut layer = varied();
        layer.file(
            b"large",
            [text(9, 700_000), noise(10, 300_000), text(9, 700_000)].concat(),
        );
        let one = layer.slab_bytes(&settings, 1);
        for threads in [2, 4, 7] {
            assert!(
                layer.slab_bytes(&settings, threads) == one,
                "{compressor}, {threads} threads"
            );
        }
        assert!(layer.slab_bytes(&settings, 0) == one);
    }
}

#[test]
fn equal_contents_blocks_and_tails_are_stored_once() {
    let settings = settings("zstd:3", BLOCK as u32);
    let mut layer = Layer::default();
    layer.file(b"a", noise(1, 20 * BLOCK + 1000));
    let once = layer.slab_bytes(&settings, 2).len();
    layer.file(b"b", noise(1, 20 * BLOCK + 1000));
    let twice = open(&layer.slab_bytes(&settings, 2)).unwrap();
    assert_eq!(twice.packed().files, [0, 0]);
    let grown = layer.slab_bytes(&settings, 2).len() - once;
    assert!(grown < 100, "{grown}");
    // Another file with the same tail stores its blocks, not the tail.
    layer.file(
        b"c",
        [
            noise(2, BLOCK),
            noise(1, 20 * BLOCK + 1000)[20 * BLOCK..].to_vec(),
        ]
        .concat(),
    );
    let tails = open(&layer.slab_bytes(&settings, 2)).unwrap();
    let contents = &tails.packed().contents;
    assert_eq!(contents.len(), 2);
    assert_eq!(contents[0].tail, contents[1].tail);
    assert_eq!(tails.packed().fragments.len(), 1);
}

#[test]
fn holes_take_no_room() {
    let mut layer = Layer::default();
    layer.file(b"sparse", vec![0; 64 << 20]);
    let slab = open(&layer.slab_bytes(&settings("zstd:9", 256 << 10), 2)).unwrap();
    assert_eq!(slab.packed().stored_bytes, 0);
    assert_eq!(slab.packed().contents[0].hole_bytes(256 << 10), 64 << 20);
}

fn is_damage(error: &Error) -> bool {
    matches!(error, Error::SlabDamaged { .. })
}

#[test]
fn a_slab_cut_off_or_changed_anywhere_is_noticed() {
    let mut layer = Layer::default();
    layer.file(b"a", text(1, 3 * BLOCK));
    layer.file(b"b", noise(1, BLOCK + 5));
    let good = layer.slab_bytes(&settings("zstd:3", BLOCK as u32), 1);
    for length in 0..good.len() {
        let error = open(&good[..length]).unwrap_err();
        assert!(is_damage(&error), "{length}: {error}");
    }
    let longer = [good.as_slice(), b"x"].concat();
    assert!(is_damage(&open(&longer).unwrap_err()));
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        let noticed = match open(&bytes) {
            Err(error) => is_damage(&error),
            Ok(slab) => (0..2).any(|number| {
                let read = io::copy(&mut slab.read_file(number).unwrap(), &mut io::sink());
                read.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData)
            }),
        };
        assert!(noticed, "a change at {at} went unnoticed");
    }
}

#[test]
fn errors_of_the_feed_and_of_the_output_come_through() {
    let settings = settings("zstd:3", BLOCK as u32);
    let mut out = Cursor::new(Vec::new());
    let fed = slab::build(&mut out, &settings, 2, |_| {
        Err(TestError::Feed("the layer ended"))
    });
    assert!(matches!(fed, Err(TestError::Feed("the layer ended"))));

    let short = slab::build(&mut out, &settings, 2, |sink| {
        let error = sink.file(10_000, &mut &b"too few"[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        Err(TestError::Feed("short"))
    });
    assert!(matches!(short, Err(TestError::Feed("short"))));

    // A full disk is told as itself, not as what the feed made of it.
    let data = noise(1, 4 << 20);
    let full = slab::build(&mut FullDisk::default(), &settings, 2, |sink| {
        match sink.file(data.len() as u64, &mut data.as_slice()) {
            Ok(()) => Ok(Vec::new()),
            Err(_) => Err(TestError::Feed("the sink failed")),
        }
    });
    let Err(TestError::Slab(Error::Format(error))) = full else {
        panic!("{full:?}");
    };
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("full"),
        "{error:?}"
    );

    let wrong = isoforge_formats::squashfs::Settings {
        block_size: 5000,
        ..settings
    };
    assert!(slab::build(&mut out, &wrong, 2, |_| Ok::<_, TestError>(Vec::new())).is_err());
}

/// Takes a megabyte and then nothing more.
#[derive(Default)]
struct FullDisk(Cursor<Vec<u8>>);

impl io::Write for FullDisk {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.0.get_ref().len() + buf.len() > 1 << 20 {
            return Err(io::Error::other("the disk is full"));
        }
        self.0.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for FullDisk {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl io::Seek for FullDisk {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn the_key_tells_layer_and_settings() {
    let layer = Digest::of(b"layer");
    let key = |compressor, block| slab::key(&layer, &settings(compressor, block));
    let keys = [
        key("zstd:9", 4096),
        key("zstd:8", 4096),
        key("gzip:9", 4096),
        key("zstd:9", 8192),
        slab::key(&Digest::of(b"other"), &settings("zstd:9", 4096)),
    ];
    let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
    for key in &keys {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        assert!(key.chars().all(plain), "{key}");
    }
}

#[test]
fn a_set_reads_files_of_all_its_layers() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings("zstd:3", BLOCK as u32);
    let mut layers = [Layer::default(), Layer::default()];
    layers[0].file(b"a", text(1, 10_000));
    layers[1].file(b"b", text(2, 20_000));
    let slabs = layers
        .iter()
        .enumerate()
        .map(|(n, layer)| layer.slab(dir.path(), &n.to_string(), &settings));
    let set = SlabSet::new(slabs.collect());
    let read = |data: &FileData| {
        let mut bytes = Vec::new();
        set.open(data)
            .map(|mut reader| reader.read_to_end(&mut bytes).unwrap())?;
        Ok::<_, io::Error>(bytes)
    };
    let data = |layer| FileData::Layer {
        layer: LayerId(layer),
        file: 0,
        size: 0,
    };
    assert_eq!(read(&data(1)).unwrap(), text(2, 20_000));
    assert_eq!(
        read(&FileData::Inline(std::sync::Arc::from(*b"inline"))).unwrap(),
        b"inline"
    );
    assert_eq!(read(&data(2)).unwrap_err().kind(), io::ErrorKind::NotFound);
}
