//! A pack's folder as one archive.

use std::path::Path;

use super::problem::{Problem, Severity};
use super::{FILE, Pack, lint};
use crate::Error;
use crate::files::Files;

/// A pack as one archive.
#[derive(Debug)]
pub struct Built {
    /// The pack.
    pub pack: Pack,
    /// A gzip-compressed tar archive of its files, in a folder of its name and
    /// version. Equal files give equal bytes.
    pub archive: Vec<u8>,
    /// What is likely not as it was meant.
    pub warnings: Vec<Problem>,
}

impl Built {
    /// `name-version.tar.gz`
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-{}.tar.gz", self.pack.meta.name, self.pack.meta.version)
    }
}

/// Reads the pack at `path`, a folder or archive, and packs it.
///
/// # Errors
/// [`Error`].
pub fn build(path: &Path) -> Result<Built, Error> {
    let files = Files::open(path)?.rooted_at(FILE);
    let problems = lint::of_files(&files);
    let (errors, warnings): (Vec<_>, Vec<_>) = problems
        .into_iter()
        .partition(|problem| problem.severity == Severity::Error);
    if !errors.is_empty() {
        let errors = errors.iter().map(|error| format!("\n    {error}"));
        let errors: String = errors.collect();
        let failure = Error::asked(format!("the pack '{}' has errors:{errors}", files.place()));
        let hint = "correct them; 'isoforge pack lint' says them with warnings";
        return Err(failure.with_hint(hint).into());
    }
    let pack = Pack::read(files)?;
    let archive = pack.to_archive()?;
    Ok(Built {
        pack,
        archive,
        warnings,
    })
}
