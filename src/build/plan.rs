//! What a build would do, found out without doing it: nothing is downloaded but
//! manifests and configurations, nothing is hashed but the project's own files,
//! nothing is written but what the store takes of the former.
//!
//! The schema of the JSON is documented in `docs/plan.md`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use isoforge_base::error::Result;
use serde::Serialize;

use super::lock::{self, Found};
use super::prepare::Prepared;
use super::renderer::Renderer;
use super::{Request, Upgrade};
use crate::inputs::Input;
use crate::lock::{Drift, Lock, compare};
use crate::sources;
use crate::sources::packages::known;
use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;
use isoforge_contract::manifest::Role;
use isoforge_oci::layer::Layer;
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::reference::ImageSource;
use isoforge_oci::registry::ShownUrl;
use isoforge_oci::store::Store;
use isoforge_system::filtered;
use isoforge_system::slab;

/// Version of the plan's JSON.
const SCHEMA: u32 = 1;

/// What a build would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Plan {
    /// Version of this format.
    pub schema: u32,
    /// `appliance.name`.
    pub name: String,
    /// `appliance.version`.
    pub version: String,
    /// The lock file.
    pub lock: PathBuf,
    /// Whether there is one.
    pub locked: bool,
    /// What moved since the lock was written, as far as can be seen without
    /// downloading or making anything.
    pub changes: Vec<Drift>,
    pub inputs: Vec<PlannedInput>,
    /// Layers that would be compressed, each once.
    pub compress: Vec<PlannedLayer>,
    /// Names of the files that would be written.
    pub outputs: Vec<String>,
    /// References of the provider images.
    pub provider_images: Vec<String>,
    /// Room that the build needs at most.
    pub room: Vec<PlannedRoom>,
    /// Bytes that would be downloaded, each blob once.
    pub pull_bytes: u64,
    /// Bytes that the store has already.
    pub reused_bytes: u64,
    /// Bytes of layers that would be compressed.
    pub compress_bytes: u64,
}

/// An input, and where it would come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PlannedInput {
    /// As in the lock.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The architecture; none for what serves all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Where it would come from.
    pub from: Origin,
    /// Bytes in all, as far as they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Bytes of them that would be downloaded or read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_bytes: Option<u64>,
}

/// Where an input would come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// All of it is in the store.
    Store,
    /// Something of it has to be downloaded.
    Network,
    /// It lies on the local disk, and something of it has to be read.
    Disk,
    /// It has to be made from packages.
    Packages,
}

/// A layer that would be compressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PlannedLayer {
    /// The input that has it.
    pub of: String,
    /// Digest of its blob; none where it is yet to be taken out of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Bytes of its blob, at most.
    pub bytes: u64,
}

/// Room on a file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PlannedRoom {
    /// Where.
    pub path: PathBuf,
    /// What for.
    pub purpose: String,
    /// Bytes at most.
    pub bytes: u64,
}

/// Finds out what a build of the request would do.
///
/// # Errors
/// Where the lock or the project's files can't be read, or a registry does not
/// answer.
pub(crate) fn plan(request: &Request<'_>, progress: &Progress) -> Result<Plan> {
    let renderer = Renderer::new(request.loaded, request.profile_path, request.env)?;
    let prepared = Prepared::of(request, renderer, &Upgrade::None, None, progress)?;
    let mut planner = Planner::new(&prepared);
    for (input, source) in prepared.inputs.images() {
        planner.image(input, source)?;
    }
    for (input, path) in prepared.inputs.archives() {
        planner.archive(input, path)?;
    }
    planner.files()?;
    planner.bootstraps()?;
    Ok(planner.finish())
}

