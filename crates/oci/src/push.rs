//! Images of an OCI layout into a repository.
//!
//! What the registry has is not sent: an image whose tag leads to it costs one
//! request. Of the others' blobs, those that the base image's repository on the
//! same registry has are mounted from there.
//!
//! Invariants:
//! - An image's blobs are there before its manifests, those before the index,
//!   and its tag comes last: who pulls while a push goes on gets the old image
//!   or the new one.
//! - Which image a failure concerns is part of the error. What a failed push
//!   brought stays, and the next one finds it there.
//! - A dry run asks, and sends nothing.

mod blobs;
mod content;
mod report;
mod select;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use report::{Amount, ImageReport, Manifests, Report, State};
pub use select::{Destination, Selection, select};

use crate::manifest::Manifest;
use crate::reference::Reference;
use crate::registry::push::{ImageLayout, Pieces, Target};
use crate::registry::{Client, retry};
use crate::{Error, Step};
use content::{Blob, Content};
use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;

/// How to push.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Blobs sent at once.
    pub threads: NonZeroUsize,
    /// Only find out what would be sent.
    pub dry_run: bool,
    /// When a blob is sent in pieces.
    pub pieces: Pieces,
}

/// Pushes the selected images of `layout`, one after the other.
///
/// # Errors
/// See [`Error`].
pub fn push(
    client: &Client,
    layout: &ImageLayout,
    selection: &Selection,
    options: &Options,
    progress: &Progress,
) -> Result<Report, Error> {
    let mut images = Vec::with_capacity(selection.images.len());
    for (descriptor, tag) in &selection.images {
        let name = format!("{}:{tag}", selection.repository);
        images.push((Content::read(layout, descriptor, &name)?, tag, name));
    }
    let bases: Vec<Reference> = images
        .iter()
        .flat_map(|(content, ..)| content.bases().cloned())
        .collect();
    let target = client
        .target(&selection.reference, &bases)
        .map_err(|error| error.of_image(&selection.repository, Step::Push))?;
    let there = Mutex::new(BTreeSet::new());
    let mut report = Report::new(&selection.repository, options.dry_run);
    for (content, tag, name) in images {
        let pusher = Pusher {
            client,
            layout,
            target: &target,
            options,
            progress,
            name: &name,
            there: &there,
        };
        report.images.push(pusher.image(&content, tag)?);
    }
    Ok(report)
}

/// One image on its way.
struct Pusher<'a> {
    client: &'a Client,
    layout: &'a ImageLayout,
    target: &'a Target,
    options: &'a Options,
    progress: &'a Progress,
    /// The reference that it gets.
    name: &'a str,
    /// Blobs that this push found or brought.
    there: &'a Mutex<BTreeSet<Digest>>,
}

impl Pusher<'_> {
    fn image(&self, content: &Content, tag: &str) -> Result<ImageReport, Error> {
        self.progress.stage(&format!("Pushing {}", self.name));
        let root = &content.root.manifest;
        let mut report = ImageReport::new(self.name, tag, root.digest, self.options.dry_run);
        if self.ask(|| self.target.has_tag(tag, &root.digest))? {
            report.state = State::AlreadyThere;
            report.manifests.there = content.manifests();
            for blob in unique(content.blobs()).values() {
                report.there.add(blob.descriptor.size);
            }
            return Ok(report);
        }
        // With the root all that it leads to is there.
        let root_is_there = self.has_manifest(root)?;
        let (mut missing, mut there) = (Vec::new(), Vec::new());
        for part in &content.below {
            if root_is_there || self.has_manifest(&part.manifest)? {
                there.push(part);
            } else {
                missing.push(part);
            }
        }
        if root_is_there {
            there.push(&content.root);
        } else {
            missing.push(&content.root);
        }
        self.lock()
            .extend(there.iter().flat_map(|part| part.digests()));
        let wanted = unique(missing.iter().flat_map(|part| &part.blobs));
        for (digest, blob) in unique(there.iter().flat_map(|part| &part.blobs)) {
            if !wanted.contains_key(&digest) {
                report.there.add(blob.descriptor.size);
            }
        }
        self.bring(&wanted, &mut report)?;
        report.manifests.there = there.len() as u64;
        report.manifests.pushed = missing.len() as u64;
        if !self.options.dry_run {
            let by_digest = missing
                .iter()
                .filter(|part| part.manifest.digest != root.digest);
            for part in by_digest {
                self.ask(|| self.target.put_manifest(&part.manifest, None))?;
            }
            self.ask(|| self.target.put_manifest(root, Some(tag)))?;
        }
        Ok(report)
    }

    /// Blobs that this push found or brought.
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        // Filled in single steps, so sound after a panic.
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_manifest(&self, manifest: &Manifest) -> Result<bool, Error> {
        self.ask(|| self.target.has_manifest(&manifest.digest))
    }

    /// One request, tried again where that may help.
    fn ask<T>(&self, request: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        retry::run(self.client.retry_policy(), self.progress, request)
            .map_err(|error| error.of_image(self.name, Step::Push))
    }
}

/// Each blob once.
fn unique<'a>(blobs: impl Iterator<Item = &'a Blob>) -> BTreeMap<Digest, &'a Blob> {
    let mut found = BTreeMap::new();
    for blob in blobs {
        found.entry(blob.descriptor.digest).or_insert(blob);
    }
    found
}
