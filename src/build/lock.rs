//! The lock of a profile: what its inputs are, compared with what the lock file
//! says, and the file brought up to date.
//!
//! The order is that of cost. The project's files and what the profile names are
//! compared first, then what lies on the local disk, then what registries have:
//! a `--locked` build that must fail does so before it asks anyone.

mod core_images;
mod offline;
pub(super) mod project;
mod resolve;
pub(super) mod sketch;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::PathBuf;

pub(super) use core_images::{check_core_images, core_image_entries, core_images};
pub(super) use resolve::{Found, locked_bootstrap, look, record};

use super::prepare::Prepared;
use super::renderer::Renderer;
use super::{Request, gather};
use crate::lock::{self, Drift, Lock, compare};
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::output;
use isoforge_base::progress::Progress;
use resolve::Resolver;

/// How a command uses the lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LockUse {
    /// The lock file; unset: the one beside the profile.
    pub path: Option<PathBuf>,
    /// `--set`, as given.
    pub set: Vec<String>,
    /// Whatever would change the lock is an error.
    pub locked: bool,
    /// No connection is opened.
    pub offline: bool,
    /// Images of charts are taken though nobody can say that they are all.
    pub accept_scan: bool,
}

/// Which inputs are looked for anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// None that the lock has.
    #[default]
    None,
    /// All.
    All,
    /// The image of this reference or repository, the images of the component of
    /// this name, or `bootstrap`.
    One(String),
}

/// The word for all root file systems made from packages.
const BOOTSTRAP: &str = "bootstrap";

/// The second value of a build: every input by digest. It gives all that
/// [`Prepared`] has.
pub(super) struct Locked<'a> {
    prepared: Prepared<'a>,
    /// The inputs as they are.
    pub(super) lock: Lock,
}

impl<'a> Deref for Locked<'a> {
    type Target = Prepared<'a>;

    fn deref(&self) -> &Self::Target {
        &self.prepared
    }
}

impl<'a> Locked<'a> {
    /// Finds out all inputs. Nothing is written but what the store takes. With
    /// `locked` a lock that would change is an error.
    pub(super) fn of(prepared: Prepared<'a>, upgrade: &Upgrade) -> Result<Self> {
        let how = &prepared.request.lock;
        let (path, old) = (&prepared.lock_path, prepared.old.as_ref());
        if old.is_none() && (how.locked || how.offline) {
            return Err(lock::missing(path));
        }
        let refuse = |now: &Lock| match old {
            Some(old) if how.locked => lock::refuse(path, &compare(old, now)),
            Some(old) if how.offline => lock::refuse(path, &uncovered(old, now)),
            _ => Ok(()),
        };
        refuse(&prepared.sketch)?;
        let pins = pins(old, &prepared.sketch, upgrade)?;
        let mut resolver = Resolver::new(&prepared, pins);
        resolver.local()?;
        if how.locked {
            refuse(&resolver.lock)?;
        }
        if how.offline
            && let Some(old) = old
        {
            offline::check(&prepared, old)?;
        }
        resolver.remote()?;
        let mut lock = resolver.lock;
        lock.sort();
        if how.locked {
            refuse(&lock)?;
        }
        Ok(Self { prepared, lock })
    }

    /// The lock with these core images in place of those of the same purpose.
    pub(super) fn with_core_images(&self, made: Vec<lock::CoreImage>) -> Lock {
        let mut lock = self.lock.clone();
        for core in made {
            lock.core_images
                .retain(|known| (&known.arch, known.target) != (&core.arch, core.target));
            lock.core_images.push(core);
        }
        lock.sort();
        lock
    }

    /// What moved since the file was written, where `lock` is what holds now.
    fn drifts(&self, lock: &Lock) -> Vec<Drift> {
        let old = self.old.as_ref();
        old.map_or_else(Vec::new, |old| compare(old, lock))
    }