struct Planner<'a> {
    prepared: &'a Prepared<'a>,
    /// The lock as it would become.
    now: Lock,
    pins: Lock,
    /// Blobs that were counted.
    seen: BTreeSet<Digest>,
    compressed: BTreeSet<Digest>,
    /// Bytes of all layers of systems, and of all content.
    system_bytes: u64,
    content_bytes: u64,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(prepared: &'a Prepared<'a>) -> Self {
        let profile = prepared.profile();
        let pins = prepared.old.as_ref().cloned().unwrap_or_else(|| Lock {
            images: Vec::new(),
            archives: Vec::new(),
            bootstraps: Vec::new(),
            ..prepared.sketch.clone()
        });
        Self {
            prepared,
            now: prepared.sketch.clone(),
            pins,
            seen: BTreeSet::new(),
            compressed: BTreeSet::new(),
            system_bytes: 0,
            content_bytes: 0,
            plan: Plan {
                schema: SCHEMA,
                name: profile.appliance.name.clone(),
                version: profile.appliance.version.clone(),
                lock: prepared.lock_path.clone(),
                locked: prepared.old.is_some(),
                changes: Vec::new(),
                inputs: Vec::new(),
                compress: Vec::new(),
                outputs: Vec::new(),
                provider_images: Vec::new(),
                room: Vec::new(),
                pull_bytes: 0,
                reused_bytes: 0,
                compress_bytes: 0,
            },
        }
    }

    fn store(&self) -> &'a Store {
        &self.prepared.session.store
    }

    fn image(&mut self, wanted: &Input, source: &ImageSource) -> Result<()> {
        let found = lock::look(&self.prepared.session, wanted, source, &self.pins);
        let found =
            found.map_err(|error| sources::needed_by(error, wanted.needed_by.as_deref()))?;
        let (index, manifest) = found.digests();
        for lock in [&mut self.now, &mut self.pins] {
            lock::record(lock, wanted, index, manifest);
        }
        let missing = found.missing(self.store())?;
        let all: Vec<(Digest, u64)> = match &found {
            Found::System(found) => pairs(found.image.layers.iter().map(|l| (l.digest, l.size))),
            Found::Content(found) => pairs(found.blobs.iter().map(|b| (b.digest, b.size))),
        };
        let bytes = sum(all.iter().map(|(_, size)| *size));
        let pull_bytes = sum(missing.iter().map(|blob| blob.size));
        self.count(&all, &missing);
        match &found {
            Found::System(found) => {
                self.system_bytes = self.system_bytes.saturating_add(bytes);
                self.layers(&wanted.name, &found.image.layers, &wanted.filter)?;
            }
            Found::Content(_) => self.content_bytes = self.content_bytes.saturating_add(bytes),
        }
        self.plan.inputs.push(PlannedInput {
            name: wanted.name.clone(),
            role: wanted.role,
            arch: Some(wanted.arch.as_str().to_owned()),
            from: match (missing.is_empty(), wanted.reference().is_some()) {
                (true, _) => Origin::Store,
                (false, true) => Origin::Network,
                (false, false) => Origin::Disk,
            },
            bytes: Some(bytes),
            pull_bytes: Some(pull_bytes),
        });
        Ok(())
    }

    /// Adds up what the build would pull and reuse, each blob once.
    fn count(&mut self, all: &[(Digest, u64)], missing: &[Descriptor]) {
        for (digest, size) in all {
            if !self.seen.insert(*digest) {
                continue;
            }
            let total = if missing.iter().any(|blob| blob.digest == *digest) {
                &mut self.plan.pull_bytes
            } else {
                &mut self.plan.reused_bytes
            };
            *total = total.saturating_add(*size);
        }
    }

    /// Which slabs the layers lack; of filtered ones what is kept decides.
    fn layers(&mut self, of: &str, layers: &[Layer], filter: &filtered::Filter) -> Result<()> {
        if filter.keeps_everything() {
            for layer in layers {
                self.slab(of, layer);
            }
            return Ok(());
        }
        match filtered::known(self.store(), layers, filter)? {
            Some(layer) => self.slab(of, &layer),
            None => self.compress(of, None, sum(layers.iter().map(|layer| layer.size))),
        }
        Ok(())
    }

    fn slab(&mut self, of: &str, layer: &Layer) {
        let key = slab::key(&layer.diff_id, &self.prepared.squashfs);
        // What can't be looked at is made again.
        let known = fs_err::exists(self.store().slab_path(&key)).unwrap_or_default();
        if !known && self.compressed.insert(layer.diff_id) {
            self.compress(of, Some(layer.digest), layer.size);
        }
    }

    fn compress(&mut self, of: &str, digest: Option<Digest>, bytes: u64) {
        self.plan.compress_bytes = self.plan.compress_bytes.saturating_add(bytes);
        self.plan.compress.push(PlannedLayer {
            of: of.to_owned(),
            digest,
            bytes,
        });
    }

    /// A file of the size that the lock has counts as the same file.
    fn archive(&mut self, wanted: &Input, path: &Path) -> Result<()> {
        let on_disk = match fs_err::metadata(path) {
            Ok(found) => Some(found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let locked = self.pins.archive(&wanted.name).cloned();
        let stored = locked.filter(|locked| {
            on_disk.is_none_or(|size| size == locked.size)
                && self.store().has_blob(&locked.layer.digest)
        });
        let bytes = on_disk.or(stored.as_ref().map(|locked| locked.size));
        self.system_bytes = self.system_bytes.saturating_add(bytes.unwrap_or_default());
        match &stored {
            Some(locked) => {
                self.count(&[(locked.layer.digest, locked.layer.size)], &[]);
                let layers = std::slice::from_ref(&locked.layer);
                self.layers(&wanted.name, layers, &wanted.filter)?;
            }
            None => {
                self.compress(&wanted.name, None, bytes.unwrap_or_default());
                // What the lock says of it does not hold; what does is not known.
                if let Some(size) = on_disk {
                    let entry = self.now.archives.iter_mut();
                    for entry in entry.filter(|entry| entry.path == wanted.name) {
                        entry.size = size;
                    }
                }
            }
        }
        self.plan.inputs.push(PlannedInput {
            name: wanted.name.clone(),
            role: wanted.role,
            arch: None,
            from: if stored.is_some() {
                Origin::Store
            } else {
                Origin::Disk
            },
            bytes,
            pull_bytes: if stored.is_some() { Some(0) } else { bytes },
        });
        Ok(())
    }

    fn files(&mut self) -> Result<()> {
        let mut seen = BTreeSet::new();
        for file in self.prepared.inputs.files() {
            if !seen.insert((&file.url, file.sha256)) {
                continue;
            }
            let stored = self.store().blob_size(&file.sha256)?;
            if let Some(bytes) = stored {
                self.count(&[(file.sha256, bytes)], &[]);
            }
            self.system_bytes = self.system_bytes.saturating_add(stored.unwrap_or_default());
            self.plan.inputs.push(PlannedInput {
                name: ShownUrl::of(&file.url).to_string(),
                role: Role::Kubernetes,
                arch: None,
                from: match stored {
                    Some(_) => Origin::Store,
                    None => Origin::Network,
                },
                bytes: stored,
                pull_bytes: stored.map(|_| 0),
            });
        }
        Ok(())
    }

    fn bootstraps(&mut self) -> Result<()> {
        for (input, packages) in self.prepared.inputs.packages() {
            let arch = input.arch.as_str();
            let asked = self.prepared.sketch.bootstrap(arch);
            let locked = self.pins.bootstrap(arch);
            let locked = locked
                .filter(|locked| asked.is_some_and(|asked| asked.spec == locked.spec))
                .cloned();
            let stored = locked.filter(|locked| self.store().has_blob(&locked.layer));
            let name = input.name.clone();
            if let Some(locked) = &stored {
                let layer = locked.layer();
                self.count(&[(layer.digest, layer.size)], &[]);
                self.system_bytes = self.system_bytes.saturating_add(layer.size);
                match known(self.store(), &layer, &packages.kubernetes)? {
                    Some(parted) => {
                        for layer in std::iter::once(&parted.system).chain(&parted.packages) {
                            self.slab(&name, layer);
                        }
                    }
                    None => self.compress(&name, None, layer.size),
                }
            }
            self.plan.inputs.push(PlannedInput {
                name,
                role: Role::Os,
                arch: Some(arch.to_owned()),
                from: if stored.is_some() {
                    Origin::Store
                } else {
                    Origin::Packages
                },
                bytes: stored.as_ref().map(|locked| locked.size),
                pull_bytes: stored.as_ref().map(|_| 0),
            });
        }
        Ok(())
    }

    fn finish(mut self) -> Plan {
        let request = self.prepared.request;
        let profile = self.prepared.profile();
        if let Some(old) = &self.prepared.old {
            self.plan.changes = compare(old, &self.now);
        }
        let isos = profile.appliance.arch.iter();
        self.plan.outputs = isos
            .map(|arch| format!("{}.iso", profile.output_name(*arch)))
            .collect();
        let archive = format!("{}-provider.oci.tar", profile.base_name());
        self.plan.outputs.push(archive);
        let versions = profile.kubernetes.versions.iter();
        self.plan.provider_images = versions
            .map(|version| profile.provider_reference(version))
            .collect();
        let output_bytes = self
            .system_bytes
            .saturating_mul(2)
            .saturating_add(self.content_bytes);
        self.plan.room = vec![
            PlannedRoom {
                path: request.settings.cache_dir.clone(),
                purpose: "the store".to_owned(),
                bytes: self
                    .plan
                    .pull_bytes
                    .saturating_add(self.plan.compress_bytes),
            },
            PlannedRoom {
                path: request.output.join(profile.base_name()),
                purpose: "the output".to_owned(),
                bytes: output_bytes,
            },
        ];
        self.plan
    }
}

fn pairs(blobs: impl Iterator<Item = (Digest, u64)>) -> Vec<(Digest, u64)> {
    blobs.collect()
}

fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}
