//! Archives made byte by byte, so that the parser is not tested against its
//! own idea of the format. The headers come from the `tar` crate.

use std::fmt::Write as _;
use std::io::{self, Read};

use super::*;
use crate::Error;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::tree::{FileData, Kind, LayerId, ReadFile, Tree, display};
use isoforge_formats::Error as Bad;
use isoforge_formats::tar::{Limit, Limits, record};

mod judged;
mod merge;
mod mutate;
mod sparse;

/// Keeps files' data in memory.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Vec<Vec<u8>>);

impl FileSink for Kept {
    fn file(&mut self, size: u64, data: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        assert_eq!(bytes.len() as u64, size);
        self.0.push(bytes);
        Ok(())
    }
}

/// The files' data of all layers.
pub(crate) struct Files(pub(crate) Vec<Vec<Vec<u8>>>);

impl ReadFile for Files {
    fn open<'a>(&'a self, data: &FileData) -> io::Result<Box<dyn Read + 'a>> {
        match data {
            FileData::Layer { layer, file, .. } => {
                Ok(Box::new(&self.0[layer.0 as usize][*file as usize][..]))
            }
            FileData::Inline(_) => Err(io::Error::other("no inline data here")),
        }
    }
}

pub(crate) fn read(tar: &[u8], limits: &Limits) -> Result<(Vec<Entry>, Vec<Vec<u8>>), Error> {
    let mut sink = Kept::default();
    Ok((read_tar(tar, limits, &mut sink)?, sink.0))
}

/// A tree as text, one line for each entry, equal for equal trees.
pub(crate) fn listing(tree: &Tree, data: &dyn ReadFile) -> String {
    let mut out = String::new();
    let mut first = std::collections::BTreeMap::new();
    for (path, id) in tree.walk() {
        let inode = tree.inode(id);
        let meta = &inode.meta;
        let what = match &inode.kind {
            Kind::File(file) => {
                let mut bytes = Vec::new();
                data.open(file).unwrap().read_to_end(&mut bytes).unwrap();
                format!(
                    "{} bytes {}",
                    bytes.len(),
                    bytes[..bytes.len().min(64)].escape_ascii()
                )
            }
            Kind::Symlink(target) => format!("-> {}", target.escape_ascii()),
            Kind::CharDevice(d) | Kind::BlockDevice(d) => format!("{},{}", d.major, d.minor),
            Kind::Directory(_) | Kind::Fifo | Kind::Socket => String::new(),
        };
        let same = first.entry(id).or_insert_with(|| path.clone());
        let link = if *same == path {
            String::new()
        } else {
            format!(" = {}", display(same))
        };
        let _ = write!(
            out,
            "{}{:04o} {}:{} {} /{} {what}{link}",
            inode.kind.type_char(),
            meta.mode,
            meta.uid,
            meta.gid,
            meta.mtime,
            path.escape_ascii(),
        );
        for (name, value) in &meta.xattrs {
            let _ = write!(out, " {}={}", name.escape_ascii(), value.escape_ascii());
        }
        out.push('\n');
    }
    out
}

/// Builds an archive.
#[derive(Default, Clone)]
pub(crate) struct Archive(pub(crate) Vec<u8>);

