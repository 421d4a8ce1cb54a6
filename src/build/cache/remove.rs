//! Making room in the store.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use isoforge_base::error::Result;
use serde::Serialize;

use super::known::Knowledge;
use super::{SCHEMA, day, entry_name, kind_name};
use crate::lock;
use isoforge_base::digest::Digest;
use isoforge_base::human::{count, size};
use isoforge_base::progress::Progress;
use isoforge_base::shown::Line;
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::MediaType;
use isoforge_oci::store::{Collector, Entry, EntryKind, Store};
use isoforge_system::slab;

/// What goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RemovalRules {
    /// What was not used for so long.
    pub older_than: Option<Duration>,
    /// What was unused for longest, until the store has no more bytes than this.
    pub max_bytes: Option<u64>,
    /// Everything that [`keep`](Self::keep) does not name.
    pub all_others: bool,
    /// Locks whose input stays in any case.
    pub keep: Vec<PathBuf>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Removal {
    /// Version of this format.
    pub schema: u32,
    /// The store's folder.
    pub folder: PathBuf,
    /// Whether nothing was removed, only looked for.
    pub dry_run: bool,
    /// What goes.
    pub removed: Vec<Removed>,
    pub removed_bytes: u64,
    /// How many files stay.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
}

/// A file that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Removed {
    /// `blob`, `slab`, `fact` or `partial`.
    pub kind: &'static str,
    /// Digest of a blob, key of a slab, kind and key of a fact.
    pub name: String,
    /// What is known of a blob; else empty.
    pub known: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last used, in seconds since 1970-01-01 UTC.
    pub last_use: u64,
}

/// What locks name, and what belongs to it.
#[derive(Debug, Default)]
struct Kept {
    blobs: BTreeSet<Digest>,
    diff_ids: BTreeSet<Digest>,
}

/// Removes from the store in `folder` what `rules` say, once nobody else has it
/// open.
///
/// # Errors
/// What reading the locks, opening the store and removing gives.
pub(crate) fn remove(folder: &Path, rules: &RemovalRules, progress: &Progress) -> Result<Removal> {
    if rules.dry_run {
        let store = Store::open(folder)?;
        let (going, staying, knowledge) = choose(&store, rules, progress)?;
        return Ok(report(folder, rules, &going, &staying, &knowledge));
    }
    let collector = Collector::open(folder, || {
        progress.note("waiting: another isoforge works with the store");
    })?;
    let (going, staying, knowledge) = choose(collector.store(), rules, progress)?;
    let total = going.iter().map(|entry| entry.size).sum();
    let task = progress.task("remove from the store", Some(total));
    for entry in &going {
        collector.remove(entry)?;
        task.advance(entry.size);
    }
    drop(task);
    Ok(report(folder, rules, &going, &staying, &knowledge))
}

/// What goes, what stays, and what is known of both.
fn choose(
    store: &Store,
    rules: &RemovalRules,
    progress: &Progress,
) -> Result<(Vec<Entry>, Vec<Entry>, Knowledge)> {
    let mut entries = store.contents()?;
    entries.retain(|entry| entry.kind != EntryKind::Stranger);
    let knowledge = Knowledge::of(store, &entries);
    let kept = kept(store, &rules.keep, &knowledge)?;
    let (locked, free): (Vec<Entry>, Vec<Entry>) = entries
        .into_iter()
        .partition(|entry| kept.names(entry, &knowledge));
    let (mut going, mut staying): (Vec<Entry>, Vec<Entry>) = free
        .into_iter()
        .partition(|entry| rules.all_others || is_due(entry, rules, store));
    if let Some(max_bytes) = rules.max_bytes {
        let locked_bytes: u64 = locked.iter().map(|entry| entry.size).sum();
        if locked_bytes > max_bytes {
            progress.warn(format!(
                "the locks name {}, which is more than --max-size",
                size(locked_bytes)
            ));
        }
        shrink(
            &mut staying,
            &mut going,
            max_bytes.saturating_sub(locked_bytes),
        );
    }
    staying.extend(locked);
    for list in [&mut going, &mut staying] {
        list.sort_by(|a, b| (&a.kind, &a.path).cmp(&(&b.kind, &b.path)));
    }
    Ok((going, staying, knowledge))
}

