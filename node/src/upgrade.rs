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
mod older;
mod program;
mod replace;
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
use isoforge_oci::pull::{self, Limits, PulledImage};
use isoforge_oci::registry::{Client, RegistryConfig};
use isoforge_oci::store::Store;
use serde::Serialize;

use crate::content::source::Source;
use crate::files;
use isoforge_system::slots::grubenv::Environment;
use isoforge_system::slots::{Record, Slot};
use labels::Labels;
use last::{Last, Stage};
use machine::{Booted, Machine};
use replace::{check_digest, check_slot, swap, update_menu};
use request::Request;
use state::{State, Volume};

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
    /// Whether it may be older than what runs.
    pub downgrade: bool,
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
    pub kubernetes: Option<String>,
    /// Its root file system.
    pub squashfs: isoforge_base::digest::Digest,
}

impl Outcome {
    fn remember(&self, machine: &Machine) -> std::io::Result<()> {
        let last = Last {
            slot: self.slot,
            from: self.from.clone(),
            to: self.to.clone(),
            stage: Stage::Pending,
            problems: Vec::new(),
        };
        last.write(machine)
    }
}

/// Where an upgrade happens.
#[expect(missing_debug_implementations, reason = "its traits have none")]
pub struct Site<'a> {
    pub machine: &'a Machine,
    /// Its STATE.
    pub volume: &'a mut dyn Volume,
    /// How much room there is.
    pub room: &'a dyn FileSystems,
    /// Who is told.
    pub progress: &'a Progress,
}

/// The slot that an upgrade writes.
///
/// # Errors
/// Where none may be.
pub fn target(booted: &Booted, environment: &Environment) -> Result<Slot> {
    let (running, good) = (booted.slot, environment.good);
    if running == Slot::Recovery {
        bail!(
            "recovery is running; boot the appliance and upgrade it there, or start over with 'appliance reset'"
        );
    }
    if running != good && booted.trial {
        bail!(
            "the system in slot {running} is on trial; upgrade once it counts as good ('appliance status' tells), or go back with 'appliance rollback' and a reboot"
        );
    }
    if running != good {
        bail!(
            "slot {running} runs, but slot {good} is the one that boots by itself; keep the running system with 'appliance confirm', or reboot"
        );
    }
    Ok(running.other())
}

/// Whether the machine can be upgraded now, and to this image: what else comes with it
/// is not taken where it is refused.
///
/// # Errors
/// Those of [`run`] until layers are fetched.
pub fn check(machine: &Machine, options: &Options) -> Result<()> {
    let begun = Begun::on(machine)?;
    let store = begun.store()?;
    let client = Client::new(options.registries.clone());
    // What is to be said of it is said when it is taken.
    let silent = Progress::silent();
    find(&store, begun.running.as_ref(), options, &client, &silent).map(|_| ())
}

/// An upgrade that may be made; no other one is, as long as this is there.
struct Begun {
    booted: Booted,
    environment: Environment,
    slot: Slot,
    /// What runs.
    running: Option<Record>,
    /// Folder of the machine's own data.
    own: PathBuf,
    _lock: Lock,
}

impl Begun {
    fn on(machine: &Machine) -> Result<Self> {
        let booted = machine.booted()?;
        let environment = state::environment(&machine.state)?;
        let slot = target(&booted, &environment)?;
        let own = machine.data_folder();
        fs_err::create_dir_all(&own)?;
        let lock = lock(&own.join("upgrade.lock"))?;
        Ok(Self {
            running: state::record(&machine.state, booted.slot),
            booted,
            environment,
            slot,
            own,
            _lock: lock,
        })
    }

    fn store_path(&self) -> PathBuf {
        self.own.join("store")
    }

    fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.store_path())?)
    }
}