impl Archive {
    /// A header as it is, its checksum set, and data after it.
    pub(crate) fn header(mut self, mut header: tar::Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn member(self, typeflag: u8, path: &[u8], link: &[u8], data: &[u8]) -> Self {
        self.header(plain(typeflag, path, link, data.len() as u64), data)
    }

    pub(crate) fn file(self, path: &str, data: &str) -> Self {
        self.member(b'0', path.as_bytes(), b"", data.as_bytes())
    }

    pub(crate) fn dir(self, path: &str) -> Self {
        self.member(b'5', path.as_bytes(), b"", b"")
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.member(b'2', path.as_bytes(), target.as_bytes(), b"")
    }

    pub(crate) fn hardlink(self, path: &str, target: &str) -> Self {
        self.member(b'1', path.as_bytes(), target.as_bytes(), b"")
    }

    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let data: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| record(key.as_bytes(), value))
            .collect();
        self.member(b'x', b"PaxHeaders/x", b"", &data)
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

pub(crate) fn plain(typeflag: u8, path: &[u8], link: &[u8], size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::new(typeflag));
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_mode(if typeflag == b'5' { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_size(size);
    header
}

fn entries(tar: &[u8]) -> Vec<Entry> {
    read(tar, &Limits::default()).unwrap().0
}

fn error(tar: &[u8]) -> Error {
    let error = read(tar, &Limits::default()).unwrap_err();
    assert_eq!(error.class(), Class::Verification, "{error}");
    error
}

fn one(archive: Archive) -> Entry {
    let mut all = entries(&archive.end());
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn names_in_every_spelling() {
    let long = [b"d/".as_slice(), &[b'n'; 250]].concat();
    let mut prefixed = plain(b'0', b"name", b"", 0);
    prefixed.as_ustar_mut().unwrap().prefix[..3].copy_from_slice(b"a/b");
    let mut gnu = tar::Header::new_gnu();
    gnu.as_old_mut().name[..4].copy_from_slice(b"name");
    // What a prefix would be, GNU's format uses for times.
    gnu.as_gnu_mut().unwrap().set_atime(7);
    gnu.set_size(0);
    for (archive, path) in [
        (Archive::default().file("./a//b/", ""), &b"a/b"[..]),
        (Archive::default().file("/abs", ""), b"abs"),
        (
            Archive::default().member(b'0', b"\xff\xfe", b"", b""),
            b"\xff\xfe",
        ),
        (
            Archive::default().member(b'0', &[b'x'; 100], b"", b""),
            &[b'x'; 100],
        ),
        (Archive::default().header(prefixed, b""), b"a/b/name"),
        (Archive::default().header(gnu, b""), b"name"),
        (
            Archive::default().pax(&[("path", &long)]).file("cut", ""),
            &long,
        ),
        (
            Archive::default()
                .member(b'L', b"././@LongLink", b"", &[&long[..], b"\0"].concat())
                .file("cut", ""),
            &long,
        ),
    ] {
        assert_eq!(display(&one(archive).path), display(path));
    }
}

#[test]
fn types_and_numbers() {
    let mut device = plain(b'3', b"null", b"", 0);
    device.set_device_major(1).unwrap();
    device.set_device_minor(3).unwrap();
    device.as_old_mut().mode = *b"0020666\0";
    let mut large = plain(b'0', b"large", b"", 0);
    large.set_uid(3_000_000_000);
    large.as_old_mut().mtime = [0xff; 12];
    let tar = Archive::default()
        .dir("./")
        .file("v7dir/", "")
        .member(b'\0', b"old", b"", b"x")
        .member(b'7', b"contiguous", b"", b"yz")
        .member(b'6', b"fifo", b"", b"")
        .header(device, b"")
        .header(large, b"")
        .symlink("s", "/../target")
        .hardlink("h", "./old")
        .member(b'V', b"label", b"", b"")
        .member(b'g', b"g", b"", &record(b"comment", b"0123"))
        .pax(&[
            ("uid", b"5"),
            ("gid", b"6"),
            ("mtime", b"7.9"),
            ("atime", b"1"),
        ])
        .file("pax", "")
        .end();
    let (entries, files) = read(&tar, &Limits::default()).unwrap();
    assert_eq!(files, [&b"x"[..], b"yz", b"", b""]);
    let shown: Vec<String> = entries
        .iter()
        .map(|e| {
            let m = &e.meta;
            format!(
                "/{} {:o} {}:{} {} {:?}",
                display(&e.path),
                m.mode,
                m.uid,
                m.gid,
                m.mtime,
                e.kind
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    / 755 0:0 1 Directory
    /v7dir 644 0:0 1 Directory
    /old 644 0:0 1 File { file: 0, size: 1 }
    /contiguous 644 0:0 1 File { file: 1, size: 2 }
    /fifo 644 0:0 1 Fifo
    /null 666 0:0 1 CharDevice(Device { major: 1, minor: 3 })
    /large 644 3000000000:0 -1 File { file: 2, size: 0 }
    /s 644 0:0 1 Symlink([47, 46, 46, 47, 116, 97, 114, 103, 101, 116])
    /h 644 0:0 1 Hardlink([111, 108, 100])
    /pax 644 5:6 7 File { file: 3, size: 0 }
    ");
}

#[test]
fn whiteouts_opaque_marks_and_aufs_files() {
    let tar = Archive::default()
        .file("a/.wh.b", "")
        .file("a/.wh..wh..opq", "")
        .file(".wh..wh..opq", "")
        .file(".wh..wh.plnk/1.2", "")
        .file(".wh..wh.aufs", "data of a whiteout is skipped")
        .file("f", "x")
        .end();
    let (entries, files) = read(&tar, &Limits::default()).unwrap();
    assert_eq!(files, [b"x"]);
    let shown: Vec<_> = entries
        .iter()
        .map(|e| (display(&e.path), &e.kind))
        .collect();
    assert_eq!(shown[0], ("a/b".to_owned(), &EntryKind::Whiteout));
    assert_eq!(shown[1], ("a".to_owned(), &EntryKind::Opaque));
    assert_eq!(shown[2], (String::new(), &EntryKind::Opaque));
    assert_eq!(shown[3].0, "f");
    for path in ["a/.wh.", "a/.wh..", "a/.wh...", ".wh..."] {
        error(&Archive::default().file(path, "").end());
    }
}

fn assert_refused(tar: &[u8], problem: &str) {
    let text = error(tar).to_string();
    assert!(text.contains(problem), "{text}");
}

#[test]
fn unsafe_paths_are_refused_by_name() {
    for archive in [
        Archive::default().file("../etc/passwd", "x"),
        Archive::default().file("a/../../b", "x"),
        Archive::default().dir(".."),
        Archive::default().hardlink("a", "../../etc/shadow"),
        Archive::default()
            .pax(&[("path", b"a/../b")])
            .file("ok", ""),
        Archive::default().pax(&[("path", b"a\0b")]).file("ok", ""),
        Archive::default()
            .pax(&[("linkpath", b"..")])
            .hardlink("ok", "ok"),
        Archive::default()
            .member(b'L', b"l", b"", b"../x\0")
            .file("ok", ""),
    ] {
        assert_refused(&archive.end(), "unsafe entry '");
    }
    let error = error(&Archive::default().file("../etc/passwd", "x").end()).in_layer("sha256:0123");
    assert_eq!(
        error.to_string(),
        "layer sha256:0123: unsafe entry '../etc/passwd': path '../etc/passwd' has a '..' component"
    );
    assert_eq!(error.class(), Class::Verification);
    assert!(error.hint().is_some());
}

#[test]
fn two_readings_of_one_archive_are_refused() {
    // The attack that such parsers fell for: the header says 0, the record
    // 1024, and an archive hides in the difference.
    let hidden = Archive::default().file("hidden", "").0;
    let differs = Archive::default()
        .pax(&[("size", b"512")])
        .header(plain(b'0', b"f", b"", 0), &hidden);
    assert_refused(
        &differs.end(),
        "has two sizes: 0 in its header, 512 in its extended header",
    );
    let link = Archive::default().member(b'1', b"l", b"f", b"data");
    assert_refused(&link.end(), "is a hard link and states 4 bytes of data");
    let mut lone = Archive::default().file("a", "").0;
    lone.extend_from_slice(&[0; 512]);
    let lone = Archive(lone).file("b", "").end();
    assert_refused(&lone, "goes on after a single zero block at byte 512");
    let global = Archive::default()
        .member(b'g', b"g", b"", &record(b"path", b"x"))
        .file("a", "");
    assert_refused(&global.end(), "the extended header at byte ");
    let names = Archive::default()
        .member(b'L', b"l", b"", b"one\0")
        .pax(&[("path", b"two")])
        .file("a", "");
    assert_refused(&names.end(), "the extended header at byte ");
    let twice = Archive::default()
        .pax(&[("uid", b"1")])
        .pax(&[("uid", b"2")])
        .file("a", "");
    assert_refused(&twice.end(), "the extended header at byte ");
}

#[test]
fn a_size_beyond_the_octal_field_comes_from_the_record() {
    for stated in [0, 0o777_7777_7777] {
        let tar = Archive::default()
            .pax(&[("size", b"8589934592")])
            .header(plain(b'0', b"f", b"", stated), b"")
            .0;
        assert!(matches!(error(&tar), Error::Format(Bad::Truncated { .. })));
    }
}

#[test]
fn truncation_is_found_wherever_it_is() {
    let tar = Archive::default()
        .pax(&[("path", b"some/long/name")])
        .file("f", &"data".repeat(300))
        .file("g", "x")
        .end();
    let whole = entries(&tar);
    let blocks_between = [0, 1024 + 512 + 1536, tar.len() - 1024, tar.len() - 512];
    // Between the data of a member and what fills its block.
    let without_padding = [1024 + 512 + 1200, 3072 + 512 + 1];
    for length in 0..tar.len() {
        match read(&tar[..length], &Limits::default()) {
            Ok((entries, _)) => {
                let all = [blocks_between.as_slice(), &without_padding].concat();
                assert!(all.contains(&length), "{length}");
                assert_eq!(entries, whole[..entries.len()]);
            }
            Err(Error::Format(Bad::Truncated { .. })) => {}
            Err(other) => panic!("{length}: {other}"),
        }
    }
}

#[test]
fn an_archive_may_end_with_the_last_byte_of_data() {
    let tar = Archive::default().file("f", "four").0;
    let entries = entries(&tar[..512 + 4]);
    assert_eq!(entries[0].path, b"f");
    let error = error(&tar[..512 + 3]);
    assert!(
        matches!(error, Error::Format(Bad::Truncated { .. })),
        "{error}"
    );
}

#[test]
fn what_follows_the_end_is_read_and_ignored() {
    let mut tar = Archive::default().file("a", "").end();
    tar.extend_from_slice(&Archive::default().file("b", "").0);
    tar.push(1);
    let mut rest = &tar[..];
    let entries = read_tar(&mut rest, &Limits::default(), &mut Kept::default()).unwrap();
    assert_eq!((entries.len(), rest.len()), (1, 0));
}

#[test]
fn malformed_headers_are_errors() {
    let root_file = Archive::default().file("./", "").0;
    assert_eq!(
        entries(&Archive(root_file).end())[0].kind,
        EntryKind::Directory
    );
    for (archive, message) in [
        (
            Archive::default().symlink("/", "x"),
            "makes the root something other than a directory",
        ),
        (Archive::default().symlink("s", ""), "link target is empty"),
        (Archive::default().hardlink("h", ""), "link target is empty"),
        (
            Archive::default().hardlink("h", "./"),
            "link target is empty",
        ),
        (
            Archive::default()
                .pax(&[("linkpath", b"a\0b")])
                .symlink("s", "x"),
            "NUL byte",
        ),
        (
            Archive::default().member(b'M', b"more", b"", b""),
            "type 'M'",
        ),
        (
            Archive::default().member(b'D', b"dump", b"", b""),
            "type 'D'",
        ),
        (
            Archive::default().member(0xff, b"x", b"", b""),
            r"type '\xff'",
        ),
        (
            Archive::default().file("dir/", "data"),
            "is a directory and states 4 bytes",
        ),
        (
            Archive::default()
                .pax(&[("path", &[b'n'; 256])])
                .file("x", ""),
            "longer than 255 bytes",
        ),
        (
            Archive::default()
                .pax(&[("uid", b"4294967296")])
                .file("x", ""),
            "'uid' is out of range",
        ),
        (
            Archive::default()
                .member(b'x', b"p", b"", b"zz")
                .file("x", ""),
            "a record has no length",
        ),
    ] {
        let text = error(&archive.end()).to_string();
        assert!(text.contains(message), "{text}");
    }
    let mut tar = Archive::default().file("a", "").end();
    tar[3] ^= 1;
    assert!(matches!(
        error(&tar),
        Error::Format(Bad::Checksum { offset: 0 })
    ));
    let mut bad_mode = plain(b'0', b"f", b"", 0);
    bad_mode.as_old_mut().mode = *b"worldrw\0";
    let text = error(&Archive::default().header(bad_mode, b"").end()).to_string();
    assert_eq!(text, "entry 'f' at byte 0: mode is not an octal number");
}

#[test]
fn a_sink_that_reads_little_does_not_shift_the_rest() {
    struct Lazy;
    impl FileSink for Lazy {
        fn file(&mut self, _: u64, data: &mut dyn Read) -> io::Result<()> {
            data.read_exact(&mut [0; 3])
        }
    }
    let tar = Archive::default()
        .file("a", &"abc".repeat(700))
        .file("b", "xyz")
        .end();
    let entries = read_tar(&tar[..], &Limits::default(), &mut Lazy).unwrap();
    assert_eq!(entries[1].path, b"b");
    let error = read_tar(&tar[..2000], &Limits::default(), &mut Lazy).unwrap_err();
    assert!(
        matches!(error, Error::Format(Bad::Truncated { .. })),
        "{error}"
    );
}

#[test]
fn a_sink_that_fails_is_named_with_the_file() {
    struct Full;
    impl FileSink for Full {
        fn file(&mut self, _: u64, _: &mut dyn Read) -> io::Result<()> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
    }
    let tar = Archive::default().file("a", "x").end();
    let error = read_tar(&tar[..], &Limits::default(), &mut Full).unwrap_err();
    assert_eq!(error.class(), Class::Io);
    assert_eq!(error.to_string(), "can't keep the data of 'a'");
}

#[test]
fn a_disk_that_fails_is_no_damaged_archive() {
    struct Broken(fn() -> io::Error);
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err((self.0)())
        }
    }
    let class = |source| {
        let result = read_tar(Broken(source), &Limits::default(), &mut Kept::default());
        result.unwrap_err().class()
    };
    let input_output = || io::Error::from_raw_os_error(5);
    assert_eq!(class(input_output), Class::Io);
    // As `fs_err` wraps it: the kind is kept, the number is not.
    assert_eq!(
        class(|| io::Error::new(io::Error::from_raw_os_error(5).kind(), "wrapped")),
        Class::Io
    );
    assert_eq!(class(|| io::ErrorKind::PermissionDenied.into()), Class::Io);
    assert_eq!(
        class(|| io::ErrorKind::UnexpectedEof.into()),
        Class::Verification
    );
}

#[test]
fn limits_are_set_by_their_names() {
    let limits: Limits = toml::from_str("inflation_ratio = 1000\nentries = 5").unwrap();
    let expected = Limits {
        inflation_ratio: 1000,
        entries: 5,
        ..Limits::default()
    };
    assert_eq!(limits, expected);
    assert!(toml::from_str::<Limits>("ratio = 1").is_err());
    let text = toml::to_string(&expected).unwrap();
    for limit in [
        Limit::Entries,
        Limit::PathLength,
        Limit::LayerBytes,
        Limit::InflationRatio,
        Limit::XattrBytes,
        Limit::ExtendedHeaderBytes,
        Limit::MetadataBytes,
        Limit::SparseSegments,
    ] {
        assert!(text.contains(&format!("{} = ", limit.name())), "{limit:?}");
    }
}

#[test]
fn an_error_survives_the_way_through_io() {
    let original = error(&Archive::default().file("..", "").end());
    let text = original.to_string();
    let back = Error::of_stream(match original {
        Error::Format(error) => error.into(),
        other => panic!("{other}"),
    });
    assert_eq!(back.to_string(), text);
}

/// Layers merged, each given as an archive.
pub(crate) fn merged(layers: &[Vec<u8>]) -> Result<(Tree, Files), Error> {
    let mut tree = Tree::new();
    let mut files = Vec::new();
    for (at, tar) in layers.iter().enumerate() {
        let (entries, data) = read(tar, &Limits::default())?;
        apply(&mut tree, LayerId(u32::try_from(at).unwrap()), &entries)?;
        files.push(data);
    }
    Ok((tree, Files(files)))
}
