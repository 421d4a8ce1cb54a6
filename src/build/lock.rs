//! The lock of a profile: what its inputs are, compared with what the lock file
//! says, and the file brought up to date.
//!
//! The order is that of cost. The project's files and what the profile names are
//! compared first, then what lies on the local disk, then what registries have:
//! a `--locked` build that must fail does so before it asks anyone.

mod core_images;
mod offline;
mod project;
mod resolve;
mod sketch;
mod wanted;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(super) use core_images::{check_core_images, core_image_entries, core_images};
pub(super) use resolve::{Found, look, made_of, record};
pub(super) use wanted::{Wanted, WantedArchive, WantedImage};

use super::stages::Build;
use super::{Request, content, convert, gather};
use crate::lock::{self, Drift, Lock, compare};
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::output;
use isoforge_base::progress::Progress;
use resolve::Resolver;

/// How a command uses the lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockUse {
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
pub enum Upgrade {
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

/// A lock that holds for this build.
#[derive(Debug)]
pub(super) struct Settled {
    /// The inputs as they are.
    pub(super) lock: Lock,
    /// The lock's file.
    pub(super) path: PathBuf,
    /// What the file said; none where there was no file.
    pub(super) old: Option<Lock>,
    /// What moved since then.
    pub(super) drifts: Vec<Drift>,
    /// The text that this process wrote.
    written: Option<String>,
    /// What was said of it.
    told: BTreeSet<Drift>,
}

/// What can be said of a lock before any input is looked at.
pub(super) struct Prepared {
    /// The lock's file.
    pub(super) path: PathBuf,
    /// What the file says.
    pub(super) old: Option<Lock>,
    /// What the profile names.
    pub(super) wanted: Wanted,
    /// See [`sketch`].
    pub(super) sketch: Lock,
}

/// Reads the lock and the project's files.
pub(super) fn prepare(build: &Build<'_>, upgrade: &Upgrade) -> Result<Prepared> {
    let explicit = build.request.lock.path.as_deref();
    let path = lock::locate(build.request.profile_path, explicit);
    let old = lock::read_if_there(&path)?;
    if build.content.get().is_none() {
        let means = content::Means {
            profile: &build.request.loaded.profile,
            client: &build.client,
            store: &build.store,
            threads: convert::threads(&build.request.settings),
            accept_scan: build.request.lock.accept_scan,
            progress: build.progress,
        };
        let searched = content::search(&means, old.as_ref(), upgrade)?;
        content::check_complete(build.request.loaded, &searched, build.progress)?;
        // Nobody else sets it.
        let _ = build.content.set(searched);
    }
    let project = project::lock(build)?;
    check_owner(&path, old.as_ref(), &project.profile)?;
    let wanted = Wanted::of(build)?;
    let profile = &build.request.loaded.profile;
    let sketch = sketch::sketch(project, &wanted, old.as_ref(), profile);
    Ok(Prepared {
        path,
        old,
        wanted,
        sketch,
    })
}

/// Finds out all inputs. Nothing is written but what the store takes. With
/// `locked` a lock that would change is an error.
pub(super) fn settle(build: &Build<'_>, upgrade: &Upgrade) -> Result<Settled> {
    let how = &build.request.lock;
    let Prepared {
        path,
        old,
        wanted,
        sketch,
    } = prepare(build, upgrade)?;
    if old.is_none() && (how.locked || how.offline) {
        return Err(lock::Error::Missing { path }.into());
    }
    let refuse = |now: &Lock| match &old {
        Some(old) if how.locked => refuse(&path, compare(old, now)),
        Some(old) if how.offline => refuse(&path, uncovered(old, now)),
        _ => Ok(()),
    };
    refuse(&sketch)?;
    let pins = pins(old.as_ref(), &sketch, upgrade)?;
    let mut resolver = Resolver::new(build, &wanted, sketch, pins);
    resolver.local()?;
    if how.locked {
        refuse(&resolver.lock)?;
    }
    if how.offline
        && let Some(old) = &old
    {
        offline::check(build, &wanted, old)?;
    }
    resolver.remote()?;
    let mut lock = resolver.lock;
    lock.sort();
    if how.locked {
        refuse(&lock)?;
    }
    let drifts = old
        .as_ref()
        .map_or_else(Vec::new, |old| compare(old, &lock));
    Ok(Settled {
        lock,
        path,
        old,
        drifts,
        written: None,
        told: BTreeSet::new(),
    })
}

fn check_owner(path: &Path, old: Option<&Lock>, profile: &str) -> Result<(), lock::Error> {
    match old {
        Some(old) if old.profile != profile => Err(lock::Error::OtherProfile {
            path: path.to_owned(),
            found: old.profile.clone(),
            wanted: profile.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn refuse(path: &Path, drifts: Vec<Drift>) -> Result<(), lock::Error> {
    if drifts.is_empty() {
        return Ok(());
    }
    Err(lock::Error::Drift {
        path: path.to_owned(),
        drifts,
    })
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

impl Settled {
    /// Brings the file up to date and says what moved. The old file stays until
    /// the new one is complete.
    pub(super) fn write(&mut self, progress: &Progress) -> Result<()> {
        let text = self.lock.to_toml()?;
        if self.written.as_ref() == Some(&text) {
            return Ok(());
        }
        if let Some(old) = &self.old {
            if self.written.is_none() && old.to_toml()? == text {
                return Ok(());
            }
            old.check_rewritable(&self.path)?;
            for drift in &self.drifts {
                if self.told.insert(drift.clone()) {
                    progress.note(format!("lock: {drift}"));
                }
            }
        }
        output::replace(&self.path, text.as_bytes()).map_err(|error| {
            Failure::from(error)
                .context(format!(
                    "the lock file '{}' can't be written",
                    self.path.display()
                ))
                .with_hint("name a file in a folder that can be written with --lock")
        })?;
        progress.note(format!("wrote the lock {}", self.path.display()));
        self.written = Some(text);
        Ok(())
    }

    /// Takes in the core images that a build made.
    pub(super) fn add_core_images(&mut self, made: Vec<lock::CoreImage>) {
        for core in made {
            self.lock
                .core_images
                .retain(|known| (&known.arch, known.target) != (&core.arch, core.target));
            self.lock.core_images.push(core);
        }
        self.lock.sort();
        self.drifts = match &self.old {
            Some(old) => compare(old, &self.lock),
            None => Vec::new(),
        };
    }

    /// Finds out which core images have to be made, where an input moved since
    /// that was found out, or the store lacks one. Where the lock may not change
    /// and does, that is an error.
    fn find_core_images(&mut self, build: &Build<'_>) -> Result<()> {
        let cores = &self.lock.core_images;
        let known = self.old.is_some() && self.drifts.is_empty();
        if known && cores.iter().all(|core| build.store.has_blob(&core.digest)) {
            return Ok(());
        }
        self.add_core_images(core_images::find(build, &self.lock)?);
        if build.request.lock.locked {
            refuse(&self.path, self.drifts.clone())?;
        }
        Ok(())
    }
}

/// What `lock` found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
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
/// Of every source; [`lock::Error::Drift`] with `check`.
pub fn lock(
    request: &Request<'_>,
    upgrade: &Upgrade,
    check: bool,
    progress: &Progress,
) -> Result<Report> {
    let build = Build::new(request, progress)?;
    progress.stage("Finding out the inputs");
    let mut settled = settle(&build, upgrade)?;
    if check {
        match &settled.old {
            None => {
                let path = settled.path;
                return Err(lock::Error::Missing { path }.into());
            }
            Some(_) => refuse(&settled.path, settled.drifts.clone())?,
        }
    } else {
        let build = build.with_lock(settled.lock.clone());
        settled.find_core_images(&build)?;
        if !request.lock.locked {
            settled.write(progress)?;
        }
    }
    Ok(report(settled))
}

/// Brings every input of a profile into the store, and the lock file up to date.
///
/// # Errors
/// Of every source, and of the lock.
pub fn pull(request: &Request<'_>, progress: &Progress) -> Result<Report> {
    let build = Build::new(request, progress)?;
    progress.stage("Gathering inputs");
    let mut settled = settle(&build, &Upgrade::None)?;
    if !request.lock.locked {
        settled.write(progress)?;
    }
    let build = build.with_lock(settled.lock.clone());
    gather::gather(&build)?;
    gather::fetch_files(&build)?;
    settled.find_core_images(&build)?;
    if !request.lock.locked {
        settled.write(progress)?;
    }
    Ok(report(settled))
}

fn report(settled: Settled) -> Report {
    let lock = &settled.lock;
    Report {
        new: settled.old.is_none(),
        changes: settled.drifts,
        images: lock.images.len(),
        files: lock.files.len() + lock.archives.len(),
        packages: lock.bootstraps.iter().map(|made| made.packages.len()).sum(),
        path: settled.path,
    }
}
