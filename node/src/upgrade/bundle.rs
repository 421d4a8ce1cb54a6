//! The provider image that a bundle carries.
//!
//! Its manifests and configurations come into the store first, by which one is
//! chosen; then the layers of that one. From there on it is an image that the store
//! has whole, so no network is asked.

use std::collections::BTreeSet;
use std::io;

use anyhow::{Context as _, Result, bail};
use isoforge_base::progress::Progress;
use isoforge_oci::manifest::{Descriptor, Document, MAX_INDEX_DEPTH, Manifest};
use isoforge_oci::reference::{ImageSource, Reference};
use isoforge_oci::registry::Client;
use isoforge_oci::store::Store;

use super::source::{Asked, Found, choose, not_one, resolve};
use crate::content::source::{Kind, Root, Source};

/// Stands for an image that is in the store alone; `.invalid` is a domain that never
/// exists (RFC 2606).
const STORED: &str = "the-store.invalid/bundle";

/// Whether a source carries a provider image.
#[must_use]
pub fn has_system(source: &dyn Source) -> bool {
    source
        .roots()
        .iter()
        .any(|root| root.kind == Kind::Provider)
}

/// Finds the provider image.
///
/// # Errors
/// Where there is none, or several and nothing says which; and where one is damaged.
pub fn find(
    source: &dyn Source,
    client: &Client,
    store: &Store,
    asked: &Asked<'_>,
    progress: &Progress,
) -> Result<Found> {
    let providers = source
        .roots()
        .iter()
        .filter(|root| root.kind == Kind::Provider);
    // Several names of one image are one image.
    let mut seen = BTreeSet::new();
    let providers: Vec<&Root> = providers
        .filter(|root| seen.insert(root.descriptor.digest))
        .collect();
    let names = names(&providers);
    if let Some(tag) = asked.tag {
        let called =
            (names.iter().zip(&providers)).filter(|(name, root)| is_called(root, name, tag));
        let called = called.count();
        if called != 1 && !providers.is_empty() {
            bail!("{}", not_one(&source.name(), tag, called, &names));
        }
    }
    let mut found = Vec::new();
    for (name, root) in names.into_iter().zip(providers) {
        if asked.tag.is_some_and(|tag| !is_called(root, &name, tag)) {
            continue;
        }
        take_manifests(source, store, &root.descriptor, 0)?;
        let stored: Reference = STORED.parse()?;
        let image = ImageSource::Registry(stored.with_digest(root.descriptor.digest));
        found.push((
            name,
            resolve(client, store, image, asked.platform, progress)?,
        ));
    }
    match found.len() {
        0 => bail!(
            "{} carries no system; 'appliance content import' takes its content",
            source.name()
        ),
        1 => found
            .into_iter()
            .next()
            .map(|(_, found)| found)
            .context("the one that was found"),
        _ => choose(found, asked),
    }
}

/// What each root is called: by its tag where no other has it, else by its full name.
fn names(roots: &[&Root]) -> Vec<String> {
    let tags: Vec<String> = roots.iter().map(|root| tag(root)).collect();
    let name = |(root, tag): (&&Root, &String)| {
        let is_alone = tags.iter().filter(|other| *other == tag).count() == 1;
        match &root.reference {
            Some(reference) if !is_alone => reference.clone(),
            _ => tag.clone(),
        }
    };
    roots.iter().zip(&tags).map(name).collect()
}

fn is_called(root: &Root, name: &str, asked: &str) -> bool {
    name == asked || root.reference.as_deref() == Some(asked) || tag(root) == asked
}

/// The tag of a root, or what it has in its place.
fn tag(root: &Root) -> String {
    let text = root.reference.as_deref().unwrap_or_default();
    let parsed: Option<Reference> = text.parse().ok();
    let tag = parsed.and_then(|reference| reference.tag().map(str::to_owned));
    tag.unwrap_or_else(|| text.to_owned())
}

/// Takes manifests and configurations into the store.
fn take_manifests(
    source: &dyn Source,
    store: &Store,
    descriptor: &Descriptor,
    depth: usize,
) -> Result<()> {
    if depth > MAX_INDEX_DEPTH {
        bail!("{}: indexes are nested too deep", source.name());
    }
    take(source, store, descriptor)?;
    let limit = isoforge_oci::manifest::MAX_MANIFEST_BYTES;
    let raw = store.read_blob(&descriptor.digest, limit)?;
    match Manifest::parse(raw, Some(&descriptor.media_type))?.document {
        Document::Image(image) => take(source, store, &image.config),
        Document::Index(entries) => {
            for entry in entries {
                if entry.media_type.is_manifest() && source.has(&entry.digest)? {
                    take_manifests(source, store, &entry, depth.saturating_add(1))?;
                }
            }
            Ok(())
        }
    }
}

/// Takes blobs into the store that it lacks.
///
/// # Errors
/// Where the bundle lacks one, or it is damaged.
pub fn fetch(
    source: &dyn Source,
    store: &Store,
    blobs: &[Descriptor],
    progress: &Progress,
) -> Result<()> {
    let bytes = blobs.iter().map(|blob| blob.size).sum();
    let task = progress.task("copying and verifying", Some(bytes));
    for blob in blobs {
        take(source, store, blob)?;
        task.advance(blob.size);
    }
    Ok(())
}

fn take(source: &dyn Source, store: &Store, blob: &Descriptor) -> Result<()> {
    if store.blob_size(&blob.digest)? == Some(blob.size) {
        return Ok(());
    }
    let opened = source.open(&blob.digest)?;
    let (_, mut reader) =
        opened.with_context(|| format!("{} lacks {}", source.name(), blob.digest))?;
    let mut writer = store.blob_writer()?;
    io::copy(&mut reader, &mut writer)
        .with_context(|| format!("reading {} of {}", blob.digest, source.name()))?;
    writer
        .commit(Some((&blob.digest, blob.size)))
        .with_context(|| format!("{} is damaged", source.name()))?;
    Ok(())
}
