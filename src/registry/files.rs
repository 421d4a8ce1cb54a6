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
use crate::oci::compression::{decompress, sniff};
use crate::oci::layer::LayerCompression;
use crate::oci::reference::ImageSource;

/// Most members of an archive.
pub const MAX_ARCHIVE_MEMBERS: usize = 100_000;
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

#[derive(Debug)]
enum Member {
    File { start: u64, size: u64 },
    Link(String),
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
            return Err(Error::Format {
                path: path.to_owned(),
                problem: "is no folder; for an archive write oci-archive:FILE".to_owned(),
            });
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
            return Err(Error::Format {
                path: path.to_owned(),
                problem: "is a folder; for an OCI layout in a folder write oci:DIR".to_owned(),
            });
        }
        let file = seekable(fs_err::File::open(path)?, scratch)?;
        let members = scan(path, &file)?;
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
        match self {
            Self::Folder(folder) => {
                let file = match fs_err::File::open(folder.join(name)) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                let size = file.metadata()?.len();
                let reader = Box::new(file);
                Ok(Some(Opened { reader, size }))
            }
            Self::Archive(archive) => Ok(archive.open(name)),
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
        Error::Format {
            path: self.path().to_owned(),
            problem,
        }
    }
}

fn exists(path: &Path, source: &ImageSource) -> Result<(), Error> {
    if path.try_exists().map_err(|error| named(path, &error))? {
        return Ok(());
    }
    // `oci:quay.io/kairos/ubuntu:22.04` names an image for other tools.
    let instead = source
        .to_string()
        .split_once(':')
        .map(|(_, rest)| rest.to_owned())
        .filter(|rest| {
            rest.parse::<ImageSource>().is_ok()
                && path.components().count() > 1
                && path.to_str().is_some_and(|text| !text.ends_with(".tar"))
        });
    Err(Error::NoSource {
        path: path.to_owned(),
        instead,
    })
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The file itself where it is a plain archive, else its decompressed bytes.
fn seekable(mut file: fs_err::File, scratch: &Path) -> Result<std::fs::File, Error> {
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
    io::copy(&mut decompress(file, compression)?, &mut out)?;
    Ok(out)
}

fn scan(path: &Path, mut file: &std::fs::File) -> Result<BTreeMap<String, Member>, Error> {
    let wrong = |problem: String| Error::Format {
        path: path.to_owned(),
        problem,
    };
    let damaged = |error: io::Error| wrong(format!("is no readable tar archive: {error}"));
    let length = file.seek(SeekFrom::End(0)).map_err(damaged)?;
    file.seek(SeekFrom::Start(0)).map_err(damaged)?;
    let mut archive = tar::Archive::new(file);
    let mut members = BTreeMap::new();
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = member_name(&entry.path_bytes());
        let member = match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let (start, size) = (entry.raw_file_position(), entry.size());
                if start.checked_add(size).is_none_or(|end| end > length) {
                    return Err(wrong(format!("ends within {name}")));
                }
                Member::File { start, size }
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let is_symlink = entry.header().entry_type().is_symlink();
                match link_target(&name, &target, is_symlink) {
                    Some(target) => Member::Link(target),
                    None => return Err(wrong(format!("{name} links out of the archive"))),
                }
            }
            _ => continue,
        };
        members.insert(name, member);
        if members.len() > MAX_ARCHIVE_MEMBERS {
            return Err(wrong(format!(
                "has more than {MAX_ARCHIVE_MEMBERS} members"
            )));
        }
    }
    if members.is_empty() {
        return Err(wrong("is no tar archive, or an empty one".to_owned()));
    }
    Ok(members)
}

fn member_name(bytes: &[u8]) -> String {
    let name = String::from_utf8_lossy(bytes);
    name.trim_start_matches("./").to_owned()
}

/// What a link names; the older `docker save` shares layers by symbolic links
/// such as `../<id>/layer.tar`.
fn link_target(name: &str, target: &[u8], is_symlink: bool) -> Option<String> {
    let target = String::from_utf8_lossy(target);
    let mut parts: Vec<&str> = Vec::new();
    if is_symlink && !target.starts_with('/') {
        parts.extend(name.split('/'));
        parts.pop();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

impl Archive {
    fn open(&self, name: &str) -> Option<Opened> {
        let mut name = name;
        for _ in 0..MAX_LINKS {
            match self.members.get(name)? {
                Member::Link(target) => name = target,
                &Member::File { start, size } => {
                    let reader = Box::new(Slice {
                        file: Arc::clone(&self.file),
                        at: start,
                        left: size,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_the_archive() {
        let target = |name: &str, target: &str| link_target(name, target.as_bytes(), true);
        assert_eq!(
            target("b/layer.tar", "../a/layer.tar").unwrap(),
            "a/layer.tar"
        );
        assert_eq!(target("b/c", "/a").unwrap(), "a");
        assert_eq!(target("b", "../a"), None);
        assert_eq!(link_target("b/c", b"a/d", false).unwrap(), "a/d");
    }
}
