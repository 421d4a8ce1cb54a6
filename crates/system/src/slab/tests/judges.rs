//! Images of slabs, judged by foreign tools: unsquashfs and backhand.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufReader, Cursor, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use super::support::{EPOCH, Layer, MTIME, Originals, noise, settings, stack, text, write_image};
use crate::entry::EntryKind;
use isoforge_base::tree::{Device, Inode, Kind, Meta, Tree, Xattrs};
use isoforge_formats::squashfs::Settings;

/// Every combination that is judged.
const SETTINGS: [(&str, u32); 7] = [
    ("zstd:9", 4 << 10),
    ("zstd:9", 256 << 10),
    ("zstd:15", 1 << 20),
    ("gzip:9", 256 << 10),
    ("gzip:6", 4 << 10),
    ("xz", 256 << 10),
    ("xz", 4 << 10),
];

/// What a root file system can have, sockets excepted: layers have none.
fn layers() -> [Layer; 2] {
    let mut base = Layer::default();
    base.entry(b"", 0o755, EntryKind::Directory);
    base.entry(b"tmp", 0o1777, EntryKind::Directory);
    base.entry(b"empty-directory", 0o700, EntryKind::Directory);
    base.file(b"bin/su", text(1, 5000)).mode = 0o4755;
    base.file(b"bin/many-blocks", text(2, 3_000_000));
    base.file(b"bin/noise", noise(3, 2_500_000));
    let ping = base.file(b"bin/ping", text(4, 90_000));
    ping.xattrs = xattrs(&[(
        "security.capability",
        &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    )]);
    let noted = base.file(b"etc/noted", text(5, 100));
    (noted.uid, noted.gid) = (1000, 100_000);
    noted.xattrs = xattrs(&[("user.a", b"1"), ("user.b", &[0, 255]), ("trusted.t", b"")]);
    base.file(b"etc/noted-too", text(6, 100)).xattrs =
        xattrs(&[("user.a", b"1"), ("user.b", &[0, 255]), ("trusted.t", b"")]);
    base.file(b"etc/empty", vec![]);
    base.file(b"etc/duplicate", text(2, 3_000_000));
    base.entry(b"etc/hard", 0o644, EntryKind::Hardlink(b"bin/su".to_vec()));
    base.file(b"replaced", text(7, 600_000));
    base.file(b"odd/sp ace", text(8, 10));
    base.file(b"odd/\xff\xfe-not-utf8", text(9, 11));
    base.file("odd/\u{fc}ml\u{e4}ut".as_bytes(), text(10, 12));
    base.file(&[b"odd/".as_slice(), &[b'l'; 255]].concat(), text(11, 13));
    for number in 0..5000 {
        base.file(
            format!("many/{number}").as_bytes(),
            format!("{}", number / 2).into_bytes(),
        );
    }
    for depth in 1..60 {
        base.entry(
            "deep/".repeat(depth).trim_end_matches('/').as_bytes(),
            0o755,
            EntryKind::Directory,
        );
    }
    let mut over = Layer::default();
    let sparse = [
        noise(12, 300_000),
        vec![0; 5 << 20],
        text(13, 70_000),
        vec![0; 3_000_000],
    ];
    over.file(b"sparse", sparse.concat());
    over.file(b"zeros", vec![0; 4 << 20]);
    over.file(b"replaced", text(14, 50));
    over.file(b"bin/noise-again", noise(3, 2_500_000));
    over.entry(b"link", 0o777, EntryKind::Symlink(b"bin/su".to_vec()));
    over.entry(b"dangling", 0o777, EntryKind::Symlink(vec![b'x'; 4000]));
    over.entry(b"etc/fifo", 0o640, EntryKind::Fifo);
    [base, over]
}

fn xattrs(list: &[(&str, &[u8])]) -> Xattrs {
    list.iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()))
        .collect()
}

