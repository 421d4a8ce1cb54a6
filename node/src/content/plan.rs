//! What of a source goes where, known before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use anyhow::{Context as _, Result};
use isoforge_base::digest::Digest;
use isoforge_oci::manifest::{Descriptor, Document, MAX_INDEX_DEPTH, MAX_MANIFEST_BYTES, Manifest};
use isoforge_oci::media::MediaType;
use isoforge_oci::referrer;

use super::files::read;
use super::images::Images as _;
use super::index::Entry;
use super::source::{Kind, Root, Source};
use super::storage::{Blobs, Storage};
use super::{BadSource, names};

/// What an import will do.
#[derive(Debug, Default)]
pub struct Plan {
    /// What each repository lists in the end, beside what it lists already.
    pub repositories: BTreeMap<String, Listed>,
    /// The blobs, and which repositories they belong to.
    pub blobs: BTreeMap<Digest, NeededBlob>,
    /// The images, by their names in full.
    pub images: BTreeMap<String, Digest>,
    /// Names of provider images, which no registry gets.
    pub providers: Vec<String>,
    /// Manifests about images that are not in the source.
    pub strays: usize,
}

/// What a repository lists.
#[derive(Debug, Default)]
pub struct Listed {
    /// By tag.
    pub tags: BTreeMap<String, Entry>,
    /// Images of an index and what refers to an image.
    pub untagged: BTreeMap<Digest, Entry>,
}

#[derive(Debug, Default)]
pub struct NeededBlob {
    /// Its size in bytes.
    pub size: u64,
    /// By which repositories.
    pub repositories: BTreeSet<String>,
}

/// Finds out what of `source` goes where; `there` is what `storage` has, from which
/// a delta takes what it lacks.
///
/// # Errors
/// [`BadSource`] where it lacks something, is damaged or has names that can't
/// be.
pub fn plan(source: &dyn Source, storage: &Storage, there: &Blobs) -> Result<Plan> {
    let mut planner = Planner {
        source,
        storage,
        there,
        plan: Plan::default(),
        plain: BTreeSet::new(),
    };
    let (named, unnamed): (Vec<&Root>, Vec<&Root>) = source
        .roots()
        .iter()
        .partition(|root| root.reference.is_some());
    for root in named {
        let Some(text) = &root.reference else {
            continue;
        };
        if root.kind == Kind::Provider {
            planner.plan.providers.push(text.clone());
            continue;
        }
        planner.root(root, text)?;
    }
    planner.referrers(&unnamed)?;
    Ok(planner.plan)
}

struct Planner<'a> {
    source: &'a dyn Source,
    storage: &'a Storage,
    there: &'a Blobs,
    plan: Plan,
    /// Repositories and tags that an image has without a digest beside.
    plain: BTreeSet<(String, String)>,
}

