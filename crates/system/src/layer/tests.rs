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
mod kinds;
mod merge;
mod mutate;
mod refused;
mod sparse;
mod whiteouts;

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
    assert_eq!(error.class(), Class::Environment);
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
