//! From names to digests: each entry of the lock is filled with what its input
//! is now, the pinned ones by their pins.

use std::path::Path;

use isoforge_base::error::{Context as _, Result};

use crate::build::prepare::Prepared;
use crate::build::session::Session;
use crate::inputs::{Input, Packages, Spec};
use crate::lock::{Bootstrap, Lock, Package};
use crate::sources;
use crate::sources::archive;
use crate::sources::bootstrap::{self, Bootstrapped};
use crate::sources::epoch::{self, InputTime};
use isoforge_base::digest::Digest;
use isoforge_contract::manifest::EpochSource;
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::platform::Platform;
use isoforge_oci::pull::{self, Platforms, resolve_image, resolve_mirror};
use isoforge_oci::reference::ImageSource;
use isoforge_oci::store::Store;

/// Fills a sketch.
pub(super) struct Resolver<'a> {
    prepared: &'a Prepared<'a>,
    /// What the lock becomes.
    pub(super) lock: Lock,
    /// By what images are asked for; grows, so that the same tag is asked for
    /// once, whatever for.
    pins: Lock,
    times: Vec<InputTime>,
}

/// What an image turned out to be.
pub(in crate::build) enum Found {
    /// Its layers become part of a system.
    System(Box<pull::ResolvedImage>),
    /// It is copied as it is.
    Content(Box<pull::MirroredImage>),
}

impl<'a> Resolver<'a> {
    pub(super) fn new(prepared: &'a Prepared<'a>, pins: Lock) -> Self {
        Self {
            prepared,
            lock: prepared.sketch.clone(),
            pins,
            times: Vec::new(),
        }
    }

    /// What lies on the local disk.
    pub(super) fn local(&mut self) -> Result<()> {
        let inputs = &self.prepared.inputs;
        for (input, path) in inputs.archives() {
            self.archive(input, path)?;
        }
        self.images(false)
    }

    /// What registries and package archives have, and the time of it all.
    pub(super) fn remote(&mut self) -> Result<()> {
        self.images(true)?;
        for (input, packages) in self.prepared.inputs.packages() {
            self.bootstrap(input, packages)?;
        }
        self.lock.time = epoch::decide(None, self.times.iter().copied()).into();
        Ok(())
    }

    fn images(&mut self, remote: bool) -> Result<()> {
        for (input, source) in self.prepared.inputs.images() {
            if source.as_reference().is_some() == remote {
                self.image(input, source)?;
            }
        }
        Ok(())
    }

    fn archive(&mut self, wanted: &Input, path: &Path) -> Result<()> {
        let session = &self.prepared.session;
        let stored = |known: &&crate::lock::Archive| session.store.has_blob(&known.layer.digest);
        let pinned = self.pins.archive(&wanted.name).filter(stored).cloned();
        let entry = self.lock.archives.iter_mut();
        let Some(entry) = entry.into_iter().find(|a| a.path == wanted.name) else {
            return Ok(());
        };
        match pinned {
            // The layer travelled, the file that it was made of did not.
            Some(pinned) if !fs_err::exists(path)? => {
                entry.newest_seconds = pinned.newest_seconds;
            }
            _ => {
                let Session {
                    store,
                    limits,
                    progress,
                    ..
                } = session;
                let found = archive::import(store, path, limits, progress)?;
                entry.digest = found.digest;
                entry.size = found.size;
                entry.layer = found.layer;
                entry.newest_seconds = found.newest_seconds;
            }
        }
        let newest = InputTime::of(EpochSource::Archive, entry.newest_seconds);
        self.times.extend(newest);
        Ok(())
    }

    fn image(&mut self, wanted: &Input, source: &ImageSource) -> Result<()> {
        let found = look(&self.prepared.session, wanted, source, &self.pins);
        let found =
            found.map_err(|error| sources::needed_by(error, wanted.needed_by.as_deref()))?;
        if let Found::System(found) = &found {
            let created = InputTime::of(EpochSource::Image, found.image.created);
            self.times.extend(created);
        }
        let (index, manifest) = found.digests();
        for lock in [&mut self.lock, &mut self.pins] {
            record(lock, wanted, index, manifest);
        }
        Ok(())
    }