/// What only the kernel may make: devices, and extended inodes of all kinds.
/// Device numbers stay within 8 bits each, which is all that unsquashfs shows.
fn add_special(tree: &mut Tree) {
    let nodes = [
        ("dev/null", Kind::CharDevice(Device { major: 1, minor: 3 })),
        (
            "dev/loop",
            Kind::BlockDevice(Device {
                major: 7,
                minor: 200,
            }),
        ),
        (
            "dev/large",
            Kind::BlockDevice(Device {
                major: 0xff,
                minor: 0xff,
            }),
        ),
        ("dev/socket", Kind::Socket),
        ("dev/fifo", Kind::Fifo),
        ("dev/symlink", Kind::Symlink(b"null".to_vec())),
    ];
    for (path, kind) in nodes {
        for (suffix, xattrs) in [("", Xattrs::new()), ("-x", xattrs(&[("trusted.x", b"y")]))] {
            let meta = Meta {
                xattrs,
                mtime: MTIME,
                ..Meta::with_mode(0o620)
            };
            let path = format!("{path}{suffix}");
            tree.insert(
                path.as_bytes(),
                Inode {
                    meta,
                    kind: kind.clone(),
                },
            )
            .unwrap();
        }
    }
    tree.link(b"dev/null-too", b"dev/null").unwrap();
    tree.link(b"dev/symlink-too", b"dev/symlink-x").unwrap();
}

fn unsquashfs(args: &[&OsStr]) -> Vec<u8> {
    let run = Command::new("unsquashfs")
        .args(args)
        .env("TZ", "UTC")
        .output()
        .expect("unsquashfs is needed: install squashfs-tools");
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.success() && stderr.is_empty(),
        "{args:?}: {stderr}"
    );
    run.stdout
}

/// The tree as `unsquashfs -lln` shows it, directories without a size.
fn expected_listing(tree: &Tree) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = tree
        .walk()
        .map(|(path, id)| {
            let inode = tree.inode(id);
            let meta = &inode.meta;
            let size = match &inode.kind {
                Kind::Directory(_) => String::new(),
                Kind::File(data) => data.size().to_string(),
                Kind::Symlink(target) => target.len().to_string(),
                Kind::CharDevice(device) | Kind::BlockDevice(device) => {
                    format!("{},{}", device.major, device.minor)
                }
                Kind::Fifo | Kind::Socket => "0".to_owned(),
            };
            let time = if meta.mtime == MTIME {
                "2020-09-13 12:26"
            } else {
                "1970-01-01 00:00"
            };
            let permissions = permissions(inode.kind.type_char(), meta.mode);
            let mut line =
                format!("{permissions} {}/{} {size} {time} ", meta.uid, meta.gid).into_bytes();
            line.extend_from_slice(b"squashfs-root");
            if !path.is_empty() {
                line.push(b'/');
            }
            line.extend_from_slice(&path);
            if let Kind::Symlink(target) = &inode.kind {
                line.extend_from_slice(b" -> ");
                line.extend_from_slice(target);
            }
            line
        })
        .collect();
    lines.sort();
    lines
}

