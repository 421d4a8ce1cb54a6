//! Files by path in a folder or in a tar archive: what OCI layouts and docker
//! archives lie in.
//!
//! An archive is read once for the positions of its members; their bytes are
//! then read in place, by several threads at once. A compressed archive is
//! decompressed to an unnamed temporary file first.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::Error;
use super::tar_index::{self, Member};
use crate::oci::compression::{decompress, sniff};
use crate::oci::layer::LayerCompression;
use crate::oci::reference::{ImageSource, Reference};

/// Most bytes that a compressed archive may unpack to.
pub const MAX_UNPACKED_BYTES: u64 = 256 * 1024 * 1024 * 1024;
/// Longest chain of symbolic links within an archive.
const MAX_LINKS: usize = 8;
const MAGIC_BYTES: usize = 8;

/// A folder or archive.
#[derive(Debug)]
pub(super) enum Files {
    Folder(PathBuf),
    Archive(Archive),
}

/// A tar archive and where its members are.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    file: Arc<std::fs::File>,
    members: BTreeMap<String, Member>,
}

/// An open file and its size in bytes.
pub(super) struct Opened {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) size: u64,
}

impl Files {
    /// Opens the folder of an `oci:` source.
    pub(super) fn folder(path: &Path, source: &ImageSource) -> Result<Self, Error> {
        exists(path, source)?;
        if !path.is_dir() {
            let problem = "is no folder; for an archive write oci-archive:FILE";
            return Err(wrong(path, problem.to_owned()));
        }
        Ok(Self::Folder(path.to_owned()))
    }

    /// Opens an archive; `scratch` is where a compressed one is unpacked.
    pub(super) fn archive(
        path: &Path,
        source: &ImageSource,
        scratch: &Path,
    ) -> Result<Self, Error> {
        exists(path, source)?;
        if path.is_dir() {
            let problem = "is a folder; for an OCI layout in a folder write oci:DIR";
            return Err(wrong(path, problem.to_owned()));
        }
        let file = seekable(path, scratch)?;
        let members = tar_index::scan(&file).map_err(|problem| wrong(path, problem.to_string()))?;
        Ok(Self::Archive(Archive {
            path: path.to_owned(),
            file: Arc::new(file),
            members,
        }))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) => path,
            Self::Archive(archive) => &archive.path,
        }
    }

    /// Where a file is, for messages.
    pub(super) fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.path().display())
    }

    /// Opens a file by its path within; `None` where it is not there.
    pub(super) fn open(&self, name: &str) -> Result<Option<Opened>, Error> {
        self.open_at(name, 0)
    }

    /// Like [`open`](Self::open), to be read from byte `start` on; the size is
    /// the whole file's.
    pub(super) fn open_at(&self, name: &str, start: u64) -> Result<Option<Opened>, Error> {
        match self {
            Self::Folder(folder) => {
                let mut file = match fs_err::File::open(folder.join(name)) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                let size = file.metadata()?.len();
                file.seek(SeekFrom::Start(start))?;
                let reader = Box::new(file);
                Ok(Some(Opened { reader, size }))
            }
            Self::Archive(archive) => Ok(archive.open_at(name, start)),
        }
    }

    /// All bytes of a small file; `None` where it is not there.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(opened) = self.open(name)? else {
            return Ok(None);
        };
        if opened.size > limit {
            return Err(self.wrong(format!("{name} has more than {limit} bytes")));
        }
        let mut bytes = Vec::new();
        opened.reader.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Like [`read`](Self::read) for a file that must be there.
    pub(super) fn require(&self, name: &str, limit: u64) -> Result<Vec<u8>, Error> {
        self.read(name, limit)?
            .ok_or_else(|| self.wrong(format!("{name} is missing")))
    }

    pub(super) fn wrong(&self, problem: String) -> Error {
        wrong(self.path(), problem)
    }
}

fn wrong(path: &Path, problem: String) -> Error {
    Error::Format {
        path: path.to_owned(),
        problem,
    }
}

fn exists(path: &Path, source: &ImageSource) -> Result<(), Error> {
    if path.try_exists().map_err(|error| named(path, &error))? {
        return Ok(());
    }
    Err(Error::NoSource {
        path: path.to_owned(),
        instead: registry_name(source),
    })
}

/// The image that `oci:quay.io/kairos/ubuntu:22.04` names for other tools: what
/// begins with a part that looks like a host.
fn registry_name(source: &ImageSource) -> Option<String> {
    let text = source.to_string();
    let (_, mut rest) = text.split_once(':')?;
    loop {
        let (first, after) = rest.split_once('/')?;
        let is_host = first.contains('.') && first.starts_with(|c: char| c.is_ascii_alphanumeric());
        if is_host && rest.parse::<Reference>().is_ok() {
            return Some(rest.to_owned());
        }
        rest = after;
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The file itself where it is a plain archive, else its decompressed bytes.
fn seekable(path: &Path, scratch: &Path) -> Result<std::fs::File, Error> {
    let mut file = fs_err::File::open(path)?;
    let mut magic = Vec::new();
    (&mut file)
        .take(MAGIC_BYTES as u64)
        .read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    let compression = sniff(&magic);
    if compression == LayerCompression::Plain {
        return Ok(file.into_file());
    }
    let mut out = tempfile::tempfile_in(scratch).map_err(|error| named(scratch, &error))?;
    let unpacked = decompress(file, compression)?.take(MAX_UNPACKED_BYTES + 1);
    let bytes = io::copy(&mut io::BufReader::new(unpacked), &mut out)
        .map_err(|error| wrong(path, format!("can't be decompressed: {error}")))?;
    if bytes > MAX_UNPACKED_BYTES {
        return Err(wrong(
            path,
            format!("unpacks to more than {MAX_UNPACKED_BYTES} bytes"),
        ));
    }
    Ok(out)
}

impl Archive {
    fn open_at(&self, name: &str, from: u64) -> Option<Opened> {
        let mut name = name;
        for _ in 0..MAX_LINKS {
            match self.members.get(name)? {
                Member::Link(target) => name = target,
                &Member::File { start, size } => {
                    let reader = Box::new(Slice {
                        file: Arc::clone(&self.file),
                        at: start.saturating_add(from.min(size)),
                        left: size.saturating_sub(from),
                    });
                    return Some(Opened { reader, size });
                }
            }
        }
        None
    }
}

/// A range of a file, read without moving a shared position.
struct Slice {
    file: Arc<std::fs::File>,
    at: u64,
    left: u64,
}

impl Read for Slice {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wanted = buf
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = match buf.get_mut(..wanted) {
            Some(buf) if wanted > 0 => self.file.read_at(buf, self.at)?,
            _ => return Ok(0),
        };
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}
