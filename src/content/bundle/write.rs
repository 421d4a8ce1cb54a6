//! Writing a bundle: as a folder, or as a compressed archive in one file or several.
//!
//! The archive is the layout as POSIX ustar with every field fixed, in Zstandard's
//! seekable format. A member's header is a frame of its own, so that who opens the
//! archive unpacks headers alone; its content is cut in frames of [`FRAME_BYTES`], the
//! padding with the last of them. What is compressed already, as its first bytes tell,
//! is stored. Blobs are hashed on their way out, so that damage never gets into a
//! bundle.

use std::fmt;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::parts::{PARTS_SUFFIX, Part, Parts, part_name};
use super::{Bundle, Error, MAX_PARTS};
use crate::formats::zstd_seekable::{Effort, Writer};
use crate::oci::digest::{Digest, HashingReader, Sha256};
use crate::oci::layout::{LayoutFile, OciLayout};
use crate::output::{self, CHECKSUM_SUFFIX};
use crate::progress::{Progress, Task};
use crate::store::Store;

/// What a bundle's archive is called behind its name and version.
pub const ARCHIVE_SUFFIX: &str = ".tar.zst";
/// Largest part where nothing else is said: what FAT can hold.
pub const DEFAULT_PART_BYTES: u64 = 4000 * 1024 * 1024;

/// Bytes of a member's content in one frame.
const FRAME_BYTES: usize = 1024 * 1024;
const BLOCK_BYTES: usize = 512;
/// 1980-01-01, the first time that every file system and archiver can hold. Equal
/// content gives equal bytes whenever it was put together.
const TIME: u64 = 315_532_800;
/// Frames that wait for being written.
const QUEUE: usize = 4;
/// First bytes of what is compressed: gzip, Zstandard, xz, bzip2.
const COMPRESSED: [&[u8]; 4] = [
    &[0x1f, 0x8b],
    &[0x28, 0xb5, 0x2f, 0xfd],
    &[0xfd, b'7', b'z', b'X', b'Z', 0],
    b"BZh",
];

/// Where the blobs of a bundle to be written are.
pub trait Blobs: Sync + fmt::Debug {
    /// Opens a blob of `size` bytes.
    ///
    /// # Errors
    /// Where it is not there.
    fn open(&self, digest: &Digest, size: u64) -> Result<Box<dyn Read + Send>, Error>;
}

impl Blobs for Store {
    fn open(&self, digest: &Digest, size: u64) -> Result<Box<dyn Read + Send>, Error> {
        Ok(Box::new(self.open_sized_blob(digest, size)?.into_file()))
    }
}

impl Blobs for Bundle {
    fn open(&self, digest: &Digest, _size: u64) -> Result<Box<dyn Read + Send>, Error> {
        let opened = self.open_blob(digest)?;
        opened
            .map(|(_, reader)| reader)
            .ok_or_else(|| Error::Missing {
                place: self.place(digest),
                digest: *digest,
                named_by: "the bundle to be written".to_owned(),
            })
    }
}

/// Several, the first that has a blob gives it.
#[derive(Debug)]
pub struct Combined<'a> {
    /// Asked first.
    pub store: &'a Store,
    /// Asked then.
    pub bundles: &'a [Bundle],
}

impl Blobs for Combined<'_> {
    fn open(&self, digest: &Digest, size: u64) -> Result<Box<dyn Read + Send>, Error> {
        if !self.store.has_blob(digest) {
            for bundle in self.bundles {
                if let Some((_, reader)) = bundle.open_blob(digest)? {
                    return Ok(reader);
                }
            }
        }
        Blobs::open(self.store, digest, size)
    }
}

/// What a bundle is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A folder.
    Folder,
    /// An archive; in parts of at most so many bytes where it has more.
    Archive {
        /// Size of a part in bytes.
        part_bytes: Option<u64>,
    },
}

impl Form {
    /// The same, in parts where `folder` is on a file system that can't hold large
    /// files.
    #[must_use]
    pub fn fitting(self, folder: &Path) -> Self {
        match self {
            Self::Archive { part_bytes: None } if is_on_fat(folder) => Self::Archive {
                part_bytes: Some(DEFAULT_PART_BYTES),
            },
            form => form,
        }
    }
}

