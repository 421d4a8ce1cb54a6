//! The writer against foreign readers and against the reader of its own.

mod damage;
mod large;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::dump::dump;
use super::layout::{Boot, Layout, Options};
use super::read::{EntryKind, Image, Limits, Namespace};
use super::tree::{FileId, IsoTree};
use super::write::{DataWriter, HEAD_OFFSET, head};
use super::{BLOCK_BYTES, Error, MAX_DEPTH, MAX_DIRECTORIES};
use isoforge_base::digest::Digest;
use isoforge_judges::{run, run_bytes, scratch};

const EPOCH: u32 = 1_780_000_000;

fn options(boot: Boot) -> Options<'static> {
    Options {
        volume_id: "COS_LIVE",
        epoch: EPOCH,
        boot,
        tail_blocks: 0,
    }
}

/// Files by path, in the order of their data.
struct Sample {
    tree: IsoTree,
    contents: Vec<(String, FileId, Vec<u8>)>,
}

impl Sample {
    fn new() -> Self {
        Self {
            tree: IsoTree::new(),
            contents: Vec::new(),
        }
    }

    fn file(&mut self, path: &str, data: &[u8]) -> FileId {
        let id = self
            .tree
            .file(path.as_bytes(), 0o644, data.len() as u64)
            .unwrap();
        self.contents.push((path.to_owned(), id, data.to_vec()));
        id
    }

    fn write(&self, path: &Path, boot: Boot) -> Layout {
        let layout = Layout::new(&self.tree, &options(boot)).unwrap();
        let out = create(path, &layout);
        let head = head(&self.tree, &layout).unwrap();
        assert_eq!(
            head.len() as u64 + HEAD_OFFSET,
            layout.data_block().offset()
        );
        out.write_all_at(&head, HEAD_OFFSET).unwrap();
        for (_, id, data) in &self.contents {
            let mut writer = DataWriter::new(&out, &self.tree, &layout, *id).unwrap();
            writer.write_all(data).unwrap();
            writer.finish().unwrap();
        }
        layout
    }
}

fn create(path: &Path, layout: &Layout) -> File {
    let out = File::create(path).unwrap();
    out.set_len(layout.bytes()).unwrap();
    out
}

fn open(path: &Path) -> Image<File> {
    Image::open(File::open(path).unwrap(), Limits::default()).unwrap()
}

fn image_path(dir: &tempfile::TempDir) -> (PathBuf, String) {
    let path = dir.path().join("x.iso");
    let name = path.to_str().unwrap().to_owned();
    (path, name)
}

/// Every name that gives trouble: long, not ASCII, colliding when mangled,
/// deep, many.
fn troublesome() -> Sample {
    let mut sample = Sample::new();
    sample.file("empty", b"");
    sample.file("kernel", &[7; 5000]);
    for (n, name) in ["ReadMe.txt", "README.TXT", "readme.txt"]
        .iter()
        .enumerate()
    {
        sample.file(name, format!("case {n}").as_bytes());
    }
    sample.file(".hidden", b"dot");
    sample.file("größe – 漢字.data", b"utf-8");
    sample.file("two.dots.tar.gz", b"dots");
    sample.file(&format!("long/{}", "n".repeat(253)), b"253 bytes");
    for length in [100, 110, 120, 130, 200, 250, 251, 252] {
        let name = format!("long/{}", "m".repeat(length));
        sample.file(&name, length.to_string().as_bytes());
    }
    for n in 0..5 {
        let name = format!("joliet/{}{n}", "j".repeat(70));
        sample.file(&name, n.to_string().as_bytes());
    }
    let deep = (1..20).map(|n| format!("level{n}/")).collect::<String>();
    sample.file(&format!("{deep}bottom"), b"deep");
    for n in 0..2000 {
        sample.file(&format!("many/file number {n}"), n.to_string().as_bytes());
    }
    let links = [
        ("link", "kernel".to_owned()),
        ("abs", "/boot/../boot/./kernel".to_owned()),
        ("long-link", format!("{}/x", "t".repeat(250))),
        ("longer-link", ["s".repeat(254), "u".repeat(255)].join("/")),
    ];
    for (path, target) in links {
        sample
            .tree
            .symlink(format!("links/{path}").as_bytes(), target.as_bytes())
            .unwrap();
    }
    sample.tree.directory(b"private", 0o700).unwrap();
    sample
}

