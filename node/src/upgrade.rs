//! Upgrades, and the way back.
//!
//! An upgrade pulls a provider image's layers into a store on PERSISTENT, takes
//! the image's own program out of them, and has that program make the other
//! slot. What it wrote must have the digest that the build recorded. Only then
//! the slot gets its name, and the environment block names it for one boot on
//! trial, at whose end [`confirm`] calls it good.
//!
//! Invariants:
//! - The slot that runs, and the good one, are never written.
//! - Nothing of STATE changes before the new system's digest is known to be right.
//! - The environment block names a slot only once all of it has reached its place
//!   on the disk; and names none while that slot is written.

pub mod bundle;
pub mod confirm;
pub mod labels;
pub mod last;
pub mod machine;
pub mod make_slot;
mod program;
pub mod request;
pub mod reset;
pub mod rollback;
pub mod source;
pub mod state;
pub mod status;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use isoforge_base::output::space::{self, FileSystems, Requirement};
use isoforge_base::progress::Progress;
use isoforge_oci::platform::Platform;
use isoforge_oci::pull::{self, Limits};
use isoforge_oci::registry::{Client, RegistryConfig};
use isoforge_oci::store::Store;
use serde::Serialize;

use crate::content::source::Source;
use crate::paths;
use crate::slots::grubenv::Environment;
use crate::slots::{Record, Slot, file};
use labels::Labels;
use last::{Last, Stage};
use machine::{Booted, Machine};
use request::{Made, Request};
use state::{State, Volume};

/// Room on STATE beside the slot's files, for the file system's own use.
const STATE_SLACK_BYTES: u64 = 4 << 20;

/// Why this machine can't be upgraded now.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Recovery runs.
    #[error(
        "recovery is running; boot the appliance and upgrade it there, or start over with 'appliance reset'"
    )]
    Recovery,
    /// The running system has yet to show that it is good.
    #[error(
        "the system in slot {0} is on trial; upgrade once it counts as good ('appliance status' tells), or go back with 'appliance rollback' and a reboot"
    )]
    OnTrial(Slot),
    /// The other slot, which would be overwritten, is the good one.
    #[error(
        "slot {running} runs, but slot {good} is the one that boots by itself; keep the running system with 'appliance confirm', or reboot"
    )]
    NotGood {
        /// The slot that runs.
        running: Slot,
        /// The good one.
        good: Slot,
    },
    /// What the new program makes is not what was built.
    #[error(
        "the new system's root file system has the digest {found}, the image says {expected}; nothing was changed"
    )]
    Digest {
        /// As it is made here.
        found: isoforge_base::digest::Digest,
        /// As the build recorded it.
        expected: isoforge_base::digest::Digest,
    },
    /// STATE has too little room.
    #[error(
        "the new system needs {needed} bytes on the partition STATE, {available} are available, the system that it replaces counted in"
    )]
    NoSpace {
        /// For the slot.
        needed: u64,
        /// Free, and freed.
        available: u64,
    },
    /// Another upgrade is at work.
    #[error("another upgrade is running")]
    Busy,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The image, as the user names it.
    pub from: String,
    /// The bundle that carries it; then `from` is only a word.
    pub bundle: Option<Arc<dyn Source>>,
    /// Which one of several.
    pub tag: Option<String>,
    /// For which machine.
    pub platform: Platform,
    /// How registries are talked to.
    pub registries: RegistryConfig,
    /// Threads.
    pub jobs: NonZeroUsize,
}

/// What an upgrade did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The slot that is tried next.
    pub slot: Slot,
    /// Version that runs.
    pub from: String,
    /// Version in the slot.
    pub to: String,
    /// Its Kubernetes.
    pub kubernetes: Option<String>,
    /// Its root file system.
    pub squashfs: isoforge_base::digest::Digest,
}

/// Where an upgrade happens.
pub struct Site<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Its STATE.
    pub volume: &'a mut dyn Volume,
    /// How much room there is.
    pub room: &'a dyn FileSystems,
    /// Who is told.
    pub progress: &'a Progress,
}

impl std::fmt::Debug for Site<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site")
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}

