//! The repositories' indexes, once all blobs are there: only now an import shows.

use std::collections::BTreeSet;

use isoforge::oci::digest::Digest;
use isoforge::oci::layout::INDEX_FILE;
use isoforge::util::interrupt;
use isoforge::util::process::{self, Program};
use serde::Serialize;

use super::Error;
use super::index::Index;
use super::plan::{Listed, Plan};
use super::storage::Storage;

/// The unit of the registry.
pub const UNIT: &str = "appliance-registry.service";

/// Most that systemctl prints.
const OUTPUT_MAX_BYTES: u64 = 65_536;

/// A tag that leads elsewhere than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The image, by repository and tag.
    pub image: String,
    /// What it led to.
    pub from: Digest,
    /// What it leads to.
    pub to: Digest,
}

/// The registry that serves a storage. It must not write while indexes are
/// changed: it reads, changes and writes them itself.
pub trait Service {
    /// Stops it; tells whether it ran.
    ///
    /// # Errors
    /// [`Error::Service`].
    fn stop(&self) -> Result<bool, Error>;

    /// Starts it again.
    ///
    /// # Errors
    /// [`Error::Service`].
    fn start(&self) -> Result<(), Error>;
}

/// No registry runs on the storage.
#[derive(Debug, Clone, Copy)]
pub struct NoService;

impl Service for NoService {
    fn stop(&self) -> Result<bool, Error> {
        Ok(false)
    }

    fn start(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// The registry of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Unit;

impl Unit {
    fn systemctl(verb: &str) -> Result<(), process::Error> {
        let program = Program::new("systemctl", "systemd").args([verb, UNIT]);
        program.output(OUTPUT_MAX_BYTES).map(drop)
    }
}

impl Service for Unit {
    fn stop(&self) -> Result<bool, Error> {
        // It fails for a unit that does not run.
        if Self::systemctl("is-active").is_err() {
            return Ok(false);
        }
        Self::systemctl("stop").map_err(|source| Error::Service {
            action: "stopped",
            source: Box::new(source),
        })?;
        Ok(true)
    }

    fn start(&self) -> Result<(), Error> {
        Self::systemctl("start").map_err(|source| Error::Service {
            action: "started",
            source: Box::new(source),
        })
    }
}

/// Does `work` while the registry stands still.
///
/// # Errors
/// What `work` gives, and [`Error::Service`]. The registry is started again
/// whatever happens.
pub fn while_stopped<T>(
    service: &dyn Service,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    // An interrupt waits: a registry that stands still would stay so.
    let _whole = interrupt::hold();
    let ran = service.stop()?;
    let done = work();
    let started = if ran { service.start() } else { Ok(()) };
    let done = done?;
    started?;
    Ok(done)
}

/// Has the repositories list what the plan says, beside what they list.
///
/// # Errors
/// [`Error::File`], [`Error::Record`]. Each repository is as it was or as it shall
/// be.
pub(super) fn commit(
    storage: &Storage,
    plan: &Plan,
    service: &dyn Service,
) -> Result<Vec<Moved>, Error> {
    while_stopped(service, || {
        let mut moved = Vec::new();
        let mut changed = Vec::new();
        for (repository, listed) in &plan.repositories {
            let before = storage.index(repository)?;
            let after = merged(before.clone(), listed, repository, &mut moved);
            if after != before || !storage.folder(repository).join(INDEX_FILE).exists() {
                changed.push((repository, after));
            }
        }
        for (repository, index) in changed {
            let path = storage.folder(repository).join(INDEX_FILE);
            storage.write(&path, &index.to_json())?;
        }
        storage.sync()?;
        Ok(moved)
    })
}

/// What a repository lists in the end.
fn merged(mut index: Index, listed: &Listed, repository: &str, moved: &mut Vec<Moved>) -> Index {
    for (tag, entry) in &listed.tags {
        match index.tagged(tag) {
            Some(before) if before.digest == entry.digest => continue,
            Some(before) => moved.push(Moved {
                image: super::names::reference(repository, tag, &entry.digest),
                from: before.digest,
                to: entry.digest,
            }),
            None => {}
        }
        index.entries.retain(|it| it.tag.as_ref() != Some(tag));
        index.entries.push(entry.clone());
    }
    let mut there: BTreeSet<Digest> = index.entries.iter().map(|it| it.digest).collect();
    for (digest, entry) in &listed.untagged {
        if there.insert(*digest) {
            index.entries.push(entry.clone());
        }
    }
    index
}
