//! The files of a bundle, wherever it lies.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::parts::{self, PartsList};
use crate::error::{Error, read_bundle};
use isoforge_base::read_at::{FileAt, ReadAt, Window};
use isoforge_contract::iso::CONTENT;
use isoforge_formats::iso9660::read::{Entry, EntryKind, Image, Limits, Namespace};
use isoforge_formats::zstd_seekable;
use isoforge_oci::layout::LAYOUT_FILE;
use isoforge_oci::registry::Files;

/// Where the first volume descriptor of an ISO image says so (ECMA-119, 8.1.2).
const ISO_MAGIC_AT: u64 = 16 * 2048 + 1;
const ISO_MAGIC: &[u8; 5] = b"CD001";

/// A member's header in a tar archive.
const HEADER_BYTES: u64 = 512;
/// Longest header of a frame (RFC 8878, section 3.1.1).
const FRAME_HEADER_BYTES: usize = 18;

/// What is compressed: first bytes, and the program that decompresses it.
pub(super) const COMPRESSED: [(&[u8], &str); 4] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (&[0x1f, 0x8b], "gzip"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"),
    (b"BZh", "bzip2"),
];

/// The folder of the layout that `path` is, or that the folder of a mounted ISO image
/// has.
fn layout_folder(path: &Path) -> Result<Option<PathBuf>, Error> {
    for folder in [path.to_owned(), path.join(CONTENT)] {
        let marker = folder.join(LAYOUT_FILE);
        match marker.try_exists() {
            Ok(true) => return Ok(Some(folder)),
            Ok(false) => {}
            // Below a file there is nothing.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(source) => return Err(read_bundle(&marker)(source)),
        }
    }
    Ok(None)
}

/// The list of parts, where `path` is a split bundle.
pub(super) fn parts_list(path: &Path) -> Result<Option<PathBuf>, Error> {
    match layout_folder(path)? {
        Some(_) => Ok(None),
        None => parts::list_of(path),
    }
}

/// Finds the layout's files.
pub(super) fn files(path: &Path) -> Result<Files, Error> {
    let io = read_bundle(path);
    if let Some(folder) = layout_folder(path)? {
        return Ok(Files::in_folder(&folder));
    }
    if let Some(list) = parts::list_of(path)? {
        let joined = PartsList::read(&list)?.join(&list)?;
        return in_source(&list, Arc::new(joined));
    }
    if path.is_dir() {
        let problem = format!("it has no {LAYOUT_FILE}, no {CONTENT} and no list of parts");
        return Err(Error::not_bundle(path, problem));
    }
    match FileAt::open(path) {
        Ok(file) => in_source(path, Arc::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::asked(format!("there is no {}", path.display())).into())
        }
        Err(error) => Err(io(error)),
    }
}

/// Tells an ISO image, a compressed archive and a plain one apart.
fn in_source(path: &Path, source: Arc<dyn ReadAt>) -> Result<Files, Error> {
    let io = read_bundle(path);
    if starts_with(&*source, ISO_MAGIC_AT, ISO_MAGIC).map_err(io)? {
        return on_iso(path, source);
    }
    for (magic, program) in COMPRESSED {
        if !starts_with(&*source, 0, magic).map_err(io)? {
            continue;
        }
        let frames = match program {
            "zstd" => zstd_seekable::Reader::open(Arc::clone(&source))
                .map_err(|error| Error::not_bundle(path, format!("it {error}")))?,
            _ => None,
        };
        return match frames {
            Some(frames) => in_tar(path, Arc::new(frames)),
            None if program == "zstd" && begins_with_header(&*source).map_err(io)? => {
                let problem = "it was cut short: the table at its end is missing";
                Err(Error::not_bundle(path, problem))
            }
            None => Err(Error::OnePiece {
                path: path.to_owned(),
                program,
            }),
        };
    }
    in_tar(path, source)
}

fn in_tar(path: &Path, source: Arc<dyn ReadAt>) -> Result<Files, Error> {
    Files::in_tar(path, source).map_err(|error| match error {
        isoforge_oci::Error::Format { path, problem } => {
            Error::not_bundle(&path, format!("it {problem}"))
        }
        error => error.into(),
    })
}

/// Whether a compressed file begins like a bundle's archive: with the header of a
/// member as a frame of its own.
fn begins_with_header(source: &dyn ReadAt) -> io::Result<bool> {
    let mut start = vec![0; FRAME_HEADER_BYTES.min(usize::try_from(source.size()).unwrap_or(0))];
    source.read_exact_at(&mut start, 0)?;
    let content = zstd::zstd_safe::get_frame_content_size(&start);
    Ok(content.is_ok_and(|size| size == Some(HEADER_BYTES)))
}

fn starts_with(source: &dyn ReadAt, at: u64, magic: &[u8]) -> io::Result<bool> {
    let mut found = vec![0; magic.len()];
    match source.read_exact_at(&mut found, at) {
        Ok(()) => Ok(found == magic),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn on_iso(path: &Path, source: Arc<dyn ReadAt>) -> Result<Files, Error> {
    let iso = |source| Error::Iso {
        path: path.to_owned(),
        source,
    };
    let wrong = |problem| Error::not_bundle(path, problem);
    let window = Window::whole(Arc::clone(&source));
    let mut image = Image::open(window, Limits::default()).map_err(iso)?;
    let prefix = format!("{CONTENT}/");
    let mut ranges = BTreeMap::new();
    for entry in image.entries(Namespace::Primary).map_err(iso)? {
        let name = std::str::from_utf8(&entry.path).ok();
        let Some(name) = name.and_then(|name| name.strip_prefix(&prefix)) else {
            continue;
        };
        if entry.kind == EntryKind::File {
            let range = in_one_piece(&entry)
                .ok_or_else(|| wrong(format!("{prefix}{name} lies in several pieces")))?;
            ranges.insert(name.to_owned(), range);
        }
    }
    if ranges.is_empty() {
        return Err(wrong(format!("it is an ISO image without {CONTENT}")));
    }
    Ok(Files::in_ranges(path, source, ranges))
}

/// First byte and size of a file. Large ones have several extents, one behind the
/// other.
fn in_one_piece(entry: &Entry) -> Option<(u64, u64)> {
    let start = entry.sections.first().map_or(0, |section| section.offset);
    let mut end = start;
    for section in &entry.sections {
        if section.offset != end {
            return None;
        }
        end = end.checked_add(section.bytes)?;
    }
    (end - start == entry.size).then_some((start, entry.size))
}
