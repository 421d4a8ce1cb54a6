//! Whether everything in the store is still what it was when it was written.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::derived::derived;
use super::known::Knowledge;
use super::proof::{Proof, Prover};
use super::{SCHEMA, entry_name, kind_name};
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::human::{count, size};
use isoforge_base::parallel;
use isoforge_base::progress::{Progress, Task};
use isoforge_base::shown::Line;
use isoforge_oci::pull;
use isoforge_oci::store::{Collector, Entry, EntryKind, Store};
use isoforge_system::slab::Slab;

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Verification {
    /// Version of this format.
    pub schema: u32,
    /// The store's folder.
    pub folder: PathBuf,
    /// How many files were checked.
    pub checked: u64,
    /// Their bytes.
    pub bytes: u64,
    pub damaged: Vec<Damage>,
    /// Slabs that could not be held to their layers, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unproven: Vec<Damage>,
    /// Files that no isoforge put there; they are left alone.
    pub strangers: Vec<PathBuf>,
    /// Whether the damaged ones were removed.
    pub repaired: bool,
}

/// A damaged file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Damage {
    /// `blob`, `slab`, `fact` or `partial`.
    pub kind: &'static str,
    /// Digest of a blob, key of a slab, kind and key of a fact.
    pub name: String,
    /// What is known of a blob; else empty.
    pub known: String,
    /// What is wrong.
    pub problem: String,
}

impl Verification {
    /// The error that damage is, after the report.
    pub(crate) fn error(&self) -> Option<Failure> {
        let (removed, hint) = match self.repaired {
            true => (
                "; removed",
                "what is needed of them is fetched or made anew by the next build",
            ),
            false => (
                "",
                "remove them with `isoforge cache verify --repair`; they are fetched or made anew",
            ),
        };
        let damaged = self.damaged.len();
        let checked = count(self.checked, "file");
        let message = format!("damaged in the store: {damaged} of {checked}{removed}");
        (damaged > 0).then(|| Failure::new(Class::Verification, message).with_hint(hint))
    }
}

/// How a store is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verify {
    /// Threads that read, hash and compress.
    pub threads: NonZeroUsize,
    /// Remove what is damaged, once nobody else has the store open.
    pub repair: bool,
    /// Hold slabs to their layers.
    pub deep: bool,
}

/// Checks the store in `folder`.
///
/// # Errors
/// What opening and listing the store gives; a file that can't be read counts
/// as damaged.
pub(crate) fn verify(folder: &Path, how: Verify, progress: &Progress) -> Result<Verification> {
    if !how.repair {
        return Ok(check(&Store::open(folder)?, folder, how, progress)?.0);
    }
    let collector = Collector::open(folder, || {
        progress.note("waiting: another isoforge works with the store");
    })?;
    let (mut report, damaged) = check(collector.store(), folder, how, progress)?;
    for entry in &damaged {
        collector.remove(entry)?;
    }
    report.repaired = !damaged.is_empty();
    Ok(report)
}

/// The report, and what is damaged.
fn check(
    store: &Store,
    folder: &Path,
    how: Verify,
    progress: &Progress,
) -> Result<(Verification, Vec<Entry>)> {
    let mut entries = store.contents()?;
    let knowledge = Knowledge::of(store, &entries);
    let strangers = entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Stranger)
        .map(|entry| entry.path.clone())
        .collect();
    entries.retain(|entry| entry.kind != EntryKind::Stranger);
    let mut damaged = damaged(store, &entries, how.threads, progress)?;
    let blobs = damaged.iter().filter_map(|(entry, _)| match entry.kind {
        EntryKind::Blob(digest) => Some(digest),
        _ => None,
    });
    let blobs = blobs.collect();
    for (entry, problem) in derived(store, &entries, &knowledge, &blobs) {
        if !damaged.iter().any(|(known, _)| *known == entry) {
            damaged.push((entry, problem));
        }
    }
    let mut unproven = Vec::new();
    if how.deep {
        let prover = Prover::new(store, &entries, how.threads, progress);
        for entry in &entries {
            let EntryKind::Slab(key) = &entry.kind else {
                continue;
            };
            if damaged.iter().any(|(known, _)| *known == entry) {
                continue;
            }
            match prover.prove(key, entry) {
                Proof::Holds => {}
                Proof::Fails(problem) => damaged.push((entry, problem)),
                Proof::Open(problem) => unproven.push((entry, problem)),
            }
        }
    }
    damaged.sort_by(|(a, _), (b, _)| (&a.kind, &a.path).cmp(&(&b.kind, &b.path)));
    let told = |found: &[(&Entry, String)]| {
        let found = found.iter();
        found
            .map(|(entry, problem)| Damage {
                kind: kind_name(&entry.kind),
                name: entry_name(entry),
                known: knowledge.describe(entry),
                problem: problem.clone(),
            })
            .collect()
    };
    let report = Verification {
        schema: SCHEMA,
        folder: folder.to_owned(),
        checked: entries.len() as u64,
        bytes: entries.iter().map(|entry| entry.size).sum(),
        damaged: told(&damaged),
        unproven: told(&unproven),
        strangers,
        repaired: false,
    };
    let damaged = damaged.into_iter().map(|(entry, _)| entry.clone());
    Ok((report, damaged.collect()))
}

