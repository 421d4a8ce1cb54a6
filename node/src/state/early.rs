//! `appliance early-state`: the order in which the state is laid over the root.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use isoforge_contract::machine::{CONFIG_PATH, Config};
use rustix::mount::MountFlags;

use super::arguments::{Arguments, CMDLINE};
use super::kept::{self, Store};
use super::message::{Level, Log, say};
use super::mounts::{self, DEADLINE};
use super::{BootRecord, Mounts, identity, tree, watchdog};
use crate::{accounts, ext4, files, paths};
use isoforge_system::slots::Slot;

/// The kernel's own files.
const SYS: &str = "/sys";

/// Within PERSISTENT: where directories are filled before they have their name.
const STAGING: &str = "appliance/staging";

/// What is volatile in every slot, with the most memory that it takes (of
/// tmpfs's option).
const VOLATILE: [(&str, &str); 2] = [("etc", "10%"), ("var", "50%")];

/// What is volatile in the recovery slot beside that, where it exists.
const VOLATILE_IN_RECOVERY: [(&str, &str); 2] = [("home", "10%"), ("root", "10%")];

/// Like systemd's own tmp.mount, which is not started everywhere.
const TMP_OPTIONS: &str = "mode=1777,size=50%,nr_inodes=1m";

/// Where things are; other places in tests.
#[derive(Debug, Clone)]
pub(crate) struct EarlyPaths {
    /// The root that will be switched to.
    pub root: PathBuf,
    /// The slot's SquashFS.
    pub base: PathBuf,
    /// What this boot makes: record, PERSISTENT, volatile layers.
    pub run: PathBuf,
    /// udev's links to file systems.
    pub by_uuid: PathBuf,
}

impl Default for EarlyPaths {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/sysroot"),
            base: PathBuf::from(paths::ROOTFS_BASE),
            run: PathBuf::from(paths::RUN),
            by_uuid: PathBuf::from("/dev/disk/by-uuid"),
        }
    }
}

impl EarlyPaths {
    fn persistent(&self) -> PathBuf {
        self.run.join("persistent")
    }

    fn record(&self) -> PathBuf {
        self.run.join("boot.json")
    }
}

/// Lays the state over the root, tells what was booted, and on a trial starts a
/// watchdog.
///
/// # Errors
/// The boot must not go on.
pub(crate) fn run(places: &EarlyPaths) -> Result<()> {
    let arguments = Arguments::parse(&fs_err::read_to_string(CMDLINE)?)?;
    let config = config(&places.root)?;
    files::directory(&places.run, 0o755)?;
    let persistent_mounted = if arguments.slot == Slot::Recovery {
        recovery(places, &arguments)?
    } else {
        installed(places, &arguments, &config)?;
        true
    };
    let trial = arguments.trial;
    BootRecord::new(arguments, persistent_mounted).write_to(&places.record())?;
    if trial {
        guard(&places.root);
    }
    Ok(())
}

/// A slot with its state.
fn installed(places: &EarlyPaths, arguments: &Arguments, config: &Config) -> Result<()> {
    let kept = kept::paths(&config.state)?;
    mount_persistent(places, arguments)?;
    let mounts = Mounts::read(&places.persistent())?;
    lay_root(places, &VOLATILE)?;
    mount_oem(places, arguments)?;
    lay_kept(places, &kept)?;
    lay_identity(places)?;
    for (mount, uuid) in &mounts.0 {
        let device = mounts::wait(&places.by_uuid, uuid, mount, DEADLINE)?;
        mounts::ext4(
            &device,
            &tree::make(&places.root, mount)?,
            kept::flags(mount),
        )?;
    }
    Ok(())
}

/// The recovery slot, which comes up whatever is broken. Gives whether
/// PERSISTENT is there.
fn recovery(places: &EarlyPaths, arguments: &Arguments) -> Result<bool> {
    lay_root(places, &VOLATILE)?;
    for (name, size) in VOLATILE_IN_RECOVERY {
        let lower = tree::enter(&places.root, &format!("/{name}"))?;
        if let Some(lower) = lower {
            mounts::overlay(&lower, &places.run.join(name), size, &lower)?;
        }
    }
    let or_told = |result: Result<()>| match result {
        Ok(()) => true,
        Err(error) => {
            say(Level::Warning, &format!("recovery goes on: {error:#}"));
            false
        }
    };
    or_told(mount_oem(places, arguments));
    Ok(or_told(mount_persistent(places, arguments)))
}

