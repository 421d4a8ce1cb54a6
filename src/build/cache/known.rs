//! What is known of a blob: the manifests of the store say what others are, the
//! origins say what a manifest is called, facts tell of what was made.
//!
//! It is for people and for finding what a manifest needs. Nothing is hashed
//! here, so nothing of it is proof.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::list::described;
use isoforge_base::digest::Digest;
use isoforge_oci::manifest::{Descriptor, Document, ImageConfig, MAX_MANIFEST_BYTES, Manifest};
use isoforge_oci::media::MediaType;
use isoforge_oci::store::{Entry, EntryKind, ORIGIN_FACT, Store};

/// How deep what others name is followed: an index, its manifests, their blobs,
/// with room for indexes in indexes.
const MAX_DEPTH: usize = 8;

/// What the facts of a kind say that the blobs in them are.
const BY_FACT: [(&str, &str); 7] = [
    ("archive", "archive"),
    ("bootstrap", "bootstrap"),
    ("core-image", "GRUB core image"),
    ("file-layer", "files as a layer"),
    ("filtered-layer", "part of layers"),
    ("package-layers", "part of a bootstrap"),
    ("provider-layer", "own layer"),
];

/// What is known of one blob.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// `index`, `manifest`, `configuration`, `layer`, …; empty where nothing is
    /// known.
    pub(super) what: &'static str,
    /// Names of images or files that it is part of.
    pub(super) of: BTreeSet<String>,
}

/// What is known of a store's content.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    blobs: BTreeMap<Digest, Known>,
    manifests: BTreeMap<Digest, Manifest>,
    /// Digests that the facts tell of, by the facts' kind and name.
    facts: BTreeMap<(String, String), BTreeSet<Digest>>,
}

impl Knowledge {
    /// Reads all small documents among `entries`, which are the store's.
    pub(super) fn of(store: &Store, entries: &[Entry]) -> Self {
        let mut this = Self::default();
        for entry in entries {
            match &entry.kind {
                EntryKind::Blob(digest) => this.read_blob(digest, entry),
                EntryKind::Fact { kind, name } => this.read_fact(kind, name, entry),
                _ => {}
            }
        }
        this.name_all(store);
        this
    }

    pub(super) fn blob(&self, digest: &Digest) -> Known {
        self.blobs.get(digest).cloned().unwrap_or_default()
    }

    /// What is known of a blob, in words; nothing of other files.
    pub(super) fn describe(&self, entry: &Entry) -> String {
        match &entry.kind {
            EntryKind::Blob(digest) => {
                let known = self.blob(digest);
                described(known.what, &known.of)
            }
            _ => String::new(),
        }
    }

    /// The digests that a fact tells of, its own name's included.
    pub(super) fn fact(&self, kind: &str, name: &str) -> BTreeSet<Digest> {
        let key = (kind.to_owned(), name.to_owned());
        self.facts.get(&key).cloned().unwrap_or_default()
    }

    /// `roots` and all that manifests among them lead to over parts that `follow` holds
    /// for, as far as the store has them.
    pub(super) fn closure(
        &self,
        roots: impl IntoIterator<Item = Digest>,
        follow: fn(&Descriptor) -> bool,
    ) -> BTreeSet<Digest> {
        let mut found = BTreeSet::new();
        let mut pending: Vec<Digest> = roots.into_iter().collect();
        while let Some(digest) = pending.pop() {
            if found.insert(digest)
                && let Some(manifest) = self.manifests.get(&digest)
            {
                let next = children(manifest).into_iter();
                pending.extend(next.filter(|part| follow(part)).map(|part| part.digest));
            }
        }
        found
    }

    /// The diffIDs in the configurations among `digests`.
    pub(super) fn diff_ids(&self, store: &Store, digests: &BTreeSet<Digest>) -> BTreeSet<Digest> {
        let configurations = digests
            .iter()
            .filter_map(|digest| self.manifests.get(digest))
            .filter_map(|manifest| match &manifest.document {
                Document::Image(image) => Some(image.config.digest),
                Document::Index(_) => None,
            });
        configurations
            .filter_map(|digest| fs_err::read(store.blob_path(&digest)).ok())
            .filter_map(|bytes| ImageConfig::parse(&bytes).ok())
            .flat_map(|config| config.diff_ids)
            .collect()
    }

