//! The files of an OCI layout, in a directory or in a tar archive.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Error, MAX_DOCUMENT_BYTES};
use isoforge_base::digest::Digest;
use isoforge_base::section::Section;
use isoforge_oci::layout::{LAYOUT_FILE, blob_path};

/// How many members of an archive are looked at.
const MAX_MEMBERS: usize = 1_000_000;

/// A layout that can be read.
#[derive(Debug)]
pub(super) struct Layout {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Directory,
    /// The archive, and where in it the members' bytes are.
    Archive(std::fs::File, BTreeMap<String, (u64, u64)>),
}

impl Layout {
    pub(super) fn open_directory(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            path: path.to_path_buf(),
            place: Place::Directory,
        })
    }

    /// `None` where the file is no archive of a layout.
    pub(super) fn open_archive(path: &Path) -> Result<Option<Self>, Error> {
        let io_error = |source| Error::Io {
            path: path.to_path_buf(),
            source,
        };
        let (file, _) = fs_err::File::open(path).map_err(io_error)?.into_parts();
        let mut members = BTreeMap::new();
        let mut archive = tar::Archive::new(&file);
        let entries = archive.entries_with_seek().map_err(io_error)?;
        for entry in entries.take(MAX_MEMBERS) {
            // Anything may be asked about, so what does not parse is no archive.
            let Ok(entry) = entry else {
                return Ok(None);
            };
            let Ok(name) = entry.path() else {
                return Ok(None);
            };
            let name = name.to_string_lossy();
            let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
            if entry.header().entry_type().is_file() {
                members.insert(name, (entry.raw_file_position(), entry.size()));
            }
        }
        if !members.contains_key(LAYOUT_FILE) {
            return Ok(None);
        }
        Ok(Some(Self {
            path: path.to_path_buf(),
            place: Place::Archive(file, members),
        }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A reader over a file of the layout; `None` where it is missing.
    pub(super) fn open(&self, name: &str) -> io::Result<Option<Box<dyn Read + '_>>> {
        match &self.place {
            Place::Directory => match fs_err::File::open(self.path.join(name)) {
                Ok(file) => Ok(Some(Box::new(file))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
            Place::Archive(file, members) => {
                Ok(members.get(name).map(|&(offset, size)| -> Box<dyn Read> {
                    Box::new(Section::new(file, offset, size))
                }))
            }
        }
    }

    /// A document of the layout.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>, Error> {
        let error = |problem: String| Error::Document {
            path: self.path.clone(),
            document: name.to_owned(),
            problem,
        };
        let reader = self
            .open(name)
            .map_err(|e| error(e.to_string()))?
            .ok_or_else(|| error("it is missing".to_owned()))?;
        let mut bytes = Vec::new();
        reader
            .take(MAX_DOCUMENT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| error(e.to_string()))?;
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(error(format!(
                "it has more than {MAX_DOCUMENT_BYTES} bytes"
            )));
        }
        Ok(bytes)
    }

    /// A document by digest.
    pub(super) fn blob_document(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        self.document(&blob_path(digest))
    }
}