    /// The lock with the core images that have to be made, where an input moved since
    /// that was found out, or the store lacks one. Where the lock may not change and
    /// does, that is an error.
    fn find_core_images(&self) -> Result<Lock> {
        let mut cores = self.lock.core_images.iter();
        let known = self.old.is_some() && self.drifts(&self.lock).is_empty();
        if known && cores.all(|core| self.session.store.has_blob(&core.digest)) {
            return Ok(self.lock.clone());
        }
        let lock = self.with_core_images(core_images::find(self)?);
        if self.request.lock.locked {
            lock::refuse(&self.lock_path, &self.drifts(&lock))?;
        }
        Ok(lock)
    }
}

/// What only a connection could tell: inputs that the lock does not have.
fn uncovered(old: &Lock, now: &Lock) -> Vec<Drift> {
    let project = lock::compare_project(old, now);
    let mut drifts = compare(old, now);
    drifts.retain(|drift| !project.contains(drift) && matches!(drift.change, lock::Change::New));
    drifts
}

/// The entries of the old lock that stay as they are.
fn pins(old: Option<&Lock>, sketch: &Lock, upgrade: &Upgrade) -> Result<Lock> {
    let mut pins = old.unwrap_or(sketch).clone();
    if old.is_none() {
        pins.images.clear();
        pins.archives.clear();
        pins.bootstraps.clear();
    }
    match upgrade {
        Upgrade::None => {}
        Upgrade::All => {
            pins.images.clear();
            pins.bootstraps.clear();
        }
        Upgrade::One(name) => unpin(&mut pins, sketch, name)?,
    }
    Ok(pins)
}

fn unpin(pins: &mut Lock, sketch: &Lock, name: &str) -> Result<()> {
    let of_component = sketch.components.iter().filter(|c| c.name == name);
    let of_component: Vec<&String> = of_component.flat_map(|c| &c.images).collect();
    let is_meant = |reference: &String| {
        let parsed = reference.parse::<isoforge_oci::reference::Reference>().ok();
        let repository = parsed
            .as_ref()
            .map(isoforge_oci::reference::Reference::name);
        let in_full = name.parse::<isoforge_oci::reference::Reference>().ok();
        reference == name
            || repository.as_deref() == Some(name)
            || (in_full.is_some() && in_full == parsed)
            || of_component.contains(&reference)
    };
    let is_bootstrap = name == BOOTSTRAP && !sketch.bootstraps.is_empty();
    let known: Vec<&String> = sketch.images.iter().map(|i| &i.reference).collect();
    // Both were looked for anew before this.
    let is_content = sketch.chart(name).is_some()
        || sketch
            .components
            .iter()
            .any(|c| c.name == name && c.searched.is_some());
    if !(is_bootstrap || is_content || known.iter().any(|reference| is_meant(reference))) {
        let mut known: Vec<String> = known.into_iter().cloned().collect();
        let components = sketch.components.iter();
        known.extend(
            components
                .filter(|c| !c.images.is_empty())
                .map(|c| c.name.clone()),
        );
        known.extend(sketch.charts.iter().map(|chart| chart.source.clone()));
        if !sketch.bootstraps.is_empty() {
            known.push(BOOTSTRAP.to_owned());
        }
        let message = format!("the profile has no input named '{name}'");
        return Err(Failure::new(Class::Profile, message)
            .with_hint(format!("its inputs that can move: {}", known.join(", "))));
    }
    if is_bootstrap {
        pins.bootstraps.clear();
    }
    pins.images.retain(|image| !is_meant(&image.reference));
    Ok(())
}

/// The lock's file, and what this process did with it.
pub(super) struct LockFile<'l> {
    locked: &'l Locked<'l>,
    /// The text that this process wrote.
    written: Option<String>,
    /// What was said of it.
    told: BTreeSet<Drift>,
}

