//! Tests of writer, reader and dump over trees whose data is inline. Images of
//! packed layers and foreign judges are tested where slabs are.

mod damage;
mod foreign;

use std::io::{Cursor, Read};
use std::sync::Arc;

use super::layout::XATTR_VALUE_BYTES_MAX;
use super::pack::{PackedData, PackedLayers};
use super::read::{Image, Limits};
use super::write::ImagePlan;
use super::{Compressor, Error, Settings, dump};
use isoforge_base::digest::Digest;
use isoforge_base::tree::{Device, FileData, Inode, Kind, LayerId, Meta, Tree};

/// No packed layers: all data is inline.
struct NoLayers;

impl PackedLayers for NoLayers {
    fn layer(&self, _: LayerId) -> Option<&dyn PackedData> {
        None
    }
}

const EPOCH: u32 = 1_700_000_000;

fn settings(compressor: Compressor, block_size: u32) -> Settings {
    Settings {
        compressor,
        block_size,
    }
}

fn inode(mode: u16, kind: Kind) -> Inode {
    let mut meta = Meta::with_mode(mode);
    meta.mtime = 1_600_000_000;
    Inode { meta, kind }
}

fn file(bytes: &[u8]) -> Inode {
    inode(0o644, Kind::File(FileData::Inline(Arc::from(bytes))))
}

fn small_tree() -> Tree {
    let mut tree = Tree::new();
    tree.insert(b"bin/hello", file(b"hello, world\n")).unwrap();
    tree.insert(b"bin/hole", file(&[0; 5000])).unwrap();
    tree.link(b"bin/again", b"bin/hello").unwrap();
    tree.insert(b"link", inode(0o777, Kind::Symlink(b"bin/hello".to_vec())))
        .unwrap();
    let null = Kind::CharDevice(Device { major: 1, minor: 3 });
    tree.insert(b"null", inode(0o666, null)).unwrap();
    let mut capable = file(b"capable");
    capable.meta.uid = 1000;
    capable
        .meta
        .xattrs
        .insert(b"user.note".to_vec(), b"v".to_vec());
    tree.insert(b"capable", capable).unwrap();
    tree
}

fn write(tree: &Tree, settings: &Settings) -> Vec<u8> {
    let plan = ImagePlan::new(tree, &NoLayers, settings, EPOCH).unwrap();
    let mut image = Vec::new();
    plan.write(&mut image).unwrap();
    assert_eq!(image.len() as u64, plan.size());
    assert_eq!(image.len() % 4096, 0);
    image
}

fn plan_error(tree: &Tree) -> Error {
    ImagePlan::new(tree, &NoLayers, &Settings::default(), EPOCH).unwrap_err()
}

#[test]
fn a_small_image_stays_as_it_is() {
    let image = write(&small_tree(), &settings(Compressor::default(), 4096));
    insta::assert_snapshot!(Digest::of(&image), @"sha256:961934b3de2b56c9e974e5ea9f9271c45ae9016130c27d2d40567c4c3e269e6f");
}

