//! What one bundle has that another has not.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Bundle;
use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_base::human::{count, size};
use isoforge_base::shown::Line;

/// Version of the report's JSON.
const SCHEMA: u32 = 1;

/// A root that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its reference.
    pub reference: String,
    /// What it is.
    pub kind: String,
    /// Its digest in the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Digest>,
    /// Its digest in the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Digest>,
}

/// Blobs, manifests too, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.blobs += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Version of this format.
    pub schema: u32,
    /// Digest of the first one's `index.json`.
    pub from: Digest,
    /// Digest of the second one's `index.json`.
    pub to: Digest,
    /// Roots that only the second has.
    pub added: Vec<Change>,
    /// Roots that only the first has.
    pub removed: Vec<Change>,
    /// References that name something else in the second.
    pub moved: Vec<Change>,
    /// What only the second has.
    pub new: Amount,
    /// What only the first has.
    pub gone: Amount,
    /// What both have.
    pub shared: Amount,
}

/// Compares two bundles. Blobs that no root leads to do not count.
///
/// # Errors
/// What walking the roots gives.
pub fn difference(first: &Bundle, second: &Bundle) -> Result<Difference, Error> {
    let mut found = Difference {
        schema: SCHEMA,
        from: first.digest(),
        to: second.digest(),
        added: Vec::new(),
        removed: Vec::new(),
        moved: Vec::new(),
        new: Amount::default(),
        gone: Amount::default(),
        shared: Amount::default(),
    };
    let (before, after) = (roots(first), roots(second));
    for (reference, (digest, kind)) in &after {
        let from = before.get(reference).map(|(digest, _)| *digest);
        let change = Change {
            reference: reference.clone(),
            kind: kind.clone(),
            from,
            to: Some(*digest),
        };
        match from {
            None => found.added.push(change),
            Some(from) if from != *digest => found.moved.push(change),
            Some(_) => {}
        }
    }
    for (reference, (digest, kind)) in &before {
        if !after.contains_key(reference) {
            found.removed.push(Change {
                reference: reference.clone(),
                kind: kind.clone(),
                from: Some(*digest),
                to: None,
            });
        }
    }
    let (before, after) = (blobs(first)?, blobs(second)?);
    for (digest, bytes) in &after {
        match before.contains_key(digest) {
            true => found.shared.add(*bytes),
            false => found.new.add(*bytes),
        }
    }
    for (digest, bytes) in &before {
        if !after.contains_key(digest) {
            found.gone.add(*bytes);
        }
    }
    Ok(found)
}

/// Digest and kind of each root, by reference; of one that has none by digest.
fn roots(bundle: &Bundle) -> BTreeMap<String, (Digest, String)> {
    let root = |root: &super::Root| {
        let digest = root.descriptor.digest;
        let name = match root.reference.as_str() {
            "" => digest.to_string(),
            name => name.to_owned(),
        };
        (name, (digest, root.kind.to_string()))
    };
    bundle.roots().iter().map(root).collect()
}

/// Size of each blob that a root leads to.
fn blobs(bundle: &Bundle) -> Result<BTreeMap<Digest, u64>, Error> {
    let mut found = BTreeMap::new();
    for root in bundle.roots() {
        let walked = bundle.walk(root)?;
        found.extend(walked.into_iter().map(|blob| (blob.digest, blob.size)));
    }
    Ok(found)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sign, changes) in [('+', &self.added), ('-', &self.removed), ('~', &self.moved)] {
            for change in changes {
                write!(f, "{sign} {}", Line(&change.reference))?;
                if change.kind != "image" {
                    write!(f, " ({})", Line(&change.kind))?;
                }
                match (change.from, change.to) {
                    (Some(from), Some(to)) => {
                        writeln!(f, "  {} to {}", from.short(), to.short())?;
                    }
                    (Some(one), None) | (None, Some(one)) => writeln!(f, "  {}", one.short())?,
                    (None, None) => writeln!(f)?,
                }
            }
        }
        for (what, amount) in [
            ("new", self.new),
            ("gone", self.gone),
            ("shared", self.shared),
        ] {
            let blobs = count(amount.blobs, "blob");
            writeln!(f, "{what}: {blobs}, {}", size(amount.bytes))?;
        }
        Ok(())
    }
}