fn permissions(type_char: char, mode: u16) -> String {
    let mut text = String::from(type_char);
    for (shift, special, set, unset) in [
        (6, 0o4000, 's', 'S'),
        (3, 0o2000, 's', 'S'),
        (0, 0o1000, 't', 'T'),
    ] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => set,
            (false, true) => unset,
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// The listing with its columns' padding taken out.
fn found_listing(image: &Path) -> Vec<Vec<u8>> {
    let listing = unsquashfs(&[OsStr::new("-lln"), OsStr::new("-UTC"), image.as_os_str()]);
    let mut lines: Vec<Vec<u8>> = listing
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let at = line
                .windows(13)
                .position(|w| w == b"squashfs-root")
                .unwrap();
            let columns = String::from_utf8(line[..at].to_vec()).unwrap();
            let columns: Vec<&str> = columns.split_whitespace().collect();
            // A device's numbers are two columns.
            let ([mode, owner, size @ .., date, time], name) = (columns.as_slice(), &line[at..])
            else {
                panic!("{columns:?}");
            };
            let size = size.concat();
            let size = if mode.starts_with('d') { "" } else { &size };
            [
                format!("{mode} {owner} {size} {date} {time} ").as_bytes(),
                name,
            ]
            .concat()
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn unsquashfs_lists_the_tree() {
    for (compressor, block_size) in SETTINGS {
        let settings = settings(compressor, block_size);
        let dir = tempfile::tempdir().unwrap();
        let (slabs, mut tree) = stack(dir.path(), &settings, &layers());
        add_special(&mut tree);
        let image = dir.path().join("image");
        fs_err::write(&image, write_image(&tree, &slabs, &settings)).unwrap();
        let (found, expected) = (found_listing(&image), expected_listing(&tree));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(
                found.escape_ascii().to_string(),
                expected.escape_ascii().to_string()
            );
        }
        assert_eq!(found.len(), expected.len(), "{settings:?}");
        check_stat(&image, &tree, &settings);
    }
}

fn check_stat(image: &Path, tree: &Tree, settings: &Settings) {
    let stat = String::from_utf8(unsquashfs(&[OsStr::new("-stat"), image.as_os_str()])).unwrap();
    let mut inodes: Vec<_> = tree.walk().map(|(_, id)| id).collect();
    inodes.sort();
    inodes.dedup();
    let name = settings.compressor.to_string();
    let (name, level) = name.split_once(':').unwrap_or((&name, ""));
    for line in [
        "Found a valid SQUASHFS 4:0 superblock".to_owned(),
        format!("Compression {name}"),
        format!("Block size {}", settings.block_size),
        "Filesystem is exportable via NFS".to_owned(),
        "Duplicates are removed".to_owned(),
        format!("Number of inodes {}", inodes.len()),
        "Number of ids 3".to_owned(),
        "Number of xattr ids 3".to_owned(),
    ] {
        assert!(stat.contains(&line), "'{line}' is missing in:\n{stat}");
    }
    // Levels that the format implies are not stored.
    let stored = !matches!((name, level), ("zstd", "15") | ("gzip", "9") | ("xz", _));
    let shown = stat.contains(&format!("compression-level {level}"));
    assert_eq!(shown, stored, "{stat}");
    let epoch = unsquashfs(&[OsStr::new("-mkfs-time"), image.as_os_str()]);
    assert_eq!(String::from_utf8(epoch).unwrap().trim(), EPOCH.to_string());
}

#[test]
fn unsquashfs_extracts_the_tree() {
    let layers = layers();
    let root = rustix::process::geteuid().is_root();
    for (compressor, block_size) in SETTINGS {
        let settings = settings(compressor, block_size);
        let dir = tempfile::tempdir().unwrap();
        let (slabs, tree) = stack(dir.path(), &settings, &layers);
        let image = dir.path().join("image");
        fs_err::write(&image, write_image(&tree, &slabs, &settings)).unwrap();
        let out = dir.path().join("out");
        // Only root can set what is not in the namespace `user`.
        let xattrs = if root { "-xattrs" } else { "-user-xattrs" };
        unsquashfs(
            &["-quiet", "-no-progress", xattrs, "-dest"]
                .map(OsStr::new)
                .into_iter()
                .chain([out.as_os_str(), image.as_os_str()])
                .collect::<Vec<_>>(),
        );
        let mut hard = BTreeMap::new();
        for (path, id) in tree.walk() {
            let at = out.join(OsStr::from_bytes(&path));
            compare(&at, tree.inode(id), &Originals(&layers), root);
            if tree.children(id).is_none() {
                let found = fs_err::symlink_metadata(&at).unwrap();
                assert_eq!(
                    *hard.entry(id).or_insert(found.ino()),
                    found.ino(),
                    "{at:?}"
                );
            }
        }
        let found = walkdir::WalkDir::new(&out).into_iter().count();
        assert_eq!(found, tree.walk().count());
    }
}

fn compare(at: &Path, inode: &Inode, originals: &Originals<'_>, root: bool) {
    let found = fs_err::symlink_metadata(at).unwrap();
    match &inode.kind {
        Kind::Directory(_) => assert!(found.is_dir()),
        Kind::File(file) => {
            assert!(
                fs_err::read(at).unwrap() == originals.data(file),
                "{at:?} differs"
            );
        }
        Kind::Symlink(target) => {
            assert_eq!(
                fs_err::read_link(at).unwrap().as_os_str().as_bytes(),
                target
            );
            return;
        }
        Kind::Fifo => assert!(found.file_type().is_fifo()),
        other => panic!("{other:?} is not in this tree"),
    }
    assert_eq!(found.mode() & 0o7777, u32::from(inode.meta.mode), "{at:?}");
    assert_eq!(found.mtime(), inode.meta.mtime, "{at:?}");
    if root {
        assert_eq!((found.uid(), found.gid()), (inode.meta.uid, inode.meta.gid));
    }
    for (name, value) in &inode.meta.xattrs {
        if !root && !name.starts_with(b"user.") {
            continue;
        }
        let mut buffer = [0; 256];
        let length = rustix::fs::lgetxattr(at, name.as_slice(), &mut buffer).unwrap();
        assert_eq!(&buffer[..length], value, "{at:?}");
    }
}

#[test]
fn backhand_reads_the_tree() {
    use backhand::{FilesystemReader, InnerNode};
    let layers = layers();
    for (compressor, block_size) in SETTINGS {
        let settings = settings(compressor, block_size);
        let dir = tempfile::tempdir().unwrap();
        let (slabs, mut tree) = stack(dir.path(), &settings, &layers);
        add_special(&mut tree);
        // backhand refuses targets of 256 bytes and more.
        tree.remove(b"dangling");
        let image = write_image(&tree, &slabs, &settings);
        let reader = FilesystemReader::from_reader(BufReader::new(Cursor::new(image)))
            .unwrap_or_else(|_| panic!("backhand refuses the image of {settings:?}"));
        let expected: BTreeMap<Vec<u8>, _> = tree.walk().collect();
        let originals = Originals(&layers);
        let mut count = 0;
        for node in reader.files() {
            count += 1;
            let path = node.fullpath.as_os_str().as_bytes();
            let inode = tree.inode(expected[path.strip_prefix(b"/").unwrap()]);
            let meta = &inode.meta;
            let header = (
                node.header.permissions,
                node.header.uid,
                node.header.gid,
                i64::from(node.header.mtime),
            );
            assert_eq!(header, (meta.mode, meta.uid, meta.gid, meta.mtime));
            match (&node.inner, &inode.kind) {
                (InnerNode::File(file), Kind::File(data)) => {
                    // It decompresses the fragment block for every small file.
                    if path.starts_with(b"/many/") && !path.ends_with(b"00") {
                        continue;
                    }
                    let mut found = Vec::new();
                    reader.file(file).reader().read_to_end(&mut found).unwrap();
                    assert!(
                        found == originals.data(data),
                        "{} differs",
                        node.fullpath.display()
                    );
                }
                (InnerNode::Symlink(link), Kind::Symlink(target)) => {
                    assert_eq!(link.link.as_os_str().as_bytes(), target);
                }
                (InnerNode::Dir(_), Kind::Directory(_))
                | (InnerNode::CharacterDevice(_), Kind::CharDevice(_))
                | (InnerNode::BlockDevice(_), Kind::BlockDevice(_))
                | (InnerNode::NamedPipe, Kind::Fifo)
                | (InnerNode::Socket, Kind::Socket) => {}
                (found, wanted) => panic!("{found:?} for {wanted:?}"),
            }
        }
        assert_eq!(count, expected.len());
    }
}

#[test]
fn one_and_four_threads_give_the_same_image() {
    let settings = settings("zstd:9", 64 << 10);
    let build = |threads| {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut tree) = stack(dir.path(), &settings, &layers());
        add_special(&mut tree);
        let slabs = layers()
            .iter()
            .enumerate()
            .map(|(number, layer)| {
                let path = dir.path().join(format!("{number}-{threads}"));
                fs_err::write(&path, layer.slab_bytes(&settings, threads)).unwrap();
                crate::slab::Slab::open(&path).unwrap()
            })
            .collect();
        write_image(&tree, &crate::slab::SlabSet::new(slabs), &settings)
    };
    assert!(build(1) == build(4));
}
