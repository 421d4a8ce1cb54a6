//! What registries hold about an image that was copied: signatures, attestations,
//! SBOMs, and what is about those in turn.
//!
//! Invariants:
//! - What is kept is bound to what it is about: it names it as its subject, or is
//!   under the tag that cosign makes of the subject's digest.
//! - A manifest that isoforge can't read, or that names another subject, is left
//!   out with a warning; it was never part of the image.
//! - Depth and number have limits, since anybody who may push can add referrers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroUsize;

use super::fetch::Source;
use super::mirror::MirroredImage;
use super::{Limits, layers};
use crate::manifest::{Descriptor, Document, Manifest};
use crate::media::MediaType;
use crate::reference::ImageSource;
use crate::referrer;
use crate::registry::Client;
use crate::store::Store;
use crate::{Error, Step};
use isoforge_base::digest::Digest;
use isoforge_base::error::Class;
use isoforge_base::progress::Progress;

/// How long a chain from an image to what is about it may be: the signature of an
/// SBOM is 2 long.
pub const MAX_REFERRER_DEPTH: usize = 3;
/// How many referrers one image may have.
pub const MAX_REFERRERS: usize = 256;

/// A manifest about another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// The manifest.
    pub manifest: Descriptor,
    /// What it is about.
    pub subject: Digest,
    /// The tag that binds it to its subject, where the manifest does not name it.
    pub tag: Option<String>,
}

/// Referrers copied into the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirroredReferrers {
    /// The manifests, nearest to the image first.
    pub referrers: Vec<Referrer>,
    /// All that was copied, by digest.
    pub blobs: Vec<Descriptor>,
}

/// Copies what the source holds about `image`, which was copied from it: about its
/// index and about each of its manifests.
///
/// # Errors
/// See [`Error`].
pub fn mirror_referrers(
    client: &Client,
    source: &ImageSource,
    image: &MirroredImage,
    store: &Store,
    limits: &Limits,
    threads: NonZeroUsize,
    progress: &Progress,
) -> Result<MirroredReferrers, Error> {
    let source = Source::open(client, source, store, limits, progress)?;
    let mut copy = Copy {
        source: &source,
        seen: BTreeSet::new(),
        pending: VecDeque::new(),
        referrers: Vec::new(),
        manifests: BTreeMap::new(),
        blobs: BTreeMap::new(),
    };
    let manifests = image
        .blobs
        .iter()
        .filter(|blob| blob.media_type.is_manifest());
    for manifest in std::iter::once(&image.root).chain(manifests) {
        copy.look_at(manifest.digest, 0);
    }
    while let Some((subject, depth)) = copy.pending.pop_front() {
        copy.about(subject, depth)?;
    }
    let work: Vec<&Descriptor> = copy.blobs.values().collect();
    layers::in_parallel(&work, threads, |blob, cancelled| {
        source.fetch(blob, "referrer", cancelled)
    })?;
    let mut all = copy.manifests;
    all.extend(copy.blobs);
    Ok(MirroredReferrers {
        referrers: copy.referrers,
        blobs: all.into_values().collect(),
    })
}

struct Copy<'a> {
    source: &'a Source<'a>,
    /// Manifests whose referrers were or will be looked for.
    seen: BTreeSet<Digest>,
    pending: VecDeque<(Digest, usize)>,
    referrers: Vec<Referrer>,
    manifests: BTreeMap<Digest, Descriptor>,
    blobs: BTreeMap<Digest, Descriptor>,
}

impl Copy<'_> {
    fn look_at(&mut self, subject: Digest, depth: usize) {
        if depth < MAX_REFERRER_DEPTH && self.seen.insert(subject) {
            self.pending.push_back((subject, depth));
        }
    }

    /// Takes in what is about `subject`.
    fn about(&mut self, subject: Digest, depth: usize) -> Result<(), Error> {
        let listed = match self.source.listed_referrers(&subject)? {
            Some(listed) => listed,
            None => match self
                .source
                .tagged(&referrer::tag(&subject))?
                .map(|m| m.document)
            {
                Some(Document::Index(entries)) => entries,
                Some(Document::Image(_)) | None => Vec::new(),
            },
        };
        for entry in &listed {
            match self.source.manifest(entry) {
                Ok(manifest) if referrer::subject(&manifest.raw) == Some(subject) => {
                    self.keep(&manifest, subject, None, depth)?;
                }
                Ok(_) => self.leave_out(entry.digest, "it names another subject"),
                Err(Error::Image {
                    step: Step::Use,
                    source,
                    ..
                }) => self.leave_out(entry.digest, &source.to_string()),
                Err(error) => return Err(error),
            }
        }
        for suffix in referrer::COSIGN_SUFFIXES {
            let tag = format!("{}.{suffix}", referrer::tag(&subject));
            if let Some(manifest) = self.source.tagged(&tag)? {
                self.keep(&manifest, subject, Some(tag), depth)?;
            }
        }
        Ok(())
    }

    fn leave_out(&self, digest: Digest, why: &str) {
        self.source.progress.warn(format!(
            "{}: the referrer {digest} is left out: {why}",
            self.source.name()
        ));
    }

    fn keep(
        &mut self,
        manifest: &Manifest,
        subject: Digest,
        tag: Option<String>,
        depth: usize,
    ) -> Result<(), Error> {
        let known = |referrer: &Referrer| {
            referrer.manifest.digest == manifest.digest && referrer.tag == tag
        };
        if self.referrers.iter().any(known) {
            return Ok(());
        }
        if self.referrers.len() >= MAX_REFERRERS {
            let name = self.source.name();
            let problem = format!("{name} has more than {MAX_REFERRERS} referrers");
            return Err(Error::new(Class::Verification, problem).with_hint(
                "leave out --with-referrers, or have the registry's owner remove old ones",
            ));
        }
        self.take(manifest)?;
        self.referrers.push(Referrer {
            manifest: manifest.descriptor(),
            subject,
            tag,
        });
        self.look_at(manifest.digest, depth + 1);
        Ok(())
    }

    /// The manifest and what it leads to. Indexes as referrers are kept with
    /// their manifests, but not deeper: no tool makes such.
    fn take(&mut self, manifest: &Manifest) -> Result<(), Error> {
        self.manifests
            .insert(manifest.digest, manifest.descriptor());
        match &manifest.document {
            Document::Image(_) => self.take_image(manifest),
            Document::Index(entries) => entries.iter().try_for_each(|entry| {
                let child = self.source.manifest(entry)?;
                self.manifests.insert(child.digest, child.descriptor());
                self.take_image(&child)
            }),
        }
    }

    fn take_image(&mut self, manifest: &Manifest) -> Result<(), Error> {
        let Document::Image(image) = &manifest.document else {
            return Err(self.source.too_deep());
        };
        self.source.check_layer_count(image.layers.len())?;
        for blob in std::iter::once(&image.config).chain(&image.layers) {
            if matches!(blob.media_type, MediaType::ForeignLayer(_)) {
                continue;
            }
            let plain = Descriptor::new(blob.media_type.clone(), blob.digest, blob.size);
            self.blobs.insert(blob.digest, plain);
        }
        Ok(())
    }
}