#[test]
fn the_tree_comes_back_through_the_reader() {
    let mut sample = troublesome();
    // As long as Linux takes it; libisofs stops at 1,024.
    let longest = ["s".repeat(254), "u".repeat(255)].join("/").repeat(8);
    sample
        .tree
        .symlink(b"links/longest", longest.as_bytes())
        .unwrap();
    let dir = scratch();
    let (path, _) = image_path(&dir);
    sample.write(&path, Boot::default());
    let mut image = open(&path);
    assert_eq!(image.volume().id, "COS_LIVE");
    assert!(image.volume().rock_ridge && image.volume().joliet);
    let entries = image.entries(Namespace::Primary).unwrap();
    let by_path: BTreeMap<_, _> = entries
        .iter()
        .map(|entry| (String::from_utf8(entry.path.clone()).unwrap(), entry))
        .collect();
    assert_eq!(by_path.len(), entries.len());
    for (name, _, data) in &sample.contents {
        let entry = by_path
            .get(name)
            .unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(entry.kind, EntryKind::File);
        assert_eq!(entry.mode, Some(0o100_644));
        assert!(image.read_file(entry, 1 << 20).unwrap() == *data, "{name}");
        assert_eq!(image.find(name.as_bytes()).unwrap().as_ref(), Some(*entry));
    }
    for (name, target) in [
        ("links/link", "kernel"),
        ("links/abs", "/boot/../boot/./kernel"),
        ("links/longest", &longest),
    ] {
        let kind = EntryKind::Symlink(target.as_bytes().to_vec());
        assert_eq!(by_path.get(name).unwrap().kind, kind);
    }
    let private = by_path.get("private").unwrap();
    assert_eq!(private.mode, Some(0o040_700));
    // All but the five links are in the Joliet tree, under unique names.
    let joliet = image.entries(Namespace::Joliet).unwrap();
    assert_eq!(joliet.len(), entries.len() - 5);
    let mut names: Vec<_> = joliet.iter().map(|entry| entry.path.clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), joliet.len());
}

#[test]
fn xorriso_lists_names_modes_and_links() {
    let sample = troublesome();
    let dir = scratch();
    let (path, name) = image_path(&dir);
    sample.write(&path, Boot::default());
    let (listing, messages) = run_bytes(
        "xorriso",
        &["-abort_on", "WARNING", "-indev", &name, "-find", "/"],
    );
    let listing = String::from_utf8(listing).unwrap();
    let messages = String::from_utf8(messages).unwrap();
    assert!(
        !messages.contains("WARNING") && !messages.contains("FAILURE"),
        "{messages}"
    );
    for (path, ..) in &sample.contents {
        assert!(
            listing.contains(&format!("'/{path}'\n")),
            "{path} is missing"
        );
    }
    let long = run(
        "xorriso",
        &[
            "-indev",
            &name,
            "-lsdl",
            "/private",
            "/links/abs",
            "/kernel",
        ],
    );
    let rows: Vec<&str> = long
        .lines()
        .filter(|line| line.starts_with(['-', 'd', 'l']))
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    -rw-r--r--    1 0        0            5000 May 28  2026 '/kernel'
    lrwxrwxrwx    1 0        0               0 May 28  2026 '/links/abs' -> '/boot/../boot/./kernel'
    drwx------    1 0        0               0 May 28  2026 '/private'
    "#);
    let (data, _) = run_bytes("isoinfo", &["-R", "-i", &name, "-x", "/kernel"]);
    assert!(data == [7; 5000]);
    let (joliet, _) = run_bytes("isoinfo", &["-J", "-f", "-i", &name]);
    let has = |line: &[u8]| joliet.split(|&byte| byte == b'\n').any(|it| it == line);
    assert!(has(format!("/joliet/{}000", "j".repeat(61)).as_bytes()));
    assert!(has(b"/gr\xF6\xDFe _ __.data"), "isoinfo shows Latin-1");
    let joliet = run(
        "xorriso",
        &["-read_fs", "norock", "-indev", &name, "-find", "/"],
    );
    assert!(joliet.contains("'/größe – 漢字.data'"), "{joliet}");
    let rock = run("isoinfo", &["-R", "-l", "-i", &name]);
    assert!(rock.contains(&"n".repeat(253)), "{rock}");
}

