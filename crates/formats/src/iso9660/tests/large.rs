//! Files over 4 GiB.

use std::io::Read as _;

use super::*;
use isoforge_base::digest::Sha256;

/// Blocks of a 5 GiB file. In the test every 4,096th block carries its number,
/// and each one around the extents' border and at the end; the rest are holes,
/// so that the file takes no space.
const LARGE_BLOCKS: u64 = (5 << 30) / BLOCK_BYTES;

#[test]
fn a_file_over_4_gib_is_read_back_whole() {
    let mut tree = IsoTree::new();
    let size = LARGE_BLOCKS * BLOCK_BYTES + 5;
    let file = tree.file(b"rootfs.squashfs", 0o444, size).unwrap();
    tree.file(b"zz-after", 0o444, 3).unwrap();
    let layout = Layout::new(&tree, &options(Boot::default())).unwrap();
    let dir = scratch();
    let (path, name) = image_path(&dir);
    let out = create(&path, &layout);
    out.write_all_at(&head(&tree, &layout).unwrap(), HEAD_OFFSET)
        .unwrap();
    let start = layout.extent(file).unwrap().offset();
    let border = u64::from(u32::MAX) / BLOCK_BYTES;
    let numbered =
        |n: u64| n.is_multiple_of(4096) || n.abs_diff(border) < 64 || n + 64 > LARGE_BLOCKS;
    for n in (0..LARGE_BLOCKS).filter(|&n| numbered(n)) {
        out.write_all_at(&n.to_be_bytes(), start + n * BLOCK_BYTES)
            .unwrap();
    }
    out.write_all_at(b"tail!", start + size - 5).unwrap();

    let mut image = open(&path);
    let entry = image.find(b"rootfs.squashfs").unwrap().unwrap();
    assert_eq!((entry.size, entry.sections.len()), (size, 2));
    let mut block = vec![0_u8; BLOCK_BYTES as usize];
    let mut reader = image.open_file(&entry);
    let mut hash = Sha256::new();
    let keep_hash = |n: u64| n.abs_diff(border) < 4096;
    for n in 0..LARGE_BLOCKS {
        reader.read_exact(&mut block).unwrap();
        let expected = if numbered(n) { n } else { 0 };
        assert_eq!(block[..8], expected.to_be_bytes(), "block {n}");
        if keep_hash(n) {
            hash.update(&block);
        }
    }
    let mut tail = Vec::new();
    reader.read_to_end(&mut tail).unwrap();
    assert_eq!(tail, b"tail!");

    // xorriso shows one file with the mode of every extent's record.
    let listing = run("xorriso", &["-indev", &name, "-lsdl", "/rootfs.squashfs"]);
    assert!(listing.contains("-r--r--r--"), "{listing}");
    assert!(listing.contains(&size.to_string()), "{listing}");
    let sections = run(
        "xorriso",
        &[
            "-indev",
            &name,
            "-find",
            "/rootfs.squashfs",
            "-exec",
            "report_lba",
            "--",
        ],
    );
    let sections: Vec<&str> = sections
        .lines()
        .filter(|line| line.contains("data lba"))
        .collect();
    assert_eq!(sections.len(), 2, "{sections:?}");
    // The part around the border, as xorriso extracts it.
    let part = dir.path().join("part");
    let to = part.to_str().unwrap();
    let from = ((border - 4095) * BLOCK_BYTES).to_string();
    let count = (8191 * BLOCK_BYTES).to_string();
    run(
        "xorriso",
        &[
            "-osirrox",
            "on",
            "-indev",
            &name,
            "-extract_cut",
            "/rootfs.squashfs",
            &from,
            &count,
            to,
        ],
    );
    assert_eq!(Digest::of(&fs_err::read(&part).unwrap()), hash.finish());
}
