//! A pack's folder as one archive.

use std::path::Path;

use super::problem::{Problem, Severity};
use super::{FILE, Pack, lint};
use crate::Error;
use crate::files::Files;
use isoforge_base::error::{Class, Diagnose};

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The pack has errors.
    #[error("the pack '{place}' has errors:{}", indent(.problems))]
    Faulty {
        /// The folder.
        place: String,
        /// Its errors.
        problems: Vec<Problem>,
    },
    /// It can't be read.
    #[error(transparent)]
    Content(#[from] Error),
}

fn indent(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("\n    {p}")).collect()
}

impl Diagnose for BuildError {
    fn class(&self) -> Class {
        match self {
            Self::Faulty { .. } => Class::Profile,
            Self::Content(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Faulty { .. } => {
                Some("correct them; 'isoforge pack lint' says them with warnings".to_owned())
            }
            Self::Content(error) => error.hint(),
        }
    }
}

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
/// [`BuildError`].
pub fn build(path: &Path) -> Result<Built, BuildError> {
    let files = Files::open(path)?.rooted_at(FILE);
    let problems = lint::of_files(&files);
    let (errors, warnings): (Vec<_>, Vec<_>) = problems
        .into_iter()
        .partition(|problem| problem.severity == Severity::Error);
    if !errors.is_empty() {
        return Err(BuildError::Faulty {
            place: files.place().to_owned(),
            problems: errors,
        });
    }
    let pack = Pack::read(files)?;
    let archive = pack.to_archive()?;
    Ok(Built {
        pack,
        archive,
        warnings,
    })
}
