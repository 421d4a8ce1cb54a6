//! What is in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use isoforge_base::error::Result;
use serde::Serialize;

use super::known::Knowledge;
use super::{SCHEMA, day, entry_name, kind_name};
use isoforge_base::human::size;
use isoforge_base::shown::Line;
use isoforge_oci::store::{Entry, EntryKind, Store};

/// What a blob is of which nothing is known.
const UNKNOWN: &str = "other";

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Listing {
    /// Version of this format.
    pub schema: u32,
    /// The store's folder.
    pub folder: PathBuf,
    /// Bytes of all files.
    pub bytes: u64,
    /// How much there is of each kind.
    pub groups: Vec<Group>,
    /// All files, sorted by kind and name.
    pub entries: Vec<Listed>,
    /// Whether the text names each file.
    #[serde(skip)]
    pub all: bool,
}

/// Files of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    /// `blob`, `slab`, `fact`, `partial`, `stranger`.
    pub kind: &'static str,
    /// What blobs are (`layer`, `manifest`, …), the kind of facts; empty for
    /// all of a kind together.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When one of them was last used, in seconds since 1970-01-01 UTC.
    pub last_use: u64,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Listed {
    /// As in [`Group`].
    pub kind: &'static str,
    /// Digest of a blob, key of a slab, kind and key of a fact.
    pub name: String,
    /// As in [`Group`].
    pub what: String,
    /// Images or URLs that a blob belongs to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub of: BTreeSet<String>,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last used, in seconds since 1970-01-01 UTC; exact to a day.
    pub last_use: u64,
}

/// Lists the store in `folder`; `all` has the text name each file.
///
/// # Errors
/// What opening and reading the store gives.
pub(crate) fn list(folder: &Path, all: bool) -> Result<Listing> {
    let store = Store::open(folder)?;
    let entries = store.contents()?;
    let knowledge = Knowledge::of(&store, &entries);
    let entries: Vec<Listed> = entries
        .iter()
        .map(|entry| listed(entry, &knowledge))
        .collect();
    Ok(Listing {
        schema: SCHEMA,
        folder: folder.to_owned(),
        bytes: entries.iter().map(|entry| entry.size).sum(),
        groups: groups(&entries),
        entries,
        all,
    })
}

fn listed(entry: &Entry, knowledge: &Knowledge) -> Listed {
    let (what, of) = match &entry.kind {
        EntryKind::Blob(digest) => {
            let known = knowledge.blob(digest);
            let what = if known.what.is_empty() {
                UNKNOWN
            } else {
                known.what
            };
            (what.to_owned(), known.of)
        }
        EntryKind::Fact { kind, .. } => (kind.clone(), BTreeSet::new()),
        _ => (String::new(), BTreeSet::new()),
    };
    Listed {
        kind: kind_name(&entry.kind),
        name: entry_name(entry),
        what,
        of,
        size: entry.size,
        last_use: entry.last_use,
    }
}

fn groups(entries: &[Listed]) -> Vec<Group> {
    let mut groups: BTreeMap<(&'static str, &str), Group> = BTreeMap::new();
    for entry in entries {
        for what in BTreeSet::from(["", &entry.what]) {
            let group = groups.entry((entry.kind, what)).or_insert_with(|| Group {
                kind: entry.kind,
                what: what.to_owned(),
                count: 0,
                bytes: 0,
                last_use: 0,
            });
            group.count += 1;
            group.bytes = group.bytes.saturating_add(entry.size);
            group.last_use = group.last_use.max(entry.last_use);
        }
    }
    groups.into_values().collect()
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.folder.display(), size(self.bytes))?;
        for group in &self.groups {
            let name = if group.what.is_empty() {
                format!("{}s", group.kind)
            } else {
                format!("  {}", Line(&group.what))
            };
            writeln!(
                f,
                "  {name:22} {:>6} {:>13}  last used {}",
                group.count,
                size(group.bytes),
                day(group.last_use)
            )?;
        }
        if self.all {
            for entry in &self.entries {
                write!(
                    f,
                    "{:>13}  {}  {} {}",
                    size(entry.size),
                    day(entry.last_use),
                    entry.kind,
                    Line(&entry.name)
                )?;
                if entry.kind == "blob" {
                    write!(f, "  {}", Line(described(&entry.what, &entry.of)))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// `layer of quay.io/a:1, quay.io/b:2`.
pub(super) fn described(what: &str, of: &BTreeSet<String>) -> String {
    if of.is_empty() {
        return what.to_owned();
    }
    let names: Vec<&str> = of.iter().map(String::as_str).collect();
    format!("{what} of {}", names.join(", "))
}
