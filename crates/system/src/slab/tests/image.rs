//! Images of slabs, seen through the project's own reader.

use std::io::{Cursor, Read};

use super::support::{EPOCH, Layer, noise, settings, stack, text, write_image};
use crate::entry::EntryKind;
use crate::slab::{Slab, SlabSet};
use isoforge_base::tree::{LayerId, Tree};
use isoforge_formats::Error;
use isoforge_formats::squashfs::pack::PackedData;
use isoforge_formats::squashfs::read::{Image, InodeKind};
use isoforge_formats::squashfs::write::ImagePlan;

const BLOCK: usize = 4096;

fn read(image: &[u8], path: &[u8]) -> Vec<u8> {
    let mut image = Image::open(Cursor::new(image), 0).unwrap();
    let inode = image.lookup(path).unwrap().unwrap();
    let mut bytes = Vec::new();
    image.file(&inode).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn only_what_the_tree_uses_is_copied() {
    let settings = settings("zstd:3", BLOCK as u32);
    let mut base = Layer::default();
    base.file(b"kept", noise(1, 10 * BLOCK));
    base.file(b"replaced", noise(2, 200 * BLOCK + 50));
    let mut over = Layer::default();
    over.file(b"replaced", noise(3, 5 * BLOCK));
    let dir = tempfile::tempdir().unwrap();
    let (slabs, tree) = stack(dir.path(), &settings, &[base, over]);
    let image = write_image(&tree, &slabs, &settings);
    assert!(image.len() < 18 * BLOCK, "{}", image.len());
    assert_eq!(read(&image, b"kept"), noise(1, 10 * BLOCK));
    assert_eq!(read(&image, b"replaced"), noise(3, 5 * BLOCK));
}

#[test]
fn equal_files_of_several_layers_are_stored_once() {
    let settings = settings("zstd:3", BLOCK as u32);
    let mut layers = vec![Layer::default(); 3];
    for (number, layer) in layers.iter_mut().enumerate() {
        layer.file(
            format!("own-{number}").as_bytes(),
            noise(number as u64, 2 * BLOCK),
        );
        layer.file(
            format!("same-{number}").as_bytes(),
            noise(9, 50 * BLOCK + 123),
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let (slabs, tree) = stack(dir.path(), &settings, &layers);
    let image = write_image(&tree, &slabs, &settings);
    assert!(image.len() < 62 * BLOCK, "{}", image.len());
    for number in 0..3 {
        assert_eq!(
            read(&image, format!("own-{number}").as_bytes()),
            noise(number, 2 * BLOCK)
        );
        assert_eq!(
            read(&image, format!("same-{number}").as_bytes()),
            noise(9, 50 * BLOCK + 123)
        );
    }
}

#[test]
fn a_damaged_block_stops_the_writing_and_is_named() {
    let settings = settings("zstd:3", BLOCK as u32);
    let mut layer = Layer::default();
    layer.file(b"usr/lib/first", noise(1, 2 * BLOCK));
    layer.file(b"usr/lib/second", noise(2, 3 * BLOCK));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.slab");
    let slab = layer.slab(dir.path(), "0.slab", &settings);
    let offset = slab.packed().contents[1].start + BLOCK as u64;
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[16 + offset as usize + 7] ^= 1;
    fs_err::write(&path, bytes).unwrap();

    let slabs = SlabSet::new(vec![Slab::open(&path).unwrap()]);
    let mut tree = Tree::new();
    layer.apply(&mut tree, LayerId(0));
    let plan = ImagePlan::new(&tree, &slabs, &settings, EPOCH).unwrap();
    let error = plan.write(&mut Vec::new()).unwrap_err();
    let Error::PackedData {
        path: file,
        layer,
        offset: found,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(file, "usr/lib/second");
    assert_eq!(*found, offset);
    assert!(layer.contains("0.slab"), "{layer}");
}

#[test]
fn slabs_of_other_settings_or_of_another_layer_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut layer = Layer::default();
    layer.file(b"a", text(1, 100));
    let (slabs, tree) = stack(
        dir.path(),
        &settings("zstd:3", 4096),
        std::slice::from_ref(&layer),
    );
    let other = settings("zstd:4", 4096);
    let error = ImagePlan::new(&tree, &slabs, &other, EPOCH).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("layer 0 was packed with"), "{error}");

    layer.data[0].push(b'x');
    let longer = SlabSet::new(vec![layer.slab(dir.path(), "x", &settings("zstd:3", 4096))]);
    let error = ImagePlan::new(&tree, &longer, &settings("zstd:3", 4096), EPOCH).unwrap_err();
    let error = error.to_string();
    assert!(error.ends_with("of 100 bytes"), "{error}");
}

#[test]
fn files_beyond_four_gigabytes_keep_their_size() {
    const SIZE: u64 = (5 << 30) + 3;
    let settings = settings("zstd:1", 1 << 20);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    let mut out = fs_err::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    let mut layer = Layer::default();
    layer.entry(
        b"large",
        0o600,
        EntryKind::File {
            file: 0,
            size: SIZE,
        },
    );
    let entries = layer.entries.clone();
    crate::slab::build(&mut out, &settings, 2, |sink| {
        let zeros = std::io::repeat(0).take(SIZE - 3);
        sink.file(SIZE, &mut zeros.chain(&b"end"[..]))?;
        Ok::<_, std::io::Error>(entries)
    })
    .unwrap();
    let slabs = SlabSet::new(vec![Slab::open(&path).unwrap()]);
    let mut tree = Tree::new();
    layer.apply(&mut tree, LayerId(0));
    let bytes = write_image(&tree, &slabs, &settings);
    let mut image = Image::open(Cursor::new(bytes), 0).unwrap();
    let inode = image.lookup(b"large").unwrap().unwrap();
    let InodeKind::File { size, sparse, .. } = inode.kind else {
        panic!("{inode:?}");
    };
    assert_eq!((size, sparse), (SIZE, SIZE - 3));
    let mut reader = image.file(&inode).unwrap();
    let mut count = 0;
    let mut last = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = reader.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        count += read as u64;
        last = buffer[..read].to_vec();
    }
    assert_eq!(count, SIZE);
    assert_eq!(last, b"end");
}

#[test]
fn a_large_directory_has_an_index_and_all_its_entries() {
    let settings = settings("zstd:3", 64 << 10);
    let mut layer = Layer::default();
    for number in 0..5000 {
        layer.file(
            format!("many/file-with-a-longer-name-{number:05}").as_bytes(),
            vec![],
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let (slabs, tree) = stack(dir.path(), &settings, &[layer]);
    let bytes = write_image(&tree, &slabs, &settings);
    let mut image = Image::open(Cursor::new(bytes), 0).unwrap();
    let many = image.lookup(b"many").unwrap().unwrap();
    let InodeKind::Directory {
        index_count, bytes, ..
    } = many.kind
    else {
        panic!("{many:?}");
    };
    // One for each metadata block that the listing begins after its first.
    assert!(
        (bytes / 8192..=bytes / 8192 + 1).contains(&u32::from(index_count)),
        "{index_count} of {bytes}"
    );
    let entries = image.entries(&many).unwrap();
    assert_eq!(entries.len(), 5000);
    assert!(entries.is_sorted_by(|a, b| a.name < b.name));
    for entry in entries {
        assert_eq!(image.exported(entry.number).unwrap(), Some(entry.inode));
        assert_eq!(image.inode(entry.inode).unwrap().number, entry.number);
    }
}
