//! What is in an artifact: an installer ISO, a provider image (OCI layout as
//! directory or archive), or an output directory.
//!
//! Everything is read from the artifact alone, whoever made it; where it tells
//! digests of its parts, they are checked. What does not hold is part of the
//! [`Report`], not an error, so that one sees all of it.
//!
//! Not here: printing, and deciding what a problem means for the exit code;
//! see [`Report::problems`].

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use isoforge_base::error::{Class, Diagnose};
use isoforge_base::progress::Progress;
use isoforge_oci::layout::LAYOUT_FILE;
use isoforge_oci::registry::{self, Files};

mod dist;
mod image;
mod iso;
mod system;
mod text;

pub use dist::{DistReport, FileReport};
pub use image::{ImageReport, NamedImage, PlatformReport};
pub use iso::{BootReport, ContentReport, IsoReport, SquashfsReport};

/// Offset of the first volume descriptor's identifier (ISO 9660, 8.1).
const ISO_MAGIC_OFFSET: u64 = 16 * 2048 + 1;
const ISO_MAGIC: &[u8] = b"CD001";

/// Largest JSON document that is read, in bytes.
const MAX_DOCUMENT_BYTES: u64 = 16 << 20;

/// Why something can't be inspected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is none of the things that can be.
    #[error(
        "'{}' is no ISO image, OCI layout, OCI archive or output directory",
        path.display()
    )]
    Unknown {
        /// The path.
        path: PathBuf,
    },
    /// It can't be read.
    #[error("can't read '{}'", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The ISO 9660 file system is damaged.
    #[error("'{}' can't be read as an ISO image", path.display())]
    Iso {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        source: isoforge_formats::Error,
    },
    /// A document that must be there for the rest to make sense is missing or
    /// damaged.
    #[error("'{}' has no usable {document}: {problem}", path.display())]
    Document {
        /// The path of the artifact.
        path: PathBuf,
        /// The document within it.
        document: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Unknown { .. } => Class::Profile,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Class::Profile,
            Self::Io { .. } => Class::Io,
            Self::Iso { source, .. } => source.class(),
            Self::Document { .. } => Class::Verification,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some(
                "name an .iso file, a directory with an 'oci-layout', an OCI archive, or dist/<name>-<version>; for a content bundle, isoforge bundle inspect"
                    .into(),
            ),
            Self::Iso { .. } | Self::Document { .. } => {
                Some("it is damaged or incomplete; copy it or build it again".into())
            }
            Self::Io { .. } => None,
        }
    }
}

/// What is in an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Report {
    /// An ISO image.
    Iso(Box<IsoReport>),
    /// An OCI layout or archive.
    Image(ImageReport),
    /// An output directory.
    Dist(Box<DistReport>),
}

impl Report {
    /// What does not hold: digests, sizes, missing parts. Empty where all is
    /// well.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        match self {
            Self::Iso(report) => &report.problems,
            Self::Image(report) => &report.problems,
            Self::Dist(report) => &report.problems,
        }
    }
}

/// Looks into the artifact at `path`.
///
/// # Errors
/// [`Error`], where it can't be read at all.
pub fn inspect(path: &Path, progress: &Progress) -> Result<Report, Error> {
    let io_error = |source| Error::Io {
        path: path.to_path_buf(),
        source,
    };
    let unknown = || Error::Unknown {
        path: path.to_path_buf(),
    };
    if fs_err::metadata(path).map_err(io_error)?.is_dir() {
        if path.join(LAYOUT_FILE).is_file() {
            let layout = Files::in_folder(path);
            return Ok(Report::Image(image::inspect(&layout, progress)?));
        }
        if path.join(isoforge_contract::manifest::FILE_NAME).is_file() {
            return Ok(Report::Dist(Box::new(dist::inspect(path, progress)?)));
        }
        return Err(unknown());
    }
    if is_iso(path).map_err(io_error)? {
        return Ok(Report::Iso(Box::new(iso::inspect(path, progress)?)));
    }
    // Anything may be asked about, so what is no archive is unknown.
    let layout = match Files::at(path, &std::env::temp_dir()) {
        Err(registry::Error::Format { .. }) => return Err(unknown()),
        other => other.map_err(|error| io_error(io::Error::other(error)))?,
    };
    if !layout.has(LAYOUT_FILE) {
        return Err(unknown());
    }
    Ok(Report::Image(image::inspect(&layout, progress)?))
}

fn is_iso(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let mut magic = [0; ISO_MAGIC.len()];
    let file = fs_err::File::open(path)?;
    match file.file().read_exact_at(&mut magic, ISO_MAGIC_OFFSET) {
        Ok(()) => Ok(magic == ISO_MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