#[test]
fn the_dump_shows_every_field() {
    let mut tree = small_tree();
    tree.remove(b"link");
    tree.remove(b"bin/again");
    tree.remove(b"bin/hello");
    let image = write(&tree, &settings(Compressor::default(), 4096));
    let mut text = Vec::new();
    dump::dump(&mut Image::open(Cursor::new(image), 0).unwrap(), &mut text).unwrap();
    insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r"
    superblock
    0x0000: magic: 0x73717368
    0x0004: inode_count: 5
    0x0008: mkfs_time: 1700000000
    0x000c: block_size: 4096
    0x0010: fragment_count: 1
    0x0014: compressor: 6
    0x0016: block_log: 12
    0x0018: flags: 0x4e0
            flag names: always-fragments duplicates exportable compressor-options
    0x001a: id_count: 2
    0x001c: version_major: 4
    0x001e: version_minor: 0
    0x0020: root_inode: 0xb0
    0x0028: bytes_used: 417
    0x0030: id_table: 0x160
    0x0038: xattr_table: 0x189
    0x0040: inode_table: 0x6d
    0x0048: directory_table: 0xd0
    0x0050: fragment_table: 0x129
    0x0058: export_table: 0x14e
    0x0062: compressor options: 09000000

    inode ''
    0x0+0xb0: number: 1
    0x0+0xb0: mode: 0755
    0x0+0xb0: uid: 0
    0x0+0xb0: gid: 0
    0x0+0xb0: mtime: 0
    0x0+0xb0: nlink: 3
    0x0+0xb0: type: directory
    0x0+0xb0: listing: 0x0+0x18
    0x0+0xb0: listing bytes: 50
    0x0+0xb0: parent: 6
    0x0+0xb0: index entries: 0
    0x0+0x18: run: 3 entries, inode block 0x0, from number 2
    0x0+0x18: entry 'bin': number 2, type 1, inode 0x0+0x40
    0x0+0x18: entry 'capable': number 3, type 2, inode 0x0+0x60
    0x0+0x18: entry 'null': number 4, type 5, inode 0x0+0x98

    inode 'bin'
    0x0+0x40: number: 2
    0x0+0x40: mode: 0755
    0x0+0x40: uid: 0
    0x0+0x40: gid: 0
    0x0+0x40: mtime: 0
    0x0+0x40: nlink: 2
    0x0+0x40: type: directory
    0x0+0x40: listing: 0x0+0x0
    0x0+0x40: listing bytes: 24
    0x0+0x40: parent: 1
    0x0+0x40: index entries: 0
    0x0+0x0: run: 1 entries, inode block 0x0, from number 5
    0x0+0x0: entry 'hole': number 5, type 2, inode 0x0+0x0

    inode 'bin/hole'
    0x0+0x0: number: 5
    0x0+0x0: mode: 0644
    0x0+0x0: uid: 0
    0x0+0x0: gid: 0
    0x0+0x0: mtime: 1600000000
    0x0+0x0: nlink: 1
    0x0+0x0: type: file
    0x0+0x0: size: 5000
    0x0+0x0: start: 0x0
    0x0+0x0: sparse: 5000
    0x0+0x0: block 0: hole
    0x0+0x0: block 1: hole

    inode 'capable'
    0x0+0x60: number: 3
    0x0+0x60: mode: 0644
    0x0+0x60: uid: 1000
    0x0+0x60: gid: 0
    0x0+0x60: mtime: 1600000000
    0x0+0x60: nlink: 1
    0x0+0x60: xattrs: 0
    0x0+0x60: type: file
    0x0+0x60: size: 7
    0x0+0x60: start: 0x0
    0x0+0x60: sparse: 0
    0x0+0x60: tail: fragment 0 at 0

    inode 'null'
    0x0+0x98: number: 4
    0x0+0x98: mode: 0666
    0x0+0x98: uid: 0
    0x0+0x98: gid: 0
    0x0+0x98: mtime: 1600000000
    0x0+0x98: nlink: 1
    0x0+0x98: type: character device
    0x0+0x98: device: 1:3

    fragments
    0x66: fragment 0: 7 bytes

    ids
    0x160: id 0: 0
    0x160: id 1: 1000

    export
    0x14e: inode 1: 0x0+0xb0
    0x14e: inode 2: 0x0+0x40
    0x14e: inode 3: 0x0+0x60
    0x14e: inode 4: 0x0+0x98
    0x14e: inode 5: 0x0+0x0

    extended attributes
    0x189: keys: 0x168
    0x189: sets: 1
    0x0+0x0: set 0: user.note = 76
    ");
}

#[test]
fn an_image_inside_another_file_is_read_at_its_offset() {
    let mut bytes = vec![0xaa; 2048];
    bytes.extend(write(&small_tree(), &Settings::default()));
    bytes.extend([0xbb; 100]);
    let mut image = Image::open(Cursor::new(bytes), 2048).unwrap();
    let hello = image.lookup(b"bin/again").unwrap().unwrap();
    let mut text = String::new();
    image
        .file(&hello)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "hello, world\n");
    assert_eq!(hello.nlink, 2);
    assert!(image.lookup(b"bin/none").unwrap().is_none());
    assert!(image.lookup(b"link/below").unwrap().is_none());
    let capable = image.lookup(b"capable").unwrap().unwrap();
    let xattrs = image.xattrs(capable.xattrs.unwrap()).unwrap();
    assert_eq!(xattrs[b"user.note".as_slice()], b"v");
}

#[test]
fn what_the_format_can_not_hold_is_reported_or_adjusted() {
    let mut tree = small_tree();
    let mut early = file(b"x");
    early.meta.mtime = -5;
    let acl = b"system.posix_acl_access".to_vec();
    early.meta.xattrs.insert(acl.clone(), vec![2, 0, 0, 0]);
    tree.insert(b"early", early).unwrap();
    let mut late = file(b"y");
    late.meta.mtime = i64::from(u32::MAX) + 1;
    late.meta.xattrs.insert(acl, vec![2, 0, 0, 0]);
    late.meta.xattrs.insert(b"trusted.kept".to_vec(), vec![]);
    tree.insert(b"late", late).unwrap();

    let plan = ImagePlan::new(&tree, &NoLayers, &Settings::default(), EPOCH).unwrap();
    assert_eq!(plan.report().clamped_times, 2);
    let dropped: Vec<_> = plan.report().dropped_xattrs.iter().collect();
    assert_eq!(dropped, [(&"system.posix_acl_access".to_owned(), &2)]);

    let mut bytes = Vec::new();
    plan.write(&mut bytes).unwrap();
    let mut image = Image::open(Cursor::new(bytes), 0).unwrap();
    let early = image.lookup(b"early").unwrap().unwrap();
    assert_eq!((early.mtime, early.xattrs), (0, None));
    let late = image.lookup(b"late").unwrap().unwrap();
    assert_eq!(late.mtime, u32::MAX);
    let kept = image.xattrs(late.xattrs.unwrap()).unwrap();
    assert_eq!(kept.into_keys().collect::<Vec<_>>(), [b"trusted.kept"]);
}

