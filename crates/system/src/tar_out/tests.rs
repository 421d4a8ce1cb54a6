use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::layer::apply;
use crate::layer::tests::{Files, listing, read};
use isoforge_base::error::{Class, Diagnose as _};
use isoforge_base::tree::{Device, Inode, LayerId};
use isoforge_formats::tar::Limits;

struct Inline;

impl ReadFile for Inline {
    fn open<'a>(&'a self, data: &FileData) -> io::Result<Box<dyn Read + 'a>> {
        match data {
            FileData::Inline(bytes) => Ok(Box::new(io::Cursor::new(Arc::clone(bytes)))),
            FileData::Layer { .. } => Err(io::Error::other("no layers here")),
        }
    }
}

fn sample() -> Tree {
    let mut tree = Tree::new();
    let mut put = |path: &[u8], meta: Meta, kind| {
        tree.insert(path, Inode { meta, kind }).unwrap();
    };
    let file = |text: &[u8]| Kind::File(FileData::Inline(Arc::from(text)));
    let odd = Meta {
        mode: 0o4755,
        uid: 4_000_000_000,
        gid: 0o1000_0000,
        mtime: -7,
        xattrs: BTreeMap::from([
            (
                b"security.capability".to_vec(),
                vec![1, 0, 0, 2, b'\n', 0x20, 0],
            ),
            (b"user.a=b%".to_vec(), Vec::new()),
        ]),
    };
    put(b"bin/ping", odd, file(b"data"));
    put(b"empty", Meta::with_mode(0o600), file(b""));
    put(b"block", Meta::with_mode(0o600), file(&[7; 1024]));
    put(
        b"dir",
        Meta {
            mtime: 99,
            ..Meta::with_mode(0o1777)
        },
        Kind::Directory(BTreeMap::new()),
    );
    put(
        &[b"long/".as_slice(), &[b'n'; 250], b"/", &[b'm'; 250]].concat(),
        Meta {
            mtime: i64::MAX,
            ..Meta::with_mode(0o644)
        },
        file(b"x"),
    );
    put(b"long/\xff\xfe", Meta::with_mode(0o644), file(b"not UTF-8"));
    put(
        &[b"long/".as_slice(), &[0xff; 200]].concat(),
        Meta::with_mode(0o644),
        file(b"y"),
    );
    put(
        b"link",
        Meta::with_mode(0o777),
        Kind::Symlink(vec![b'/'; 300]),
    );
    put(
        b"null",
        Meta::with_mode(0o666),
        Kind::CharDevice(Device { major: 1, minor: 3 }),
    );
    put(
        b"sda",
        Meta::with_mode(0o660),
        Kind::BlockDevice(Device {
            major: 8,
            minor: 0x1f_ffff,
        }),
    );
    put(b"pipe", Meta::with_mode(0o600), Kind::Fifo);
    tree.link(b"a-first", b"bin/ping").unwrap();
    tree.link(b"zz-last", b"bin/ping").unwrap();
    tree
}

fn tar_of(tree: &Tree) -> Vec<u8> {
    let mut out = Vec::new();
    write_tar(tree, &Inline, &mut out).unwrap();
    out
}

#[test]
fn what_is_written_reads_back_the_same() {
    let tree = sample();
    let tar = tar_of(&tree);
    let (entries, files) = read(&tar, &Limits::default()).unwrap();
    let mut back = Tree::new();
    apply(&mut back, LayerId(0), &entries).unwrap();
    assert_eq!(listing(&back, &Files(vec![files])), listing(&tree, &Inline));
    assert_eq!(tar, tar_of(&tree));
}

#[test]
fn an_independent_reader_sees_the_same_names_and_data() {
    let tar = tar_of(&sample());
    let mut archive = ::tar::Archive::new(&tar[..]);
    let names: Vec<Vec<u8>> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path_bytes().into_owned())
        .collect();
    let expected: Vec<Vec<u8>> = sample()
        .walk()
        .map(
            |(path, id)| match (&*path, sample().children(id).is_some()) {
                (b"", _) => b"./".to_vec(),
                (path, true) => [path, b"/"].concat(),
                (path, false) => path.to_vec(),
            },
        )
        .collect();
    assert_eq!(names, expected);
}