    /// The diffIDs that configurations give the layer whose blob this is.
    pub(super) fn claimed(&self, store: &Store, blob: &Digest) -> BTreeSet<Digest> {
        let mut found = BTreeSet::new();
        for manifest in self.manifests.values() {
            let Document::Image(image) = &manifest.document else {
                continue;
            };
            let layers = image.layers.iter().map(|layer| layer.digest);
            if !layers.clone().any(|layer| layer == *blob) {
                continue;
            }
            let config = store
                .read_blob(&image.config.digest, MAX_MANIFEST_BYTES)
                .ok();
            let config = config.and_then(|bytes| ImageConfig::parse(&bytes).ok());
            let diff_ids = config.map(|config| config.diff_ids).unwrap_or_default();
            let pairs = layers.zip(diff_ids);
            found.extend(pairs.filter(|(layer, _)| layer == blob).map(|(_, id)| id));
        }
        found
    }

    fn read_blob(&mut self, digest: &Digest, entry: &Entry) {
        if entry.size > MAX_MANIFEST_BYTES || !begins_as_object(entry) {
            return;
        }
        if let Ok(bytes) = fs_err::read(&entry.path)
            && let Ok(manifest) = Manifest::parse(bytes, None)
        {
            let what = match manifest.document {
                Document::Index(_) => "index",
                Document::Image(_) => "manifest",
            };
            self.blobs.entry(*digest).or_default().what = what;
            self.manifests.insert(*digest, manifest);
        }
    }

    fn read_fact(&mut self, kind: &str, name: &str, entry: &Entry) {
        let value = fs_err::read(&entry.path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
            .unwrap_or_default();
        let mut digests = BTreeSet::new();
        collect_digests(&value, &mut digests);
        if kind == ORIGIN_FACT
            && let Some(digest) = digest_of_hex(name)
            && let Value::Array(names) = &value
        {
            let names = names.iter().filter_map(Value::as_str).map(str::to_owned);
            self.blobs.entry(digest).or_default().of.extend(names);
        }
        let what = BY_FACT.iter().find(|(known, _)| *known == kind);
        for digest in &digests {
            if let Some((_, what)) = what {
                let known = self.blobs.entry(*digest).or_default();
                if known.what.is_empty() {
                    known.what = what;
                }
            }
        }
        digests.extend(digest_of_hex(name));
        self.facts
            .insert((kind.to_owned(), name.to_owned()), digests);
    }

    /// Hands the names of manifests down to what they consist of.
    fn name_all(&mut self, store: &Store) {
        let parts: Vec<(Digest, &'static str)> = self
            .manifests
            .values()
            .flat_map(children)
            .map(|child| (child.digest, role(&child.media_type)))
            .collect();
        for (digest, what) in parts {
            let known = self.blobs.entry(digest).or_default();
            if known.what.is_empty() {
                known.what = what;
            }
        }
        for _ in 0..MAX_DEPTH {
            let mut handed = Vec::new();
            for (digest, manifest) in &self.manifests {
                let of = self.blob(digest).of;
                if !of.is_empty() {
                    let children = children(manifest).into_iter();
                    handed.extend(children.map(|child| (child.digest, of.clone())));
                }
            }
            let mut changed = false;
            for (digest, names) in handed {
                let known = self.blobs.entry(digest).or_default();
                let before = known.of.len();
                known.of.extend(names);
                changed |= known.of.len() != before;
            }
            if !changed {
                break;
            }
        }
        // An origin that is no manifest is a file by URL.
        for (digest, known) in &mut self.blobs {
            if known.what.is_empty()
                && !known.of.is_empty()
                && fs_err::exists(store.blob_path(digest)).unwrap_or_default()
            {
                known.what = "file";
            }
        }
    }
}

fn role(media_type: &MediaType) -> &'static str {
    match media_type {
        MediaType::Index(_) => "index",
        MediaType::Manifest(_) | MediaType::Schema1(_) => "manifest",
        MediaType::Config(_) => "configuration",
        MediaType::Layer(..) | MediaType::ForeignLayer(_) => "layer",
        MediaType::Other(_) => "artifact",
    }
}

fn children(manifest: &Manifest) -> Vec<&Descriptor> {
    match &manifest.document {
        Document::Index(entries) => entries.iter().collect(),
        Document::Image(image) => std::iter::once(&image.config)
            .chain(&image.layers)
            .collect(),
    }
}

fn begins_as_object(entry: &Entry) -> bool {
    use std::io::Read as _;
    let mut first = [0; 1];
    fs_err::File::open(&entry.path)
        .and_then(|mut file| file.read_exact(&mut first))
        .is_ok_and(|()| first == *b"{")
}

fn digest_of_hex(hex: &str) -> Option<Digest> {
    format!("sha256:{hex}").parse().ok()
}

fn collect_digests(value: &Value, found: &mut BTreeSet<Digest>) {
    match value {
        Value::String(text) => found.extend(text.parse::<Digest>()),
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect_digests(value, found)),
        Value::Object(fields) => fields
            .values()
            .for_each(|value| collect_digests(value, found)),
        _ => {}
    }
}