#[test]
fn what_the_format_refuses_is_an_error_with_the_path() {
    let mut tree = Tree::new();
    let name = vec![b'n'; 257];
    tree.insert(&[b"dir/", name.as_slice()].concat(), file(b""))
        .unwrap();
    let error = plan_error(&tree).to_string();
    assert!(error.starts_with("'dir/nnn"), "{error}");
    assert!(error.contains("the name has 257 bytes"), "{error}");

    let mut tree = Tree::new();
    tree.insert(b"a/long", inode(0o777, Kind::Symlink(vec![b't'; 4097])))
        .unwrap();
    let error = plan_error(&tree).to_string();
    assert!(
        error.starts_with("'a/long': the symbolic link's target has 4097 bytes"),
        "{error}"
    );

    let mut tree = Tree::new();
    let device = Device {
        major: 4096,
        minor: 0,
    };
    tree.insert(b"dev/x", inode(0o600, Kind::BlockDevice(device)))
        .unwrap();
    let error = plan_error(&tree).to_string();
    assert!(error.starts_with("'dev/x': device 4096:0 does"), "{error}");

    let mut tree = Tree::new();
    let mut large = file(b"");
    large
        .meta
        .xattrs
        .insert(b"user.l".to_vec(), vec![0; XATTR_VALUE_BYTES_MAX + 1]);
    tree.insert(b"x", large).unwrap();
    let error = plan_error(&tree).to_string();
    assert!(error.starts_with("'x': the extended attribute"), "{error}");

    let mut tree = Tree::new();
    let data = FileData::Layer {
        layer: LayerId(3),
        file: 7,
        size: 1,
    };
    tree.insert(b"lost", inode(0o644, Kind::File(data)))
        .unwrap();
    let error = plan_error(&tree).to_string();
    assert!(
        error.starts_with("'lost': layer 3 has no file number 7"),
        "{error}"
    );
}

#[test]
fn as_many_owners_as_the_superblock_counts_and_no_more() {
    let mut tree = Tree::new();
    for uid in 1..65_535 {
        let mut node = inode(0o600, Kind::Fifo);
        node.meta.uid = uid;
        tree.insert(uid.to_string().as_bytes(), node).unwrap();
    }
    let bytes = write(&tree, &Settings::default());
    let mut image = Image::open(Cursor::new(bytes), 0).unwrap();
    assert_eq!(image.lookup(b"65534").unwrap().unwrap().uid, 65_534);
    let mut node = inode(0o600, Kind::Fifo);
    node.meta.uid = 65_535;
    tree.insert(b"one more", node).unwrap();
    let error = plan_error(&tree).to_string();
    assert!(error.contains("different owners and groups"), "{error}");
}

#[test]
fn images_of_other_kinds_are_refused_by_name() {
    let good = write(&small_tree(), &Settings::default());
    let open = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let error = Image::open(Cursor::new(bytes), 0).unwrap_err();
        error.to_string()
    };
    assert_eq!(open(&|b| b[0] = b'x'), "this is no SquashFS image");
    assert_eq!(open(&|b| b.truncate(95)), "this is no SquashFS image");
    assert!(open(&|b| b[28] = 3).starts_with("SquashFS version 3.0 is"));
    assert!(open(&|b| b[20] = 5).starts_with("SquashFS compressor 5 is"));
    assert!(open(&|b| b[12] = 1).contains("invalid block size"));
    assert!(open(&|b| b[22] = 12).contains("invalid block size"));
}

#[test]
fn limits_stop_a_walk() {
    let bytes = write(&small_tree(), &Settings::default());
    for limits in [
        Limits {
            walk_entries: 3,
            ..Limits::default()
        },
        Limits {
            walk_path_bytes: 10,
            ..Limits::default()
        },
        Limits {
            directory_bytes: 20,
            ..Limits::default()
        },
    ] {
        let mut image = Image::with_limits(Cursor::new(&bytes), 0, limits).unwrap();
        assert!(image.walk().is_err(), "{limits:?}");
    }
}