    fn bootstrap(&mut self, wanted: &Input, packages: &Packages) -> Result<()> {
        let arch = wanted.arch.as_str();
        let session = &self.prepared.session;
        let spec = self
            .lock
            .bootstrap(arch)
            .context("the sketch has all")?
            .spec;
        let pinned = self.pins.bootstrap(arch);
        let pinned = pinned.filter(|pinned| pinned.spec == spec);
        let made = bootstrap::bootstrap(
            &packages.spec,
            pinned.map(locked_bootstrap).as_ref(),
            &session.store,
            &bootstrap::Host {
                proxies: session.settings.proxies.clone(),
                offline: session.offline,
            },
            session.progress,
        )?;
        self.times.push(InputTime {
            source: EpochSource::Bootstrap,
            seconds: i64::try_from(made.epoch).unwrap_or(i64::MAX),
        });
        // The same layer made at another time or by another program is the same.
        let entry = match pinned {
            Some(pinned) if pinned.layer == made.layer.digest => pinned.clone(),
            _ => entry_of(&packages.spec, spec, made),
        };
        self.lock.bootstraps.retain(|known| known.arch != arch);
        self.lock.bootstraps.push(entry);
        Ok(())
    }
}

/// Says in `lock` what an image is.
pub(in crate::build) fn record(
    lock: &mut Lock,
    wanted: &Input,
    index: Option<Digest>,
    manifest: Digest,
) {
    let entry = lock.image_entry(&wanted.name);
    entry.index = index;
    let arch = wanted.arch.as_str();
    entry.manifests.insert(arch.to_owned(), manifest);
}

impl Found {
    /// Digests of the index, where there is one, and of the manifest.
    pub(in crate::build) fn digests(&self) -> (Option<Digest>, Digest) {
        match self {
            Self::System(found) => (found.image.index_digest, found.image.manifest.digest),
            Self::Content(found) => {
                let root = found.root.digest;
                ((root != found.manifest).then_some(root), found.manifest)
            }
        }
    }

    /// What of it the store lacks.
    pub(in crate::build) fn missing(
        &self,
        store: &Store,
    ) -> Result<Vec<Descriptor>, isoforge_oci::Error> {
        match self {
            Self::System(found) => found.missing(store),
            Self::Content(found) => found.missing(store),
        }
    }
}

/// Finds out what an image is, as `pins` say or as it is now.
pub(in crate::build) fn look(
    session: &Session<'_>,
    wanted: &Input,
    source: &ImageSource,
    pins: &Lock,
) -> Result<Found, isoforge_oci::Error> {
    let context = session.context(Some(pins));
    let source = context.pinned(source.clone(), &wanted.name, wanted.arch);
    let platform = Platform::linux(wanted.arch.as_str());
    if wanted.is_content() {
        let platforms = Platforms::Only(vec![platform]);
        return resolve_mirror(
            context.client,
            &source,
            &platforms,
            context.store,
            &context.pull_limits,
            context.progress,
        )
        .map(|found| Found::Content(Box::new(found)));
    }
    resolve_image(
        context.client,
        &source,
        &platform,
        context.store,
        &context.pull_limits,
        context.progress,
    )
    .map(|found| Found::System(Box::new(found)))
}

/// What the lock says of a bootstrap, in the words of who makes one.
pub(in crate::build) fn locked_bootstrap(locked: &Bootstrap) -> Bootstrapped {
    let packages = locked.packages.iter();
    Bootstrapped {
        layer: locked.layer(),
        epoch: locked.epoch,
        releases: locked.releases.clone(),
        packages: packages
            .clone()
            .map(|(name, package)| (name.clone(), package.version.clone()))
            .collect(),
        hashes: packages
            .filter_map(|(name, package)| Some((name.clone(), package.digest?)))
            .collect(),
        made_by: locked.made_by.clone(),
    }
}

fn entry_of(asked: &Spec, spec: Digest, made: Bootstrapped) -> Bootstrap {
    let mut releases = made.releases;
    releases.sort();
    Bootstrap {
        arch: asked.arch.clone(),
        suite: asked.suite.clone(),
        spec,
        epoch: made.epoch,
        made_by: made.made_by,
        layer: made.layer.digest,
        size: made.layer.size,
        releases,
        packages: made
            .packages
            .into_iter()
            .map(|(name, version)| {
                let digest = made.hashes.get(&name).copied();
                (name, Package { version, digest })
            })
            .collect(),
    }
}