/// Whether a folder, or where it will be made, is on FAT.
fn is_on_fat(folder: &Path) -> bool {
    // linux/magic.h, MSDOS_SUPER_MAGIC
    const FAT: rustix::fs::FsWord = 0x4d44;
    let existing = folder.ancestors().find(|path| path.exists());
    let existing = existing.filter(|path| !path.as_os_str().is_empty());
    rustix::fs::statfs(existing.unwrap_or(Path::new("."))).is_ok_and(|found| found.f_type == FAT)
}

/// Where a bundle is written to.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The folder that it gets into, made where it is missing.
    pub folder: &'a Path,
    /// Its name there, without a suffix.
    pub name: &'a str,
    /// As what.
    pub form: Form,
    /// Files of that name are replaced.
    pub replace: bool,
}

/// A bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The folder or archive, or the list of its parts.
    pub path: PathBuf,
    /// Bytes of the archive, or of the files in the folder.
    pub bytes: u64,
    /// Digest of the archive; none of a folder.
    pub digest: Option<Digest>,
    /// The parts of a split archive.
    pub parts: Vec<Part>,
}

impl Target<'_> {
    /// Whether something is in the way, found before the work starts.
    ///
    /// # Errors
    /// [`output::Error::Exists`].
    pub fn check(&self) -> Result<(), Error> {
        let path = self.folder.join(self.name);
        let archive = self.folder.join(format!("{}{ARCHIVE_SUFFIX}", self.name));
        let list = self
            .folder
            .join(format!("{}{ARCHIVE_SUFFIX}{PARTS_SUFFIX}", self.name));
        let in_the_way: &[PathBuf] = match self.form {
            Form::Folder => &[path],
            Form::Archive { .. } if self.replace => &[],
            Form::Archive { .. } => &[archive, list],
        };
        match in_the_way.iter().find(|path| path.exists()) {
            Some(path) => Err(output::Error::Exists { path: path.clone() }.into()),
            None => Ok(()),
        }
    }
}

/// Writes a bundle, whole or not at all.
///
/// # Errors
/// What the blobs give, [`Error::Damaged`] where one is not what its digest says, and
/// what the output gives.
pub fn write(
    layout: &OciLayout,
    blobs: &dyn Blobs,
    target: &Target<'_>,
    progress: &Progress,
) -> Result<Written, Error> {
    target.check()?;
    let task = progress.task(&format!("write {}", target.name), Some(layout.size()));
    fs_err::create_dir_all(target.folder).map_err(output::Error::from)?;
    match target.form {
        Form::Folder => {
            let path = target.folder.join(target.name);
            output::new_folder(&path, |folder| write_folder(layout, blobs, folder, &task))?;
            Ok(Written {
                path,
                bytes: layout.size(),
                digest: None,
                parts: Vec::new(),
            })
        }
        Form::Archive { part_bytes } => {
            let name = format!("{}{ARCHIVE_SUFFIX}", target.name);
            let before = replaced(target, &name);
            let mut written = None;
            output::new_files(target.folder, target.replace, |folder| {
                let parts = archive(layout, blobs, folder, &name, part_bytes, &task)?;
                let (names, result) = finish(parts, folder, target.folder)?;
                written = Some((result, names.clone()));
                Ok::<_, Error>(names)
            })?;
            let (written, names) = written
                .ok_or_else(|| output::Error::from(io::Error::other("nothing was written")))?;
            for old in before.iter().filter(|old| !names.contains(old)) {
                fs_err::remove_file(target.folder.join(old)).map_err(output::Error::from)?;
            }
            Ok(written)
        }
    }
}

/// Files of the bundle that is replaced, whatever form it had.
fn replaced(target: &Target<'_>, name: &str) -> Vec<String> {
    let list = format!("{name}{PARTS_SUFFIX}");
    let mut names = vec![name.to_owned()];
    if let Ok(parts) = Parts::read(&target.folder.join(&list)) {
        names.push(list);
        names.extend(parts.parts.into_iter().map(|part| part.name));
    }
    names.retain(|name| target.replace && target.folder.join(name).exists());
    names
}

