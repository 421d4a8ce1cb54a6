//! One slot in the place of another: room, files, and whether they are what was built.

use std::path::Path;

use anyhow::{Result, bail};
use isoforge_base::digest::Digest;
use isoforge_base::output::space::FileSystems;

use super::labels::Labels;
use super::machine::small;
use super::make_slot::digest_of_file;
use super::state::State;
use isoforge_system::slots::{Record, Slot, file};

/// Room on STATE beside the slot's files, for the file system's own use.
const STATE_SLACK_BYTES: u64 = 4 << 20;

/// Replaces a slot's files by those that `fill` writes into the folder it is given,
/// and checks. Nothing may name the slot meanwhile.
pub(super) fn swap(
    state: &mut State<'_>,
    slot: Slot,
    bytes: u64,
    room: &dyn FileSystems,
    fill: &mut dyn FnMut(&Path) -> Result<()>,
) -> Result<()> {
    let (old, new) = (slot.folder(), format!("{}.new", slot.folder()));
    let mut swap = || {
        state.remove(&new)?;
        make_room(state, &old, bytes, room)?;
        fill(&state.make(&new)?)?;
        state.sync(&new)?;
        state.remove(&old)?;
        state.rename(&new, &old)
    };
    let swapped = swap();
    if swapped.is_err() {
        // What is half there is in nobody's way, but takes room.
        let _ = state.remove(&new);
    }
    swapped
}

/// GRUB's menu as the new version has it.
pub(super) fn update_menu(state: &mut State<'_>, menu: Option<&str>) -> Result<()> {
    let there = small(&state.path(isoforge_contract::disk::MENU)).ok();
    match menu.map(str::as_bytes) {
        Some(menu) if there.as_deref() != Some(menu) => {
            state.write(isoforge_contract::disk::MENU, menu)
        }
        _ => Ok(()),
    }
}

/// Makes room for `bytes`: where they do not fit beside the slot that they
/// replace, that goes first.
fn make_room(state: &mut State<'_>, old: &str, bytes: u64, room: &dyn FileSystems) -> Result<()> {
    let needed = bytes.saturating_add(STATE_SLACK_BYTES);
    let free = room.available_bytes(&state.path(""))?;
    if free >= needed {
        return Ok(());
    }
    let available = free.saturating_add(folder_bytes(&state.path(old)));
    if available < needed {
        bail!(
            "the new system needs {needed} bytes on the partition STATE, {available} are available, the system that it replaces counted in"
        );
    }
    state.remove(old)?;
    state.settle()
}

pub(super) fn folder_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(path) else {
        return 0;
    };
    let sizes = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    sizes.sum()
}

/// Whether a written slot is what was built, by its files alone: whoever wrote
/// them is not asked.
pub(super) fn check_slot(folder: &Path, labels: &Labels) -> Result<()> {
    check_digest(digest_of_file(&folder.join(file::ROOTFS))?, labels)?;
    let record = Record::parse(&small(&folder.join(file::RECORD))?)?;
    for (name, expected) in [(file::KERNEL, record.kernel), (file::INITRD, record.initrd)] {
        let path = folder.join(name);
        if digest_of_file(&path)? != expected {
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

pub(super) fn check_digest(found: Digest, labels: &Labels) -> Result<()> {
    let expected = labels.digest;
    if found != expected {
        bail!(
            "the new system's root file system has the digest {found}, the image says {expected}; nothing was changed"
        );
    }
    Ok(())
}
