//! Whether a bundle is whole: every part and blob hashed, everything that a manifest
//! names there, as far as the bundle promises it.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::parts::PartsList;
use super::walk::walk_on;
use super::{Bundle, open};
use crate::error::{Error, read_bundle};
use isoforge_base::digest::Digest;
use isoforge_base::human::size;
use isoforge_base::limit::{self, Budget};
use isoforge_base::progress::{Progress, Task};
use isoforge_base::shown::Line;
use isoforge_base::{parallel, regular};
use isoforge_oci::layout::BLOB_FOLDER;

/// Version of the report's JSON.
const SCHEMA: u32 = 1;

/// The report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Version of this format.
    pub schema: u32,
    /// The bundle.
    pub path: PathBuf,
    /// Digest of its `index.json`; none where the bundle can't be opened.
    pub digest: Option<Digest>,
    /// Of a delta that was checked without its base, the digest of that: what it has
    /// was not looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// How many roots it lists.
    pub roots: u64,
    /// How many blobs were hashed.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// Where.
    pub place: String,
    /// The blob's digest, as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What is wrong.
    pub problem: String,
}

/// Checks the bundle at `path` with up to `threads` threads, a delta with its base
/// where that is given.
///
/// # Errors
/// Where the bundle can't be opened, or the system fails.
pub fn verify(
    path: &Path,
    base: Option<&Path>,
    threads: NonZeroUsize,
    progress: &Progress,
) -> Result<Verification, Error> {
    let mut report = Verification {
        schema: SCHEMA,
        path: path.to_owned(),
        faults: part_faults(path, progress)?,
        ..Verification::default()
    };
    if !report.faults.is_empty() {
        return Ok(report);
    }
    let bundle = match base {
        Some(base) => Bundle::open_with_base(path, base)?,
        None => Bundle::open(path)?,
    };
    let files = bundle.layout.blob_files()?;
    report.digest = Some(bundle.digest());
    report.base = bundle.annotations().base.filter(|_| bundle.lacks_base());
    report.roots = bundle.roots().len() as u64;
    report.blobs = files.len() as u64;
    report.bytes = files.iter().map(|(_, size)| size).sum();
    let task = progress.task("check blobs", Some(report.bytes));
    let found = Mutex::new(Vec::new());
    parallel::for_each(
        &files,
        threads,
        |_| false,
        |(name, _), _| {
            let fault = blob_fault(&bundle, name, &task)?;
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.extend(fault);
            Ok::<_, Error>(())
        },
    )?;
    let faults = &mut report.faults;
    faults.extend(found.into_inner().unwrap_or_else(PoisonError::into_inner));
    faults.sort();
    for root in bundle.roots() {
        let mut documents = Budget::new(limit::DOCUMENT_BYTES);
        walk_on(&bundle, root, &mut documents, &mut |error| {
            let fault = walk_fault(&bundle, error)?;
            // Of a blob that was hashed that is known.
            let mut known = faults.iter();
            if !known.any(|known| known.place == fault.place || known == &fault) {
                faults.push(fault);
            }
            Ok(())
        })?;
    }
    Ok(report)
}

/// Parts of a split bundle that are missing, cut short or altered.
fn part_faults(path: &Path, progress: &Progress) -> Result<Vec<Fault>, Error> {
    let Some(list) = open::parts_list(path)? else {
        return Ok(Vec::new());
    };
    let parts = PartsList::read(&list)?;
    let task = progress.task("check parts", Some(parts.size));
    let mut faults = Vec::new();
    for part in &parts.parts {
        let place = list.with_file_name(&part.name);
        let mut fault = |problem: String| {
            faults.push(Fault {
                place: place.display().to_string(),
                digest: Some(part.digest),
                problem,
            });
        };
        let file = match regular::open(&place) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fault("it is missing".to_owned());
                continue;
            }
            Err(source) => return Err(read_bundle(&place)(source)),
        };
        let (found, bytes) = Digest::of_reader(task.reader(file)).map_err(read_bundle(&place))?;
        if bytes != part.size {
            fault(format!("it has {bytes} bytes, not {}", part.size));
        } else if found != part.digest {
            fault(format!("it is altered: its digest is {found}"));
        }
    }
    Ok(faults)
}

fn blob_fault(bundle: &Bundle, name: &str, task: &Task) -> Result<Option<Fault>, Error> {
    let Ok(digest) = format!("sha256:{name}").parse::<Digest>() else {
        return Ok(Some(Fault {
            place: format!("{}/{BLOB_FOLDER}/{name}", bundle.path().display()),
            digest: None,
            problem: "its name is no digest".to_owned(),
        }));
    };
    let fault = |problem| {
        Ok(Some(Fault {
            place: bundle.place(&digest),
            digest: Some(digest),
            problem,
        }))
    };
    let Some(opened) = bundle.layout.open_blob(&digest)? else {
        return fault("it can't be opened".to_owned());
    };
    match Digest::of_reader(task.reader(opened.reader)) {
        Ok((found, _)) if found == digest => Ok(None),
        Ok((found, _)) => fault(format!("it is altered: its digest is {found}")),
        Err(error) => fault(format!("it can't be read: {error}")),
    }
}

/// What a walk found; the system's failures end it.
fn walk_fault(bundle: &Bundle, error: Error) -> Result<Fault, Error> {
    use isoforge_base::error::{Class, Diagnose as _};
    if let Error::NoBlob {
        place,
        digest,
        named_by,
    } = error
    {
        return Ok(Fault {
            place,
            digest: Some(digest),
            problem: format!("it is missing; {named_by} names it"),
        });
    }
    if error.class() != Class::Verification {
        return Err(error);
    }
    let whole = bundle.path().display().to_string();
    let text = error.to_string();
    // A manifest's error names its place, which the blob's fault has.
    let parted = text.split_once(": ");
    let parted = parted.filter(|(place, _)| place.contains(BLOB_FOLDER));
    let (place, problem) = parted.unwrap_or((&whole, &text));
    Ok(Fault {
        place: place.to_owned(),
        digest: None,
        problem: problem.to_owned(),
    })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Line(&self.place), Line(&self.problem))
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        let roots = self.roots;
        let blobs = self.blobs;
        match (self.faults.len(), &self.digest) {
            (0, Some(digest)) => writeln!(
                f,
                "{}: whole, {roots} roots, {blobs} blobs, {}\n  {digest}",
                Line(self.path.display()),
                size(self.bytes)
            )?,
            (1, _) => writeln!(f, "{}: not whole, 1 fault", Line(self.path.display()))?,
            (faults, _) => writeln!(
                f,
                "{}: not whole, {faults} faults",
                Line(self.path.display())
            )?,
        }
        match &self.base {
            Some(base) => writeln!(f, "  a delta; what its base has was not looked for: {base}"),
            None => Ok(()),
        }
    }
}
