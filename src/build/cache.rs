//! What people do with the store beside building: see what is in it, check it,
//! make room, carry a locked build's input elsewhere.
//!
//! `docs/cache.md` tells how it looks from outside.

mod derived;
mod export;
mod import;
mod inputs;
mod known;
mod list;
mod proof;
mod remove;
mod verify;

pub(crate) use export::export;
pub(crate) use import::{Import, import};
pub(crate) use list::list;
pub(crate) use remove::{RemovalRules, remove};
pub(crate) use verify::{Verify, verify};

use isoforge_oci::store::EntryKind;

/// Version of the reports' JSON.
const SCHEMA: u32 = 1;
/// An export's artifact that has the lock, and what is no image, as `index.json` calls
/// it.
const INPUT_NAME: &str = "isoforge-input";
/// Type of the artifact's part that is the lock.
const LOCK_TYPE: &str = "application/vnd.isoforge.lock.v1+toml";

/// The kind of a file in reports.
fn kind_name(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::Blob(_) => "blob",
        EntryKind::Slab(_) => "slab",
        EntryKind::Fact { .. } => "fact",
        EntryKind::Partial(_) => "partial",
        EntryKind::Stranger => "stranger",
    }
}

/// The name of a file in reports: digest or key.
fn entry_name(entry: &isoforge_oci::store::Entry) -> String {
    match &entry.kind {
        EntryKind::Blob(digest) | EntryKind::Partial(digest) => digest.to_string(),
        EntryKind::Slab(key) => key.clone(),
        EntryKind::Fact { kind, name } => format!("{kind}/{name}"),
        EntryKind::Stranger => entry.path.display().to_string(),
    }
}

/// A day in UTC, as `2026-11-21`.
fn day(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(
            || "unknown".to_owned(),
            |time| time.strftime("%Y-%m-%d").to_string(),
        )
}