#[test]
#[allow(clippy::disallowed_methods)]
fn gnu_tar_lists_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("layer.tar");
    let mut tree = sample();
    // GNU tar shows this time as a number of its own choice.
    for (_, id) in sample().walk() {
        tree.meta_mut(id).mtime = 86400;
    }
    fs_err::write(&path, tar_of(&tree)).unwrap();
    let output = Command::new("tar")
        .args(["--numeric-owner", "--utc", "--quoting-style=escape", "-tvf"])
        .arg(&path)
        .env("LC_ALL", "C")
        .output()
        .expect("tar (Debian package 'tar')");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    let squeezed: Vec<String> = text
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|l| !l.contains("nnnn") && !l.contains("////") && !l.contains(r"\377\377"))
        .collect();
    insta::assert_snapshot!(squeezed.join("\n"), @r"
    drwxr-xr-x 0/0 0 1970-01-02 00:00 ./
    -rwsr-xr-x 4000000000/2097152 4 1970-01-02 00:00 a-first
    drwxr-xr-x 0/0 0 1970-01-02 00:00 bin/
    hrwsr-xr-x 4000000000/2097152 0 1970-01-02 00:00 bin/ping link to a-first
    -rw------- 0/0 1024 1970-01-02 00:00 block
    drwxrwxrwt 0/0 0 1970-01-02 00:00 dir/
    -rw------- 0/0 0 1970-01-02 00:00 empty
    drwxr-xr-x 0/0 0 1970-01-02 00:00 long/
    -rw-r--r-- 0/0 9 1970-01-02 00:00 long/\377\376
    crw-rw-rw- 0/0 1,3 1970-01-02 00:00 null
    prw------- 0/0 0 1970-01-02 00:00 pipe
    brw-rw---- 0/0 8,2097151 1970-01-02 00:00 sda
    hrwsr-xr-x 4000000000/2097152 0 1970-01-02 00:00 zz-last link to a-first
    ");
}

#[test]
fn a_layer_over_others_leaves_mere_parents_out() {
    let mut tree = Tree::new();
    let file = |mode| Inode {
        meta: Meta::with_mode(mode),
        kind: Kind::File(FileData::empty()),
    };
    let directory = |mode| Inode {
        meta: Meta::with_mode(mode),
        kind: Kind::Directory(BTreeMap::new()),
    };
    tree.insert(b"lib/modules/x", file(0o644)).unwrap();
    tree.insert(b"opt/kept/x", file(0o644)).unwrap();
    tree.insert(b"run", directory(0o755)).unwrap();
    tree.insert(b"tmp", directory(0o1777)).unwrap();
    tree.insert(b"tmp/x", file(0o644)).unwrap();
    let mut tar = Vec::new();
    let over = Over {
        whiteouts: BTreeSet::from([b"etc/ssh/key".to_vec()]),
        keep: Cow::Owned(BTreeSet::from([b"opt/kept".to_vec()])),
        same: BTreeSet::from([b"run".to_vec()]),
    };
    write_over(&tree, &over, &Inline, &mut tar).unwrap();
    let mut archive = ::tar::Archive::new(&tar[..]);
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|e| String::from_utf8(e.unwrap().path_bytes().into_owned()).unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "etc/ssh/.wh.key",
            "lib/modules/x",
            "opt/kept/",
            "opt/kept/x",
            "tmp/",
            "tmp/x"
        ]
    );
}

#[test]
fn data_of_another_length_than_stated_is_an_error() {
    struct Fixed(&'static [u8]);
    impl ReadFile for Fixed {
        fn open<'a>(&'a self, _: &FileData) -> io::Result<Box<dyn Read + 'a>> {
            Ok(Box::new(self.0))
        }
    }
    let mut tree = Tree::new();
    let data = FileData::Layer {
        layer: LayerId(0),
        file: 0,
        size: 3,
    };
    tree.insert(
        b"f",
        Inode {
            meta: Meta::default(),
            kind: Kind::File(data),
        },
    )
    .unwrap();
    for (bytes, message) in [
        (&b"ab"[..], "'f' was to have 3 bytes and has 2"),
        (b"abcd", "'f' was to have 3 bytes and has more"),
    ] {
        let error = write_tar(&tree, &Fixed(bytes), io::sink()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    assert!(write_tar(&tree, &Fixed(b"abc"), io::sink()).is_ok());
}

#[test]
fn a_socket_can_not_be_written() {
    let mut tree = Tree::new();
    tree.insert(
        b"run/s",
        Inode {
            meta: Meta::default(),
            kind: Kind::Socket,
        },
    )
    .unwrap();
    let error = write_tar(&tree, &Inline, io::sink()).unwrap_err();
    assert_eq!(error.class(), Class::Profile);
    assert!(error.to_string().contains("run/s"));
}