fn config(root: &Path) -> Result<Config> {
    let path = root.join(CONFIG_PATH);
    Config::parse(&fs_err::read(&path)?)
        .map_err(|error| anyhow::anyhow!("{}: {:#}", path.display(), anyhow::Error::from(error)))
}

fn mount_persistent(places: &EarlyPaths, arguments: &Arguments) -> Result<()> {
    let uuid = &arguments.persistent;
    let name = isoforge_contract::disk::label::PERSISTENT;
    let device = mounts::wait(&places.by_uuid, uuid, name, DEADLINE)?;
    let target = places.persistent();
    fs_err::create_dir_all(&target)?;
    // What is kept is shown elsewhere, each with flags of its own.
    mounts::ext4(&device, &target, kept::NO_PRIVILEGES)?;
    // The kernel mounts it all the same, and e2fsck is not in every initrd.
    let errors = ext4::errors(Path::new(SYS), &device);
    if errors > 0 {
        let text = format!(
            "{name} is damaged: the kernel found errors on it ({errors}); 'appliance status' tells what to do"
        );
        say(Level::Warning, &text);
    }
    Ok(())
}

fn mount_oem(places: &EarlyPaths, arguments: &Arguments) -> Result<()> {
    let name = isoforge_contract::disk::label::OEM;
    let device = mounts::wait(&places.by_uuid, &arguments.oem, name, DEADLINE)?;
    let flags = kept::NO_PRIVILEGES | MountFlags::RDONLY;
    mounts::ext4(&device, &tree::make(&places.root, paths::OEM)?, flags)
}

/// Makes the root the SquashFS itself, instead of dracut's writable overlay on
/// it, with volatile directories over it.
fn lay_root(places: &EarlyPaths, volatile: &[(&str, &str)]) -> Result<()> {
    mounts::bind(&places.base, &places.root)?;
    // Else each later mount would appear below the SquashFS's own place too.
    mounts::private(&places.root)?;
    for (name, size) in volatile {
        let (lower, scratch) = (places.base.join(name), places.run.join(name));
        mounts::overlay(&lower, &scratch, size, &places.root.join(name))?;
    }
    mounts::tmpfs(&tree::make(&places.root, "/tmp")?, TMP_OPTIONS)
}

fn lay_kept(places: &EarlyPaths, kept: &[String]) -> Result<()> {
    let persistent = places.persistent();
    let store = Store {
        kept: persistent.join(paths::KEPT),
        staging: persistent.join(STAGING),
    };
    kept::prepare(&store)?;
    for path in kept {
        let target = tree::make(&places.root, path)?;
        let source = store.keep(path, &target)?;
        mounts::bind_with(&source, &target, kept::flags(path))?;
    }
    Ok(())
}

fn lay_identity(places: &EarlyPaths) -> Result<()> {
    let persistent = places.persistent();
    let etc = places.root.join("etc");
    let kept = persistent.join(paths::IDENTITY);
    files::directory(&kept, 0o700)?;
    identity::write_machine_id(&etc, &identity::machine_id(&kept)?)?;
    identity::restore_host_keys(&kept, &etc)?;
    let kept = persistent.join(paths::ACCOUNTS);
    files::directory(&kept, 0o700)?;
    let merged = accounts::restore(&etc, &kept)
        .context("can't merge the accounts that were kept into the slot's")?;
    for note in merged.notes {
        say(Level::Warning, &note);
    }
    Ok(())
}

/// A trial without a watchdog still falls back unless its init hangs, so that
/// there is none does not stop it.
fn guard(root: &Path) {
    let mut log = Log::open();
    match watchdog::arm(root) {
        Ok(armed) => log.say(Level::Info, &armed.to_string()),
        Err(error) => {
            log.say(
                Level::Warning,
                &format!("trial without a watchdog: {error:#}"),
            );
        }
    }
}

#[cfg(test)]
mod tests;