/// The slot that an upgrade writes.
///
/// # Errors
/// [`Refusal`] where none may be.
pub fn target(booted: &Booted, environment: &Environment) -> Result<Slot, Refusal> {
    if booted.slot == Slot::Recovery {
        return Err(Refusal::Recovery);
    }
    if booted.slot != environment.good {
        return Err(if booted.trial {
            Refusal::OnTrial(booted.slot)
        } else {
            Refusal::NotGood {
                running: booted.slot,
                good: environment.good,
            }
        });
    }
    Ok(booted.slot.other())
}

/// Upgrades; the new system is tried at the next boot.
///
/// # Errors
/// [`Refusal`], and what the image, the network or the disks give. The running
/// system stays the good one whatever happens.
pub fn run(site: Site<'_>, options: &Options) -> Result<Outcome> {
    let Site {
        machine,
        volume,
        room,
        progress,
    } = site;
    let booted = machine.booted()?;
    let environment = state::environment(&machine.state)?;
    let slot = target(&booted, &environment)?;
    let own = machine.own();
    fs_err::create_dir_all(&own)?;
    let _lock = lock(&own.join("upgrade.lock"))?;
    let work = own.join("upgrade");
    let store_path = own.join("store");
    remove_folder(&work)?;
    fs_err::create_dir_all(&work)?;

    let running = state::record(&machine.state, booted.slot);
    let store = Store::open(&store_path)?;
    progress.stage("Finding the image");
    let client = Client::new(options.registries.clone());
    let wanted = source::Wanted {
        source: &options.from,
        tag: options.tag.as_deref(),
        platform: &options.platform,
        kubernetes: running
            .as_ref()
            .and_then(|record| record.kubernetes.as_deref()),
    };
    let found = match &options.bundle {
        Some(of) => bundle::find(of.as_ref(), &client, &store, &wanted, progress)?,
        None => source::find(&client, &store, &wanted, progress)?,
    };
    let missing = found.resolved.missing(&store)?;
    let bytes: u64 = missing.iter().map(|blob| blob.size).sum();
    // Layers, and the same compressed anew.
    let needed = bytes.saturating_add(found.labels.size);
    let requirement = Requirement {
        path: own.clone(),
        bytes: needed,
        purpose: "the upgrade".to_owned(),
    };
    space::check(&[requirement], room)?;

    progress.stage("Fetching the layers");
    if let Some(of) = &options.bundle {
        bundle::fetch(of.as_ref(), &store, &missing, progress)?;
    }
    let image = pull::pull_image(
        &client,
        &found.source,
        &options.platform,
        &store,
        &Limits::DEFAULT,
        options.jobs,
        progress,
    )?;
    // A tag may have moved in between; what was pulled counts.
    let labels = Labels::parse(&image.config)?;
    let new = program::extract(&store, &image.layers, &image.reference, &work, progress)?;
    let mut request = Request {
        schema: request::SCHEMA,
        store: store_path.clone(),
        layers: image.layers.clone(),
        architecture: options.platform.architecture().to_owned(),
        compression: labels.squashfs.compressor.to_string(),
        block_size: labels.squashfs.block_size,
        epoch: labels.epoch,
        jobs: options.jobs.get(),
        slot,
        state: booted.ids.state.clone(),
        persistent: booted.ids.persistent.clone(),
        oem: booted.ids.oem.clone(),
        kubernetes: labels.kubernetes.clone(),
        source: image.reference.clone(),
        target: None,
    };
    progress.stage("Making the new system");
    let made = program::ask(&new, &request, &work, progress)?;
    check_digest(made.digest, &labels)?;

    progress.stage(&format!("Writing slot {slot}"));
    let outcome = Outcome {
        slot,
        from: running.map_or_else(String::new, |record| record.version),
        to: labels.version.clone(),
        kubernetes: labels.kubernetes.clone(),
        squashfs: labels.digest,
    };
    let mut writer = State::new(&machine.state, volume);
    let mut make = |target: PathBuf| {
        request.target = Some(target);
        program::ask(&new, &request, &work, progress).map(drop)
    };
    writer.begin()?;
    let written = replace(
        &mut writer,
        environment,
        slot,
        (&made, &labels),
        room,
        &mut make,
    );
    let mut environment = match written {
        Ok(environment) => environment,
        Err(error) => {
            // What is half there is in nobody's way, but takes room.
            let _ = writer.remove(&new_folder(slot));
            return Err(error);
        }
    };
    Last {
        slot,
        from: outcome.from.clone(),
        to: outcome.to.clone(),
        stage: Stage::Pending,
        problems: Vec::new(),
    }
    .write(machine)?;
    environment.trial = Some(slot);
    writer.set_environment(&environment)?;
    writer.end()?;
    drop(store);
    remove_folder(&store_path)?;
    remove_folder(&work)?;
    Ok(outcome)
}