fn is_due(entry: &Entry, rules: &RemovalRules, store: &Store) -> bool {
    let superseded = match &entry.kind {
        EntryKind::Partial(digest) => fs_err::exists(store.blob_path(digest)).unwrap_or_default(),
        _ => false,
    };
    superseded
        || rules
            .older_than
            .is_some_and(|older_than| entry.unused_for > older_than)
}

/// Moves what was unused for longest from `staying` to `going` until no more
/// than `max_bytes` stay.
fn shrink(staying: &mut Vec<Entry>, going: &mut Vec<Entry>, max_bytes: u64) {
    let mut bytes: u64 = staying.iter().map(|entry| entry.size).sum();
    // Of what was used on the same day: first what is quickest had again. The
    // names make the order whole.
    staying.sort_by(|a, b| {
        let order = |entry: &Entry| (entry.last_use, rank(&entry.kind));
        order(a).cmp(&order(b)).then_with(|| a.path.cmp(&b.path))
    });
    let mut stay = Vec::new();
    for entry in staying.drain(..) {
        if bytes > max_bytes {
            bytes = bytes.saturating_sub(entry.size);
            going.push(entry);
        } else {
            stay.push(entry);
        }
    }
    *staying = stay;
}

fn rank(kind: &EntryKind) -> u8 {
    match kind {
        EntryKind::Partial(_) => 0,
        EntryKind::Slab(_) => 1,
        EntryKind::Blob(_) => 2,
        EntryKind::Fact { .. } => 3,
        EntryKind::Stranger => 4,
    }
}

impl Kept {
    fn names(&self, entry: &Entry, knowledge: &Knowledge) -> bool {
        match &entry.kind {
            EntryKind::Blob(digest) | EntryKind::Partial(digest) => self.blobs.contains(digest),
            EntryKind::Slab(key) => {
                slab::diff_id(key).is_some_and(|diff_id| self.diff_ids.contains(&diff_id))
            }
            EntryKind::Fact { kind, name } => {
                let about = knowledge.fact(kind, name);
                about.iter().any(|digest| self.blobs.contains(digest))
            }
            EntryKind::Stranger => true,
        }
    }
}

fn kept(store: &Store, locks: &[PathBuf], knowledge: &Knowledge) -> Result<Kept> {
    let mut kept = Kept::default();
    for path in locks {
        let lock = lock::read(path)?;
        let images = lock.images.iter();
        let roots = images
            .flat_map(|image| image.manifests.values().copied())
            .chain(lock.blobs().into_iter().map(|blob| blob.digest));
        kept.blobs.extend(knowledge.closure(roots, |_| true));
        let indexes = lock.images.iter().filter_map(|image| image.index);
        let nested = |part: &Descriptor| matches!(part.media_type, MediaType::Index(_));
        kept.blobs.extend(knowledge.closure(indexes, nested));
        let layers = lock.archives.iter().map(|archive| archive.layer.diff_id);
        kept.diff_ids.extend(layers);
        kept.diff_ids
            .extend(lock.bootstraps.iter().map(|made| made.layer));
    }
    let of_images = knowledge.diff_ids(store, &kept.blobs);
    kept.diff_ids.extend(of_images);
    Ok(kept)
}

fn report(
    folder: &Path,
    rules: &RemovalRules,
    going: &[Entry],
    staying: &[Entry],
    knowledge: &Knowledge,
) -> Removal {
    let removed: Vec<Removed> = going
        .iter()
        .map(|entry| Removed {
            kind: kind_name(&entry.kind),
            name: entry_name(entry),
            known: knowledge.describe(entry),
            size: entry.size,
            last_use: entry.last_use,
        })
        .collect();
    Removal {
        schema: SCHEMA,
        folder: folder.to_owned(),
        dry_run: rules.dry_run,
        removed_bytes: removed.iter().map(|entry| entry.size).sum(),
        removed,
        kept: staying.len() as u64,
        kept_bytes: staying.iter().map(|entry| entry.size).sum(),
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.dry_run {
            "would remove"
        } else {
            "removed"
        };
        for entry in &self.removed {
            write!(
                f,
                "{:>13}  {}  {} {}",
                size(entry.size),
                day(entry.last_use),
                entry.kind,
                Line(&entry.name)
            )?;
            if !entry.known.is_empty() {
                write!(f, "  {}", Line(&entry.known))?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "{verb} {}, {}; left: {}, {}",
            count(self.removed.len(), "file"),
            size(self.removed_bytes),
            count(self.kept, "file"),
            size(self.kept_bytes)
        )
    }
}