fn write_folder(
    layout: &OciLayout,
    blobs: &dyn Blobs,
    folder: &Path,
    task: &Task,
) -> Result<(), Error> {
    for (path, file) in &layout.files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent).map_err(output::Error::from)?;
        }
        let mut out = fs_err::File::create(&path).map_err(output::Error::from)?;
        each_chunk(blobs, file, |chunk| {
            out.write_all(chunk)?;
            task.advance(chunk.len() as u64);
            Ok(())
        })?;
        out.sync_all().map_err(output::Error::from)?;
    }
    Ok(())
}

/// Writes the archive into `folder`. Compressing and writing are two threads: each has
/// a hash of its own to compute.
fn archive(
    layout: &OciLayout,
    blobs: &dyn Blobs,
    folder: &Path,
    name: &str,
    part_bytes: Option<u64>,
    task: &Task,
) -> Result<Parts, Error> {
    let (send, receive) = crossbeam_channel::bounded::<Vec<u8>>(QUEUE);
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || -> Result<Parts, Error> {
            let mut out = PartsWriter::new(folder, name, part_bytes);
            for chunk in receive {
                out.write(&chunk)?;
            }
            out.finish()
        });
        let frames = compress(layout, blobs, Queue(send), task);
        match writer.join() {
            // Where writing failed, that is why compressing did.
            Ok(written) => written.and_then(|written| frames.map(|()| written)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// What is written goes to another thread.
struct Queue(crossbeam_channel::Sender<Vec<u8>>);

impl Write for Queue {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let sent = self.0.send(buf.to_vec());
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn compress(layout: &OciLayout, blobs: &dyn Blobs, out: Queue, task: &Task) -> Result<(), Error> {
    let io = |error| Error::from(output::Error::from(error));
    let mut frames = Writer::new(BufWriter::with_capacity(FRAME_BYTES, out)).map_err(io)?;
    for (path, file) in &layout.files {
        let size = file.size();
        let header = header(path, size).map_err(io)?;
        frames
            .frame(header.as_bytes(), Effort::Normal)
            .map_err(io)?;
        let mut effort = None;
        let mut left = size;
        each_chunk(blobs, file, |chunk| {
            let effort = *effort.get_or_insert_with(|| effort_for(chunk));
            left = left.saturating_sub(chunk.len() as u64);
            task.advance(chunk.len() as u64);
            if left > 0 {
                return frames.frame(chunk, effort);
            }
            chunk.resize(chunk.len().next_multiple_of(BLOCK_BYTES), 0);
            frames.frame(chunk, effort)
        })?;
    }
    // Two empty blocks end an archive.
    frames
        .frame(&[0; 2 * BLOCK_BYTES], Effort::Normal)
        .map_err(io)?;
    frames.finish().and_then(|mut out| out.flush()).map_err(io)
}

fn effort_for(first: &[u8]) -> Effort {
    if COMPRESSED.iter().any(|magic| first.starts_with(magic)) {
        Effort::Stored
    } else {
        Effort::Normal
    }
}

fn header(path: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_path(path)?;
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(TIME);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

/// Gives a file's bytes in pieces of [`FRAME_BYTES`], the last one shorter, and checks
/// afterwards that they were the right ones. The pieces may be changed.
fn each_chunk(
    blobs: &dyn Blobs,
    file: &LayoutFile,
    mut take: impl FnMut(&mut Vec<u8>) -> io::Result<()>,
) -> Result<(), Error> {
    let (reader, expected): (Box<dyn Read + Send>, _) = match file {
        LayoutFile::Bytes(bytes) => (Box::new(io::Cursor::new(bytes.clone())), None),
        LayoutFile::Blob(digest, size) => (blobs.open(digest, *size)?, Some(digest)),
        LayoutFile::File(path, digest, _) => {
            let file = fs_err::File::open(path).map_err(|source| Error::Io {
                path: path.clone(),
                source,
            })?;
            (Box::new(file.into_file()), Some(digest))
        }
    };
    let size = file.size();
    // Never more than the archive's header has said.
    let mut reader = HashingReader::new(reader.take(size));
    let mut chunk = Vec::with_capacity(FRAME_BYTES + BLOCK_BYTES);
    loop {
        chunk.clear();
        let read = (&mut reader)
            .take(FRAME_BYTES as u64)
            .read_to_end(&mut chunk)
            .map_err(|source| match expected {
                Some(digest) => Error::Blob {
                    digest: *digest,
                    source,
                },
                None => output::Error::from(source).into(),
            })?;
        if read == 0 {
            break;
        }
        take(&mut chunk).map_err(output::Error::from)?;
    }
    let (found, bytes) = reader.finish();
    match expected {
        Some(digest) if found != *digest || bytes != size => Err(Error::Damaged {
            digest: *digest,
            found,
        }),
        _ => Ok(()),
    }
}

/// Writes one file, or several where there is a limit.
struct PartsWriter<'a> {
    folder: &'a Path,
    name: &'a str,
    part_bytes: Option<u64>,
    current: Option<(fs_err::File, Sha256, u64)>,
    done: Vec<Part>,
    /// Of all of it, where there may be several.
    whole: Sha256,
    size: u64,
}

impl<'a> PartsWriter<'a> {
    fn new(folder: &'a Path, name: &'a str, part_bytes: Option<u64>) -> Self {
        Self {
            folder,
            name,
            part_bytes,
            current: None,
            done: Vec::new(),
            whole: Sha256::new(),
            size: 0,
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.part_bytes.is_some() {
            self.whole.update(bytes);
        }
        while !bytes.is_empty() {
            let limit = self.part_bytes.unwrap_or(u64::MAX).max(1);
            if self.current.as_ref().is_some_and(|(_, _, n)| *n >= limit) {
                self.end_part()?;
            }
            let (file, hasher, written) = match &mut self.current {
                Some(current) => current,
                None => {
                    let path = self.folder.join(part_name(self.name, self.done.len() + 1));
                    let file = fs_err::File::create(path).map_err(output::Error::from)?;
                    self.current.insert((file, Sha256::new(), 0))
                }
            };
            let room = usize::try_from(limit - *written).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            file.write_all(now).map_err(output::Error::from)?;
            hasher.update(now);
            *written += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    fn end_part(&mut self) -> Result<(), Error> {
        if let Some((_, hasher, size)) = self.current.take() {
            if self.done.len() >= MAX_PARTS {
                return Err(Error::TooManyParts);
            }
            self.done.push(Part {
                name: part_name(self.name, self.done.len() + 1),
                size,
                digest: hasher.finish(),
            });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Parts, Error> {
        self.end_part()?;
        let whole = self.whole.finish();
        Ok(Parts {
            schema: 1,
            name: self.name.to_owned(),
            size: self.size,
            digest: match self.done.as_slice() {
                [one] => one.digest,
                _ => whole,
            },
            parts: self.done,
        })
    }
}

/// Writes checksums and the list of parts; gives the names of all files, what is to
/// be there last at the end.
fn finish(mut parts: Parts, folder: &Path, to: &Path) -> Result<(Vec<String>, Written), Error> {
    let put = |name: &str, text: &[u8]| {
        fs_err::write(folder.join(name), text).map_err(output::Error::from)
    };
    let is_split = parts.parts.len() > 1;
    if let ([one], false) = (parts.parts.as_mut_slice(), is_split) {
        fs_err::rename(folder.join(&one.name), folder.join(&parts.name))
            .map_err(output::Error::from)?;
        one.name.clone_from(&parts.name);
    }
    let mut checksums = String::new();
    for part in &parts.parts {
        checksums.push_str(&output::checksum_line(&part.digest, &part.name));
    }
    let checksum_name = format!("{}{CHECKSUM_SUFFIX}", parts.name);
    put(&checksum_name, checksums.as_bytes())?;
    let mut names: Vec<String> = parts.parts.iter().map(|part| part.name.clone()).collect();
    names.push(checksum_name);
    let mut path = to.join(&parts.name);
    if is_split {
        let list = format!("{}{PARTS_SUFFIX}", parts.name);
        let mut text = serde_json::to_vec_pretty(&parts)
            .map_err(io::Error::from)
            .map_err(output::Error::from)?;
        text.push(b'\n');
        put(&list, &text)?;
        path = to.join(&list);
        names.push(list);
    }
    Ok((
        names,
        Written {
            path,
            bytes: parts.size,
            digest: Some(parts.digest),
            parts: if is_split { parts.parts } else { Vec::new() },
        },
    ))
}
