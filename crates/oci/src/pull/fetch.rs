//! An opened source together with the store that it is pulled into.

use std::sync::atomic::AtomicBool;

use super::download::Download;
use super::{Limits, over_limit};
use crate::manifest::{
    self, Descriptor, Document, ImageConfig, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, Manifest,
};
use crate::media::MediaType;
use crate::platform::Platform;
use crate::reference::ImageSource;
use crate::registry::{Client, Failover, RetryPolicy};
use crate::store::Store;
use crate::{Error, Step};
use isoforge_base::digest::Digest;
use isoforge_base::progress::{Counted, Progress};

/// One image at its source.
pub(super) struct Source<'a> {
    name: String,
    pinned: Option<Digest>,
    /// What a blob counts as that the store lacks.
    counted: Counted,
    hosts: Failover,
    policy: &'a RetryPolicy,
    pub(super) store: &'a Store,
    pub(super) limits: &'a Limits,
    pub(super) progress: &'a Progress,
}

impl<'a> Source<'a> {
    pub(super) fn open(
        client: &'a Client,
        source: &ImageSource,
        store: &'a Store,
        limits: &'a Limits,
        progress: &'a Progress,
    ) -> Result<Self, Error> {
        let name = source.to_string();
        let hosts = client
            .open(source, store.temp_dir())
            .map_err(|error| error.of_image(&name, Step::Pull))?;
        Ok(Self {
            name,
            pinned: source.as_reference().and_then(|known| known.digest()),
            counted: match source.as_reference() {
                Some(_) => Counted::Downloaded,
                None => Counted::Imported,
            },
            hosts,
            policy: client.retry_policy(),
            store,
            limits,
            progress,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn unusable(&self, error: Error) -> Error {
        error.of_image(&self.name, Step::Use)
    }

    fn store_error(&self, error: Error) -> Error {
        error.of_image(&self.name, Step::Store)
    }

    pub(super) fn too_deep(&self) -> Error {
        manifest::too_deep(&self.name)
    }

    pub(super) fn check_layer_count(&self, layers: usize) -> Result<(), Error> {
        if layers <= self.limits.layers {
            return Ok(());
        }
        Err(over_limit(
            format!("{}: the manifest has {layers} layers", self.name),
            "layers",
            self.limits.layers as u64,
        ))
    }

    /// The manifest or index that the source names, put into the store. One that
    /// is pinned by digest comes out of the store where it can.
    pub(super) fn resolve(&self) -> Result<Manifest, Error> {
        let root = self.resolve_unnamed()?;
        self.store
            .add_origin(&root.digest, &self.name)
            .map_err(|error| self.store_error(error))?;
        Ok(root)
    }

    fn resolve_unnamed(&self) -> Result<Manifest, Error> {
        if let Some(digest) = &self.pinned
            && let Some(raw) = self.stored(digest, MAX_MANIFEST_BYTES)?
        {
            return Manifest::parse(raw, None).map_err(|problem| self.unusable(problem));
        }
        self.keep(
            self.hosts
                .run(self.policy, self.progress, |registry| registry.resolve()),
        )
    }

    /// A manifest that an index names, put into the store.
    pub(super) fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Error> {
        manifest::check_size(descriptor.size, MAX_MANIFEST_BYTES)
            .map_err(|problem| self.unusable(problem))?;
        if let Some(raw) = self.stored(&descriptor.digest, MAX_MANIFEST_BYTES)? {
            return Manifest::parse(raw, Some(&descriptor.media_type))
                .map_err(|problem| self.unusable(problem));
        }
        self.keep(self.hosts.run(self.policy, self.progress, |registry| {
            registry.manifest(descriptor)
        }))
    }

    /// The entry of an index for the platform, else the platforms that it has. An entry
    /// need not name its own (OCI Image Specification v1.1, "Image Index"): where none
    /// names the wanted one, the configurations of the others are asked.
    pub(super) fn choose<'e>(
        &self,
        entries: &'e [Descriptor],
        wanted: &Platform,
    ) -> Result<Result<&'e Descriptor, Vec<Platform>>, Error> {
        if let Some(entry) = manifest::choose(entries, wanted) {
            return Ok(Ok(entry));
        }
        let mut judged = entries.to_vec();
        for entry in &mut judged {
            let is_manifest = matches!(entry.media_type, MediaType::Manifest(_));
            if entry.platform.is_none() && is_manifest && !entry.is_attestation() {
                entry.platform = self.platform(entry)?;
            }
        }
        let chosen = manifest::choose(&judged, wanted)
            .and_then(|chosen| entries.iter().find(|entry| entry.digest == chosen.digest));
        Ok(chosen.ok_or_else(|| manifest::platforms(&judged)))
    }

    fn platform(&self, entry: &Descriptor) -> Result<Option<Platform>, Error> {
        let Document::Image(image) = self.manifest(entry)?.document else {
            return Ok(None);
        };
        if !matches!(image.config.media_type, MediaType::Config(_)) {
            return Ok(None);
        }
        let config = self.small_blob(&image.config, MAX_CONFIG_BYTES)?;
        let parsed = ImageConfig::parse(&config).map_err(|problem| self.unusable(problem))?;
        Ok(parsed.platform)
    }

    /// What the source lists as being about `subject`; `None` where it can't list
    /// such.
    pub(super) fn listed_referrers(
        &self,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        self.hosts
            .run(self.policy, self.progress, |registry| {
                registry.listed_referrers(subject)
            })
            .map_err(|error| self.manifest_error(error))
    }

    /// What another tag of the same repository names, put into the store; `None`
    /// where there is no such tag.
    pub(super) fn tagged(&self, tag: &str) -> Result<Option<Manifest>, Error> {
        self.hosts
            .run(self.policy, self.progress, |registry| registry.tagged(tag))
            .map_err(|error| self.manifest_error(error))?
            .map(|manifest| self.keep(Ok(manifest)))
            .transpose()
    }

    fn manifest_error(&self, error: Error) -> Error {
        match error {
            Error::Manifest { source, .. } => self.unusable(*source),
            error => error.of_image(&self.name, Step::Pull),
        }
    }

    fn keep(&self, got: Result<Manifest, Error>) -> Result<Manifest, Error> {
        let manifest = got.map_err(|error| self.manifest_error(error))?;
        self.store
            .put_blob(&manifest.raw)
            .map_err(|error| self.store_error(error))?;
        self.progress
            .count(self.counted, manifest.digest, manifest.raw.len() as u64);
        Ok(manifest)
    }

    /// A small blob out of the store; damage counts as absence, since fetching
    /// it again mends it.
    fn stored(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        match self.store.read_blob(digest, limit) {
            Ok(bytes) => {
                self.reused(digest, bytes.len() as u64);
                Ok(Some(bytes))
            }
            Err(Error::Missing { .. } | Error::Damaged { .. }) => Ok(None),
            Err(error) => Err(self.store_error(error)),
        }
    }

    /// All bytes of a small blob, fetched into the store where it is not there.
    pub(super) fn small_blob(&self, blob: &Descriptor, limit: u64) -> Result<Vec<u8>, Error> {
        manifest::check_size(blob.size, limit).map_err(|problem| self.unusable(problem))?;
        if let Some(bytes) = self.stored(&blob.digest, limit)? {
            return Ok(bytes);
        }
        let cancelled = AtomicBool::new(false);
        self.download(blob, "configuration", &cancelled)?;
        self.store
            .read_blob(&blob.digest, limit)
            .map_err(|error| self.store_error(error))
    }

    /// Fetches a blob into the store where it is not there in full size.
    pub(super) fn fetch(
        &self,
        blob: &Descriptor,
        label: &str,
        cancelled: &AtomicBool,
    ) -> Result<(), Error> {
        if blob.size > self.limits.blob_bytes {
            return Err(over_limit(
                format!("{}: {} has {} bytes", self.name, blob.digest, blob.size),
                "blob_bytes",
                self.limits.blob_bytes,
            ));
        }
        let there = self
            .store
            .blob_size(&blob.digest)
            .map_err(|error| self.store_error(error))?;
        if there == Some(blob.size) {
            self.reused(&blob.digest, blob.size);
            return Ok(());
        }
        self.download(blob, label, cancelled)
    }

    fn download(
        &self,
        blob: &Descriptor,
        label: &str,
        cancelled: &AtomicBool,
    ) -> Result<(), Error> {
        let download = Download {
            store: self.store,
            policy: self.policy,
            progress: self.progress,
            cancelled,
            label: &format!("{} {label} {}", self.name, blob.digest.short()),
            digest: blob.digest,
            size: Some(blob.size),
            limit: blob.size,
        };
        self.hosts
            .each(self.progress, |registry| {
                download
                    .run(&|offset| registry.blob(blob, offset))
                    .map_err(|error| match error {
                        Error::Cancelled { .. } => error,
                        _ if error.is_of_store() => self.store_error(error),
                        _ => error.of_image(&self.name, Step::Pull),
                    })
            })
            .map_err(|error| {
                let is_foreign = matches!(blob.media_type, MediaType::ForeignLayer(_));
                if is_foreign && error.is_absence() {
                    return self.unusable(manifest::foreign_layer(blob));
                }
                error
            })?;
        self.progress.count(self.counted, blob.digest, blob.size);
        Ok(())
    }

    /// Says that the store had a blob.
    fn reused(&self, digest: &Digest, bytes: u64) {
        self.progress.count(Counted::Stored, digest, bytes);
        self.progress
            .detail(format!("{}: {} is in the store", self.name, digest.short()));
    }
}