impl Planner<'_> {
    /// What is wrong with the source.
    fn bad(&self, problem: &str) -> anyhow::Error {
        BadSource(format!("{} {problem}", self.source.name())).into()
    }

    fn root(&mut self, root: &Root, text: &str) -> Result<()> {
        let reference = names::parse(text)?;
        let repository = names::repository(&reference)?;
        let manifest = self.manifest(&root.descriptor, text)?;
        if let Some(asked) = reference.digest().filter(|asked| *asked != manifest.digest) {
            let (found, bytes) = (manifest.digest, manifest.raw.len() as u64);
            return Err(BadSource::damaged(
                &self.source.name(),
                &asked,
                found,
                bytes,
            ));
        }
        let pinned = reference.digest();
        if let Some(tag) = reference.tag() {
            self.tag(&repository, tag, &manifest, pinned.is_none(), text)?;
        }
        if let Some(digest) = &pinned {
            self.tag(
                &repository,
                &names::digest_tag(digest),
                &manifest,
                true,
                text,
            )?;
        }
        self.plan.images.insert(text.to_owned(), manifest.digest);
        self.below(&repository, &manifest, text, 0)
    }

    /// Gives a manifest a tag. Of one that a digest pins, the tag is only a word
    /// (`plain` is not set): it gives way to one that means what it says.
    fn tag(
        &mut self,
        repository: &str,
        tag: &str,
        manifest: &Manifest,
        plain: bool,
        text: &str,
    ) -> Result<()> {
        let listed = self
            .plan
            .repositories
            .entry(repository.to_owned())
            .or_default();
        let key = (repository.to_owned(), tag.to_owned());
        if let Some(other) = listed.tags.get(tag)
            && other.digest != manifest.digest
        {
            if !plain {
                return Ok(());
            }
            if self.plain.contains(&key) {
                let (first, second) = (other.digest, manifest.digest);
                return Err(self.bad(&format!(
                    "has two different images with the name {text}: {first} and {second}"
                )));
            }
        }
        listed
            .tags
            .insert(tag.to_owned(), entry_of(manifest, Some(tag)));
        if plain {
            self.plain.insert(key);
        }
        Ok(())
    }

    /// Takes up a manifest and all that it leads to.
    fn below(
        &mut self,
        repository: &str,
        manifest: &Manifest,
        text: &str,
        depth: usize,
    ) -> Result<()> {
        self.want(repository, manifest.digest, manifest.raw.len() as u64);
        match &manifest.document {
            Document::Image(image) => {
                for blob in std::iter::once(&image.config).chain(&image.layers) {
                    self.blob(repository, blob, text)?;
                }
                Ok(())
            }
            Document::Index(entries) => self.index(repository, entries, text, depth),
        }
    }

    /// The images of an index; those that are not there are of platforms that
    /// nobody asked for.
    fn index(
        &mut self,
        repository: &str,
        entries: &[Descriptor],
        text: &str,
        depth: usize,
    ) -> Result<()> {
        let mut images = 0_usize;
        if depth >= MAX_INDEX_DEPTH {
            let name = self.source.name();
            let problem = format!("{name}: the indexes of {text} lie in each other too deep");
            return Err(BadSource(problem).into());
        }
        for entry in entries {
            if !self.has(&entry.digest)? {
                continue;
            }
            if !entry.media_type.is_manifest() {
                self.blob(repository, entry, text)?;
                continue;
            }
            images = images.saturating_add(1);
            let manifest = self.manifest(entry, text)?;
            let listed = self
                .plan
                .repositories
                .entry(repository.to_owned())
                .or_default();
            let listed = listed.untagged.entry(manifest.digest);
            listed.or_insert_with(|| entry_of(&manifest, None));
            self.below(repository, &manifest, text, depth.saturating_add(1))?;
        }
        if images == 0 && !entries.is_empty() {
            return Err(self.bad(&format!("has the index {text}, but no image of it")));
        }
        Ok(())
    }

    fn blob(&mut self, repository: &str, blob: &Descriptor, text: &str) -> Result<()> {
        if !self.has(&blob.digest)? {
            // Registries need not have those.
            if matches!(blob.media_type, MediaType::ForeignLayer(_)) {
                return Ok(());
            }
            return Err(BadSource::missing(&self.source.name(), &blob.digest, text));
        }
        self.want(repository, blob.digest, blob.size);
        Ok(())
    }

    /// What is about images of the source goes where they go.
    fn referrers(&mut self, roots: &[&Root]) -> Result<()> {
        let mut left: Vec<(Manifest, Digest)> = Vec::new();
        for root in roots {
            let manifest = self.manifest(&root.descriptor, "what refers to an image")?;
            match referrer::subject(&manifest.raw) {
                Some(subject) => left.push((manifest, subject)),
                None => self.plan.strays = self.plan.strays.saturating_add(1),
            }
        }
        // One may refer to another.
        loop {
            let before = left.len();
            let mut next = Vec::new();
            for (manifest, subject) in left {
                let repositories = match self.plan.blobs.get(&subject) {
                    Some(wanted) => wanted.repositories.clone(),
                    None => {
                        next.push((manifest, subject));
                        continue;
                    }
                };
                let text = format!("what refers to {subject}");
                for repository in repositories {
                    let listed = self
                        .plan
                        .repositories
                        .entry(repository.clone())
                        .or_default();
                    let entry = entry_of(&manifest, None);
                    listed.untagged.entry(manifest.digest).or_insert(entry);
                    self.below(&repository, &manifest, &text, 0)?;
                }
            }
            left = next;
            if left.len() == before {
                self.plan.strays = self.plan.strays.saturating_add(before);
                return Ok(());
            }
        }
    }

    fn want(&mut self, repository: &str, digest: Digest, size: u64) {
        let wanted = self.plan.blobs.entry(digest).or_default();
        wanted.size = size;
        wanted.repositories.insert(repository.to_owned());
    }

    fn has(&self, digest: &Digest) -> Result<bool> {
        Ok(self.there.contains_key(digest) || self.source.has(digest)?)
    }

    /// A manifest of the source, else of the storage, its digest checked.
    fn manifest(&self, descriptor: &Descriptor, text: &str) -> Result<Manifest> {
        let digest = descriptor.digest;
        let bytes = match read_manifest(self.source, &digest)? {
            Some(bytes) => Some(bytes),
            None => self.stored(&digest)?,
        };
        let bytes = bytes.ok_or_else(|| BadSource::missing(&self.source.name(), &digest, text))?;
        let found = Digest::of(&bytes);
        if found != digest {
            let (name, size) = (self.source.name(), bytes.len() as u64);
            return Err(BadSource::damaged(&name, &digest, found, size));
        }
        Manifest::parse(bytes, Some(&descriptor.media_type))
            .with_context(|| BadSource(format!("the manifest {digest} of {text} can't be used")))
    }

    fn stored(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let Some(repository) = self.there.get(digest).and_then(|it| it.keys().next()) else {
            return Ok(None);
        };
        read(
            &self.storage.blob_path(repository, digest),
            MAX_MANIFEST_BYTES,
        )
    }
}

fn entry_of(manifest: &Manifest, tag: Option<&str>) -> Entry {
    let size = manifest.raw.len() as u64;
    Entry::new(manifest.digest, manifest.media_type.clone(), size, tag)
}

/// The bytes of a small blob; none where it is not there.
pub(super) fn read_manifest(source: &dyn Source, digest: &Digest) -> Result<Option<Vec<u8>>> {
    let Some((size, reader)) = source.open(digest)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    reader
        .take(MAX_MANIFEST_BYTES.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(|| BadSource::read(&source.name(), digest, 0))?;
    if bytes.len() as u64 != size || size > MAX_MANIFEST_BYTES {
        let (expected, found) = (size.min(MAX_MANIFEST_BYTES), bytes.len() as u64);
        return Err(BadSource::length(&source.name(), digest, expected, found));
    }
    Ok(Some(bytes))
}
