//! Files by path in a folder or in a tar archive: what OCI layouts and docker
//! archives lie in.
//!
//! An archive is read once for the positions of its members; their bytes are
//! then read in place, by several threads at once. So is one in Zstandard's
//! seekable format; another compressed archive is decompressed to an unnamed
//! temporary file first.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::BlobRest;
use crate::Error;
use crate::compression::{Bounds, decompress_within, sniff};
use crate::layer::LayerCompression;
use crate::reference::{ImageSource, Reference};
use isoforge_base::error::{Class, is_full};
use isoforge_base::limit::{self, read_within};
use isoforge_base::read_at::{FileAt, ReadAt, Window};
use isoforge_base::regular;
use isoforge_formats::tar::{self, Found};
use isoforge_formats::zstd_seekable;

/// Most bytes that a compressed archive may unpack to.
pub const MAX_UNPACKED_BYTES: u64 = 256 * 1024 * 1024 * 1024;
/// Longest chain of symbolic links within an archive.
const MAX_LINKS: usize = 8;
const MAGIC_BYTES: usize = 8;

/// A folder or archive.
#[derive(Debug)]
pub struct Files(Container);

#[derive(Debug)]
enum Container {
    Folder(PathBuf),
    Archive(Archive),
}

/// A tar archive, or a file that holds others in another way, and where they are.
#[derive(Debug)]
struct Archive {
    path: PathBuf,
    source: Arc<dyn ReadAt>,
    members: BTreeMap<String, Found>,
}

/// An open file and its size in bytes.
pub struct Opened {
    /// Its bytes.
    pub reader: Box<dyn ReadSeek>,
    /// How many there are.
    pub size: u64,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What can be read from any place on.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

impl Opened {
    /// What is left from the byte `offset` on.
    ///
    /// # Errors
    /// What the system says.
    pub fn from(mut self, offset: u64) -> Result<BlobRest<'static>, Error> {
        let start = SeekFrom::Start(offset.min(self.size));
        let start = self.reader.seek(start).map_err(Error::Read)?;
        Ok(BlobRest {
            start,
            reader: self.reader,
        })
    }
}

impl Files {
    /// Opens the folder of an `oci:` source.
    pub(super) fn folder(path: &Path, source: &ImageSource) -> Result<Self, Error> {
        exists(path, source)?;
        if !path.is_dir() {
            let problem = "is no folder; for an archive write oci-archive:FILE";
            return Err(wrong(path, problem.to_owned()));
        }
        Ok(Self::in_folder(path))
    }

    /// The files of a folder.
    #[must_use]
    pub fn in_folder(path: &Path) -> Self {
        Self(Container::Folder(path.to_owned()))
    }

    /// The members of a tar archive, which `path` is the name of.
    ///
    /// # Errors
    /// [`Error::Format`] where it is none or damaged.
    pub fn in_tar(path: &Path, source: Arc<dyn ReadAt>) -> Result<Self, Error> {
        let members = tar::index(&*source).map_err(|problem| wrong(path, problem.to_string()))?;
        Ok(Self(Container::Archive(Archive {
            path: path.to_owned(),
            source,
            members,
        })))
    }

    /// Files that are ranges of `source`, which `path` is the name of: by path, the
    /// first byte and the size of each.
    #[must_use]
    pub fn in_ranges(
        path: &Path,
        source: Arc<dyn ReadAt>,
        ranges: BTreeMap<String, (u64, u64)>,
    ) -> Self {
        let file = |(name, (start, size))| (name, Found::File { start, size });
        Self(Container::Archive(Archive {
            path: path.to_owned(),
            source,
            members: ranges.into_iter().map(file).collect(),
        }))
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
        Self::in_tar(path, seekable(path, scratch, u64::MAX)?)
    }

