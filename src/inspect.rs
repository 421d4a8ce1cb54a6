//! What is in an artifact: an installer ISO, a provider image (OCI layout as
//! directory or archive), or an output directory.
//!
//! Everything is read from the artifact alone, whoever made it; where it tells
//! digests of its parts, they are checked. What does not hold is part of the
//! [`Report`], not an error, so that one sees all of it.
//!
//! Not here: printing, and deciding what a problem means for the exit code;
//! see [`Report::problems`].

use std::path::Path;
use std::{fmt, io};

use serde::Serialize;

use isoforge_base::error::{Class, Context as _, Failure, Result};
use isoforge_base::progress::Progress;
use isoforge_base::regular;
use isoforge_formats::tar::Limits as ArchiveLimits;
use isoforge_oci::layout::LAYOUT_FILE;
use isoforge_oci::registry::Files;

mod dist;
mod image;
mod iso;
mod system;
mod text;

pub(crate) use dist::DistReport;
pub(crate) use image::ImageReport;
pub(crate) use iso::IsoReport;

/// Offset of the first volume descriptor's identifier (ISO 9660, 8.1).
const ISO_MAGIC_OFFSET: u64 = 16 * 2048 + 1;
const ISO_MAGIC: &[u8] = b"CD001";

/// Largest JSON document that is read, in bytes.
const MAX_DOCUMENT_BYTES: u64 = 8 << 20;

const DAMAGED: &str = "it is damaged or incomplete; copy it or build it again";

fn unreadable(path: &Path, error: io::Error) -> Failure {
    let message = format!("can't read '{}'", path.display());
    match error.kind() {
        // It is not there, or no file.
        io::ErrorKind::NotFound | io::ErrorKind::InvalidInput => {
            Failure::caused(Class::Profile, message, error)
        }
        _ => Failure::from(error).context(message),
    }
}

/// A document that must be there for the rest to make sense is missing or damaged.
fn no_document(path: &Path, document: &str, problem: impl fmt::Display) -> Failure {
    let path = path.display();
    let message = format!("'{path}' has no usable {document}: {problem}");
    Failure::new(Class::Verification, message).with_hint(DAMAGED)
}

/// What is in an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Report {
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
    pub(crate) fn problems(&self) -> &[String] {
        match self {
            Self::Iso(report) => &report.problems,
            Self::Image(report) => &report.problems,
            Self::Dist(report) => &report.problems,
        }
    }
}

impl Report {
    /// Whether anything says what there should be, so that it could be checked.
    fn has_digests(&self) -> bool {
        match self {
            Self::Iso(report) => {
                let root = report.squashfs.as_ref();
                report.content_bytes > 0 || root.is_some_and(|root| root.sound.is_some())
            }
            Self::Image(report) => report.blobs > 0,
            Self::Dist(report) => !report.files.is_empty(),
        }
    }
}

/// Looks into the artifact at `path`.
///
/// # Errors
/// Where it can't be read at all.
pub(crate) fn inspect(path: &Path, progress: &Progress) -> Result<Report> {
    let unreadable = |error| unreadable(path, error);
    let unknown = || {
        let path = path.display();
        let kinds = "ISO image, OCI layout, OCI archive or output directory";
        Failure::new(Class::Profile, format!("'{path}' is no {kinds}")).with_hint(
            "name an .iso file, a directory with an 'oci-layout', an OCI archive, or \
             dist/<name>-<version>; for a content bundle, isoforge bundle inspect",
        )
    };
    if fs_err::metadata(path).map_err(unreadable)?.is_dir() {
        if path.join(LAYOUT_FILE).is_file() {
            let layout = Files::in_folder(path);
            return Ok(Report::Image(image::inspect(&layout, progress)?));
        }
        if path.join(isoforge_contract::manifest::FILE_NAME).is_file() {
            return Ok(Report::Dist(Box::new(dist::inspect(path, progress)?)));
        }
        return Err(unknown());
    }
    if is_iso(path).map_err(unreadable)? {
        return Ok(Report::Iso(Box::new(iso::inspect(path, progress)?)));
    }
    // Anything may be asked about, so what is no archive is unknown.
    let ratio = ArchiveLimits::DEFAULT.inflation_ratio;
    let layout = match Files::at(path, &std::env::temp_dir(), ratio) {
        Err(isoforge_oci::Error::Format { .. }) => return Err(unknown()),
        other => other.with_context(|| format!("can't read '{}'", path.display()))?,
    };
    if !layout.has(LAYOUT_FILE) {
        return Err(unknown());
    }
    Ok(Report::Image(image::inspect(&layout, progress)?))
}

fn is_iso(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let mut magic = [0; ISO_MAGIC.len()];
    let file = regular::open_or_medium(path)?;
    match file.file().read_exact_at(&mut magic, ISO_MAGIC_OFFSET) {
        Ok(()) => Ok(magic == ISO_MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
