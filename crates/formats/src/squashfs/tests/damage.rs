//! Damaged images: an error, but never a panic or more than the limits.

use std::io::{Cursor, Read};

use super::foreign::{fill_source, foreign_image};
use super::{settings, small_tree, write};
use crate::squashfs::layout::Superblock;
use crate::squashfs::read::{Image, InodeKind, Limits};
use crate::squashfs::{Compressor, dump};

#[test]
fn a_directory_that_contains_itself_is_an_error() {
    // The inodes are not compressed, so the one entry can be led to the root.
    let good = foreign_image(&["-noI"], |dir| {
        fs_err::create_dir(dir.join("self")).unwrap();
    });
    let superblock = Superblock::parse(&good).unwrap();
    let root_offset = (superblock.root_inode & 0xffff) as u16;
    let mut bytes = good;
    let entry = superblock.directory_table as usize + 2 + 12;
    bytes[entry..entry + 2].copy_from_slice(&root_offset.to_le_bytes());
    let mut image = Image::open(Cursor::new(bytes), 0).unwrap();
    let error = image.walk().unwrap_err().to_string();
    assert!(error.starts_with("directory 'self' of"), "{error}");
}

/// Reads whatever can be read of an image and counts the bytes; errors are
/// fine, panics and more than `max` bytes are not.
fn read_all(bytes: &[u8], max: u64) -> Option<u64> {
    let limits = Limits {
        directory_bytes: 1 << 20,
        walk_entries: 10_000,
        walk_path_bytes: 1 << 20,
        xattrs: 64,
    };
    let mut image = Image::with_limits(Cursor::new(bytes), 0, limits).ok()?;
    let found = image.walk().ok()?;
    let mut read = 0;
    for (_, inode) in found {
        if let Some(number) = inode.xattrs {
            let xattrs = image.xattrs(number).unwrap_or_default();
            read += xattrs.values().map(|value| value.len() as u64).sum::<u64>();
        }
        if matches!(inode.kind, InodeKind::File { .. })
            && let Ok(reader) = image.file(&inode)
        {
            let mut sink = std::io::sink();
            read += std::io::copy(&mut reader.take(max), &mut sink).unwrap_or(0);
        }
        assert!(read <= 64 * max);
    }
    struct Bounded(u64);
    impl std::io::Write for Bounded {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(buf.len() as u64)
                .ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let _ = dump::dump(&mut image, &mut Bounded(max));
    Some(read)
}

/// Flips bits, overwrites bytes and cuts off, many times, from a fixed seed.
fn mutate(original: &[u8], rounds: u32, seed: u64) {
    let max = 4 << 20;
    assert!(read_all(original, max).is_some_and(|read| read > 0));
    let superblock = Superblock::parse(original).unwrap();
    let used = superblock.bytes_used as usize;
    let tables = superblock.inode_table as usize;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut still_readable = 0;
    for _ in 0..rounds {
        let mut bytes = original.to_vec();
        for _ in 0..=random.u64(..) % 3 {
            // Mostly in superblock and tables, where structure is.
            let at = match random.u64(..) % 4 {
                0 => random.u64(..) as usize % Superblock::SIZE,
                1 => random.u64(..) as usize % used,
                _ => tables + random.u64(..) as usize % (used - tables),
            };
            match random.u64(..) % 4 {
                0 => bytes[at] ^= 1 << (random.u64(..) % 8),
                1 => bytes[at] = 0xff,
                2 => bytes[at] = 0,
                _ => bytes[at] = random.u64(..) as u8,
            }
        }
        if random.u64(..).is_multiple_of(8) {
            bytes.truncate(random.u64(..) as usize % used);
        }
        still_readable += u32::from(read_all(&bytes, max).is_some());
    }
    // The changes must neither all be harmless nor all end at the superblock.
    assert!(
        (rounds / 50..rounds).contains(&still_readable),
        "{still_readable} of {rounds}"
    );
}

#[test]
fn damaged_images_never_make_the_reader_panic() {
    for (compressor, seed) in [
        (Compressor::Zstd { level: 1 }, 1),
        (Compressor::Gzip { level: 1 }, 2),
        (Compressor::Xz, 3),
    ] {
        mutate(
            &write(&small_tree(), &settings(compressor, 4096)),
            1500,
            seed,
        );
    }
}

#[test]
fn damaged_tables_that_are_not_compressed_never_make_the_reader_panic() {
    let options = ["-noI", "-noD", "-noF", "-noX", "-b", "4096", "-xattrs"];
    mutate(&foreign_image(&options, fill_source), 6000, 4);
}