/// Upgrades; the new system is tried at the next boot.
///
/// # Errors
/// Where none may be now, and what the image, the network or the disks give. The running
/// system stays the good one whatever happens.
pub fn run(site: Site<'_>, options: &Options) -> Result<Outcome> {
    let Site {
        machine,
        volume,
        room,
        progress,
    } = site;
    let begun = Begun::on(machine)?;
    let slot = begun.slot;
    let (work, store_path) = (begun.own.join("upgrade"), begun.store_path());
    files::if_there(fs_err::remove_dir_all(&work))?;
    fs_err::create_dir_all(&work)?;

    let store = begun.store()?;
    let (image, labels) = fetch(&store, &begun, options, room, progress)?;
    let new = program::extract(&store, &image.layers, &image.reference, &work, progress)?;
    let mut request = request(&store_path, &image, &labels, &begun.booted, slot, options);
    progress.stage("Making the new system");
    let made = program::ask(&new, &request, &work, progress)?;
    check_digest(made.digest, &labels)?;

    progress.stage(&format!("Writing slot {slot}"));
    let mut writer = State::new(&machine.state, volume);
    writer.begin()?;
    let mut environment = begun.environment;
    if environment.trial.take().is_some() {
        writer.set_environment(&environment)?;
    }
    swap(&mut writer, slot, made.bytes, room, &mut |folder| {
        request.target = Some(folder.to_owned());
        program::ask(&new, &request, &work, progress)?;
        check_slot(folder, &labels)
    })?;
    update_menu(&mut writer, made.menu.as_deref())?;
    writer.settle()?;
    let outcome = Outcome {
        slot,
        from: begun.running.map_or_else(String::new, |it| it.version),
        to: labels.version,
        kubernetes: labels.kubernetes,
        squashfs: labels.digest,
    };
    outcome.remember(machine)?;
    environment.trial = Some(slot);
    writer.set_environment(&environment)?;
    writer.end()?;
    drop(store);
    for folder in [&store_path, &work] {
        files::if_there(fs_err::remove_dir_all(folder))?;
    }
    Ok(outcome)
}

/// Finds the image, which may be taken.
fn find(
    store: &Store,
    running: Option<&Record>,
    options: &Options,
    client: &Client,
    progress: &Progress,
) -> Result<source::Found> {
    let asked = source::Asked {
        source: &options.from,
        tag: options.tag.as_deref(),
        platform: &options.platform,
        kubernetes: running.and_then(|record| record.kubernetes.as_deref()),
    };
    let found = match &options.bundle {
        Some(of) => bundle::find(of.as_ref(), client, store, &asked, progress)?,
        None => source::find(client, store, &asked, progress)?,
    };
    refuse(running, &found.labels, options, progress)?;
    Ok(found)
}

fn refuse(
    running: Option<&Record>,
    new: &Labels,
    options: &Options,
    progress: &Progress,
) -> Result<()> {
    let running = running.map(|record| record.version.as_str());
    older::refuse(running, &new.version, options.downgrade, progress)
}

/// Finds the image and brings it into the store; gives what it says of itself.
fn fetch(
    store: &Store,
    begun: &Begun,
    options: &Options,
    room: &dyn FileSystems,
    progress: &Progress,
) -> Result<(PulledImage, Labels)> {
    let (own, running) = (&begun.own, begun.running.as_ref());
    progress.stage("Finding the image");
    let client = Client::new(options.registries.clone());
    let found = find(store, running, options, &client, progress)?;
    older::tell_nobody_vouches(progress);
    let missing = found.resolved.missing(store)?;
    let bytes: u64 = missing.iter().map(|blob| blob.size).sum();
    let requirement = Requirement {
        path: own.to_owned(),
        // Layers, and the same compressed anew.
        bytes: bytes.saturating_add(found.labels.size),
        purpose: "the upgrade".to_owned(),
    };
    space::check(&[requirement], room)?;

    progress.stage("Fetching the layers");
    if let Some(of) = &options.bundle {
        bundle::fetch(of.as_ref(), store, &missing, progress)?;
    }
    let image = pull::pull_image(
        &client,
        &found.source,
        &options.platform,
        store,
        &Limits::DEFAULT,
        options.jobs,
        progress,
    )?;
    // A tag may have moved in between; what was pulled counts.
    let labels = Labels::parse(&image.config)?;
    if labels.version != found.labels.version {
        refuse(running, &labels, options, progress)?;
    }
    Ok((image, labels))
}

/// What the new program is asked for: to find out how large the slot gets.
fn request(
    store: &Path,
    image: &PulledImage,
    labels: &Labels,
    booted: &Booted,
    slot: Slot,
    options: &Options,
) -> Request {
    Request {
        schema: request::SCHEMA,
        store: store.to_owned(),
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
    }
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
        Err(TryLockError::WouldBlock) => bail!("another upgrade is running"),
        Err(TryLockError::Error(error)) => Err(error).context("locking the upgrade"),
    }
}