/// Replaces a slot's files by those that `make` writes into the folder it is
/// given. The environment that comes back names the slot for nothing.
fn replace(
    state: &mut State<'_>,
    mut environment: Environment,
    slot: Slot,
    (made, labels): (&Made, &Labels),
    room: &dyn FileSystems,
    make: &mut dyn FnMut(PathBuf) -> Result<()>,
) -> Result<Environment> {
    if environment.trial.is_some() {
        environment.trial = None;
        state.set_environment(&environment)?;
    }
    let new = new_folder(slot);
    state.remove(&new)?;
    make_room(state, slot, made.bytes, room)?;
    let folder = state.make(&new)?;
    make(folder.clone())?;
    check_slot(&folder, labels)?;
    state.sync(&new)?;
    state.remove(&slot.folder())?;
    state.rename(&new, &slot.folder())?;
    if let Some(menu) = &made.menu {
        let path = state.path(paths::MENU);
        if machine::small(&path).ok().as_deref() != Some(menu.as_bytes()) {
            state.write(paths::MENU, menu.as_bytes())?;
        }
    }
    state.settle()?;
    Ok(environment)
}

fn new_folder(slot: Slot) -> String {
    format!("{}.new", slot.folder())
}

/// Makes room for `bytes`: where they do not fit beside the slot that they
/// replace, that goes first.
fn make_room(state: &mut State<'_>, slot: Slot, bytes: u64, room: &dyn FileSystems) -> Result<()> {
    let needed = bytes.saturating_add(STATE_SLACK_BYTES);
    let free = room.available_bytes(&state.path(""))?;
    if free >= needed {
        return Ok(());
    }
    let available = free.saturating_add(folder_bytes(&state.path(slot.folder())));
    if available < needed {
        return Err(Refusal::NoSpace { needed, available }.into());
    }
    state.remove(&slot.folder())?;
    state.settle()?;
    Ok(())
}

/// [`make_room`] on the disk that is there.
fn check_room(state: &mut State<'_>, slot: Slot, bytes: u64) -> Result<()> {
    make_room(state, slot, bytes, &space::HostFileSystems)
}

fn folder_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(path) else {
        return 0;
    };
    let sizes = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    sizes.sum()
}

/// Whether a written slot is what was built, by its files alone: whoever wrote
/// them is not asked.
fn check_slot(folder: &Path, labels: &Labels) -> Result<()> {
    check_digest(
        make_slot::digest_of_file(&folder.join(file::ROOTFS))?,
        labels,
    )?;
    let record = Record::parse(&machine::small(&folder.join(file::RECORD))?)?;
    for (name, expected) in [(file::KERNEL, record.kernel), (file::INITRD, record.initrd)] {
        let path = folder.join(name);
        if make_slot::digest_of_file(&path)? != expected {
            bail!("{} is not what was written", path.display());
        }
    }
    for name in file::ALL {
        if !folder.join(name).is_file() {
            bail!("the new system's slot has no {name}");
        }
    }
    Ok(())
}

fn check_digest(found: isoforge_base::digest::Digest, labels: &Labels) -> Result<(), Refusal> {
    if found == labels.digest {
        return Ok(());
    }
    Err(Refusal::Digest {
        found,
        expected: labels.digest,
    })
}

/// Keeps a second upgrade away as long as it lives.
struct Lock(fs_err::File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a program that is being started has the file too,
        // until it runs. Where unlocking fails, closing comes right behind it.
        let _ = self.0.file().unlock();
    }
}

fn lock(path: &Path) -> Result<Lock> {
    use std::fs::TryLockError;
    let file = fs_err::File::create(path)?;
    match file.file().try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Refusal::Busy.into()),
        Err(TryLockError::Error(error)) => Err(error).context("locking the upgrade"),
    }
}

fn remove_folder(path: &Path) -> std::io::Result<()> {
    match fs_err::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
