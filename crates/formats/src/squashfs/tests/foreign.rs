//! Images made by mksquashfs, read by the project's own reader.

#![allow(clippy::disallowed_methods)]

use std::io::{Cursor, Read};
use std::process::Command;

use crate::squashfs::read::Image;

/// An image made by mksquashfs of what `fill` puts into a directory.
pub(super) fn foreign_image(options: &[&str], fill: impl FnOnce(&std::path::Path)) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (source, image) = (dir.path().join("source"), dir.path().join("image"));
    fs_err::create_dir(&source).unwrap();
    fill(&source);
    let made = Command::new("mksquashfs")
        .args([&source, &image])
        .args(["-quiet", "-no-progress", "-all-root", "-mkfs-time", "1"])
        .args(options)
        .output()
        .expect("mksquashfs is needed: install squashfs-tools");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    fs_err::read(image).unwrap()
}

pub(super) fn fill_source(dir: &std::path::Path) {
    for name in ["a", "b/c", "b/d"] {
        let path = dir.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, name.repeat(3000)).unwrap();
    }
    fs_err::write(dir.join("b/blocks"), [1, 2, 3, 0].repeat(10_000)).unwrap();
    fs_err::os::unix::fs::symlink("b/c", dir.join("link")).unwrap();
    fs_err::hard_link(dir.join("a"), dir.join("b/hard")).unwrap();
}

#[test]
fn images_of_mksquashfs_are_read() {
    for options in [
        &["-comp", "zstd"][..],
        &["-comp", "xz"],
        &["-comp", "gzip", "-always-use-fragments"],
    ] {
        let bytes = foreign_image(options, fill_source);
        let mut image = Image::open(Cursor::new(bytes), 0).unwrap();
        let paths: Vec<String> = image
            .walk()
            .unwrap()
            .into_iter()
            .map(|(path, _)| String::from_utf8(path).unwrap())
            .collect();
        assert_eq!(
            paths,
            ["", "a", "b", "b/blocks", "b/c", "b/d", "b/hard", "link"]
        );
        let blocks = image.lookup(b"b/blocks").unwrap().unwrap();
        let mut content = Vec::new();
        image
            .file(&blocks)
            .unwrap()
            .read_to_end(&mut content)
            .unwrap();
        assert_eq!(content, [1, 2, 3, 0].repeat(10_000));
        let hard = image.lookup(b"b/hard").unwrap().unwrap();
        assert_eq!(
            (hard.nlink, hard.reference),
            (2, image.lookup(b"a").unwrap().unwrap().reference)
        );
    }
}

#[test]
fn values_that_mksquashfs_stores_once_for_several_attributes_are_read() {
    let mut archive = tar::Builder::new(Vec::new());
    let shared = [b'v'; 100];
    for name in ["one", "two"] {
        let own = format!("SCHILY.xattr.user.{name}");
        archive
            .append_pax_extensions([
                ("SCHILY.xattr.user.shared", &shared[..]),
                (own.as_str(), b"own"),
            ])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, std::io::empty())
            .unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let (input, image) = (dir.path().join("tar"), dir.path().join("image"));
    fs_err::write(&input, archive.into_inner().unwrap()).unwrap();
    let made = Command::new("mksquashfs")
        .args(["-".as_ref(), image.as_os_str()])
        .args(["-tar", "-quiet", "-no-progress"])
        .stdin(fs_err::File::open(&input).unwrap().into_parts().0)
        .output()
        .expect("mksquashfs is needed: install squashfs-tools");
    assert!(made.status.success(), "{made:?}");

    let mut image = Image::open(fs_err::File::open(image).unwrap(), 0).unwrap();
    for name in ["one", "two"] {
        let inode = image.lookup(name.as_bytes()).unwrap().unwrap();
        let xattrs = image.xattrs(inode.xattrs.unwrap()).unwrap();
        let own = format!("user.{name}").into_bytes();
        assert_eq!(xattrs.len(), 2);
        assert_eq!(xattrs[b"user.shared".as_slice()], shared);
        assert_eq!(xattrs[&own], b"own");
    }
}