#[test]
fn the_image_is_the_same_every_time_and_as_pinned() {
    let mut sample = Sample::new();
    let core = sample.file("boot/core.img", &[1; 3000]);
    let esp = sample.tree.hidden("esp", 8192, 64).unwrap();
    sample.contents.push(("esp".to_owned(), esp, vec![2; 8192]));
    sample.file("boot/Kernel", b"kernel");
    sample.tree.symlink(b"latest", b"boot/Kernel").unwrap();
    let boot = Boot {
        bios: Some(core),
        uefi: Some(esp),
    };
    let dir = scratch();
    let (path, _) = image_path(&dir);
    sample.write(&path, boot);
    let bytes = fs_err::read(&path).unwrap();
    sample.write(&path, boot);
    assert!(bytes == fs_err::read(&path).unwrap());
    insta::assert_snapshot!(dump(&mut open(&path)).unwrap(), @r#"
    volume 'COS_LIVE' by 'ISOFORGE': 69 blocks, created 2026052820264000, rock ridge true, joliet true
    boot platform 0x00: block 30, 4 sectors, emulation 0, bootable true
    boot platform 0xef: block 64, 16 sectors, emulation 0, bootable true
    primary tree, 4 entries:
    d 0755 2026-05-28T20:26:40 26+2048@c0f4 /boot
    l 0777 2026-05-28T20:26:40 0+0@c16a /latest -> boot/Kernel
    - 0644 2026-05-28T20:26:40 30+3000@d0d0 /boot/core.img
    - 0644 2026-05-28T20:26:40 68+6@d150 /boot/Kernel
    joliet tree, 3 entries:
    d ---- 2026-05-28T20:26:40 28+2048@d844 /boot
    - ---- 2026-05-28T20:26:40 68+6@e044 /boot/Kernel
    - ---- 2026-05-28T20:26:40 30+3000@e072 /boot/core.img
    "#);
    insta::assert_snapshot!(Digest::of(&bytes), @"sha256:e81bd86a1ab1d4b70e96249c0bcf4c0edee5b4a8d14d3970414906dafb79bbcc");
}

#[test]
fn the_layout_depends_on_rooms_and_not_on_sizes_within_them() {
    let mut tree = IsoTree::new();
    let file = tree.file_with_room(b"m/x", 0o644, 10, 5000).unwrap();
    tree.file(b"m/id/aaaa", 0o644, 3).unwrap();
    let before = Layout::new(&tree, &options(Boot::default())).unwrap();
    tree.set_size(file, 4000).unwrap();
    tree.rename(b"m/id/aaaa", b"bbbb").unwrap();
    let after = Layout::new(&tree, &options(Boot::default())).unwrap();
    assert!(before.same_places(&after));
    assert_eq!(after.extent(file).unwrap().bytes, 4000);
    assert_refused(tree.set_size(file, 5001), "bytes were announced");
    tree.file(b"n", 0o644, 0).unwrap();
    tree.file(b"o", 0o644, 1).unwrap();
    let more = Layout::new(&tree, &options(Boot::default())).unwrap();
    assert!(!before.same_places(&more));
}

fn assert_refused<T>(result: Result<T, Error>, problem: &str) {
    let error = result.err().unwrap().to_string();
    assert!(error.contains(problem), "{error}");
}

#[test]
fn what_the_format_or_the_tree_cannot_hold_is_an_error() {
    let mut tree = IsoTree::new();
    tree.file(b"a/b", 0o644, 1).unwrap();
    assert_refused(tree.file(b"a/b", 0o644, 1), "is on the ISO already");
    assert_refused(tree.file(b"a", 0o644, 1), "is on the ISO already");
    assert_refused(tree.file(b"a/b/c", 0o644, 1), "cannot put");
    assert_refused(tree.file(b"../x", 0o644, 1), "cannot put");
    assert_refused(tree.file(b"", 0o644, 1), "is on the ISO already");
    let long = [b'x'; 254];
    assert_refused(tree.file(&long, 0o644, 1), "is over the limit of");
    assert_refused(tree.symlink(b"l", &[b'x'; 4096]), "is over the limit of");
    let deep = vec!["d"; MAX_DEPTH].join("/");
    assert_refused(
        tree.file(format!("{deep}/f").as_bytes(), 0o644, 1),
        "is over the limit of",
    );
    assert_refused(tree.file(b"huge", 0o644, u64::MAX), "is over the limit of");
    for volume_id in ["", "lower", &"X".repeat(33)] {
        let options = Options {
            volume_id,
            ..options(Boot::default())
        };
        assert_refused(Layout::new(&tree, &options), "is no volume id");
    }
    let mut many = IsoTree::new();
    for n in 0..MAX_DIRECTORIES {
        many.directory(format!("d{n}").as_bytes(), 0o755).unwrap();
    }
    assert_refused(
        Layout::new(&many, &options(Boot::default())),
        "is over the limit of",
    );
    let half = u64::from(u32::MAX) * BLOCK_BYTES / 2;
    for name in [b"h1", b"h2", b"h3"] {
        tree.file(name, 0o644, half).unwrap();
    }
    assert_refused(
        Layout::new(&tree, &options(Boot::default())),
        "is over the limit of",
    );
}

#[test]
fn more_or_fewer_bytes_than_announced_are_an_error() {
    let mut tree = IsoTree::new();
    let file = tree.file(b"f", 0o644, 4).unwrap();
    let layout = Layout::new(&tree, &options(Boot::default())).unwrap();
    let out = tempfile::tempfile().unwrap();
    let mut writer = DataWriter::new(&out, &tree, &layout, file).unwrap();
    writer.write_all(b"abc").unwrap();
    assert!(writer.write_all(b"de").is_err());
    assert_refused(
        writer.finish(),
        "4 bytes were announced, but its data has 3",
    );
}