    /// The files in a folder or archive; `scratch` is where a compressed archive is
    /// unpacked that can't be read in place, to `ratio` bytes for each of its own at most.
    ///
    /// # Errors
    /// [`Error::Format`] where it is no archive, and what the system says.
    pub fn at(path: &Path, scratch: &Path, ratio: u64) -> Result<Self, Error> {
        if path.is_dir() {
            return Ok(Self::in_folder(path));
        }
        Self::in_tar(path, seekable(path, scratch, ratio)?)
    }

    /// The folder or archive.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.0 {
            Container::Folder(path) => path,
            Container::Archive(archive) => &archive.path,
        }
    }

    /// Where a file is, for messages.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.path().display())
    }

    /// Bytes of the archive; `None` of a folder.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match &self.0 {
            Container::Folder(_) => None,
            Container::Archive(archive) => Some(archive.source.size()),
        }
    }

    /// Whether it can be opened.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        matches!(self.open(name), Ok(Some(_)))
    }

    /// Opens a file by its path within; `None` where it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(&self, name: &str) -> Result<Option<Opened>, Error> {
        match &self.0 {
            Container::Folder(folder) => {
                let file = match regular::open(&folder.join(name)) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(Error::Read(error)),
                };
                let size = file.metadata().map_err(Error::Read)?.len();
                let reader = Box::new(file);
                Ok(Some(Opened { reader, size }))
            }
            Container::Archive(archive) => Ok(archive.open(name)),
        }
    }

    /// Names and sizes in bytes of the files that are directly in a folder, sorted.
    ///
    /// # Errors
    /// What the system says.
    pub fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, Error> {
        let mut found = Vec::new();
        match &self.0 {
            Container::Folder(path) => {
                let entries = match fs_err::read_dir(path.join(folder)) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
                    Err(error) => return Err(Error::Read(error)),
                };
                for entry in entries {
                    let entry = entry.map_err(Error::Read)?;
                    // Of what a link leads to.
                    let metadata = fs_err::metadata(entry.path()).map_err(Error::Read)?;
                    if metadata.is_file() {
                        let name = entry.file_name().to_string_lossy().into_owned();
                        found.push((name, metadata.len()));
                    }
                }
                found.sort();
            }
            Container::Archive(archive) => {
                for path in archive.members.keys() {
                    let within = path.strip_prefix(folder).and_then(|p| p.strip_prefix('/'));
                    let Some(name) = within.filter(|name| !name.contains('/')) else {
                        continue;
                    };
                    if let Some(opened) = archive.open(path) {
                        found.push((name.to_owned(), opened.size));
                    }
                }
            }
        }
        Ok(found)
    }

    /// All bytes of a small file; `None` where it is not there.
    ///
    /// # Errors
    /// [`Error::Format`] where it has more than `limit`, and what the system says.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(opened) = self.open(name)? else {
            return Ok(None);
        };
        let bytes = read_within(opened.reader, limit);
        let bytes = bytes.map_err(|error| named(&self.path().join(name), &error))?;
        let too_large = || self.wrong(format!("{name} has more than {limit} bytes"));
        bytes.map(Some).ok_or_else(too_large)
    }

    /// Like [`read`](Self::read) for a file that must be there.
    pub(super) fn require(&self, name: &str, limit: u64) -> Result<Vec<u8>, Error> {
        self.read(name, limit)?
            .ok_or_else(|| self.wrong(format!("{name} is missing")))
    }

    pub(super) fn wrong(&self, problem: String) -> Error {
        wrong(self.path(), problem)
    }

    /// The error where it is not said which of the images `names` is meant; `wanted` is
    /// what is looked for.
    pub(super) fn choice<'a>(
        &self,
        wanted: &str,
        names: impl Iterator<Item = &'a String>,
    ) -> Error {
        let names: Vec<&str> = names.map(String::as_str).collect();
        let (names, hint) = match &*names {
            [] => (
                "none with a name that leads to one alone".to_owned(),
                "write the image that is meant into a layout or archive of its own, under a name",
            ),
            names => (names.join(", "), "add the name after a colon"),
        };
        let problem = format!("{}: {wanted}; there are: {names}", self.path().display());
        Error::new(Class::Profile, problem).with_hint(hint)
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
    let error = Error::new(Class::Profile, format!("{} does not exist", path.display()));
    Err(match registry_name(source) {
        Some(reference) => error.with_hint(format!(
            "if an image in a registry is meant, write {reference}"
        )),
        None => error,
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

fn named(path: &Path, error: &io::Error) -> Error {
    let text = format!("{}: {error}", path.display());
    Error::Read(io::Error::new(error.kind(), text))
}

/// The archive as it is where it can be read at random, else its decompressed bytes.
fn seekable(path: &Path, scratch: &Path, ratio: u64) -> Result<Arc<dyn ReadAt>, Error> {
    let file = FileAt::open(path).map_err(Error::Read)?;
    let mut magic = Vec::new();
    let file: Arc<dyn ReadAt> = Arc::new(file);
    Window::whole(Arc::clone(&file))
        .take(MAGIC_BYTES as u64)
        .read_to_end(&mut magic)
        .map_err(Error::Read)?;
    let compression = sniff(&magic);
    if compression == LayerCompression::Plain {
        return Ok(file);
    }
    if compression == LayerCompression::Zstd
        && let Some(frames) = zstd_seekable::Reader::open(Arc::clone(&file))
            .map_err(|error| wrong(path, error.to_string()))?
    {
        return Ok(Arc::new(frames));
    }
    let ratio = ratio.min(match compression {
        LayerCompression::Zstd => limit::ZSTD_RATIO,
        LayerCompression::Gzip | LayerCompression::Plain => limit::GZIP_RATIO,
    });
    let bounds = Bounds {
        bytes: MAX_UNPACKED_BYTES,
        ratio,
        ratio_floor_bytes: limit::RATIO_FLOOR_BYTES,
    };
    let content = decompress_within(Window::whole(file), compression, bounds);
    unpacked(path, content.map_err(Error::Read)?, scratch)
}

/// What a compressed archive unpacks to, in an unnamed file.
fn unpacked(path: &Path, mut content: impl Read, scratch: &Path) -> Result<Arc<dyn ReadAt>, Error> {
    let mut out = tempfile::tempfile_in(scratch).map_err(|error| named(scratch, &error))?;
    io::copy(&mut content, &mut out).map_err(|error| match is_full(&error) {
        true => named(scratch, &error),
        false => {
            let problem = format!("{} can't be decompressed: {error}", path.display());
            Error::new(Class::Verification, problem)
        }
    })?;
    Ok(Arc::new(FileAt::new(out).map_err(Error::Read)?))
}

impl Archive {
    fn open(&self, name: &str) -> Option<Opened> {
        let mut name = name;
        for _ in 0..MAX_LINKS {
            match self.members.get(name)? {
                Found::Link(target) => name = target,
                &Found::File { start, size } => {
                    let window = Window::new(Arc::clone(&self.source), start, size);
                    let reader = Box::new(window);
                    return Some(Opened { reader, size });
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_that_unpacks_to_too_much_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = ::tar::Builder::new(Vec::new());
        let mut header = ::tar::Header::new_ustar();
        header.set_size(200 << 20);
        let zeros = io::repeat(0).take(200 << 20);
        archive.append_data(&mut header, "zeros", zeros).unwrap();
        let bytes = zstd::bulk::compress(&archive.into_inner().unwrap(), 1).unwrap();
        let path = dir.path().join("bomb.tar.zst");
        std::fs::write(&path, &bytes).unwrap();
        for (ratio, shown) in [(u64::MAX, 10_000), (200, 200)] {
            let error = Files::at(&path, dir.path(), ratio).unwrap_err().to_string();
            let expected = format!(
                "can't be decompressed: more than {shown} uncompressed bytes for each compressed one"
            );
            assert!(error.contains(&expected), "{error}");
        }
    }
}
