//! What was made of blobs that are damaged: it is as doubtful as they are, since nobody
//! knows since when.

use std::collections::{BTreeMap, BTreeSet};

use super::known::Knowledge;
use isoforge_base::digest::Digest;
use isoforge_oci::pull::diff_id;
use isoforge_oci::store::{Entry, EntryKind, ORIGIN_FACT, Store};
use isoforge_system::slab;

/// Kinds of facts on layers that were made of others. Their names do not tell of which,
/// so one damaged blob is enough for all of them to be found out again.
const OF_OTHERS: [&str; 2] = ["filtered-layer", "package-layers"];

/// The slabs and facts among `entries` that were made of the blobs `damaged`, each with
/// why it goes.
pub(super) fn derived<'e>(
    store: &Store,
    entries: &'e [Entry],
    knowledge: &Knowledge,
    damaged: &BTreeSet<Digest>,
) -> Vec<(&'e Entry, String)> {
    if damaged.is_empty() {
        return Vec::new();
    }
    // The blob by its own digest, and by what it decompresses to.
    let mut of: BTreeMap<Digest, Digest> = BTreeMap::new();
    for blob in damaged {
        of.extend(
            knowledge
                .claimed(store, blob)
                .into_iter()
                .map(|id| (id, *blob)),
        );
        of.extend(diff_id::recorded(store, blob).map(|(_, id)| (id, *blob)));
        of.insert(*blob, *blob);
    }
    let made_of = |digest: &Digest| {
        let blob = of.get(digest)?;
        Some(format!("it is made of {blob}, which is damaged"))
    };
    let why = |entry: &Entry| match &entry.kind {
        EntryKind::Slab(key) => slab::diff_id(key).as_ref().and_then(made_of),
        EntryKind::Fact { kind, .. } if kind == ORIGIN_FACT => None,
        EntryKind::Fact { kind, .. } if OF_OTHERS.contains(&kind.as_str()) => {
            Some("it may be made of a blob that is damaged".to_owned())
        }
        EntryKind::Fact { kind, name } => knowledge.fact(kind, name).iter().find_map(made_of),
        EntryKind::Blob(_) | EntryKind::Partial(_) | EntryKind::Stranger => None,
    };
    let found = entries.iter();
    found
        .filter_map(|entry| Some((entry, why(entry)?)))
        .collect()
}