/// The entries that are not as they were written, each with what is wrong.
fn damaged<'e>(
    store: &Store,
    entries: &'e [Entry],
    threads: NonZeroUsize,
    progress: &Progress,
) -> Result<Vec<(&'e Entry, String)>> {
    // The largest first, so that no thread is left alone with it at the end.
    let mut by_size: Vec<&Entry> = entries.iter().collect();
    by_size.sort_by_key(|entry| std::cmp::Reverse(entry.size));
    let bytes = entries.iter().map(|entry| entry.size).sum();
    let task = progress.task("check the store", Some(bytes));
    let found = Mutex::new(Vec::new());
    parallel::for_each(
        &by_size,
        threads,
        |_| false,
        |entry, _| {
            if let Some(problem) = problem(store, entry, &task) {
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.push((*entry, problem));
            }
            Ok::<_, Failure>(())
        },
    )?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What is wrong with a file.
fn problem(store: &Store, entry: &Entry, task: &Task) -> Option<String> {
    match &entry.kind {
        EntryKind::Blob(digest) => match store.rehash(digest, task) {
            Ok(found) if found == *digest => None,
            Ok(found) => Some(format!("its digest is {found}")),
            Err(error) => Some(error.to_string()),
        },
        EntryKind::Slab(_) => slab_problem(&entry.path, task),
        EntryKind::Fact { .. } => fact_problem(&entry.path),
        EntryKind::Partial(_) => (entry.size > pull::Limits::DEFAULT.blob_bytes)
            .then(|| "it is longer than any blob may be".to_owned()),
        EntryKind::Stranger => None,
    }
}

fn slab_problem(path: &Path, task: &Task) -> Option<String> {
    match Slab::open(path) {
        Ok(slab) => slab
            .check(&mut |bytes| task.advance(bytes))
            .err()
            .map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

fn fact_problem(path: &Path) -> Option<String> {
    let read = || -> io::Result<()> {
        let text = fs_err::read(path)?;
        serde_json::from_slice::<serde::de::IgnoredAny>(&text)?;
        Ok(())
    };
    read().err().map(|error| error.to_string())
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}  {}, {}",
            self.folder.display(),
            count(self.checked, "file"),
            size(self.bytes)
        )?;
        for damage in &self.damaged {
            let verb = if self.repaired { "removed" } else { "DAMAGED" };
            write!(f, "  {verb} {} {}", damage.kind, Line(&damage.name))?;
            if !damage.known.is_empty() {
                write!(f, " ({})", Line(&damage.known))?;
            }
            writeln!(f, ": {}", Line(&damage.problem))?;
        }
        for slab in &self.unproven {
            let (name, problem) = (Line(&slab.name), Line(&slab.problem));
            writeln!(f, "  not proven: {} {name}: {problem}", slab.kind)?;
        }
        for stranger in &self.strangers {
            let stranger = Line(stranger.display());
            writeln!(f, "  not isoforge's, left alone: {stranger}")?;
        }
        if self.damaged.is_empty() {
            writeln!(f, "everything is as it was written")?;
        }
        Ok(())
    }
}