impl<'l> LockFile<'l> {
    pub(super) fn of(locked: &'l Locked<'l>) -> Self {
        Self {
            locked,
            written: None,
            told: BTreeSet::new(),
        }
    }

    /// Brings the file up to date and says what moved, unless the lock may not
    /// change. The old file stays until the new one is complete.
    pub(super) fn write(&mut self, lock: &Lock) -> Result<()> {
        let (locked, path) = (self.locked, &self.locked.lock_path);
        if locked.request.lock.locked {
            return Ok(());
        }
        let progress = locked.session.progress;
        let text = lock.to_toml()?;
        if self.written.as_ref() == Some(&text) {
            return Ok(());
        }
        if let Some(old) = &locked.old {
            if self.written.is_none() && old.to_toml()? == text {
                return Ok(());
            }
            old.check_rewritable(path)?;
            for drift in compare(old, lock) {
                if self.told.insert(drift.clone()) {
                    progress.note(format!("lock: {drift}"));
                }
            }
        }
        output::replace(path, text.as_bytes()).map_err(|error| {
            Failure::from(error)
                .context(format!(
                    "the lock file '{}' can't be written",
                    path.display()
                ))
                .with_hint("name a file in a folder that can be written with --lock")
        })?;
        progress.note(format!("wrote the lock {}", path.display()));
        self.written = Some(text);
        Ok(())
    }
}

/// What `lock` found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Report {
    /// The lock file.
    pub path: PathBuf,
    /// Whether there was none before.
    pub new: bool,
    /// What moved since the file was written before.
    pub changes: Vec<Drift>,
    /// Images in the lock.
    pub images: usize,
    /// Files by URL and archives.
    pub files: usize,
    /// Packages of bootstrapped systems.
    pub packages: usize,
}

/// Finds out all inputs of a profile and writes the lock file; with `check`
/// nothing is written, and a lock that would change is an error.
///
/// # Errors
/// Of every source; with `check` those of [`lock::refuse`].
pub(crate) fn lock(
    request: &Request<'_>,
    upgrade: &Upgrade,
    check: bool,
    progress: &Progress,
) -> Result<Report> {
    let stage = Some("Finding out the inputs");
    let renderer = Renderer::new(request.loaded, request.profile_path, request.env)?;
    let prepared = Prepared::of(request, renderer, upgrade, stage, progress)?;
    let locked = Locked::of(prepared, upgrade)?;
    if !check {
        let lock = locked.find_core_images()?;
        LockFile::of(&locked).write(&lock)?;
        return Ok(report(&locked, &lock));
    }
    if locked.old.is_none() {
        return Err(lock::missing(&locked.lock_path));
    }
    lock::refuse(&locked.lock_path, &locked.drifts(&locked.lock))?;
    Ok(report(&locked, &locked.lock))
}

/// Brings every input of a profile into the store, and the lock file up to date.
///
/// # Errors
/// Of every source, and of the lock.
pub(crate) fn pull(request: &Request<'_>, progress: &Progress) -> Result<Report> {
    let upgrade = Upgrade::None;
    let stage = Some("Gathering inputs");
    let renderer = Renderer::new(request.loaded, request.profile_path, request.env)?;
    let prepared = Prepared::of(request, renderer, &upgrade, stage, progress)?;
    let locked = Locked::of(prepared, &upgrade)?;
    let mut file = LockFile::of(&locked);
    file.write(&locked.lock)?;
    gather::pull(&locked)?;
    let lock = locked.find_core_images()?;
    file.write(&lock)?;
    Ok(report(&locked, &lock))
}

fn report(locked: &Locked<'_>, lock: &Lock) -> Report {
    Report {
        path: locked.lock_path.clone(),
        new: locked.old.is_none(),
        changes: locked.drifts(lock),
        images: lock.images.len(),
        files: lock.files.len() + lock.archives.len(),
        packages: lock.bootstraps.iter().map(|made| made.packages.len()).sum(),
    }
}
