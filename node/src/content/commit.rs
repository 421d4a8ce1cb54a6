//! The repositories' indexes, once all blobs are there: only now an import shows.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use isoforge_base::digest::Digest;
use isoforge_base::interrupt;
use isoforge_base::process::Program;
use isoforge_oci::layout::INDEX_FILE;
use serde::Serialize;

use super::index::Index;
use super::plan::{Listed, Plan};
use super::storage::Storage;
use crate::run;

pub const UNIT: &str = "appliance-registry.service";

/// How long the registry may take until it answers: it reads its storage before.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

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
    fn stop(&self) -> Result<bool>;

    /// Starts it again.
    fn start(&self) -> Result<()>;
}

/// No registry runs on the storage.
#[derive(Debug, Clone, Copy)]
pub struct NoService;

impl Service for NoService {
    fn stop(&self) -> Result<bool> {
        Ok(false)
    }

    fn start(&self) -> Result<()> {
        Ok(())
    }
}

/// Waits until an address of this machine is listened on; false where it stays closed
/// for so long.
#[must_use]
pub fn listens_within(address: SocketAddr, time: Duration) -> bool {
    let listens = || TcpStream::connect(address).is_ok();
    run::holds_within(time, PAUSE, listens)
}

/// The registry of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// Where it listens.
    pub address: SocketAddr,
}

impl Unit {
    /// Waits until somebody answers there. Its unit counts as started before
    /// the registry listens, and whoever is told that images are there may ask for
    /// them.
    fn wait(self, time: Duration) -> Result<()> {
        if listens_within(self.address, time) {
            return Ok(());
        }
        bail!(
            "the registry does not answer on {} within {} s; what was done to its content stays (journalctl --unit {UNIT})",
            self.address,
            time.as_secs()
        )
    }

    fn systemctl(verb: &str) -> Result<()> {
        let program = Program::new("systemctl", "systemd").args([verb, UNIT]);
        program.output(OUTPUT_MAX_BYTES)?;
        Ok(())
    }
}

impl Service for Unit {
    fn stop(&self) -> Result<bool> {
        // It fails for a unit that does not run.
        if Self::systemctl("is-active").is_err() {
            return Ok(false);
        }
        Self::systemctl("stop").context("the registry can't be stopped")?;
        Ok(true)
    }

    fn start(&self) -> Result<()> {
        Self::systemctl("start").context("the registry can't be started")?;
        self.wait(ANSWERS_WITHIN)
    }
}

/// Does `work` while the registry stands still.
///
/// # Errors
/// What `work` gives, and what stopping and starting give. The registry is started
/// again whatever happens.
pub fn while_stopped<T>(service: &dyn Service, work: impl FnOnce() -> Result<T>) -> Result<T> {
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
/// Where it can\'t be read; [`BadRecord`]. Each repository is as it was or as it shall
/// be.
pub(super) fn commit(storage: &Storage, plan: &Plan, service: &dyn Service) -> Result<Vec<Moved>> {
    while_stopped(service, || {
        let _owner = storage.as_owner()?;
        let mut moved = Vec::new();
        let mut changed = Vec::new();
        for (repository, listed) in &plan.repositories {
            let before = storage.index(repository)?;
            let after = merged(before.clone(), listed, repository, &mut moved);
            if after != before || !fs_err::exists(storage.folder(repository).join(INDEX_FILE))? {
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_registry_is_waited_for_until_it_answers() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let unit = Unit {
            address: free.local_addr().unwrap(),
        };
        drop(free);
        let error = unit.wait(Duration::ZERO).unwrap_err();
        let expected = format!(
            "the registry does not answer on {} within 0 s",
            unit.address
        );
        assert!(error.to_string().starts_with(&expected), "{error}");
        let late = std::thread::spawn(move || {
            std::thread::sleep(4 * PAUSE);
            TcpListener::bind(unit.address).unwrap()
        });
        unit.wait(ANSWERS_WITHIN).unwrap();
        drop(late.join().unwrap());
    }
}
